"""Commands and requests about charging profiles for the hub's staff: what became of them, and when.

What was said is shown masked: a driver's identifiers are hashed as they are in the message journal.
"""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from hub.ocpi import json
from hub.readonly import ReadOnlyAdmin, pretty
from parties.journal_admin import CappedPaginator, exchanges_of
from parties.masking import Mask
from parties.models import Errand, Role


class PartyFilter(admin.SimpleListFilter):
    """By a role that asked or was asked; which there are is known without reading errands."""

    kinds: ClassVar[tuple[Role.Kind, ...]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the roles that can be on this side."""
        roles = Role.objects.filter(role__in=self.kinds).select_related("party")
        return [(str(role.pk), str(role)) for role in roles.order_by("party__country_code", "pk")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Errand]) -> QuerySet[Errand]:
        """Keep those of one role."""
        value = self.value()
        if not value or not value.isdecimal():
            return queryset
        return queryset.filter(**{self.parameter_name or "": int(value)})


class SenderFilter(PartyFilter):
    """By who asked."""

    title, parameter_name = _("who asked"), "sender"
    kinds = (*Role.WITH_DRIVERS, Role.Kind.SCSP)


class ReceiverFilter(PartyFilter):
    """By who was asked."""

    title, parameter_name = _("who was asked"), "receiver"
    kinds = (Role.Kind.CPO,)


class ErrandAdmin(ReadOnlyAdmin):
    """Commands and the like that were passed on, and what became of them."""

    list_display = (
        *("created_at", "action", "sender", "receiver", "state", "took"),
        *("result_state", "result_at", "delivered_at", "attempts"),
    )
    list_display_links = ("created_at", "action")
    list_filter = ("state", "result_state", "action", SenderFilter, ReceiverFilter)
    list_select_related = ("sender__party", "receiver__party")
    list_per_page = 50
    paginator = CappedPaginator
    ordering = ("-pk",)
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = ("subject", "correlation_id")
    search_help_text = _("An id of a location, session or reservation, or a correlation id.")
    fieldsets = (
        (None, {"fields": ("action", "module", "subject", "sender", "receiver", "correlation")}),
        (_("How it went"), {"fields": ("state", "result_state", "results", "timeline")}),
        (_("What was said"), {"fields": ("answered", "resulted")}),
        (
            _("How the result is brought"),
            {
                "fields": (
                    *("attempts", "next_attempt_at", "leased_until", "last_answer"),
                    *("result_until", "expires_at"),
                )
            },
        ),
    )
    readonly_fields = ("correlation", "timeline", "answered", "resulted")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Errand], search_term: str
    ) -> tuple[QuerySet[Errand], bool]:
        """Find by what has an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(subject__iexact=term) | Q(correlation_id=term)), False

    @admin.display(description=_("answered after"))
    def took(self, errand: Errand) -> str:
        """Return how long whoever asked waited for an answer."""
        return after(errand.created_at, errand.answered_at)

    @admin.display(description=_("correlation id"))
    def correlation(self, errand: Errand) -> SafeString:
        """Return the id with a link to everything of the same chain in the message journal."""
        return exchanges_of(errand.correlation_id)

    @admin.display(description=_("timings"))
    def timeline(self, errand: Errand) -> SafeString:
        """Return when each thing happened, and how long after the request came."""
        steps = (
            (_("received"), errand.created_at),
            (_("passed on"), errand.forwarded_at),
            (_("answered"), errand.answered_at),
            (_("result"), errand.result_at),
            (_("result brought"), errand.delivered_at),
        )
        rows = ((name, at or "-", after(errand.created_at, at)) for name, at in steps)
        body = format_html_join("", "<tr><th scope=row>{}</th><td>{}</td><td>{}</td></tr>", rows)
        return format_html("<table>{}</table>", body)

    @admin.display(description=_("answer"))
    def answered(self, errand: Errand) -> SafeString | str:
        """Return what the receiver answered at once."""
        return masked(errand, errand.answer)

    @admin.display(description=_("result"))
    def resulted(self, errand: Errand) -> SafeString | str:
        """Return what came of it."""
        return masked(errand, errand.result)


def masked(errand: Errand, value: Any) -> SafeString | str:
    """Return what was said as indented JSON, without a driver's data in clear."""
    if value is None:
        return "-"
    return pretty(json.kept(Mask(errand.module).body(json.dumps(value))))


def after(start: datetime, end: datetime | None) -> str:
    """Return how long after something another thing happened."""
    if end is None:
        return "-"
    seconds = (end - start).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
