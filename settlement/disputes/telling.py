"""Tell people about a dispute: in sentences for pages, in letters, and in the audit trail."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from parties.models import Access, Membership, Party, User
from parties.people import letters, trail
from parties.people.access import Area
from settlement.disputes.moving import State, money
from settlement.models import BillingContact, Dispute
from settlement.models.disputes import Ask, Effect

READERS = (Access.FINANCE, Access.OPERATIONS)


def path(dispute: Dispute, party: Party) -> str:
    """Return the address of a dispute's page for a party, on this hub."""
    return f"/app/{party.address.code}/disputes/{dispute.reference}/"


# Sentences


def consequence(dispute: Dispute) -> str:
    """Say what happens if nobody acts, and when; empty once it is over."""
    told = {
        "claimant": dispute.claimant.name,
        "respondent": dispute.respondent.name,
        "cpo": dispute.cpo.name,
        "by": day(dispute.due_at) if dispute.due_at else "",
        "asked": money(dispute.asked, dispute.currency),
    }
    return str(_consequence(dispute)) % told


def _consequence(dispute: Dispute) -> str:
    if dispute.state == State.OPEN:
        if dispute.ask == Ask.EXPLANATION:
            return _(
                "If %(respondent)s does not answer by %(by)s, the claim counts as accepted; "
                "no money moves."
            )
        return _(
            "If %(respondent)s does not answer by %(by)s, the claim counts as accepted, and "
            "%(asked)s is settled in favour of %(claimant)s."
        )
    if dispute.state in Dispute.CLAIMANTS_TURN:
        return _(
            "If %(claimant)s neither accepts nor escalates by %(by)s, the claim lapses for good: "
            "the CDRs stay billed as they are."
        )
    if dispute.state == State.ESCALATED:
        return _("The hub rules by %(by)s. Until then nothing changes.")
    if dispute.state in Dispute.DECIDED:
        return _(
            "If %(cpo)s has not sent the credit CDR (and the new CDR, if there is one) by %(by)s, "
            "the hub files it in its name."
        )
    return ""


def money_now(dispute: Dispute) -> str:
    """Say what is with the money at present."""
    told = {
        "total": money(dispute.total, dispute.currency),
        "granted": money(dispute.granted or dispute.asked * 0, dispute.currency),
    }
    return str(_money_now(dispute)) % told


def _money_now(dispute: Dispute) -> str:
    if dispute.effect == Effect.NONE:
        return _("No money is held: an explanation is asked for.")
    if dispute.state in (State.LAPSED, State.WITHDRAWN) or dispute.granted == 0:
        return _("The CDRs, %(total)s, are billed as they are.")
    if dispute.state == State.SETTLED:
        if dispute.effect == Effect.HOLD:
            return _("%(granted)s is settled before any document was issued.")
        return _("%(granted)s is settled by a credit note of the next month that closes.")
    if dispute.effect == Effect.HOLD:
        return _("%(total)s is held out of the month: neither billed nor paid for now.")
    return _(
        "The CDRs, %(total)s, stay billed and payable; what is granted is corrected by a credit "
        "note of the next month that closes."
    )


def day(instant: dt.datetime) -> str:
    """Write a deadline, which is the end of a day, as its last minute."""
    last = timezone.localtime(instant - dt.timedelta(minutes=1))
    return f"{date_format(last, 'j F Y, H:i')} {last.tzname()}"


# Deeds: the audit trail, and letters to whom they concern


def opened(dispute: Dispute, person: User | None) -> None:
    """Tell the respondent of a claim."""
    _noted(dispute, "dispute_opened", [dispute.claimant], person)
    _write(dispute, [dispute.respondent], "opened", lambda party: _turn(dispute))


def answered(dispute: Dispute, person: User | None) -> None:
    """Tell the other side of an answer, or both of what the hub's price has decided."""
    deed = f"dispute_{dispute.state}"
    if person is None:
        actors, readers = _sides(dispute), _sides(dispute)
    else:
        accepted = dispute.state == State.ACCEPTED and dispute.offered == dispute.granted
        actor = dispute.claimant if accepted else dispute.respondent
        actors, readers = [actor], [dispute.other(actor)]
    _noted(dispute, deed, actors, person)
    _write(dispute, readers, "answered", lambda party: _turn(dispute))


def escalated(dispute: Dispute, person: User | None) -> None:
    """Tell the respondent that the hub will rule."""
    _noted(dispute, "dispute_escalated", [dispute.claimant], person)
    _write(dispute, [dispute.respondent], "escalated", lambda party: _news(dispute))


def withdrawn(dispute: Dispute, person: User | None) -> None:
    """Tell the respondent that a claim is given up."""
    _noted(dispute, "dispute_withdrawn", [dispute.claimant], person)
    _write(dispute, [dispute.respondent], "withdrawn", lambda party: _news(dispute))


def said(dispute: Dispute, party: Party, person: User | None) -> None:
    """Tell the other side that there is a message."""
    _noted(dispute, "dispute_message", [party], person)
    about = _("New message in dispute %(reference)s")
    other = dispute.other(party)
    _write(dispute, [other], "message", lambda to: Mail(about, [consequence(dispute)]))


def silence(dispute: Dispute) -> None:
    """Tell both sides what silence has decided."""
    _noted(dispute, "dispute_silence", _sides(dispute), None)
    _write(dispute, _sides(dispute), "silence", lambda party: _news(dispute), owners=True)


def ruled(dispute: Dispute) -> None:
    """Tell both sides how the hub has ruled."""
    _noted(dispute, "dispute_ruled", _sides(dispute), None)
    _write(dispute, _sides(dispute), "ruled", lambda party: _news(dispute))


def settled(dispute: Dispute) -> None:
    """Note that the effect is booked, and tell both sides."""
    _noted(dispute, "dispute_settled", _sides(dispute), None)
    _write(dispute, _sides(dispute), "settled", lambda party: _news(dispute))


def reminded(dispute: Dispute, party: Party, *, last: bool) -> None:
    """Remind a side of its deadline; the last time its owners, too."""
    _write(dispute, [party], "reminder", lambda to: _turn(dispute), owners=last)


# How letters are written


class Mail(NamedTuple):
    """What a letter says; `%(...)s` are filled in."""

    subject: str
    lines: Sequence[str]


def _turn(dispute: Dispute) -> Mail:
    """Say what somebody has to do, where it is a side's turn; else what has happened."""
    if dispute.turn is None:
        return _news(dispute)
    verb = _("answer") if dispute.state == State.OPEN else _("reply in")
    subject = _("Action needed by %(day)s: %(verb)s dispute %(reference)s (%(asked)s)")
    until = timezone.localtime(_deadline(dispute) - dt.timedelta(minutes=1))
    subject = subject.replace("%(day)s", date_format(until, "j M")).replace("%(verb)s", verb)
    return Mail(subject, [_what(dispute), consequence(dispute), money_now(dispute)])


def _news(dispute: Dispute) -> Mail:
    subject = _("Dispute %(reference)s is %(state)s (%(asked)s)")
    lines = [_what(dispute), consequence(dispute), money_now(dispute)]
    if dispute.granted is not None:
        granted = _("Granted: %s") % money(dispute.granted, dispute.currency)
        lines.insert(1, granted)
    return Mail(subject, [line for line in lines if line])


def _deadline(dispute: Dispute) -> dt.datetime:
    return dispute.due_at or timezone.now()


def _what(dispute: Dispute) -> str:
    count = dispute.items.count()
    told = {
        "claimant": dispute.claimant.name,
        "respondent": dispute.respondent.name,
        "reason": dispute.get_reason_display(),
        "ask": dispute.get_ask_display(),
        "cdrs": ngettext("%d CDR", "%d CDRs", count) % count,
        "state": dispute.get_state_display(),
    }
    text = _(
        "%(claimant)s against %(respondent)s, %(cdrs)s: %(reason)s; asked for: %(ask)s. "
        "State: %(state)s."
    )
    return text % told


def _write(
    dispute: Dispute,
    parties: Iterable[Party],
    about: str,
    mail: Callable[[Party], Mail],
    *,
    owners: bool = False,
) -> None:
    """Write to those of some parties who deal with disputes, each in their language."""
    for party in parties:
        for email, language in _readers(party, owners=owners):
            with translation.override(language):
                content = _content(dispute, party, mail(party))
            letters.write(
                email, f"dispute_{about}", content, language=language, code=party.address.code
            )


def _readers(party: Party, *, owners: bool) -> list[tuple[str, str]]:
    """Return who gets the letters of a party, with their languages.

    Its owners do where nobody else is there, and where nobody is, those who get its bills.
    """
    rows = Membership.objects.filter(party=party, person__is_active=True).select_related("person")
    wanted = (*READERS, Access.OWNER) if owners else READERS
    found = rows.filter(access__in=wanted).order_by("person") or rows.filter(access=Access.OWNER)
    people = [(row.person.email, row.person.language) for row in found]
    contacts = BillingContact.objects.filter(party=party).order_by("pk")
    return people or [(contact.email, "en") for contact in contacts]


def _content(dispute: Dispute, party: Party, told: Mail) -> letters.Content:
    names = {
        "reference": dispute.reference,
        "state": dispute.get_state_display(),
        "asked": money(dispute.asked, dispute.currency),
    }
    return letters.Content(
        subject=told.subject % names,
        paragraphs=list(told.lines),
        button=_("See the dispute"),
        path=path(dispute, party),
        reason=_("You get this because you deal with disputes of %s.") % party.name,
    )


def _sides(dispute: Dispute) -> list[Party]:
    return sorted((dispute.claimant, dispute.respondent), key=lambda party: party.pk)


def _noted(dispute: Dispute, deed: str, parties: Iterable[Party], person: User | None) -> None:
    """Write a deed into the trails of parties, in one order: it locks their ends."""
    amount = money(dispute.asked, dispute.currency)
    for party in sorted(parties, key=lambda party: party.pk):
        trail.note(
            party, Area.DISPUTES, deed, person=person, subject=dispute.reference, amount=amount
        )
