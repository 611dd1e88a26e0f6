"""CDRs by a list of ids: a CSV column of ids, or our own export, with what is wrong in each row."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db.models.functions import Upper
from django.utils.translation import gettext as _

from cdrs import explorer
from cdrs.explorer import Side
from cdrs.models import Cdr
from parties.models import Party
from settlement.disputes.moving import CannotDispute
from settlement.disputes.opening import MOST

IDS = ("cdr_id", "cdr", "id")  # a header of one of these names the column
LONGEST = 39  # characters of a CDR's id


class Listed(NamedTuple):
    """A row of a list: its line, the id in it, and the party that sent the CDR if it says so."""

    line: int
    uid: str
    cpo: str = ""


def read(content: bytes) -> list[Listed]:
    """Read a list; raises CannotDispute for what is none."""
    try:
        text = content.decode("utf-8-sig")
        rows = list(_cells(text))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CannotDispute(_("This is not a CSV of CDR ids.")) from error
    if "\x00" in text:
        raise CannotDispute(_("This is not a CSV of CDR ids."))
    if not rows:
        raise CannotDispute(_("There is no id in this file."))
    if len(rows) > MOST:
        raise CannotDispute(_("At most %d CDRs go into one dispute.") % MOST)
    return rows


def _cells(text: str) -> Iterator[Listed]:
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    column, sender = 0, -1
    for line, cells in enumerate(reader, start=1):
        names = [cell.strip().lower() for cell in cells]
        if line == 1 and (named := [name for name in names if name in IDS]):
            column = names.index(named[0])
            sender = names.index("cpo") if "cpo" in names else -1
        elif len(cells) > column and (uid := cells[column].strip().removeprefix("'")):
            cpo = cells[sender].strip().upper() if 0 <= sender < len(cells) else ""
            yield Listed(line, uid, cpo)


def find(party: Party, rows: Sequence[Listed]) -> tuple[list[Cdr], list[str]]:
    """Return the CDRs of a list that a party may see, and what is wrong with the other rows."""
    known = _known(party, {row.uid.upper() for row in rows})
    found: dict[int, Cdr] = {}
    wrong = []
    for row in rows:
        here = [cdr for cdr in known.get(row.uid.upper(), []) if row.cpo in ("", _cpo(cdr))]
        names = {"line": row.line, "id": row.uid[: LONGEST + 1]}
        if not here:
            wrong.append(_("Line %(line)s: there is no CDR %(id)s.") % names)
        elif len(here) > 1:
            text = _("Line %(line)s: several CPOs have a CDR %(id)s; add a column “cpo”.")
            wrong.append(text % names)
        elif here[0].pk in found:
            wrong.append(_("Line %(line)s: CDR %(id)s is in the list twice.") % names)
        else:
            found[here[0].pk] = here[0]
    return list(found.values()), wrong


def _cpo(cdr: Cdr) -> str:
    return cdr.owner.address.code


def _known(party: Party, uids: set[str]) -> dict[str, list[Cdr]]:
    known: dict[str, dict[int, Cdr]] = {}
    for side in Side:
        rows = explorer.of_party(party, side).select_related("owner", "emsp", "period")
        if side is Side.BOUGHT:  # the index begins with the CPO
            rows = rows.filter(owner__in=explorer.partners(party, side))
        for cdr in rows.alias(upper=Upper("uid")).filter(upper__in=uids):
            known.setdefault(cdr.uid.upper(), {})[cdr.pk] = cdr
    return {uid: list(rows.values()) for uid, rows in known.items()}
