"""Deliveries for the hub's staff: what is owed, what waits for a person, and sending it again."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from hub.readonly import ReadOnlyAdmin
from parties import delivery, waking
from parties.backlog import BacklogPage, OwedFilter
from parties.models import Delivery, Platform

LIMITS = ("rate", "states_at_once", "cdrs_at_once")


@admin.register(Delivery)
class DeliveryAdmin(BacklogPage, ReadOnlyAdmin):
    """What receivers are owed, and what became of the last try."""

    list_display = (
        "receiver",
        "module",
        "object_id",
        "wanted",
        "acknowledged",
        "state",
        "attempts",
        "age",
        "next_attempt_at",
        "last_answer",
    )
    list_filter = ("state", OwedFilter, "module", ("receiver", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("receiver__party",)
    search_fields = ("last_answer", "object_id")
    readonly_fields = ("age",)
    actions = ("try_again",)

    @admin.display(description=_("owed for"), ordering="owed_since")
    def age(self, row: Delivery) -> str:
        """Return for how long it has been owed, if it is."""
        return timesince(row.owed_since) if row.wanted > row.acknowledged else "-"

    @admin.action(description=_("Send again"), permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Make unacknowledged deliveries due, parked and refused ones included."""
        platforms = delivery.send_again(queryset)
        waking.wake(sorted(set(platforms)))
        count = len(platforms)
        text = ngettext("%d delivery is sent again", "%d deliveries are sent again", count)
        self.message_user(request, text % count, messages.SUCCESS)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Allow those who may change deliveries."""
        return request.user.has_perm("parties.change_delivery")


class DeliveringAdmin(admin.ModelAdmin[Any]):
    """What staff may do about the deliveries to a platform: owe it everything, set its limits."""

    @admin.action(description=_("Owe it everything again"), permissions=["owe"])
    def owe_again(self, request: HttpRequest, queryset: QuerySet[Platform]) -> None:
        """Have everything sent again that platforms have acknowledged."""
        count = sum(delivery.owe_again(platform) for platform in queryset)
        waking.wake(sorted(queryset.values_list("pk", flat=True)))
        text = ngettext("%d object is owed again", "%d objects are owed again", count)
        self.message_user(request, text % count, messages.SUCCESS)

    def has_owe_permission(self, request: HttpRequest) -> bool:
        """Allow those who may change deliveries."""
        return request.user.has_perm("parties.change_delivery")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let the limits be changed by those who may change platforms."""
        return request.user.has_perm("parties.change_platform")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return everything but the limits."""
        fields = [field.name for field in self.model._meta.fields if field.editable]
        return [*self.readonly_fields, *(name for name in fields if name not in LIMITS)]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write what was changed and nothing else: the rest may have changed meanwhile."""
        changed = {name: form.cleaned_data[name] for name in form.changed_data if name in LIMITS}
        self.model._default_manager.filter(pk=obj.pk).update(**changed)
