"""What the pages of the money desk share: exports, links, and buttons that say what they do."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, NamedTuple, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from hub.money import minor_unit
from hub.readonly import ReadOnlyAdmin
from hub.states import WrongState
from parties.models import User
from settlement import exports
from settlement.banking.accounts import NotVerified
from settlement.banking.batches import CannotBatch
from settlement.banking.iso20022 import BadFile
from settlement.banking.statements import CannotMatch
from settlement.banking.writeoffs import CannotWriteOff
from settlement.disputes.moving import CannotDispute
from settlement.ledger.posting import NotPosted

REFUSALS = (
    *(NotVerified, CannotBatch, CannotMatch, CannotWriteOff),
    *(BadFile, NotPosted, WrongState, CannotDispute),
)


class NotDone(Exception):
    """What was entered does not do; the message says why."""


class Ask(NamedTuple):
    """Something that a person types before a deed is done."""

    name: str
    label: Any
    type: str = "text"
    help: Any = ""


class Deed(NamedTuple):
    """A button: who may press it, when it is offered, what it asks, and what it does.

    `act` gets the request and the object and returns what to tell; `shown` gives the hidden values
    that say what the person was looking at.
    """

    label: Any
    permission: str
    offered: Callable[[Any], bool]
    act: Callable[[HttpRequest, Any], Any]
    asks: Sequence[Ask] = ()
    shown: Callable[[Any], Mapping[str, str]] = lambda _row: {}
    grave: bool = False


def person(request: HttpRequest) -> User:
    """Return who is logged in."""
    return cast(User, request.user)


def spelled(amount: Decimal, currency: str) -> str:
    """Write an amount with the decimals of its currency, in groups of three."""
    return f"{amount.quantize(minor_unit(currency)):,f}"


class MoneyAdmin(ReadOnlyAdmin):
    """Shows, exports, and offers deeds; nothing is edited."""

    change_list_template = "admin/settlement/money_list.html"
    change_form_template = "admin/settlement/money_form.html"
    deeds: ClassVar[Mapping[str, Deed]] = {}
    columns: ClassVar[Sequence[tuple[Any, Callable[[Any], Any]]]] = ()

    def get_urls(self) -> list[URLPattern]:
        """Add the exports and the deeds."""
        view, name = self.admin_site.admin_view, f"settlement_{self.opts.model_name}"
        return [
            path("export/<str:kind>/", view(self.export), name=f"{name}_export"),
            path("<int:pk>/do/<str:name>/", view(self.do), name=f"{name}_do"),
            *self.more_urls(),
            *super().get_urls(),
        ]

    def more_urls(self) -> list[URLPattern]:
        """Return further pages."""
        return []

    def links(self, request: HttpRequest) -> list[tuple[str, Any]]:
        """Return links to further pages, for the list."""
        return []

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer the links and exports."""
        more = {"links": self.links(request), "exports": self._exports(request)}
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> HttpResponse:
        """Offer the deeds."""
        context["offers"] = self.offers(request, context.get("original"))
        return super().render_change_form(request, context, *args, **options)

    def offers(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """Return the buttons for an object that this person may press now."""
        return [
            {
                "url": self.url("do", row.pk, name),
                "name": name,
                "deed": deed,
                "shown": deed.shown(row).items(),
            }
            for name, deed in self.deeds.items()
            if row is not None and request.user.has_perm(deed.permission) and deed.offered(row)
        ]

    def do(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Do what a button says; a refusal is told, and has changed nothing."""
        deed = self.deeds.get(name)
        if request.method != "POST" or deed is None or not request.user.has_perm(deed.permission):
            raise PermissionDenied
        row = get_object_or_404(self.model, pk=pk)
        try:
            told = deed.act(request, row)
        except (*REFUSALS, NotDone) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.log_change(request, row, str(told))
            self.message_user(request, told, messages.SUCCESS)
        return HttpResponseRedirect(self.url("change", pk))

    def export(self, request: HttpRequest, kind: str) -> HttpResponse:
        """Hand the list out as a file, filtered as it is shown."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_changelist_instance(request).get_queryset(request)
        header = [title for title, _of in self.columns]
        table = ([of(row) for _title, of in self.columns] for row in rows)
        return exports.download(str(self.opts.model_name), kind, header, table)

    def page(self, request: HttpRequest, template: str, title: Any, **context: Any) -> HttpResponse:
        """Show a page of this desk."""
        return TemplateResponse(
            request,
            f"admin/settlement/{template}",
            {**self.admin_site.each_context(request), "title": title, "opts": self.opts, **context},
        )

    def url(self, name: str, *args: Any) -> str:
        """Return the address of one of these pages."""
        return reverse(f"admin:settlement_{self.opts.model_name}_{name}", args=args)

    def _exports(self, request: HttpRequest) -> list[tuple[str, str]]:
        if not self.columns:
            return []
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        return [(f"{self.url('export', kind)}{query}", kind.upper()) for kind in exports.TYPES]


def asked_export(
    request: HttpRequest, name: str, header: Sequence[Any], rows: Sequence[Sequence[Any]]
) -> HttpResponse | None:
    """Return a page's table as a file where its address asks for one (`as=csv`, `as=xlsx`)."""
    kind = request.GET.get("as")
    return exports.download(name, kind, header, rows) if kind else None


def export_links(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the addresses of a page's table as files."""
    query = request.GET.copy()
    links = []
    for kind in exports.TYPES:
        query["as"] = kind
        links.append((f"?{query.urlencode()}", kind.upper()))
    return links


def change_url(row: Model) -> str:
    """Return the page of an object."""
    return reverse(f"admin:settlement_{row._meta.model_name}_change", args=[row.pk])


def amount_of(request: HttpRequest) -> Decimal:
    """Return the amount that was typed. Raises NotDone for anything else."""
    try:
        return Decimal(request.POST.get("amount", "").replace(",", ""))
    except InvalidOperation:
        raise NotDone(_("Enter an amount, for instance 12.50.")) from None


def reason_of(request: HttpRequest) -> str:
    """Return the reason that was given. Raises NotDone without one."""
    reason: str = request.POST.get("reason", "").strip()
    if not reason:
        raise NotDone(_("Say why."))
    return reason
