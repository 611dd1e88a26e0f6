"""How the hub rules: one member of staff, two above a limit, and none of either party."""

import datetime as dt
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from hub.money import ZERO
from parties.models import Membership, User
from settlement.disputes import effects, telling
from settlement.disputes.moving import CannotDispute, Kind, State, locked, not_now, note, part, said
from settlement.models import Dispute, InternalNote, Ruling

Outcome = Ruling.Outcome


@transaction.atomic
def rule(
    dispute: Dispute,
    outcome: str,
    amount: Decimal | None,
    reasons: str,
    staff: User,
    now: dt.datetime,
) -> Ruling:
    """Rule about an escalated dispute; both sides read the reasons.

    `amount` counts where the claim is upheld in part. Where more than RULING_LIMIT is asked for,
    the ruling waits for a second person. Raises CannotDispute.
    """
    dispute = _escalated(dispute, staff, "decide_dispute")
    if dispute.rulings.filter(state=Ruling.State.PROPOSED).exists():
        raise CannotDispute(_("A ruling waits for a second person already."))
    if outcome not in Outcome.values:
        raise CannotDispute(_("Say whether the claim is upheld, in part, or dismissed."))
    made = Ruling.objects.create(
        dispute=dispute,
        outcome=outcome,
        amount=granted(dispute, outcome, amount),
        reasons=said(reasons),
        needs_second=dispute.asked > settings.RULING_LIMIT,
        proposed_by=staff,
        proposed_at=now,
    )
    if not made.needs_second:
        made.move_to(Ruling.State.EFFECTIVE)
        _take_effect(dispute, made, now)
    return made


@transaction.atomic
def approve(ruling: Ruling, staff: User, now: dt.datetime) -> Ruling:
    """Approve a ruling of somebody else, as it was proposed. Raises CannotDispute."""
    dispute, ruling = _proposed(ruling, staff)
    ruling.move_to(Ruling.State.EFFECTIVE, second=staff, second_at=now)
    _take_effect(dispute, ruling, now)
    return ruling


@transaction.atomic
def refuse(ruling: Ruling, staff: User, now: dt.datetime) -> Ruling:
    """Refuse a ruling of somebody else; then anybody may rule again. Raises CannotDispute."""
    _dispute, ruling = _proposed(ruling, staff)
    return ruling.move_to(Ruling.State.REFUSED, second=staff, second_at=now)


def jot(dispute: Dispute, staff: User, text: str, now: dt.datetime) -> InternalNote:
    """Write an internal note, which no party sees. Raises CannotDispute."""
    return InternalNote.objects.create(dispute=dispute, person=staff, text=said(text), at=now)


def assign(dispute: Dispute, staff: User | None) -> None:
    """Say who of the staff looks after a dispute."""
    Dispute.objects.filter(pk=dispute.pk).update(assignee=staff)


def _escalated(dispute: Dispute, staff: User, permission: str) -> Dispute:
    dispute = locked(dispute)
    if dispute.state != State.ESCALATED:
        raise CannotDispute(not_now(dispute))
    sides = (dispute.claimant_id, dispute.respondent_id)
    if Membership.objects.filter(person=staff, party__in=sides).exists():
        raise CannotDispute(_("Who rules is a member of neither side."))
    if not (staff.is_staff and staff.has_perm(f"settlement.{permission}")):
        raise CannotDispute(_("Only members of the hub's staff who may, rule about disputes."))
    return dispute


def _proposed(ruling: Ruling, staff: User) -> tuple[Dispute, Ruling]:
    dispute = _escalated(ruling.dispute, staff, "approve_ruling")
    ruling = Ruling.objects.select_for_update().get(pk=ruling.pk)
    if ruling.state != Ruling.State.PROPOSED:
        raise CannotDispute(_("This was decided about already."))
    if ruling.proposed_by_id == staff.pk:
        raise CannotDispute(_("Whoever ruled cannot approve or refuse that ruling."))
    return dispute, ruling


def granted(dispute: Dispute, outcome: str, amount: Decimal | None) -> Decimal:
    """Return what a ruling would grant; raises CannotDispute for an amount that is no part."""
    if outcome == Outcome.FULL:
        return dispute.asked
    if outcome == Outcome.NONE:
        return ZERO
    return part(amount, dispute.asked, _("A part lies between nothing and what is asked for."))


def _take_effect(dispute: Dispute, ruling: Ruling, now: dt.datetime) -> None:
    effects.grant(dispute, State.RULED, ruling.amount, now, ruled=ruling.amount)
    note(
        dispute, Kind.RULED, now, text=ruling.reasons,
        outcome=ruling.outcome, amount=ruling.amount,
    )  # fmt: skip
    telling.ruled(dispute)
    effects.book_at_once(dispute, now)
