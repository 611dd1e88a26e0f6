"""Drafts of disputes and of answers: what was typed is kept until it is sent, and sent once."""

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from cdrs import explorer
from cdrs.explorer import Side
from cdrs.models import Cdr
from parties.models import Party, User
from settlement.disputes import evidence, opening, sealing
from settlement.disputes.evidence import MOST, Upload, safe_name
from settlement.disputes.moving import CannotDispute
from settlement.models import Dispute, Draft, DraftFile, Evidence
from settlement.models.disputes import Ask, Reason

About = Evidence.About
SEALED = 5  # CDRs about which the hub adds evidence by itself
BEARS_ON = {
    Reason.WRONG_PRICE: About.PRICE,
    Reason.IDLE_FEE: About.PRICE,
    Reason.TAX_ERROR: About.PRICE,
    Reason.TARIFF_NOT_AGREED: About.TARIFF,
    Reason.WRONG_ENERGY: About.SESSION,
    Reason.WRONG_DURATION: About.SESSION,
    Reason.NOT_COMPLETED: About.SESSION,
    Reason.DUPLICATE: About.DUPLICATE,
    Reason.OVERLAPPING: About.DUPLICATE,
}
MOST_BEGUN = 20  # drafts of a person
KEPT = dt.timedelta(days=14)  # as long as nobody goes on with it


def visible(party: Party, ids: Iterable[int]) -> list[Cdr]:
    """Return those of some CDRs that a party may see, in the order of its ids."""
    wanted = list(dict.fromkeys(ids))
    found: dict[int, Cdr] = {}
    for side in Side:
        rows = explorer.of_party(party, side).filter(pk__in=wanted)
        found |= {cdr.pk: cdr for cdr in rows.select_related("owner", "emsp", "period")}
    return [found[key] for key in wanted if key in found]


@transaction.atomic
def choose(
    party: Party, person: User, cdrs: Sequence[Cdr], now: dt.datetime, draft: Draft | None = None
) -> Draft:
    """Keep which CDRs a dispute is to be about; what nobody has gone on with for long is dropped.

    Other CDRs than before make another amount.
    """
    Draft.objects.filter(party=party, opened=None, updated_at__lt=now - KEPT).delete()
    begun = Draft.objects.filter(party=party, person=person, about=None, opened=None)
    Draft.objects.filter(pk__in=list(begun.values_list("pk", flat=True)[MOST_BEGUN:])).delete()
    draft = draft or Draft(party=party, person=person)
    chosen = [cdr.pk for cdr in cdrs]
    if draft.cdrs != chosen:
        draft.cdrs, draft.amount = chosen, None
    draft.updated_at = now
    draft.save()
    return draft


def answer_to(dispute: Dispute, party: Party, person: User) -> Draft:
    """Return the draft of a person's answer in a dispute."""
    draft, _made = Draft.objects.get_or_create(
        about=dispute, person=person, defaults={"party": party}
    )
    return draft


def keep_files(draft: Draft, uploads: Sequence[Upload]) -> None:
    """Keep files that were checked; raises CannotDispute where there are too many."""
    if draft.files.count() + len(uploads) > MOST:
        raise CannotDispute(_("A side adds at most %d files to a dispute.") % MOST)
    lying = DraftFile.objects.filter(draft__party=draft.party_id)
    used = lying.aggregate(sum=Sum("size", default=0))["sum"]
    if used + sum(len(upload.content) for upload in uploads) > evidence.A_DAY:
        told = _("Files that are not sent come to more than %d MiB: send or throw away some.")
        raise CannotDispute(told % (evidence.A_DAY // 2**20))
    for upload in uploads:
        DraftFile.objects.create(
            draft=draft,
            name=safe_name(upload.name),
            content=upload.content,
            size=len(upload.content),
            visible_to=upload.visible_to,
        )


def uploads_of(draft: Draft) -> list[Upload]:
    """Return the files of a draft, each content once."""
    kept = {bytes(file.content): file for file in draft.files.all()}
    return [Upload(file.name, content, file.visible_to) for content, file in kept.items()]


@transaction.atomic
def send(draft: Draft, now: dt.datetime) -> Dispute:
    """Open the dispute of a draft; whoever sends it again gets the same. Raises CannotDispute."""
    draft = Draft.objects.select_for_update(of=("self",)).get(pk=draft.pk)
    if draft.opened is not None:
        return draft.opened
    draft.opened = opening.open_dispute(
        claimant=draft.party,
        cdrs=_cdrs_of(draft),
        reason=draft.reason,
        ask=draft.ask,
        amount=draft.amount if draft.ask == Ask.CORRECTED else None,
        message=draft.message,
        person=draft.person,
        now=now,
        files=uploads_of(draft),
    )
    draft.files.all().delete()
    draft.save(update_fields=["opened"])
    _seal(draft.opened, now)
    return draft.opened


def _seal(dispute: Dispute, now: dt.datetime) -> None:
    """Add what the hub knows that bears on the reason, about as many CDRs as people look at."""
    about = BEARS_ON.get(Reason(dispute.reason))
    for item in dispute.items.select_related("cdr__owner").order_by("pk")[:SEALED] if about else ():
        with suppress(CannotDispute):
            sealing.seal(dispute, str(about), item.cdr, now)


def _cdrs_of(draft: Draft) -> list[Cdr]:
    cdrs = visible(draft.party, draft.cdrs)
    if len(cdrs) != len(draft.cdrs) or not cdrs:
        raise CannotDispute(_("One of these CDRs does not exist."))
    return cdrs


def foreseen(draft: Draft, now: dt.datetime) -> Dispute:
    """Return the dispute that a draft would open, unsaved. Raises CannotDispute."""
    cdrs = _cdrs_of(draft)
    amount = draft.amount if draft.ask == Ask.CORRECTED else None
    return opening.foreseen(draft.party, cdrs, draft.reason, draft.ask, amount, draft.message, now)
