"""The desk of statements: staff see them, and note what parties answer."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period
from hub.readonly import ReadOnlyAdmin
from settlement import statements
from settlement.models import Statement, StatementLine

OPEN = (Statement.State.PUBLISHED, Statement.State.APPROVED)


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    """Statements, and the answers that parties give the hub's staff."""

    list_display = (
        *("__str__", "state", "net_amount", "closing_amount", "respond_by", "answered_at"),
    )
    list_filter = ("state", "period", "role", "currency")
    list_select_related = ("period", "party")
    search_fields = ("party__name", "party__party_id")
    fields = readonly_fields = (
        *("period", "party", "role", "currency", "version", "state"),
        *("opening", "net", "closing", "published_at", "respond_by", "answered_at", "person"),
    )
    change_form_template = "admin/settlement/statement.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the answer."""
        route = path(
            "<int:statement_id>/answer",
            self.admin_site.admin_view(self.answer),
            name="settlement_statement_answer",
        )
        return [route, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the lines, and offer an answer while the month waits for one."""
        statement = context["original"]
        lines = statement.lines.select_related("counterparty", "corrects", "objection")
        waits = statement.period.state == Period.State.STATEMENT and statement.state in OPEN
        context |= {"lines": lines, "may_answer": waits and _may_answer(request)}
        return super().render_change_form(request, context, *args, **options)

    def answer(self, request: HttpRequest, statement_id: int) -> HttpResponse:
        """Note an approval, or an objection to lines."""
        if request.method != "POST" or not _may_answer(request):
            raise PermissionDenied
        statement = get_object_or_404(Statement, pk=statement_id)
        try:
            self._note(request, statement)
        except statements.CannotAnswer as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:settlement_statement_changelist"))

    def _note(self, request: HttpRequest, statement: Statement) -> None:
        now, person = timezone.now(), request.user
        if "approve" in request.POST:
            statements.approve(statement, person, now)  # type: ignore[arg-type]
            self.message_user(request, _("Approved."), messages.SUCCESS)
            return
        chosen = [int(item) for item in request.POST.getlist("line") if item.isdigit()]
        lines = list(StatementLine.objects.filter(statement=statement, pk__in=chosen))
        reason = request.POST.get("reason", "").strip()
        statements.object_to(lines, reason, person, now)  # type: ignore[arg-type]
        self.log_change(request, statement, reason)
        text = _("The CDRs behind these lines are held, and both sides have a new version.")
        self.message_user(request, text, messages.SUCCESS)

    @admin.display(description=_("net"), ordering="net")
    def net_amount(self, statement: Statement) -> str:
        """Return the net with the decimals of its currency."""
        return f"{statement.net:.{statement.decimals}f}"

    @admin.display(description=_("closing balance"), ordering="closing")
    def closing_amount(self, statement: Statement) -> str:
        """Return the closing balance likewise."""
        return f"{statement.closing:.{statement.decimals}f}"


def _may_answer(request: HttpRequest) -> bool:
    return request.user.has_perm("settlement.close_period")
