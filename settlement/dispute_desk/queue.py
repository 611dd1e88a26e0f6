"""The queue of the dispute desk: who waits for whom, and what the hub's own price says."""

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cdrs.models import Verdict
from cdrs.pricing.verdicts import Verdict as Priced
from settlement.disputes.moving import State
from settlement.models import Dispute, DisputeCdr, Ruling


class Queue(admin.SimpleListFilter):
    """What waits for whom; without a choice, what the hub has to rule about."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the queues."""
        return [
            ("second", _("to be approved by a second person")),
            ("mine", _("assigned to me")),
            ("nobodys", _("assigned to nobody")),
            ("late", _("too late")),
            ("live", _("all that are not over")),
            ("all", _("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        """Name what is shown without a choice."""
        first, *others = super().choices(changelist)
        return [{**first, "display": _("to rule about")}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep one queue."""
        escalated = queryset.filter(state=State.ESCALATED)
        return {
            "second": escalated.filter(rulings__state=Ruling.State.PROPOSED),
            "mine": queryset.filter(assignee=request.user).exclude(state__in=Dispute.OVER),
            "nobodys": escalated.filter(assignee=None),
            "late": escalated.filter(due_at__lte=timezone.now()),
            "live": queryset.exclude(state__in=Dispute.OVER),
            "all": queryset,
        }.get(self.value() or "", escalated)


def dearer() -> QuerySet[Any, Any]:
    """Add up, for a dispute, by how much its CDRs are dearer than the hub's own price."""
    last = Verdict.objects.filter(cdr=OuterRef("cdr")).order_by("-pk")
    items = DisputeCdr.objects.filter(dispute=OuterRef("pk")).order_by()
    judged = items.annotate(
        off=Subquery(last.values("difference")[:1]),
        verdict=Subquery(last.values("cost_verdict")[:1]),
    )
    return (
        judged.values("dispute")
        .annotate(sum=Sum("off", filter=Q(verdict=Priced.MISMATCH)))
        .values("sum")
    )


def time_left(due_at: dt.datetime, now: dt.datetime) -> str:
    """Say how long there is until a deadline, or since."""
    hours = int((due_at - now).total_seconds() // 3600)
    if hours < 0:
        return gettext("%d h too late") % -hours
    return gettext("%d h") % hours if hours < 72 else gettext("%d days") % (hours // 24)
