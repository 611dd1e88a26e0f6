"""What a dispute does to CDRs once it is decided: let go, dropped, credited, replaced."""

import datetime as dt
import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from cdrs import explorer, judging
from cdrs.facts import NOT_KNOWN
from cdrs.models import Cdr, CdrQuerySet, Period
from hub.money import ZERO
from hub.ocpi.errors import Invalid
from settlement import holding
from settlement.disputes import deadlines, filing, proposing, sharing, telling
from settlement.disputes.moving import Kind, State, locked, move, note
from settlement.models import Dispute, DisputeCdr
from settlement.models.disputes import Effect

logger = logging.getLogger(__name__)
UNKNOWN = ("", "#NA")  # EVSEs
SHORT, LONG = dt.timedelta(minutes=2), dt.timedelta(days=7)  # how far apart starts are looked at
AGAIN = dt.timedelta(days=60)  # after the end of a dispute, in which its sessions are watched


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
    items = dispute.items.filter(open=True)
    if dispute.due_at is None or dispute.due_at > now:
        items = items.filter(Exists(_CREDITS) | Q(agreed=F("total")))
    for key in list(items.order_by("pk").values_list("pk", flat=True)):
        _book_item(dispute, key, now)
    return _finish(dispute, now)


_CREDITS = Cdr.objects.exclude(state=Cdr.State.DISCARDED).filter(credit_of=OuterRef("cdr"))


def bookable(now: dt.datetime) -> QuerySet[Dispute]:
    """Keep decided disputes with something to book: a credit has come, or the time is over."""
    items = DisputeCdr.objects.filter(dispute=OuterRef("pk"), open=True)
    ready = Exists(items.filter(Exists(_CREDITS) | Q(agreed=F("total")))) | ~Exists(items)
    return Dispute.objects.filter(Q(due_at__lte=now) | ready, state__in=Dispute.DECIDED)


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
    sent = successors(item.cdr, dispute.opened_at)
    item.replacement = sent.filter(total_excl_vat=item.agreed).first() if item.agreed else None
    others = sent.filter(state=Cdr.State.ACCEPTED, period__state__in=Period.THAWED)
    if item.replacement:
        others = others.exclude(pk=item.replacement.pk)
    text = f"{dispute.reference} has decided otherwise about this session"
    holding.contest(others, text)


def successors(cdr: Cdr, since: dt.datetime) -> CdrQuerySet:
    """Return the CDRs received since then that bill the session of another one again.

    That is under its id, or at its EVSE with its token at an overlapping time.
    """
    later = Cdr.objects.filter(owner=cdr.owner_id, emsp=cdr.emsp_id, received_at__gte=since)
    standing = later.filter(_same(cdr), credit_of=None, credited_by=None).exclude(pk=cdr.pk)
    return standing.exclude(state=Cdr.State.DISCARDED).order_by("-pk")


def _same(cdr: Cdr) -> Q:
    same = Q(pk__in=[])
    if cdr.session_uid:
        same |= Q(session_uid__iexact=cdr.session_uid)
    if cdr.evse_uid not in UNKNOWN and cdr.started_at > NOT_KNOWN:
        same |= Q(
            evse_uid__iexact=cdr.evse_uid,
            token_uid__iexact=cdr.token_uid,
            started_at__gt=cdr.started_at - LONG,
            started_at__lt=max(cdr.ended_at, cdr.started_at + SHORT),
            ended_at__gt=cdr.started_at,
        )
    return same


def watch(now: dt.datetime) -> int:
    """Hold what bills again what a dispute has taken away, for people; return how many CDRs.

    Looks at what was settled lately, about a millisecond for each CDR. What people have released
    stays released.
    """
    settled = Q(dispute__state=State.SETTLED, dispute__ended_at__gt=now - AGAIN)
    items = DisputeCdr.objects.filter(settled, dispute__by_cpo=False, agreed__lt=F("total"))
    return sum(_watch(item) for item in items.select_related("dispute", "cdr").iterator())


@transaction.atomic
def _watch(item: DisputeCdr) -> int:
    since = item.dispute.ended_at
    again = successors(item.cdr, since) if since else Cdr.objects.none()
    again = again.filter(state=Cdr.State.ACCEPTED, period__state__in=Period.THAWED)
    again = again.exclude(pk=item.replacement_id).exclude(findings__code=holding.CONTESTED)
    return holding.contest(again, f"{item.dispute.reference} has decided about this session")


def credited(dispute: Dispute) -> bool:
    """Tell whether its CPO has sent, unasked, exactly what an eMSP claims."""
    if dispute.by_cpo or dispute.effect == Effect.NONE:
        return False
    less = ZERO
    for item in dispute.items.select_related("cdr"):
        if not explorer.credits_of(item.cdr).exists():
            return False
        sent = successors(item.cdr, dispute.opened_at)
        less += item.total - sum((cdr.total_excl_vat for cdr in sent), ZERO)
    return less == dispute.asked


def _complete(item: DisputeCdr) -> bool:
    taken_back = item.credit is not None or item.by_hub
    return taken_back and (not item.agreed or item.replacement is not None)


def _close(item: DisputeCdr) -> None:
    item.open = False
    item.save(update_fields=["open", "credit", "replacement", "by_hub"])


def _file(item: DisputeCdr, dispute: Dispute, now: dt.datetime) -> None:
    """File what the CPO has not sent, in its name."""
    proposal = proposing.proposal(item.cdr, item.agreed or ZERO, dispute.reference, now)
    if item.credit is None:
        item.credit, item.by_hub = _credit(item, dispute, proposal.credit, now), True
    if proposal.replacement is not None and item.replacement is None:
        item.replacement, item.by_hub = filing.file(item.cdr, proposal.replacement, now), True


def _credit(
    item: DisputeCdr, dispute: Dispute, body: Mapping[str, Any], now: dt.datetime
) -> Cdr | None:
    """File a credit; what was never billed can be dropped without."""
    try:
        with transaction.atomic():
            return filing.file(item.cdr, body, now)
    except Invalid:
        if dispute.effect != Effect.HOLD:
            raise
        logger.exception("a credit was refused", extra={"dispute": dispute.reference})
        return None


def _drop(item: DisputeCdr, dispute: Dispute, now: dt.datetime) -> None:
    """Discard what was never billed, with the credit that takes it back; bill what was."""
    reason = _reason(dispute)
    if dispute.effect == Effect.HOLD:
        found = [cdr.pk for cdr in (item.cdr, item.credit) if cdr]
        holding.contest(Cdr.objects.filter(pk__in=found, state=Cdr.State.ACCEPTED), reason)
        for key in found:
            judging.discard(key, None, reason, now)
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
