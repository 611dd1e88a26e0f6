"""Disputes on the first page of the portal: those that need an answer, and how many there are."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hub.portal import Card, Need
from parties.people.access import Area, May
from parties.people.shell import Seat
from settlement.dispute_pages.words import until
from settlement.disputes.moving import State, money
from settlement.models import Dispute

MOST = 5  # needs of a page; what is left is told as one


def needs_of(seat: Seat) -> Iterator[Need]:
    """Say which disputes wait for an answer of the party, the most urgent first."""
    if not seat.may(Area.DISPUTES, May.ACT):
        return
    rows = Dispute.objects.visible_to(seat.party).needs_answer(seat.party)
    waiting = list(rows.select_related("claimant", "respondent")[: MOST + 1])
    for dispute in waiting[:MOST]:
        yield _need(seat, dispute)
    if waiting[MOST:]:
        yield _rest(seat, waiting[MOST], rows.count() - MOST)


def _need(seat: Seat, dispute: Dispute) -> Need:
    names = {
        "reference": dispute.reference,
        "partner": dispute.other(seat.party).name,
        "amount": money(dispute.asked, dispute.currency),
        "reason": dispute.get_reason_display(),
        "offered": money(dispute.offered or dispute.asked * 0, dispute.currency),
    }
    opened = dispute.state == State.OPEN
    return Need(
        title=(_("Answer dispute %(reference)s") if opened else _("Reply in dispute %(reference)s"))
        % names,
        text=_text(dispute) % names,
        button=_("Answer") if opened else _("Reply"),
        url=seat.url("portal_dispute", reference=dispute.reference),
        due_at=until(dispute),
        otherwise=_("If nobody answers, the claim counts as accepted.")
        if opened
        else _("If nobody replies, the claim lapses."),
    )


def _text(dispute: Dispute) -> str:
    if dispute.state == State.COUNTERED:
        return _("%(partner)s offers %(offered)s of the %(amount)s that you ask for.")
    if dispute.state == State.REJECTED:
        return _("%(partner)s has rejected your claim of %(amount)s.")
    if dispute.asked:
        return _("%(partner)s claims %(amount)s: %(reason)s.")
    return _("%(partner)s asks for an explanation: %(reason)s.")


def _rest(seat: Seat, first: Dispute, left: int) -> Need:
    title = ngettext("%d more dispute needs an answer", "%d more disputes need an answer", left)
    return Need(
        title=title % left,
        text=_("The nearest deadline first."),
        button=_("See them"),
        url=seat.url("portal_disputes") + "?tab=answer",
        due_at=until(first),
    )


def cards_of(seat: Seat) -> Iterator[Card]:
    """Tell how many disputes are open, and whose turn it is."""
    if not seat.may(Area.DISPUTES):
        return
    live = Dispute.objects.visible_to(seat.party).live()
    count, ours = live.count(), live.needs_answer(seat.party).count()
    if not count:
        return
    yield Card(
        title=_("Disputes"),
        figures=[f"{count:,}"],
        text=ngettext("%d needs your answer.", "%d need your answer.", ours) % ours
        if ours
        else _("None needs you now."),
        url=seat.url("portal_disputes"),
        tag="action" if ours else "waiting",
        state=_("Your turn") if ours else _("Waiting"),
    )
