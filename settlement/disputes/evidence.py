"""Add files to a dispute: within limits, really what they say, opened by nobody before a scan."""

import datetime as dt
import hashlib
import logging
import re
import unicodedata
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from parties import waking
from parties.models import Party, User
from settlement.disputes import files
from settlement.disputes.moving import CannotDispute, Kind, locked, note
from settlement.models import Dispute, Evidence
from settlement.models.evidence import LARGEST

logger = logging.getLogger(__name__)
MOST = 10  # files of a party in a dispute
A_DAY = 200 * 1024 * 1024  # bytes of a party
UPLOAD_LOCK = 0x4456  # of pg_advisory_xact_lock: a party's uploads are counted one by one
TASK = "settlement.scan_evidence"
BUILT_IN = "settlement.disputes.files.problem"
Audience = Evidence.Audience


class Upload(NamedTuple):
    """A file as it comes: the name that somebody gave it, and its bytes."""

    name: str
    content: bytes
    visible_to: str = Audience.PARTIES


@transaction.atomic
def add(
    dispute: Dispute, party: Party, person: User | None, uploads: Sequence[Upload], now: dt.datetime
) -> list[Evidence]:
    """Add files to a dispute that is not over, as one of its sides; all or none.

    Raises CannotDispute, with what is wrong with each file.
    """
    check(uploads)
    dispute = locked(dispute)
    if party.pk not in (dispute.claimant_id, dispute.respondent_id):
        raise CannotDispute(_("This dispute is between two others."))
    if dispute.is_over:
        raise CannotDispute(_("%s is over: nothing is added to it.") % dispute.reference)
    if not uploads:
        raise CannotDispute(_("Choose a file."))
    return attach(dispute, party, person, uploads, now)


def attach(
    dispute: Dispute, party: Party, person: User | None, uploads: Sequence[Upload], now: dt.datetime
) -> list[Evidence]:
    """Add files, which are checked, to a dispute that is locked; raises CannotDispute."""
    if not uploads:
        return []
    _within_limits(dispute, party, uploads, now)
    made = [_kept(dispute, party, person, upload, now) for upload in uploads]
    names = ", ".join(item.name for item in made if item.visible_to == Audience.PARTIES)
    if names:
        note(dispute, Kind.EVIDENCE, now, party=party, person=person, names=names)
    if any(item.state == Evidence.State.QUARANTINED for item in made):
        transaction.on_commit(partial(waking.start, TASK), robust=True)
    return made


def unsent(dispute: Dispute, party: Party, uploads: Sequence[Upload]) -> list[Upload]:
    """Return those of some files that a party has not added to a dispute yet."""
    known = set(dispute.evidence.filter(party=party).values_list("sha256", flat=True))
    return [upload for upload in uploads if _digest(upload) not in known]


def check(uploads: Sequence[Upload]) -> None:
    """Refuse files that are not what they say; takes a while, so do it before anything is locked.

    Raises CannotDispute, with what is wrong with each.
    """
    if len(uploads) > MOST:
        raise CannotDispute(_("A side adds at most %d files to a dispute.") % MOST)
    if problems := [text for upload in uploads if (text := problem(upload))]:
        raise CannotDispute(" ".join(problems))


def problem(upload: Upload) -> str:
    """Say what is wrong with a file, by its name; empty if nothing is."""
    name, kind = safe_name(upload.name), files.type_of(upload.name)
    if not kind:
        what = _("this type is not taken (%s are)") % ", ".join(sorted(files.ENDINGS))
    elif not upload.content:
        what = _("it is empty")
    elif len(upload.content) > LARGEST:
        what = _("it is larger than %d MiB") % (LARGEST // 2**20)
    else:
        what = files.problem(upload.content, kind)
    return f"{name}: {what}." if what else ""


def safe_name(name: str) -> str:
    """Return a name that is one on every system: no folders, no invisible signs, not long."""
    bare = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign for sign in bare if unicodedata.category(sign)[0] != "C")
    clean = re.sub(r'[<>:"|?*%\s]+', "_", shown).strip("._ ")
    if files.type_of(f".{clean}") and "." not in clean:
        return f"file.{clean}"  # it was nothing but an ending
    stem, dot, ending = clean.rpartition(".")
    return f"{stem[:80]}.{ending[:10]}" if dot else (clean[:80] or "file")


def scan_due() -> int:
    """Have what is quarantined scanned, and return how much is free; several may do so at once."""
    scanner = import_string(settings.EVIDENCE_SCANNER)
    keys = Evidence.objects.quarantined().order_by("pk").values_list("pk", flat=True)
    return sum(_scan(key, scanner) for key in list(keys))


@transaction.atomic
def _scan(key: int, scanner: object) -> bool:
    rows = Evidence.objects.select_for_update(skip_locked=True).quarantined().filter(pk=key)
    item = rows.first()
    if item is None or not callable(scanner):
        return False
    try:
        found = str(scanner(bytes(item.content), item.type) or "")
    except Exception:
        logger.exception("a file could not be scanned", extra={"evidence": key})
        return False
    if found:
        logger.warning("a file was refused", extra={"evidence": key, "problem": found})
        item.move_to(Evidence.State.REFUSED, problem=found[:200])
        return False
    item.move_to(Evidence.State.CLEAN)
    return True


def _within_limits(
    dispute: Dispute, party: Party, uploads: Sequence[Upload], now: dt.datetime
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [UPLOAD_LOCK, party.pk])
    if dispute.evidence.filter(party=party).count() + len(uploads) > MOST:
        raise CannotDispute(_("A side adds at most %d files to a dispute.") % MOST)
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    today = Evidence.objects.filter(party=party, added_at__gte=midnight)
    used = today.aggregate(sum=Sum("size", default=0))["sum"]
    if used + sum(len(upload.content) for upload in uploads) > A_DAY:
        raise CannotDispute(_("A party adds at most %d MiB in a day.") % (A_DAY // 2**20))


def _digest(upload: Upload) -> str:
    return hashlib.sha256(upload.content).hexdigest()


def _kept(
    dispute: Dispute, party: Party, person: User | None, upload: Upload, now: dt.datetime
) -> Evidence:
    checked = settings.EVIDENCE_SCANNER == BUILT_IN  # which has just passed
    made = Evidence.holding(
        upload.content,
        dispute=dispute,
        party=party,
        person=person,
        name=safe_name(upload.name),
        type=files.type_of(upload.name),
        state=Evidence.State.CLEAN if checked else Evidence.State.QUARANTINED,
        visible_to=Audience(upload.visible_to),
        added_at=now,
    )
    if dispute.evidence.filter(party=party, sha256=made.sha256).exists():
        raise CannotDispute(_("%s: this file was added already.") % made.name)
    made.save(force_insert=True)
    return made
