"""What disputes are called in front of a side of them, and what helps whom."""

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cdrs import rules
from cdrs.explorer import Side
from cdrs.models import Finding
from cdrs.telling import Status, Words, finding_in_words
from parties.models import Party
from settlement.disputes.moving import State, money
from settlement.disputes.telling import day
from settlement.models import Dispute, DisputeEvent
from settlement.models.disputes import Ask, Reason

HELPS: dict[str, Promise] = {
    Reason.WRONG_PRICE: gettext_lazy(
        "The tariff that was agreed. The hub's own price is added by itself."
    ),
    Reason.WRONG_ENERGY: gettext_lazy("Meter values, or the customer's own reading."),
    Reason.WRONG_DURATION: gettext_lazy("The start and stop that the app or the car has recorded."),
    Reason.UNKNOWN_TOKEN: gettext_lazy(
        "Your token list of that day, if the token was never yours."
    ),
    Reason.NOT_OUR_CUSTOMER: gettext_lazy("What shows that the contract had ended or never was."),
    Reason.DUPLICATE: gettext_lazy("The id of the other CDR; the hub adds the pair it has found."),
    Reason.NOT_COMPLETED: gettext_lazy(
        "The answer to the start command, or the customer's report."
    ),
    Reason.CHARGER_FAULT: gettext_lazy("A photograph, or the customer's report of that day."),
    Reason.OVERLAPPING: gettext_lazy("The ids of both sessions."),
    Reason.LOCATION_MISMATCH: gettext_lazy(
        "Where the customer was, or the location as you know it."
    ),
    Reason.TAX_ERROR: gettext_lazy("Where it was charged, and the rate that holds there."),
    Reason.LATE_CDR: gettext_lazy("The agreement that says until when CDRs have to come."),
    Reason.TARIFF_NOT_AGREED: gettext_lazy("The tariffs that were agreed, with their dates."),
    Reason.IDLE_FEE: gettext_lazy(
        "When the car was unplugged, and what the tariff says on parking."
    ),
    Reason.FRAUD: gettext_lazy("What was reported, and when the token was blocked."),
    Reason.MISSING_CDR: gettext_lazy("The sessions for which no CDR has come."),
    Reason.OTHER: gettext_lazy("Whatever lets somebody else see it as you do."),
}
NO_CDRS = gettext_lazy("Choose at least one CDR, or add a list of ids.")
CHOOSE = gettext_lazy("Choose a file.")
ASKS: dict[str, Promise] = {
    Ask.FULL: gettext_lazy("Nothing of these CDRs is to be paid."),
    Ask.EXPLANATION: gettext_lazy("No money is held. The other side says how it comes about."),
}


def corrected(by_cpo: bool) -> Promise:
    """Say what a corrected amount means to a side."""
    if by_cpo:
        return gettext_lazy("The CDRs are to come to more.")
    return gettext_lazy("The CDRs are to come to less; the rest is paid.")


OF_RULES: dict[str, str] = {  # the reason that a finding speaks for, by the file of its rule
    "price": Reason.WRONG_PRICE,
    "duplicates": Reason.DUPLICATE,
    "energy": Reason.WRONG_ENERGY,
    "meters": Reason.WRONG_ENERGY,
    "timing": Reason.WRONG_DURATION,
    "payer": Reason.UNKNOWN_TOKEN,
    "place": Reason.LOCATION_MISMATCH,
}


def suggested(findings: list[Finding]) -> str:
    """Return the reason that findings speak for most; those that hold a CDR count first."""
    holding = [item for item in findings if item.severity == Finding.Severity.HOLD]
    told = _reasons(holding) or _reasons(findings)
    return max(told, key=told.count) if told else ""


def _reasons(findings: list[Finding]) -> list[str]:
    known = rules.by_code()
    found = (known[item.code].check.__module__ for item in findings if item.code in known)
    names = (name.rpartition(".")[2] for name in found)
    return [OF_RULES[name] for name in names if name in OF_RULES]


class Found(NamedTuple):
    """What the hub has found about some CDRs: in words, and about how many."""

    text: Words
    code: str
    cdrs: int


def found_about(findings: list[Finding], side: Side) -> list[Found]:
    """Group findings by what they say to a side."""
    grouped: dict[tuple[str, str], int] = {}
    for finding in findings:
        key = (str(finding_in_words(finding, side)), finding.code)
        grouped[key] = grouped.get(key, 0) + 1
    return [Found(text, code, count) for (text, code), count in grouped.items()]


# States


def status_of(dispute: Dispute, party: Party) -> Status:
    """Say where a dispute is, as one of its sides sees it."""
    if dispute.turn == party:
        return Status("action", capfirst(str(_TURN[dispute.state])))
    return Status(_TAGS[dispute.state], capfirst(dispute.get_state_display()))


_TURN: dict[str, Promise] = {
    State.OPEN: gettext_lazy("your turn: answer"),
    State.COUNTERED: gettext_lazy("your turn: a part was offered"),
    State.REJECTED: gettext_lazy("your turn: rejected"),
}
_TAGS: dict[str, str] = {
    State.OPEN: "waiting",
    State.COUNTERED: "waiting",
    State.REJECTED: "waiting",
    State.ESCALATED: "progress",
    State.ACCEPTED: "progress",
    State.RULED: "progress",
    State.SETTLED: "ok",
    State.LAPSED: "closed",
    State.WITHDRAWN: "closed",
}


def until(dispute: Dispute) -> dt.datetime | None:
    """Return the last minute of a deadline, which is the end of a day."""
    return dispute.due_at - dt.timedelta(minutes=1) if dispute.due_at else None


def whose_turn(dispute: Dispute, party: Party) -> str:
    """Say who has to act."""
    if dispute.turn == party:
        return _("You")
    if dispute.turn:
        return dispute.turn.name
    if dispute.state == State.ESCALATED:
        return settings.HUB_NAME
    if dispute.state in Dispute.DECIDED:
        return _("You, or the hub for you") if dispute.cpo == party else dispute.cpo.name
    return _("Nobody: it is over")


# What happened


class Told(NamedTuple):
    """An event of a dispute as a side reads it; `mark` is the kind of its dot."""

    event: DisputeEvent
    who: str
    person: str
    what: str
    facts: list[tuple[Any, str]]
    mark: str


def told(event: DisputeEvent, dispute: Dispute, reader: Party | None) -> Told:
    """Tell an event; people are named to their own side, and to staff (`reader` is None)."""
    person = event.person.email if event.person and reader in (None, event.party) else ""
    by_itself = "" if event.kind in BY_ITSELF else settings.HUB_NAME
    who = event.party.name if event.party else by_itself
    what = str(_DEEDS.get(event.kind, event.get_kind_display()))
    facts = [(_FACTS[name], _fact(name, value, dispute)) for name, value in _shown(event)]
    return Told(event, who, person, what, facts, _MARKS.get(event.kind, "plain"))


def _shown(event: DisputeEvent) -> list[tuple[str, str]]:
    return [(name, event.details[name]) for name in _FACTS if event.details.get(name)]


def _fact(name: str, value: str, dispute: Dispute) -> str:
    if name in ("asked", "amount"):
        try:
            return money(Decimal(value), dispute.currency)
        except InvalidOperation:
            return value
    if name == "due_at" and (instant := Dispute._meta.get_field("due_at").to_python(value)):
        return day(instant)
    return value


_DEEDS: dict[str, Promise] = {
    "opened": gettext_lazy("opened the dispute"),
    "message": gettext_lazy("wrote"),
    "question": gettext_lazy("asked"),
    "evidence": gettext_lazy("added evidence"),
    "accepted": gettext_lazy("accepted the claim"),
    "countered": gettext_lazy("offered a part"),
    "rejected": gettext_lazy("rejected the claim"),
    "offer_accepted": gettext_lazy("accepted the offer"),
    "escalated": gettext_lazy("asked the hub to rule"),
    "withdrawn": gettext_lazy("withdrew the claim"),
    "reminder": gettext_lazy("sent a reminder"),
    "silence": gettext_lazy("Silence has decided, as announced (automatic)"),
    "late": gettext_lazy("is late to rule"),
    "ruled": gettext_lazy("ruled"),
    "credited": gettext_lazy("noted a credit"),
    "settled": gettext_lazy("settled the dispute"),
}
BY_ITSELF = frozenset({"silence"})  # nobody's deed
_FACTS: dict[str, Promise] = {
    "asked": gettext_lazy("Asked for"),
    "amount": gettext_lazy("Amount"),
    "of": gettext_lazy("Whose turn it was"),
    "names": gettext_lazy("Files"),
    "due_at": gettext_lazy("Next deadline"),
    "filed_by_hub": gettext_lazy("CDRs filed by the hub"),
}
_MARKS = {
    "rejected": "bad",
    "accepted": "ok",
    "offer_accepted": "ok",
    "settled": "ok",
    "ruled": "ok",
    "countered": "warn",
    "escalated": "warn",
    "silence": "warn",
    "late": "bad",
}
