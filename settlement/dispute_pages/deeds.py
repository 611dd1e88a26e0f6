"""What a side can do in a dispute, and what it is told before it does."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from parties.models import Party
from parties.people.shell import Seat
from settlement.dispute_pages.forms import (
    ConfirmForm,
    EscalateForm,
    ExplainForm,
    NothingForm,
    OfferForm,
    ReasonsForm,
)
from settlement.disputes import answering
from settlement.disputes.evidence import Upload
from settlement.disputes.moving import Kind, State
from settlement.models import Dispute
from settlement.models.disputes import Ask

Told = dict[str, Any]
Act = Callable[[Dispute, Seat, Told, Sequence[Upload], dt.datetime], Dispute]


class Deed(NamedTuple):
    """A thing to do: how it is called, what follows, who may when, what is asked, what it does.

    What is `final` wants the password of who logged in a while ago; it takes no files.
    """

    name: str
    title: Promise
    button: Promise
    follows: Promise
    offered: Callable[[Dispute, Party], bool]
    form: type[forms.Form]
    act: Act
    kind: str
    look: str = ""
    final: bool = False
    amount: Callable[[Dispute], Decimal | None] = lambda dispute: None


def _responds(*states: str) -> Callable[[Dispute, Party], bool]:
    return lambda dispute, party: dispute.respondent_id == party.pk and dispute.state in states


def _claims(*states: str) -> Callable[[Dispute, Party], bool]:
    return lambda dispute, party: dispute.claimant_id == party.pk and dispute.state in states


def _for_money(
    offered: Callable[[Dispute, Party], bool], *, money: bool = True
) -> Callable[[Dispute, Party], bool]:
    return lambda dispute, party: (
        (dispute.ask != Ask.EXPLANATION) is money and offered(dispute, party)
    )


def _accept(
    dispute: Dispute, seat: Seat, told: Told, files: Sequence[Upload], now: dt.datetime
) -> Dispute:
    return answering.accept(dispute, seat.party, seat.person, now, told["message"])


def _offer(
    dispute: Dispute, seat: Seat, told: Told, files: Sequence[Upload], now: dt.datetime
) -> Dispute:
    return answering.counter(
        dispute, seat.party, told["amount"], told["message"], seat.person, now, files
    )


def _reject(
    dispute: Dispute, seat: Seat, told: Told, files: Sequence[Upload], now: dt.datetime
) -> Dispute:
    return answering.reject(dispute, seat.party, told["message"], seat.person, now, files)


def _accept_offer(
    dispute: Dispute, seat: Seat, told: Told, files: Sequence[Upload], now: dt.datetime
) -> Dispute:
    return answering.accept_offer(dispute, seat.party, seat.person, now)


def _escalate(
    dispute: Dispute, seat: Seat, told: Told, files: Sequence[Upload], now: dt.datetime
) -> Dispute:
    return answering.escalate(dispute, seat.party, told["message"], seat.person, now, files)


def _withdraw(
    dispute: Dispute, seat: Seat, told: Told, files: Sequence[Upload], now: dt.datetime
) -> Dispute:
    return answering.withdraw(dispute, seat.party, seat.person, now, told["message"])


DEEDS = (
    Deed(
        "accept",
        _("Accept in full"),
        _("Accept the claim"),
        _("This is final. What is asked for is granted, and carried out as shown here."),
        _for_money(_responds(State.OPEN, State.COUNTERED, State.REJECTED)),
        ConfirmForm,
        _accept,
        Kind.ACCEPTED,
        final=True,
        amount=lambda dispute: dispute.asked,
    ),
    Deed(
        "explain",
        _("Give the explanation"),
        _("Send the explanation"),
        _("This ends the dispute: no money moves."),
        _for_money(_responds(State.OPEN, State.REJECTED), money=False),
        ExplainForm,
        _accept,
        Kind.ACCEPTED,
    ),
    Deed(
        "offer",
        _("Offer a part"),
        _("Send the offer"),
        _("The other side then accepts the part, or has the hub rule. You cannot change it."),
        _for_money(_responds(State.OPEN)),
        OfferForm,
        _offer,
        Kind.COUNTERED,
    ),
    Deed(
        "reject",
        _("Reject"),
        _("Reject the claim"),
        _("The other side reads your reasons and may have the hub rule. Files stay for good."),
        _responds(State.OPEN),
        ReasonsForm,
        _reject,
        Kind.REJECTED,
    ),
    Deed(
        "accept-offer",
        _("Accept the offer"),
        _("Accept the offer"),
        _("This is final. The part is granted, and carried out as shown here."),
        _claims(State.COUNTERED),
        NothingForm,
        _accept_offer,
        Kind.OFFER_ACCEPTED,
        final=True,
        amount=lambda dispute: dispute.offered,
    ),
    Deed(
        "escalate",
        _("Have the hub rule"),
        _("Hand it to the hub"),
        _("The hub's staff reads what both sides have said and shown, and decides. It is binding."),
        _claims(State.COUNTERED, State.REJECTED),
        EscalateForm,
        _escalate,
        Kind.ESCALATED,
    ),
    Deed(
        "withdraw",
        _("Withdraw"),
        _("Withdraw the claim for good"),
        _("This is final: the CDRs are billed as they are, and cannot be claimed about again."),
        _claims(*Dispute.UNDECIDED),
        ConfirmForm,
        _withdraw,
        Kind.WITHDRAWN,
        look="danger",
        final=True,
    ),
)
BY_NAME = {deed.name: deed for deed in DEEDS}


def offered_to(dispute: Dispute, party: Party) -> list[Deed]:
    """Return what a side can do now."""
    return [deed for deed in DEEDS if deed.offered(dispute, party)]
