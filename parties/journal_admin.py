"""The message journal and the quirks for the hub's staff: found fast, however much there is."""

import logging
import re
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from hub.ocpi import json
from hub.ocpi.messages import Address
from hub.ocpi.versions import MODULES
from hub.readonly import ReadOnlyAdmin, ReadOnlyInline, pretty
from parties import keys, quirks
from parties.models import Exchange, Platform, Quirk, Role
from parties.models.journal import FAILED

logger = logging.getLogger(__name__)
COUNTED = 2_000  # rows of a list; there may be millions
_PARTY = re.compile(r"([A-Za-z]{2})[*/-]([A-Za-z0-9]{3})")
_MASKED = re.compile(r"~?([0-9a-f]{12})")


class CappedPaginator(Paginator[Any]):
    """Pages through the newest rows and counts no further."""

    @cached_property
    def count(self) -> int:
        """Count as far as anybody turns pages."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:COUNTED].count()


class ModuleFilter(admin.SimpleListFilter):
    """By module; which there are is known without asking the table."""

    title, parameter_name = _("module"), "module"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the modules."""
        return [*((name, name) for name in MODULES), ("-", _("none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Exchange]) -> QuerySet[Exchange]:
        """Keep one module."""
        value = self.value()
        return queryset.filter(module="" if value == "-" else value) if value else queryset


class ResultFilter(admin.SimpleListFilter):
    """By how it went."""

    title, parameter_name = _("result"), "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the two ways."""
        return [("failed", _("failed")), ("succeeded", _("succeeded"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Exchange]) -> QuerySet[Exchange]:
        """Keep one of them; the condition is that of an index."""
        if self.value() == "failed":
            return queryset.filter(FAILED)
        return queryset.filter(~FAILED) if self.value() == "succeeded" else queryset


class TimeFilter(admin.SimpleListFilter):
    """By how long ago."""

    title, parameter_name = _("time"), "hours"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the spans."""
        return [("1", _("the last hour")), ("24", _("the last day")), ("168", _("the last week"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Exchange]) -> QuerySet[Exchange]:
        """Keep what is younger."""
        value = self.value()
        if not value or not value.isdigit():
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(hours=min(int(value), 10_000)))


@admin.register(Exchange)
class ExchangeAdmin(ReadOnlyAdmin):
    """The message journal."""

    list_display = (
        "at",
        "direction",
        "platform",
        "method",
        "path",
        "http_status",
        "status_code",
        "outcome",
        "decision",
        "milliseconds",
    )
    list_filter = ("direction", ResultFilter, TimeFilter, ModuleFilter, "platform")
    list_select_related = ("platform",)
    list_per_page = 50
    paginator = CappedPaginator
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = ("path",)
    search_help_text = _(
        "A request or correlation id, a part of the path such as an object's id, a party (NL*ABC), "
        "or a driver's identifier (it is hashed as it is in the journal)."
    )
    exclude = ("request_body", "answer_body", "drivers", "correlation_id")
    readonly_fields = ("correlation", "request_as_json", "answer_as_json")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Exchange], search_term: str
    ) -> tuple[QuerySet[Exchange], bool]:
        """Find by what has an index."""
        term = search_term.strip()
        return (queryset.filter(found_by(term)) if term else queryset), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one exchange, and log who looked at it."""
        logger.info("exchange read", extra={"exchange": object_id, "person": request.user.pk})
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.display(description=_("correlation id"))
    def correlation(self, item: Exchange) -> SafeString:
        """Return the id with a link to everything of the same chain."""
        return exchanges_of(item.correlation_id)

    @admin.display(description=_("request"))
    def request_as_json(self, item: Exchange) -> SafeString:
        """Return the request's body."""
        return _shown(item.request_body)

    @admin.display(description=_("answer"))
    def answer_as_json(self, item: Exchange) -> SafeString:
        """Return the answer's body."""
        return _shown(item.answer_body)


class QuirkInline(ReadOnlyInline):
    """How a platform departs from the letter."""

    model = Quirk
    fields = ("habit", "example", "count", "first_seen_at", "last_seen_at")
    readonly_fields = fields

    @admin.display(description=_("habit"))
    def habit(self, quirk: Quirk) -> str:
        """Return it in words."""
        return quirks.described(quirk.name)


def found_by(term: str) -> Q:
    """Return what a search for a term matches; each part has an index.

    A party's exchanges are those with its platform.
    """
    if party := _PARTY.fullmatch(term):
        roles = Role.objects.at(Address.of(*party.groups()))
        return Q(platform__in=list(roles.values_list("platform", flat=True)))
    driver = masked[1] if (masked := _MASKED.fullmatch(term)) else keys.pseudonym(term)
    ids = Q(request_id=term) | Q(correlation_id=term)
    return ids | Q(path__contains=term) | Q(drivers__contains=[driver])


def exchanges_of(correlation_id: str) -> SafeString:
    """Return a correlation id with a link to the exchanges of its chain."""
    url = reverse("admin:parties_exchange_changelist")
    return format_html('<a href="{}?q={}">{}</a>', url, correlation_id, correlation_id)


def messages_of(platform: Platform) -> SafeString:
    """Return a link to a platform's exchanges."""
    url = reverse("admin:parties_exchange_changelist")
    return format_html(
        '<a href="{}?platform__id__exact={}">{}</a>', url, platform.pk, _("show all")
    )


def _shown(body: str) -> SafeString:
    if not body:
        return format_html("-")
    try:
        return pretty(json.kept(body))
    except ValueError:
        return format_html('<pre class="json">{}</pre>', body)
