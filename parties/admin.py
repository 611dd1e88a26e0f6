"""Parties, platforms and deliveries for the hub's staff."""

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _

from hub.readonly import ReadOnlyAdmin, ReadOnlyInline, pretty
from parties.alive_admin import AliveActions, PullInline
from parties.delivery_admin import DeliveringAdmin
from parties.errand_admin import ErrandAdmin
from parties.journal_admin import QuirkInline, messages_of
from parties.models import ClientInfo, Endpoint, Errand, Key, Party, Platform, Role, User

OWED = Q(
    roles__deliveries__state="live",
    roles__deliveries__wanted__gt=F("roles__deliveries__acknowledged"),
)

ROTATE_AFTER = timedelta(days=31)
_TOKENS = Key.objects.filter(platform=OuterRef("pk"), purpose="access").values("created_at")


class RoleInline(ReadOnlyInline):
    """The roles of a party or platform; parties come by invitation."""

    model = Role
    fields = ("party", "role", "platform")


class EndpointInline(ReadOnlyInline):
    """Where a platform is reached, as its handshake said."""

    model = Endpoint
    fields = ("module", "interface", "url")


class KeyInline(ReadOnlyInline):
    """The tokens issued to a platform, as far as they may be seen again."""

    model = Key
    fields = ("purpose", "hint", "age", "created_at", "last_used_at", "expires_at", "used_at")
    readonly_fields = ("age",)

    @admin.display(description=_("age"))
    def age(self, key: Key) -> str:
        """Return for how long it has been good."""
        return timesince(key.created_at)


@admin.register(Platform)
class PlatformAdmin(AliveActions, DeliveringAdmin, ReadOnlyAdmin):
    """Connections, and what each is owed."""

    list_display = (
        *("name", "state", "waits", "token_age", "owed", "pause_reason", "paused_until"),
        *("state_since", "heard_at", "dialect", "version"),
    )
    actions = ("probe_now", "read_now", "owe_again")
    list_filter = (
        "state",
        "pause_reason",
        "dialect",
        "version",
        ("proposal", admin.EmptyFieldListFilter),
    )
    search_fields = ("name", "roles__party__party_id", "versions_url")
    exclude = ("sealed_token", "previous_sealed_token")
    readonly_fields = ("messages", "wish")
    inlines = (RoleInline, EndpointInline, KeyInline, QuirkInline, PullInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Platform]:
        """Count what is owed in the same query."""
        rows: QuerySet[Platform] = super().get_queryset(request)
        return rows.annotate(
            owed_count=Count("roles__deliveries", OWED), token_since=Subquery(_TOKENS)
        )

    @admin.display(description=_("its token is old"), ordering="-token_since")
    def token_age(self, platform: Any) -> str:
        """Return for how long it has had its token; one a month is advised."""
        since = platform.token_since
        if since is None:
            return "-"
        late = timezone.now() - since > ROTATE_AFTER
        return _("%s: change it") % timesince(since) if late else timesince(since)

    @admin.display(description=_("waits for us"), boolean=True)
    def waits(self, platform: Platform) -> bool:
        """Tell whether it would like to change something that only a person may."""
        return platform.proposal is not None

    @admin.display(description=_("would like to change"))
    def wish(self, platform: Platform) -> SafeString | str:
        """Return what it would like to change."""
        return pretty(platform.proposal) if platform.proposal else "-"

    @admin.display(description=_("messages"))
    def messages(self, platform: Platform) -> SafeString:
        """Return a link to what was exchanged with it."""
        return messages_of(platform)

    @admin.display(description=_("owed"), ordering="owed_count")
    def owed(self, platform: Any) -> int:
        """Return how many objects it has not acknowledged in their present version."""
        return int(platform.owed_count)


admin.site.register(Errand, ErrandAdmin)


@admin.register(Party)
class PartyAdmin(ReadOnlyAdmin):
    """The companies of the network."""

    list_display = ("__str__", "name", "role_names", "created_at")
    search_fields = ("name", "country_code", "party_id")
    inlines = (RoleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Party]:
        """Fetch the roles along."""
        return super().get_queryset(request).prefetch_related("roles")

    @admin.display(description=_("roles"))
    def role_names(self, party: Party) -> str:
        """Return the roles in one line."""
        return ", ".join(role.role for role in party.roles.all())


@admin.register(User)
class UserAdmin(DjangoUserAdmin[User]):
    """Staff."""

    ordering = ("email",)
    list_display = ("email", "is_staff", "is_superuser", "last_login")
    search_fields = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2", "is_staff")}),)
    filter_horizontal = ()
    autocomplete_fields = ("groups",)


class ObjectAdmin(ReadOnlyAdmin):
    """An object as it was received."""

    list_select_related: ClassVar[tuple[str, ...]] = ("owner",)
    list_filter: ClassVar[tuple[Any, ...]] = ("owner", "complete")
    search_fields: ClassVar[tuple[str, ...]] = ("uid",)
    exclude = ("body", "raw")
    readonly_fields: ClassVar[tuple[str, ...]] = ("as_json",)

    @admin.display(description=_("object"))
    def as_json(self, item: Any) -> SafeString:
        """Return the body as indented JSON."""
        return pretty(item.body)


@admin.register(ClientInfo)
class ClientInfoAdmin(ObjectAdmin):
    """What the hub tells of its parties."""

    list_display = ("owner", "uid", "status", "last_updated", "version")
    list_filter = ("status", "uid")
    search_fields = ("owner__party_id", "owner__name")
