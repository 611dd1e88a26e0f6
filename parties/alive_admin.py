"""What the hub's staff see of who is there and of the lists that were read, and may ask for."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from hub.readonly import ReadOnlyInline
from parties import alive, pulling
from parties.models import Platform, Pull

SHOWN = 50  # readings of lists


class PullInline(ReadOnlyInline):
    """The latest readings of a platform's lists."""

    model = Pull
    fields = (
        "module",
        "party",
        "started_at",
        "covers_from",
        "complete",
        "pages",
        "taken",
        "unchanged",
        "refused",
        "ignored",
        "error",
        "refusals",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pull]:
        """Keep the latest of this platform (a slice could not be filtered any more)."""
        rows: QuerySet[Pull] = super().get_queryset(request).select_related("party")
        match = request.resolver_match
        platform = match.kwargs.get("object_id") if match else None
        if platform is None or not platform.isdigit():
            return rows.none()
        latest = Pull.objects.filter(platform=platform).order_by("-pk").values("pk")[:SHOWN]
        return rows.filter(pk__in=list(latest.values_list("pk", flat=True)))


class AliveActions(admin.ModelAdmin[Any]):
    """Actions on platforms: probe them, or read their lists, now rather than when it is due."""

    @admin.action(description=_("Probe now"), permissions=["operate"])
    def probe_now(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        """Have platforms asked whether they are there."""
        count = alive.probe_soon(queryset)
        text = ngettext("%d platform is probed", "%d platforms are probed", count)
        self.message_user(request, text % count, messages.SUCCESS)

    @admin.action(description=_("Read its lists now"), permissions=["operate"])
    def read_now(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        """Have the lists of platforms read."""
        count = pulling.pull_soon(queryset)
        text = ngettext("%d platform is read", "%d platforms are read", count)
        self.message_user(request, text % count, messages.SUCCESS)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Allow those who may change platforms."""
        return request.user.has_perm("parties.change_platform")
