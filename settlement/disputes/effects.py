"""What a dispute does to CDRs once it is decided: let go, dropped, credited, replaced."""

import datetime as dt
import logging
from decimal import Decimal

from django.db import transaction

from cdrs import explorer, judging
from cdrs.models import Cdr, CdrQuerySet, Period
from hub.money import ZERO
from settlement import holding
from settlement.disputes import deadlines, filing, proposing, sharing, telling
from settlement.disputes.moving import Kind, State, locked, move, note
from settlement.models import Dispute, DisputeCdr
from settlement.models.disputes import Effect

logger = logging.getLogger(__name__)


def grant(
    dispute: Dispute, state: str, amount: Decimal, now: dt.datetime, **changes: Decimal
) -> None:
    """Decide a dispute that is locked: say what each CDR is to come to. Raises CannotDispute."""
    items = list(dispute.items.select_related("cdr").order_by("pk"))
    agreed = sharing.agreed([item.cdr for item in items], amount, dispute.by_cpo)
    due_at = deadlines.credit_by(dispute, now)
    move(dispute, state, now, due_at, granted=amount, **changes)
    for item, total in zip(items, agreed, strict=True):
        item.agreed = total
    DisputeCdr.objects.bulk_update(items, ["agreed"])


def release(dispute: Dispute, now: dt.datetime) -> None:
    """Let go of all that a dispute holds, which has been moved on; call with it locked."""
    items = dispute.items.filter(open=True)
    chosen = list(items.values_list("cdr", flat=True))
    items.update(open=False)
    if dispute.effect == Effect.HOLD:
        holding.lift(Cdr.objects.filter(pk__in=chosen), now)


def book_at_once(dispute: Dispute, now: dt.datetime) -> None:
    """Settle a dispute that moves no money; call with it locked."""
    if not dispute.granted:
        release(dispute, now)
        _settled(dispute, now)


def book(dispute: Dispute, now: dt.datetime) -> bool:
    """Book what has become of a decided dispute, and tell whether all of it is booked.

    That is what the CPO has sent by OCPI; once its time is over, the hub files the rest in its
    name. Each CDR is a transaction of its own, so that this may be killed anywhere.
    """
    for key in list(dispute.items.filter(open=True).order_by("pk").values_list("pk", flat=True)):
        _book_item(dispute, key, now)
    return _finish(dispute, now)


@transaction.atomic
def _finish(dispute: Dispute, now: dt.datetime) -> bool:
    dispute = locked(dispute)
    if dispute.state in Dispute.DECIDED and not dispute.items.filter(open=True).exists():
        _settled(dispute, now)
    return dispute.state == State.SETTLED


def _settled(dispute: Dispute, now: dt.datetime) -> None:
    filed = dispute.items.filter(by_hub=True).count()
    move(dispute, State.SETTLED, now)
    note(dispute, Kind.SETTLED, now, amount=dispute.granted, filed_by_hub=filed or None)
    telling.settled(dispute)


@transaction.atomic
def _book_item(dispute: Dispute, key: int, now: dt.datetime) -> None:
    """Book one CDR of a decided dispute, if that can be done now."""
    dispute = locked(dispute)
    item = DisputeCdr.objects.select_related("cdr__owner").get(pk=key)
    if not item.open or dispute.state not in Dispute.DECIDED or item.agreed is None:
        return
    if item.agreed == item.total:
        _close(item)
        holding.lift(Cdr.objects.filter(pk=item.cdr_id), now)
        return
    by_hub = dispute.due_at is not None and dispute.due_at <= now
    _find(item, dispute, now)
    if by_hub:
        _file(item, dispute, now)
    if _complete(item):
        _close(item)
        _drop(item, dispute, now)
        _accept(item, dispute, now)


def _find(item: DisputeCdr, dispute: Dispute, now: dt.datetime) -> None:
    """Find what the CPO has sent; what bills otherwise than agreed is held for people."""
    item.credit = explorer.credits_of(item.cdr).first()
    sent = successors(item.cdr)
    item.replacement = sent.filter(total_excl_vat=item.agreed).first() if item.agreed else None
    others = sent.filter(received_at__gte=dispute.opened_at, state=Cdr.State.ACCEPTED)
    others = others.filter(period__state__in=Period.THAWED)
    if item.replacement:
        others = others.exclude(pk=item.replacement.pk)
    text = f"{dispute.reference} has decided otherwise about this session"
    holding.contest(others, text)


def successors(cdr: Cdr) -> CdrQuerySet:
    """Return the CDRs that bill the session of another one again."""
    same = Cdr.objects.filter(owner=cdr.owner_id, emsp=cdr.emsp_id, started_at=cdr.started_at)
    same = same.filter(evse_uid__iexact=cdr.evse_uid, token_uid__iexact=cdr.token_uid)
    standing = same.filter(credit_of=None, credited_by=None).exclude(state=Cdr.State.DISCARDED)
    return standing.filter(pk__gt=cdr.pk).order_by("-pk")


def credited(dispute: Dispute) -> bool:
    """Tell whether its CPO has sent, unasked, exactly what an eMSP claims."""
    if dispute.by_cpo or dispute.effect == Effect.NONE:
        return False
    less = ZERO
    for item in dispute.items.select_related("cdr"):
        if not explorer.credits_of(item.cdr).exists():
            return False
        less += item.total - sum((cdr.total_excl_vat for cdr in successors(item.cdr)), ZERO)
    return less == dispute.asked


def _complete(item: DisputeCdr) -> bool:
    return item.credit is not None and (not item.agreed or item.replacement is not None)


def _close(item: DisputeCdr) -> None:
    item.open = False
    item.save(update_fields=["open", "credit", "replacement", "by_hub"])


def _file(item: DisputeCdr, dispute: Dispute, now: dt.datetime) -> None:
    """File what the CPO has not sent, in its name."""
    proposal = proposing.proposal(item.cdr, item.agreed or ZERO, dispute.reference, now)
    if item.credit is None:
        item.credit, item.by_hub = filing.file(item.cdr, proposal.credit, now), True
    if proposal.replacement is not None and item.replacement is None:
        item.replacement, item.by_hub = filing.file(item.cdr, proposal.replacement, now), True


def _drop(item: DisputeCdr, dispute: Dispute, now: dt.datetime) -> None:
    """Discard what was never billed, with the credit that takes it back; bill what was."""
    reason = _reason(dispute)
    if dispute.effect == Effect.HOLD:
        for cdr in filter(None, (item.cdr, item.credit)):
            judging.discard(cdr.pk, None, reason, now)
    elif item.credit:
        _set_aside(item.credit, reason, now)


def _accept(item: DisputeCdr, dispute: Dispute, now: dt.datetime) -> None:
    """Bill the replacement, whatever its price: that is agreed, unless by an eMSP's silence."""
    silent = dispute.by_cpo and dispute.events.filter(kind=Kind.SILENCE).exists()
    if item.replacement and not silent:
        _set_aside(item.replacement, _reason(dispute), now)


def _set_aside(cdr: Cdr, reason: str, now: dt.datetime) -> None:
    """Settle a CDR that only holds stand against which a person may set aside."""
    cdr.refresh_from_db(fields=["state"])
    if cdr.state != Cdr.State.HELD:
        return
    try:
        judging.release(cdr.pk, None, reason, now)
    except judging.CannotDecide as error:
        logger.warning("%s stays held: %s", cdr, error)


def _reason(dispute: Dispute) -> str:
    return f"decided in dispute {dispute.reference}"
