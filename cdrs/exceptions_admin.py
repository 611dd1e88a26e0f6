"""The desk for held CDRs: grouped by cause, and decided about in bulk, each time with a reason."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cdrs import exceptions, judging
from cdrs.models import Cdr, CdrQuerySet
from hub.readonly import ReadOnlyAdmin


class Deed(NamedTuple):
    """What staff may do about held CDRs; `act` is None where they are only judged again."""

    title: Any
    name: Any
    permission: str
    warning: Any
    act: Callable[..., Any] | None = None


DEEDS = {
    "release": Deed(
        _("Release held CDRs"),
        _("Release"),
        "cdrs.release_cdr",
        _("What holds these CDRs is set aside, and they are settled as they were sent."),
        judging.release,
    ),
    "discard": Deed(
        _("Discard held CDRs"),
        _("Discard"),
        "cdrs.discard_cdr",
        _("These CDRs are never settled. This cannot be undone."),
        judging.discard,
    ),
    "judge": Deed(
        _("Judge held CDRs again"),
        _("Judge again"),
        "cdrs.judge_cdr",
        _("The rules look at these CDRs once more, by what the hub knows now."),
    ),
}


class HeldForFilter(admin.SimpleListFilter):
    """CDRs by what holds them now."""

    title = _("held for")
    parameter_name = "held_for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the reasons there are."""
        codes = {group.code for group in exceptions.groups(timezone.now())}
        return [(code, code) for code in sorted(codes)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep those."""
        return exceptions.held_for(self.value() or "", queryset) if self.value() else queryset


class ExceptionActions(ReadOnlyAdmin):
    """What the CDR admin can do about held CDRs."""

    actions = ("release", "discard", "judge_again")
    change_list_template = "admin/cdrs/cdrs.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the groups, and the page that asks for a reason."""
        view = self.admin_site.admin_view
        return [
            path("exceptions/", view(self.by_cause), name="cdrs_exceptions"),
            path("decide/<str:name>/", view(self.decide), name="cdrs_decide"),
            *super().get_urls(),
        ]

    def by_cause(self, request: HttpRequest) -> HttpResponse:
        """Show the held CDRs by cause and CPO."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        groups = exceptions.groups(timezone.now())
        held = Cdr.objects.filter(state=Cdr.State.HELD)
        context = {
            **self.admin_site.each_context(request),
            "title": _("CDR exceptions"),
            "groups": [(group, _query(group)) for group in groups],
            "totals": exceptions.totals(held),
            "deeds": _allowed(request),
        }
        return TemplateResponse(request, "admin/cdrs/exceptions.html", context)

    def decide(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask for the reason, then do it."""
        deed = DEEDS.get(name)
        if deed is None or not request.user.has_perm(deed.permission):
            raise PermissionDenied
        if request.method == "POST" and "confirmed" in request.POST:
            return self._done(request, deed)
        return self._asked(request, name, _of_group(request))

    @admin.action(description=_("Release held CDRs"), permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[Cdr]) -> HttpResponse:
        """Ask for the reason."""
        return self._asked(request, "release", queryset)

    @admin.action(description=_("Discard held CDRs"), permissions=["discard"])
    def discard(self, request: HttpRequest, queryset: QuerySet[Cdr]) -> HttpResponse:
        """Ask for the reason."""
        return self._asked(request, "discard", queryset)

    @admin.action(description=_("Judge again"), permissions=["judge"])
    def judge_again(self, request: HttpRequest, queryset: QuerySet[Cdr]) -> None:
        """Judge them once more."""
        self._judge(request, list(queryset.values_list("pk", flat=True)[: exceptions.MOST]))

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Allow those who may release CDRs."""
        return request.user.has_perm(DEEDS["release"].permission)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """Allow those who may discard CDRs."""
        return request.user.has_perm(DEEDS["discard"].permission)

    def has_judge_permission(self, request: HttpRequest) -> bool:
        """Allow those who may have CDRs judged."""
        return request.user.has_perm(DEEDS["judge"].permission)

    def _asked(self, request: HttpRequest, name: str, cdrs: Any) -> HttpResponse:
        """Show what is about to happen, and ask why."""
        ids = list(cdrs.order_by("pk").values_list("pk", flat=True)[: exceptions.MOST])
        chosen: CdrQuerySet = Cdr.objects.filter(pk__in=ids)
        held = chosen.filter(state=Cdr.State.HELD)
        context = {
            **self.admin_site.each_context(request),
            "title": DEEDS[name].title,
            "name": name,
            "deed": DEEDS[name],
            "asks": DEEDS[name].act is not None,  # a template would call it
            "ids": ids,
            "others": len(ids) - held.count(),
            "totals": exceptions.totals(held),
            "reasons": exceptions.reasons(held),
        }
        return TemplateResponse(request, "admin/cdrs/decide.html", context)

    def _done(self, request: HttpRequest, deed: Deed) -> HttpResponse:
        ids = [int(item) for item in request.POST.getlist("id") if item.isdigit()]
        if deed.act is None:
            self._judge(request, ids[: exceptions.MOST])
            return HttpResponseRedirect(reverse("admin:cdrs_exceptions"))
        reason: str = request.POST.get("reason", "").strip()
        outcome = exceptions.decide(deed.act, ids[: exceptions.MOST], request.user, reason)  # type: ignore[arg-type]
        self._tell(request, outcome)
        return HttpResponseRedirect(reverse("admin:cdrs_exceptions"))

    def _tell(self, request: HttpRequest, outcome: exceptions.Outcome) -> None:
        text = ngettext("%d CDR was decided.", "%d CDRs were decided.", outcome.done)
        level = messages.SUCCESS if outcome.done else messages.WARNING
        self.message_user(request, text % outcome.done, level)
        if outcome.refused:
            shown = "; ".join(outcome.refused[:5])
            left = ngettext("%d CDR was left: ", "%d CDRs were left: ", len(outcome.refused))
            self.message_user(request, left % len(outcome.refused) + shown, messages.WARNING)

    def _judge(self, request: HttpRequest, ids: list[int]) -> None:
        counted = Counter(exceptions.judge_again(ids))
        told = ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))
        self.message_user(request, _("Judged again: %s") % (told or "0"), messages.SUCCESS)


def _allowed(request: HttpRequest) -> list[tuple[str, Deed]]:
    return [(name, deed) for name, deed in DEEDS.items() if request.user.has_perm(deed.permission)]


def _query(group: exceptions.Group) -> str:
    """Return the parameters that select a group, in the list and for a decision."""
    chosen = {"held_for": group.code, "owner__id__exact": str(group.owner.pk)}
    return urlencode({**chosen, "currency__exact": group.currency})


def _of_group(request: HttpRequest) -> CdrQuerySet:
    """Return the CDRs that the parameters of a group select; none without them."""
    code, owner = request.GET.get("held_for", ""), request.GET.get("owner__id__exact", "")
    if not code or not owner.isdigit():
        return Cdr.objects.none()
    return exceptions.held_for(code).filter(
        owner=int(owner), currency=request.GET.get("currency__exact", "")
    )
