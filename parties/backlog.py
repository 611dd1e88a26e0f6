"""What each partner is owed and how it is doing: the page to look at when something is stuck.

Only what is owed or given up is read, by partial indexes, so that the page costs what is wrong and
not what there is.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Min, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from hub import charts
from parties.models import Delivery, Errand, Platform, Role

CDRS, STATE, RESULTS = "cdrs", "state", "results"
NAMES = {CDRS: _("CDRs"), STATE: _("state of objects"), RESULTS: _("results of commands")}
CHARTED = 12  # partners in the chart: those that are owed most


@dataclass
class Owed:
    """How much of a kind is owed, since when, and where it is listed."""

    count: int = 0
    since: datetime | None = None
    url: str = ""

    def add(self, count: int, since: datetime | None) -> None:
        """Add what a role of the platform is owed."""
        self.count += count
        self.since = min(filter(None, (self.since, since)), default=None)


@dataclass
class Backlog:
    """What a platform is owed by kind, and what was given up."""

    platform: Platform
    parties: str = ""
    owed: dict[str, Owed] = field(default_factory=lambda: {kind: Owed() for kind in NAMES})
    parked: Owed = field(default_factory=Owed)
    refused: Owed = field(default_factory=Owed)

    @property
    def total(self) -> int:
        """Return how much is owed in all."""
        return sum(item.count for item in self.owed.values())

    @property
    def since(self) -> datetime | None:
        """Return since when the oldest of it is owed."""
        return min((item.since for item in self.owed.values() if item.since), default=None)

    @property
    def age(self) -> str:
        """Return for how long the oldest of it has been owed."""
        return ago(self.since)

    @property
    def heard(self) -> str:
        """Return how long ago the platform was heard of."""
        return ago(self.platform.heard_at)

    @property
    def given_up(self) -> tuple[Owed, Owed]:
        """Return what waits for a person, and what was refused."""
        return self.parked, self.refused

    @property
    def paused(self) -> bool:
        """Tell whether nothing is sent to it for now."""
        until = self.platform.paused_until
        return until is not None and until > timezone.now()

    @property
    def url(self) -> str:
        """Return the page of the platform."""
        return reverse("admin:parties_platform_change", args=[self.platform.pk])


def ago(at: datetime | None) -> str:
    """Return how long ago something was, in words."""
    if at is None:
        return ""
    recent = timezone.now() - at < timedelta(minutes=1)
    return str(_("less than a minute")) if recent else timesince(at)


def backlogs() -> list[Backlog]:
    """Return the backlog of every platform: the oldest debts first, then by name. 5 queries."""
    found = {platform.pk: Backlog(platform) for platform in Platform.objects.all()}
    roles = list(Role.objects.select_related("party").order_by("pk"))
    of_role = {role.pk: found[role.platform_id] for role in roles}
    for role in roles:
        backlog = of_role[role.pk]
        backlog.parties = ", ".join(filter(None, (backlog.parties, str(role))))
    _add_deliveries(of_role)
    _add_results(of_role)
    _add_given_up(of_role)
    _link(found.values(), roles)
    now = timezone.now()
    return sorted(found.values(), key=lambda item: (item.since or now, str(item.platform)))


def _add_deliveries(of_role: dict[int, Backlog]) -> None:
    rows = Delivery.objects.filter(state=Delivery.State.LIVE, wanted__gt=F("acknowledged"))
    for role, module, count, since in rows.values_list("receiver", "module").annotate(
        Count("pk"), Min("owed_since")
    ):
        kind = CDRS if module == "cdrs" else STATE
        of_role[role].owed[kind].add(count, since)


def _add_results(of_role: dict[int, Backlog]) -> None:
    rows = Errand.objects.filter(result_state=Errand.ResultState.OWED).order_by()
    for role, count, since in rows.values_list("sender").annotate(Count("pk"), Min("result_at")):
        of_role[role].owed[RESULTS].add(count, since)


def _add_given_up(of_role: dict[int, Backlog]) -> None:
    rows = Delivery.objects.exclude(state=Delivery.State.LIVE)
    for role, state, count, since in rows.values_list("receiver", "state").annotate(
        Count("pk"), Min("owed_since")
    ):
        backlog = of_role[role]
        item = backlog.parked if state == Delivery.State.PARKED else backlog.refused
        item.add(count, since)


def _link(found: Iterable[Backlog], roles: Sequence[Role]) -> None:
    """Say where the items of each backlog are listed."""
    by_platform: dict[int, list[str]] = defaultdict(list)
    for role in roles:
        by_platform[role.platform_id].append(str(role.pk))
    deliveries = reverse("admin:parties_delivery_changelist")
    errands = reverse("admin:parties_errand_changelist")
    for item in found:
        whose = ",".join(by_platform[item.platform.pk])
        listed = {"receiver__in": whose}
        item.owed[CDRS].url = _url(deliveries, listed, owed=CDRS)
        item.owed[STATE].url = _url(deliveries, listed, owed=STATE)
        item.owed[RESULTS].url = _url(errands, {"sender__in": whose}, result_state__exact="owed")
        item.parked.url = _url(deliveries, listed, state__exact="parked")
        item.refused.url = _url(deliveries, listed, state__exact="rejected")


def _url(base: str, *queries: dict[str, str], **more: str) -> str:
    return f"{base}?{urlencode([pair for query in (*queries, more) for pair in query.items()])}"


def chart(found: Sequence[Backlog]) -> charts.Bars:
    """Return the chart of the partners that are owed most."""
    owed = [item for item in found if item.total]
    most = sorted(owed, key=lambda item: -item.total)[:CHARTED]
    total = sum(item.total for item in owed)
    objects = ngettext("%d object is owed", "%d objects are owed", total) % total
    partners = ngettext("to %d partner", "to %d partners", len(owed)) % len(owed)
    return charts.Bars(
        str(_("What is owed, by partner")),
        f"{objects} {partners}",
        [str(name) for name in NAMES.values()],
        [
            charts.Row(str(item.platform), [item.owed[kind].count for kind in NAMES], item.url)
            for item in most
        ],
    )


class OwedFilter(admin.SimpleListFilter):
    """Deliveries that are owed now, by kind."""

    title, parameter_name = _("owed"), "owed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the kinds."""
        return [(kind, NAMES[kind]) for kind in (CDRS, STATE)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Keep one of them."""
        if self.value() not in {CDRS, STATE}:
            return queryset
        owed = queryset.filter(state=Delivery.State.LIVE, wanted__gt=F("acknowledged"))
        money = Q(module="cdrs")
        return owed.filter(money if self.value() == CDRS else ~money)


class BacklogPage(admin.ModelAdmin[Any]):
    """Adds the page to the admin of deliveries, for who may see these."""

    change_list_template = "admin/parties/deliveries.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        view = self.admin_site.admin_view(self.backlog)
        return [path("backlog/", view, name="parties_backlog"), *super().get_urls()]

    def backlog(self, request: HttpRequest) -> HttpResponse:
        """Show what is owed, by partner."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = backlogs()
        picture = chart(found)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Backlog by partner"),
            "backlogs": found,
            "names": NAMES.values(),
            "chart": charts.bars(picture) if picture.rows else "",
            "summary": picture.description,
        }
        return TemplateResponse(request, "admin/parties/backlog.html", context)
