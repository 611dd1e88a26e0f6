"""Open a dispute: who may, about what, and what it does to the CDRs at once."""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from cdrs.models import Cdr, Period
from hub.money import ZERO
from parties.models import Party, User
from settlement import holding, statements
from settlement.disputes import answering, claimable, deadlines, evidence, sharing, telling
from settlement.disputes.evidence import Upload
from settlement.disputes.moving import CannotDispute, Kind, exact, note, said
from settlement.models import Agreement, Dispute, DisputeCdr
from settlement.models.disputes import Ask, Effect, Reason

MOST = 500  # CDRs of one dispute
A_DAY = 200  # disputes that a party opens: each of them is letters, too
NUMBER_LOCK = 0x4450  # of pg_advisory_xact_lock: one dispute after the other takes its number


@transaction.atomic
def open_dispute(
    claimant: Party,
    cdrs: Iterable[Cdr],
    reason: str,
    ask: str,
    amount: Decimal | None,
    message: str,
    person: User | None,
    now: dt.datetime,
    files: Sequence[Upload] = (),
) -> Dispute:
    """Open a dispute about CDRs of one partner, and hold them out of the month if it is not frozen.

    `amount` is how much less the CDRs are to come to, net, for a CPO that claims how much more; it
    counts where a corrected amount is asked for. What the hub's own price proves is accepted at
    once where the CPO has agreed to that. Raises CannotDispute, and nothing is changed then.
    """
    evidence.check(files)
    chosen = _locked([cdr.pk for cdr in cdrs])
    dispute = _draft(claimant, chosen, reason, ask, amount, said(message))
    dispute.opened_by, dispute.opened_at = person, now
    _check(dispute, chosen, now)
    dispute.effect = _effect(dispute, chosen)
    if dispute.effect == Effect.HOLD:
        _hold(dispute, chosen, now)
    _number(dispute, now)
    dispute.due_at = deadlines.answer_by(dispute, now)
    dispute.reminded = deadlines.reached(dispute.due_at, now)
    dispute.save(force_insert=True)
    _list(dispute, chosen)
    note(
        dispute, Kind.OPENED, now, party=claimant, person=person, text=dispute.message,
        asked=dispute.asked, due_at=dispute.due_at,
    )  # fmt: skip
    evidence.attach(dispute, claimant, person, files, now)
    if not _at_once(dispute, chosen, now):
        telling.opened(dispute, person)
    return dispute


def foreseen(
    claimant: Party,
    cdrs: Sequence[Cdr],
    reason: str,
    ask: str,
    amount: Decimal | None,
    message: str,
    now: dt.datetime,
) -> Dispute:
    """Return the dispute that would be opened, unsaved, with effect and deadline; locks nothing.

    Raises CannotDispute.
    """
    dispute = _draft(claimant, cdrs, reason, ask, amount, said(message))
    dispute.opened_at = now
    _check(dispute, cdrs, now)
    dispute.effect = _effect(dispute, cdrs)
    dispute.due_at = deadlines.answer_by(dispute, now)
    return dispute


def problems(claimant: Party, cdrs: Sequence[Cdr], now: dt.datetime) -> dict[int, str]:
    """Say of each CDR why it cannot be in one dispute with the first; those that can have none."""
    found: dict[int, str] = {}
    sides: dict[tuple[bool, str], list[Cdr]] = {}
    for cdr in cdrs:
        sides.setdefault((claimant.pk == cdr.owner_id, cdr.currency), []).append(cdr)
    for (by_cpo, currency), chosen in sides.items():
        draft = Dispute(claimant=claimant, by_cpo=by_cpo, ask=Ask.CORRECTED, currency=currency)
        found |= claimable.obstacles(draft, chosen, now)
    free = [cdr for cdr in cdrs if cdr.pk not in found]
    told = ((cdr.pk, claimable.apart(free[0], cdr)) for cdr in free)
    return found | {key: problem for key, problem in told if problem}


def asked_by_price(cdrs: Sequence[Cdr], *, by_cpo: bool = False) -> Decimal | None:
    """Return what can be asked for because the hub's own price proves it; None if it does not."""
    off = sharing.proven(cdrs, by_cpo)
    return sum(off, ZERO) if off else None


# Locks


def _locked(ids: Sequence[int]) -> list[Cdr]:
    """Return CDRs, locked after their months."""
    wanted = set(ids)
    if not 0 < len(wanted) <= MOST:
        raise CannotDispute(_("Choose between 1 and %d CDRs.") % MOST)
    found = Cdr.objects.filter(pk__in=wanted, period__isnull=False)
    months = {
        key: _lock_month(key)
        for key in found.order_by("period_id").values_list("period_id", flat=True).distinct()
    }
    rows = Cdr.objects.select_for_update(of=("self",)).select_related("owner", "emsp", "period")
    cdrs = list(rows.filter(pk__in=wanted).order_by("pk"))
    if len(cdrs) != len(wanted):
        raise CannotDispute(_("One of these CDRs does not exist."))
    for cdr in cdrs:
        if cdr.period_id is not None:
            if cdr.period_id not in months:
                raise CannotDispute(_busy())
            cdr.period = months[cdr.period_id]
    return cdrs


def _lock_month(key: int) -> Period:
    """Lock a month against its freeze; one whose statements are out for ourselves alone."""
    is_out = Q(state=Period.State.STATEMENT)
    if Period.objects.filter(is_out, pk=key).exists():
        return Period.objects.select_for_update().get(pk=key)
    [period] = Period.objects.raw("SELECT * FROM cdrs_period WHERE id = %s FOR SHARE", [key])
    if period.state == Period.State.STATEMENT:
        raise CannotDispute(_busy())
    return period


def _busy() -> str:
    return _("The month of these CDRs is being closed at this moment: try again.")


# What is claimed


def _draft(
    claimant: Party,
    cdrs: Sequence[Cdr],
    reason: str,
    ask: str,
    amount: Decimal | None,
    message: str,
) -> Dispute:
    """Write the claim down; raises CannotDispute where it is not one."""
    first = cdrs[0]
    if len({(cdr.owner_id, cdr.emsp_id, cdr.currency) for cdr in cdrs}) > 1:
        raise CannotDispute(_("Choose CDRs of one partner and one currency."))
    if first.emsp is None or claimant.pk not in (first.owner_id, first.emsp_id):
        raise CannotDispute(_("One of these CDRs does not exist."))
    if first.owner_id == first.emsp_id:
        raise CannotDispute(_("A party has no dispute with itself."))
    if reason not in Reason.values or ask not in Ask.values:
        raise CannotDispute(_("Say what is wrong, and what you ask for."))
    by_cpo = claimant.pk == first.owner_id
    total = sum((cdr.total_excl_vat for cdr in cdrs), ZERO)
    return Dispute(
        claimant=claimant,
        respondent=first.emsp if by_cpo else first.owner,
        by_cpo=by_cpo,
        reason=reason,
        ask=ask,
        currency=first.currency,
        total=total,
        asked=_asked(ask, amount, total, by_cpo),
        message=message,
    )


def _asked(ask: str, amount: Decimal | None, total: Decimal, by_cpo: bool) -> Decimal:
    if ask == Ask.EXPLANATION:
        return ZERO
    if ask == Ask.FULL:
        if by_cpo:
            raise CannotDispute(_("A CPO takes its own CDR back by a credit CDR."))
        if not total:
            raise CannotDispute(_("These CDRs cost nothing: ask for an explanation."))
        return total
    named = _named(amount)
    if not by_cpo and named > total:
        raise CannotDispute(_("No more than %s can be asked for.") % total)
    return named


def _named(amount: Decimal | None) -> Decimal:
    """Return an amount that somebody names, if it is one."""
    if amount is None or not amount.is_finite() or amount <= 0:
        raise CannotDispute(_("Name an amount above zero."))
    if amount >= Decimal(10) ** 13:
        raise CannotDispute(_("An amount has at most 4 decimals."))
    return exact(amount)


# What may be claimed


def _check(dispute: Dispute, cdrs: Sequence[Cdr], now: dt.datetime) -> None:
    wrong = claimable.obstacles(dispute, cdrs, now)
    for cdr in cdrs:
        if not dispute.by_cpo and not (cdr.complete or cdr.state == Cdr.State.ACCEPTED):
            raise CannotDispute(_("One of these CDRs does not exist."))
        if problem := wrong.get(cdr.pk):
            raise CannotDispute(_("CDR %(id)s: %(problem)s") % {"id": cdr.uid, "problem": problem})


# What it does


def _effect(dispute: Dispute, cdrs: Sequence[Cdr]) -> str:
    """Say what becomes of the money: one thing for all CDRs."""
    if dispute.ask == Ask.EXPLANATION:
        return Effect.NONE
    found = {Effect.HOLD if claimable.can_leave(cdr) else Effect.CREDIT_NOTE for cdr in cdrs}
    if len(found) > 1:
        raise CannotDispute(
            _("Some of these CDRs are billed already, others are not: open two disputes.")
        )
    return found.pop()


def _hold(dispute: Dispute, cdrs: Sequence[Cdr], now: dt.datetime) -> None:
    """Hold CDRs; those that stand on statements leave them."""
    text = f"disputed: {dispute.reason}"
    out = {cdr.period_id: cdr.period for cdr in cdrs if cdr.period and not cdr.period.thawed}
    for key, period in sorted(out.items()):
        chosen = [cdr.pk for cdr in cdrs if cdr.period_id == key]
        statements.take_out(period, Cdr.objects.filter(pk__in=chosen), text, now)
    rest = [cdr.pk for cdr in cdrs if cdr.period_id not in out]
    holding.contest(Cdr.objects.filter(pk__in=rest), text)


def _number(dispute: Dispute, now: dt.datetime) -> None:
    """Give a dispute the next number of its year; nobody else takes one until the end.

    Raises CannotDispute where its claimant has taken too many.
    """
    dispute.year = timezone.localdate(now).year
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [NUMBER_LOCK, dispute.year])
    lately = Dispute.objects.filter(claimant=dispute.claimant, opened_at__lte=now)
    if lately.filter(opened_at__gt=now - dt.timedelta(days=1)).count() >= A_DAY:
        told = _("A party opens at most %d disputes in a day: put CDRs of a kind into one.")
        raise CannotDispute(told % A_DAY)
    last = Dispute.objects.filter(year=dispute.year).aggregate(last=Max("no"))["last"]
    dispute.no = 1 + (last or 0)
    dispute.reference = f"D-{dispute.year}-{dispute.no:06}"


def _list(dispute: Dispute, cdrs: Sequence[Cdr]) -> None:
    DisputeCdr.objects.bulk_create(
        DisputeCdr(dispute=dispute, cdr=cdr, claimant=dispute.claimant, total=cdr.total_excl_vat)
        for cdr in cdrs
    )


def _at_once(dispute: Dispute, cdrs: Sequence[Cdr], now: dt.datetime) -> bool:
    """Accept what the hub's own price proves, if the CPO has agreed to that beforehand."""
    if dispute.by_cpo or dispute.ask == Ask.EXPLANATION:
        return False
    terms = deadlines.agreed(dispute.cpo, Agreement.Kind.CPO, dispute.currency, now)
    if not terms.instant_ruling or asked_by_price(cdrs) != dispute.asked:
        return False
    answering.accept_by_price(dispute, now)
    return True
