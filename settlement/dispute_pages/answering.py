"""The page of each answer in a dispute: what follows from it, a form, and one button."""

from decimal import Decimal

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from parties.people.access import Area, May
from parties.people.shell import Seat, confirm, page, show
from settlement.dispute_pages import staging
from settlement.dispute_pages.deeds import BY_NAME, Deed
from settlement.dispute_pages.facts import dispute_of, facts
from settlement.dispute_pages.forms import OfferForm
from settlement.dispute_pages.outcomes import outcome
from settlement.disputes import answering as parts
from settlement.disputes import telling
from settlement.disputes.moving import CannotDispute
from settlement.models import Dispute


@require_http_methods(["GET", "HEAD", "POST"])
@page(Area.DISPUTES, May.ACT)
def answer(request: HttpRequest, seat: Seat, reference: str, name: str) -> HttpResponse:
    """Show what an answer does; send it. Sent twice it is one; a refusal keeps what was typed."""
    deed, found = BY_NAME.get(name), dispute_of(seat, reference)
    if deed is None:
        raise Http404
    if request.method != "POST":
        if not deed.offered(found, seat.party):
            return _back(request, seat, found, _("This cannot be done now; this is where it is."))
        return _asked(request, seat, found, deed, deed.form())
    if deed.final:
        confirm(request)
    form = deed.form(request.POST, request.FILES)
    staged = staging.taken(request, form, found, seat)
    if not form.is_valid() or not _looked_at(form, found):
        return _asked(request, seat, found, deed, form)
    try:
        done = deed.act(found, seat, form.cleaned_data, staged.uploads, timezone.now())
    except CannotDispute as error:
        return _refused(request, seat, found, deed, form, staged, error)
    staged.drop()
    text = f"{done.reference}: {done.get_state_display()}. {telling.consequence(done)}"
    messages.success(request, text)
    return HttpResponseRedirect(seat.url("portal_dispute", reference=reference))


def _looked_at(form: forms.Form, found: Dispute) -> bool:
    """Tell whether what an offer comes to was seen before it is sent; say so if it is none."""
    if not isinstance(form, OfferForm):
        return True
    amount = form.cleaned_data["amount"]
    try:
        parts.part(amount, found)
    except CannotDispute as error:
        form.add_error("amount", str(error))
        return False
    return bool(form.cleaned_data["seen"] == amount)


def _back(request: HttpRequest, seat: Seat, found: Dispute, text: str) -> HttpResponse:
    messages.warning(request, text)
    return HttpResponseRedirect(seat.url("portal_dispute", reference=found.reference))


def _refused(
    request: HttpRequest,
    seat: Seat,
    found: Dispute,
    deed: Deed,
    form: forms.Form,
    staged: staging.Staged,
    error: CannotDispute,
) -> HttpResponse:
    """Say why it was not done; where the same person has done just that, there is no harm."""
    text = form.cleaned_data.get("message", "").strip()
    if found.events.filter(kind=deed.kind, person=seat.person, text=text).exists():
        staged.drop()
        return HttpResponseRedirect(seat.url("portal_dispute", reference=found.reference))
    form.add_error(None, str(error))
    found.refresh_from_db()
    return _asked(request, seat, found, deed, form)


def _asked(
    request: HttpRequest, seat: Seat, found: Dispute, deed: Deed, form: forms.Form
) -> HttpResponse:
    amount = _amount(found, deed, form)
    if isinstance(form, OfferForm) and form.is_bound:
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data["seen"] = "" if amount is None else str(amount)  # type: ignore[index]
    context = {
        **facts(found, seat.party),
        "deed": deed,
        "form": form,
        "kept": staging.kept(found, seat),
        "amount": amount,
        "preview": outcome(found, amount, timezone.now()) if amount is not None else None,
    }
    status = 422 if form.errors else 200
    return show(
        request, seat, "portal/dispute_answer.html", context, here="portal_disputes", status=status
    )


def _amount(found: Dispute, deed: Deed, form: forms.Form) -> Decimal | None:
    """Return the amount whose effect can be shown."""
    if not isinstance(form, OfferForm):
        return deed.amount(found)
    told: Decimal | None = (form.is_bound and form.cleaned_data.get("amount")) or None
    return told if told is not None and 0 < told < found.asked else None
