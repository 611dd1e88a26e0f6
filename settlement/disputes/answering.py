"""What the two sides say to each other: answers, offers, questions, withdrawal, escalation."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext as _

from hub.money import ZERO
from parties.models import Party, User
from settlement.disputes import deadlines, effects, evidence, moving, telling
from settlement.disputes.evidence import Upload
from settlement.disputes.moving import (
    CannotDispute,
    Kind,
    State,
    locked,
    money,
    move,
    not_now,
    note,
    said,
)
from settlement.models import Dispute
from settlement.models.disputes import Ask

MESSAGES = 20  # of a side in a day: each of them is a letter, too

# The respondent


@transaction.atomic
def accept(
    dispute: Dispute, party: Party, person: User | None, now: dt.datetime, message: str = ""
) -> Dispute:
    """Accept a claim in full, as its respondent: at first, or after all. Raises CannotDispute."""
    dispute = _turn_of(dispute, party, party_is="respondent", states=(State.OPEN, *_REPLIES))
    text = said(message, needed=False)
    effects.grant(dispute, State.ACCEPTED, dispute.asked, now)
    note(dispute, Kind.ACCEPTED, now, party=party, person=person, text=text, amount=dispute.granted)
    telling.answered(dispute, person)
    effects.book_at_once(dispute, now)
    return dispute


@transaction.atomic
def counter(
    dispute: Dispute,
    party: Party,
    amount: Decimal | None,
    message: str,
    person: User | None,
    now: dt.datetime,
    files: Sequence[Upload] = (),
) -> Dispute:
    """Offer a part of what is asked for; then it is the claimant's turn. Raises CannotDispute."""
    evidence.check(files)
    dispute = _turn_of(dispute, party, party_is="respondent", states=(State.OPEN,), now=now)
    if dispute.ask == Ask.EXPLANATION:
        raise CannotDispute(_("No money is asked for here: explain, or reject."))
    offered = part(amount, dispute)
    text = said(message)
    due_at = deadlines.reply_by(dispute, now)
    move(dispute, State.COUNTERED, now, due_at, offered=offered)
    note(
        dispute, Kind.COUNTERED, now, party=party, person=person, text=text,
        amount=offered, due_at=due_at,
    )  # fmt: skip
    evidence.attach(dispute, party, person, files, now)
    telling.answered(dispute, person)
    return dispute


@transaction.atomic
def reject(
    dispute: Dispute,
    party: Party,
    message: str,
    person: User | None,
    now: dt.datetime,
    files: Sequence[Upload] = (),
) -> Dispute:
    """Reject a claim, with reasons; then it is the claimant's turn. Raises CannotDispute."""
    evidence.check(files)
    dispute = _turn_of(dispute, party, party_is="respondent", states=(State.OPEN,), now=now)
    text = said(message)
    due_at = deadlines.reply_by(dispute, now)
    move(dispute, State.REJECTED, now, due_at)
    note(dispute, Kind.REJECTED, now, party=party, person=person, text=text, due_at=due_at)
    evidence.attach(dispute, party, person, files, now)
    telling.answered(dispute, person)
    return dispute


# The claimant


@transaction.atomic
def accept_offer(dispute: Dispute, party: Party, person: User | None, now: dt.datetime) -> Dispute:
    """Take the part that is offered. Raises CannotDispute."""
    dispute = _turn_of(dispute, party, party_is="claimant", states=(State.COUNTERED,), now=now)
    effects.grant(dispute, State.ACCEPTED, dispute.offered or ZERO, now)
    note(dispute, Kind.OFFER_ACCEPTED, now, party=party, person=person, amount=dispute.granted)
    telling.answered(dispute, person)
    effects.book_at_once(dispute, now)
    return dispute


@transaction.atomic
def escalate(
    dispute: Dispute,
    party: Party,
    message: str,
    person: User | None,
    now: dt.datetime,
    files: Sequence[Upload] = (),
) -> Dispute:
    """Have the hub rule, with a summary for it. Raises CannotDispute."""
    evidence.check(files)
    dispute = _turn_of(dispute, party, party_is="claimant", states=_REPLIES, now=now)
    text = said(message)
    due_at = deadlines.rule_by(now)
    move(dispute, State.ESCALATED, now, due_at)
    note(dispute, Kind.ESCALATED, now, party=party, person=person, text=text, due_at=due_at)
    evidence.attach(dispute, party, person, files, now)
    telling.escalated(dispute, person)
    return dispute


@transaction.atomic
def withdraw(
    dispute: Dispute, party: Party, person: User | None, now: dt.datetime, message: str = ""
) -> Dispute:
    """Give a claim up for good, before it is decided. Raises CannotDispute."""
    dispute = _turn_of(dispute, party, party_is="claimant", states=Dispute.UNDECIDED)
    text = said(message, needed=False)
    move(dispute, State.WITHDRAWN, now)
    effects.release(dispute, now)
    note(dispute, Kind.WITHDRAWN, now, party=party, person=person, text=text)
    telling.withdrawn(dispute, person)
    return dispute


# Either


@transaction.atomic
def say(
    dispute: Dispute,
    party: Party,
    message: str,
    person: User | None,
    now: dt.datetime,
    *,
    question: bool = False,
    files: Sequence[Upload] = (),
) -> Dispute:
    """Say or ask something, which stops nobody's clock. Raises CannotDispute."""
    evidence.check(files)
    dispute = locked(dispute)
    if party.pk not in (dispute.claimant_id, dispute.respondent_id):
        raise CannotDispute(_("This dispute is between two others."))
    if dispute.is_over:
        raise CannotDispute(not_now(dispute))
    kind = Kind.QUESTION if question else Kind.MESSAGE
    lately = dispute.events.filter(kind__in=(Kind.QUESTION, Kind.MESSAGE), party=party)
    if lately.filter(at__gt=now - dt.timedelta(days=1)).count() >= MESSAGES:
        raise CannotDispute(_("A side writes at most %d messages in a day.") % MESSAGES)
    note(dispute, kind, now, party=party, person=person, text=said(message))
    evidence.attach(dispute, party, person, files, now)
    telling.said(dispute, party, person)
    return dispute


# By themselves


def accept_by_price(dispute: Dispute, now: dt.datetime) -> None:
    """Accept what the hub's price proves, as the CPO's agreement says; call with it locked."""
    effects.grant(dispute, State.ACCEPTED, dispute.asked, now)
    note(dispute, Kind.ACCEPTED, now, amount=dispute.granted, by="price")
    telling.answered(dispute, None)


def accept_by_credit(dispute: Dispute, now: dt.datetime) -> None:
    """Take credits that the CPO has sent meanwhile for its acceptance; call with it locked."""
    effects.grant(dispute, State.ACCEPTED, dispute.asked, now)
    note(dispute, Kind.ACCEPTED, now, party=dispute.cpo, amount=dispute.granted, by="credit")
    telling.answered(dispute, None)


def accept_by_silence(dispute: Dispute, now: dt.datetime) -> None:
    """Take the respondent's silence for acceptance; call with it locked."""
    effects.grant(dispute, State.ACCEPTED, dispute.asked, now)
    note(dispute, Kind.SILENCE, now, amount=dispute.granted, of=dispute.respondent)
    telling.silence(dispute)
    effects.book_at_once(dispute, now)


def lapse(dispute: Dispute, now: dt.datetime) -> None:
    """Let a claim lapse because its claimant is silent; call with it locked."""
    move(dispute, State.LAPSED, now)
    effects.release(dispute, now)
    note(dispute, Kind.SILENCE, now, of=dispute.claimant)
    telling.silence(dispute)


_REPLIES = Dispute.CLAIMANTS_TURN


def _turn_of(
    dispute: Dispute,
    party: Party,
    *,
    party_is: str,
    states: Sequence[str],
    now: dt.datetime | None = None,
) -> Dispute:
    """Return a dispute, locked, in which a party may do something now; raises CannotDispute."""
    dispute = locked(dispute)
    if party.pk not in (dispute.claimant_id, dispute.respondent_id):
        raise CannotDispute(_("This dispute is between two others."))
    if getattr(dispute, party_is) != party:
        raise CannotDispute(_("This is for the other side to do."))
    if dispute.state not in states:
        raise CannotDispute(not_now(dispute))
    if now is not None and dispute.due_at is not None and dispute.due_at <= now:
        raise CannotDispute(_("The time to answer is over: silence has decided."))
    return dispute


def part(amount: Decimal | None, dispute: Dispute) -> Decimal:
    """Return an amount if it is a part of what is asked for; raises CannotDispute."""
    told = _("An offer lies between nothing and the %s asked for: else accept, or reject.")
    return moving.part(amount, dispute.asked, told % money(dispute.asked, dispute.currency))
