"""The bank's side: accounts that two people enter, statements, and lines to match."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from hub.readonly import ReadOnlyInline
from parties.models import Party
from settlement.banking import accounts, matching, statements, statuses, undoing, writeoffs
from settlement.banking.iso20022 import LARGEST, BadFile, is_of
from settlement.models import BankAccount, BankLine, BankStatement, Receivable
from settlement.money_admin.desk import Ask, Deed, MoneyAdmin, NotDone, person, reason_of, spelled


def _verify(request: HttpRequest, row: BankAccount) -> str:
    account = accounts.verify(row, person(request))
    return gettext("Verified. It may be used from %s.") % f"{account.usable_from:%Y-%m-%d %H:%M}"


def _reject(request: HttpRequest, row: BankAccount) -> str:
    accounts.reject(row)
    return gettext("Set aside.")


def _undecided(row: BankAccount) -> bool:
    return row.verified_at is None and row.ended_at is None


class BankAccountAdmin(MoneyAdmin):
    """Bank accounts: another account is another row, verified by a second person."""

    list_display = (
        *("holder", "party", "currency", "number", "bic"),
        *("created_by", "verified_by", "verified_at", "usable_from", "ended_at"),
    )
    list_filter = (
        *("currency", ("verified_at", admin.EmptyFieldListFilter)),
        ("ended_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("party", "created_by", "verified_by")
    search_fields = ("holder", "iban", "account_number", "party__party_id")
    fields = ("party", "currency", "holder", "iban", "routing_number", "account_number", "bic")
    deeds = {
        "verify": Deed(
            _("Verify: I have checked it with the party"),
            "settlement.verify_bankaccount",
            _undecided,
            _verify,
        ),
        "reject": Deed(
            _("Set aside"), "settlement.verify_bankaccount", _undecided, _reject, grave=True
        ),
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let those enter accounts who may."""
        return request.user.has_perm("settlement.add_bankaccount")

    def get_readonly_fields(
        self, request: HttpRequest, obj: BankAccount | None = None
    ) -> tuple[str, ...]:
        """Show everything of an account that exists."""
        decided = ("created_by", "created_at", "verified_by", "verified_at", "usable_from")
        return (*self.fields, "seeded", *decided, "ended_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: BankAccount | None = None) -> tuple[str, ...]:
        """Show who decided about an account that exists."""
        return self.get_readonly_fields(request, obj) or self.fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Note who entered it."""
        obj.created_by = person(request)
        super().save_model(request, obj, form, change)


class StatementForm(forms.Form):
    """A file of the bank."""

    file = forms.FileField(
        label=_("camt.053 file, or pain.002 file"),
        max_length=200,
        help_text=_("a statement, or what the bank says of a payment file"),
    )


class LineInline(ReadOnlyInline):
    """The lines of a statement."""

    model = BankLine
    show_change_link = True
    fields = readonly_fields = ("booked_on", "counterparty", "remittance", "total", "state")

    @admin.display(description=_("amount"))
    def total(self, row: BankLine) -> str:
        """Return the amount."""
        return spelled(row.amount, row.currency)


class BankStatementAdmin(MoneyAdmin):
    """Statements, and the page to import one."""

    list_display = (
        *("ident", "account", "opened_on", "closed_on", "opening", "closing", "currency"),
        *("imported_by", "imported_at"),
    )
    list_filter = ("currency",)
    list_select_related = ("account", "imported_by")
    inlines = (LineInline,)
    fields = readonly_fields = (
        *("account", "ident", "currency", "opened_on", "opening", "closed_on", "closing"),
        *("sha256", "imported_by", "imported_at"),
    )

    def more_urls(self) -> list[URLPattern]:
        """Add the upload."""
        view = self.admin_site.admin_view(self.upload)
        return [path("import/", view, name="settlement_bankstatement_import")]

    def links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Lead to the upload and to what is to be matched."""
        lines = reverse("admin:settlement_bankline_changelist")
        found: list[tuple[str, Any]] = [(f"{lines}?state__exact=open", _("Lines to match"))]
        if request.user.has_perm("settlement.add_bankstatement"):
            found.insert(0, (self.url("import"), _("Import a statement")))
        return found

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Take a file in, all of it or nothing."""
        if not request.user.has_perm("settlement.add_bankstatement"):
            raise PermissionDenied
        form = StatementForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                content = form.cleaned_data["file"].read(LARGEST + 1)
                self._take(request, content)
            except BadFile as error:
                form.add_error("file", str(error))
            else:
                lines = reverse("admin:settlement_bankline_changelist")
                return HttpResponseRedirect(f"{lines}?state__exact=open")
        return self.page(request, "import.html", _("Import a bank statement"), form=form)

    def _take(self, request: HttpRequest, content: bytes) -> None:
        """Take in a statement or a report, and tell what came of it; raises BadFile."""
        if not is_of(content, "pain.002"):
            self._tell(request, statements.import_file(content, person(request)))
            return
        done = statuses.import_file(content, person(request))
        told = gettext(
            "%(batch)s: %(taken)d payments taken on, %(rejected)d rejected and planned again,"
            " %(late)d rejected too late, %(known)d known already."
        )
        level = messages.WARNING if done.rejected or done.late else messages.SUCCESS
        self.message_user(request, told % done._asdict(), level)

    def _tell(self, request: HttpRequest, done: list[statements.Imported]) -> None:
        for item in done:
            told = ngettext(
                "%(statement)s: %(new)d new line, %(matched)d matched, %(known)d known already.",
                "%(statement)s: %(new)d new lines, %(matched)d matched, %(known)d known already.",
                item.new,
            )
            self.message_user(request, told % item._asdict(), messages.SUCCESS)
            if item.gap:
                text = gettext("A statement seems to be missing: %s.") % item.gap
                self.message_user(request, text, messages.WARNING)

    @admin.display(description=_("opening balance"))
    def opening(self, row: BankStatement) -> str:
        """Return the opening balance."""
        return spelled(row.opened_with, row.currency)

    @admin.display(description=_("closing balance"))
    def closing(self, row: BankStatement) -> str:
        """Return the closing balance."""
        return spelled(row.closed_with, row.currency)


def _match(request: HttpRequest, row: BankLine) -> str:
    party = Party.objects.filter(pk=_number(request.POST.get("party", ""))).first()
    if party is None:
        raise NotDone(_("Choose who has paid."))
    ids = [_number(item) for item in request.POST.getlist("receivable")]
    left = statements.match(row, party, list(Receivable.objects.filter(pk__in=ids)))
    if left:
        told = gettext("Matched; %(left)s %(currency)s stay to the credit of %(party)s.")
        return told % {
            "left": spelled(left, row.currency),
            "currency": row.currency,
            "party": party,
        }
    return gettext("Matched.")


def _book_payouts(request: HttpRequest, row: BankLine) -> str:
    if not statements.match_payouts(row):
        raise NotDone(_("No payout at the bank has this reference and amount."))
    return gettext("Booked.")


def _charge(request: HttpRequest, row: BankLine) -> str:
    writeoffs.propose_line(row, reason_of(request), person(request))
    return gettext("Proposed. A second person has to approve it.")


def _undo(request: HttpRequest, row: BankLine) -> str:
    undone = undoing.undo(row, reason_of(request), person(request))
    return gettext("The match with %(party)s is undone: %(reason)s") % {
        "party": undone.party,
        "reason": undone.reason,
    }


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _is_open(row: BankLine) -> bool:
    return row.state == BankLine.State.OPEN


class BankLineAdmin(MoneyAdmin):
    """Lines of the bank; the page of an open one is where it is matched."""

    change_form_template = "admin/settlement/bank_line.html"
    list_display = (
        *("booked_on", "total", "currency", "counterparty", "remittance", "end_to_end_id"),
        *("state",),
    )
    list_filter = ("state", "currency", "booked_on")
    search_fields = ("counterparty", "remittance", "end_to_end_id", "key", "counterparty_account")
    fields = readonly_fields = (
        *("booked_on", "value_on", "total", "currency", "counterparty", "counterparty_account"),
        *("remittance", "end_to_end_id", "batch_id", "return_reason", "key", "state"),
    )
    columns = (
        (_("booked on"), lambda row: row.booked_on),
        (_("amount"), lambda row: row.amount),
        (_("currency"), lambda row: row.currency),
        (_("counterparty"), lambda row: row.counterparty),
        (_("its account"), lambda row: row.counterparty_account),
        (_("remittance information"), lambda row: row.remittance),
        (_("end-to-end id"), lambda row: row.end_to_end_id),
        (_("reference of the bank"), lambda row: row.key),
        (_("state"), lambda row: row.state),
    )
    deeds = {
        "match": Deed(
            _("Match"),
            "settlement.change_bankline",
            lambda row: False,  # has a form of its own on the page
            _match,
        ),
        "payouts": Deed(
            _("Book as payouts of ours"),
            "settlement.change_bankline",
            lambda row: _is_open(row) and matching.payouts_of(row) is not None,
            _book_payouts,
        ),
        "undo": Deed(
            _("Undo the match"),
            "settlement.change_bankline",
            lambda row: undoing.receipt_of(row) is not None,
            _undo,
            (Ask("reason", _("Reason")),),
            grave=True,
        ),
        "charge": Deed(
            _("Propose to book it as a charge or gain"),
            "settlement.add_writeoff",
            lambda row: _is_open(row) and not row.write_offs.filter(state="proposed").exists(),
            _charge,
            (Ask("reason", _("Reason")),),
            grave=True,
        ),
    }

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Offer suggestions and a choice of party where the line is open."""
        row = context["original"]
        may = request.user.has_perm("settlement.change_bankline")
        if may and _is_open(row) and row.amount > 0:
            context["match_url"] = self.url("do", row.pk, "match")
            context["suggestions"] = [
                (item, spelled(item.open, row.currency)) for item in matching.suggestions(row)
            ]
            context["parties"] = _payers()
        return super().render_change_form(request, context, *args, **options)

    @admin.display(description=_("amount"), ordering="amount")
    def total(self, row: BankLine) -> str:
        """Return the amount, negative for money that went."""
        return spelled(row.amount, row.currency)


def _payers() -> QuerySet[Party]:
    return Party.objects.filter(roles__role="EMSP").distinct().order_by("country_code", "party_id")


PAGES: tuple[tuple[type[Model], Any], ...] = (
    (BankAccount, BankAccountAdmin),
    (BankStatement, BankStatementAdmin),
    (BankLine, BankLineAdmin),
)
