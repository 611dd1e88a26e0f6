"""What all deeds in a dispute share: its lock, its moves, and how they are written down."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from hub.money import FOUR
from hub.states import WrongState
from parties.models import Party, User
from settlement.disputes import deadlines
from settlement.models import Dispute, DisputeEvent

TEXT = 2000  # characters of a message
Kind = DisputeEvent.Kind
State = Dispute.State


class CannotDispute(Exception):
    """This cannot be done with a dispute, or with a CDR; it says why, and nothing was changed."""


def locked(dispute: Dispute) -> Dispute:
    """Return a dispute as it is now, locked until the transaction is over."""
    rows = Dispute.objects.select_for_update(of=("self",)).select_related("claimant", "respondent")
    return rows.get(pk=dispute.pk)


def move(
    dispute: Dispute,
    state: str,
    now: dt.datetime,
    due_at: dt.datetime | None = None,
    **changes: Any,
) -> None:
    """Move a dispute that is locked, with its next deadline; raises CannotDispute."""
    ended_at = now if state in Dispute.OVER else None
    reminded = deadlines.reached(due_at, now)
    try:
        dispute.move_to(state, due_at=due_at, ended_at=ended_at, reminded=reminded, **changes)
    except WrongState as error:
        raise CannotDispute(not_now(dispute)) from error


def not_now(dispute: Dispute) -> str:
    """Say that a dispute is not where it would have to be."""
    told = {"reference": dispute.reference, "state": dispute.get_state_display()}
    return _("%(reference)s cannot be answered like this: it is now “%(state)s”.") % told


def note(
    dispute: Dispute,
    kind: str,
    now: dt.datetime,
    *,
    party: Party | None = None,
    person: User | None = None,
    text: str = "",
    **details: object,
) -> DisputeEvent:
    """Write down what happened, for both sides; without a party it was the hub."""
    told = {name: str(value) for name, value in details.items() if value is not None}
    return DisputeEvent.objects.create(
        dispute=dispute, kind=kind, at=now, party=party, person=person, text=text, details=told
    )


def said(text: str, *, needed: bool = True) -> str:
    """Return what somebody wrote, as plain text; raises CannotDispute."""
    text = text.replace("\x00", "").strip()
    if needed and not text:
        raise CannotDispute(_("Say why, in a few words."))
    if len(text) > TEXT:
        raise CannotDispute(_("The text is longer than %d characters.") % TEXT)
    return text


def part(amount: Decimal | None, whole: Decimal, otherwise: str) -> Decimal:
    """Return an amount if it lies between nothing and a whole; raises CannotDispute if not."""
    if amount is None or not amount.is_finite() or not 0 < amount < whole:
        raise CannotDispute(otherwise)
    return exact(amount)


def exact(amount: Decimal) -> Decimal:
    """Return an amount that can be kept as it is; raises CannotDispute."""
    if amount != amount.quantize(FOUR):
        raise CannotDispute(_("An amount has at most 4 decimals."))
    return amount


def money(amount: Decimal, currency: str) -> str:
    """Write an amount as people read it: at least 2 decimals, no zeros after the fourth."""
    spelled = f"{amount:,.4f}"
    while spelled.endswith("0") and len(spelled.rpartition(".")[2]) > 2:
        spelled = spelled[:-1]
    return f"{spelled} {currency}"
