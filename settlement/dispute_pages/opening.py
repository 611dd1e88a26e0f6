"""Opening a dispute, one question per page: which CDRs, what is wrong, what is asked for, check."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdrs.explorer import Side
from cdrs.models import Cdr, Finding
from hub import portal
from parties.people.access import Area, May
from parties.people.shell import Seat, page, show
from settlement.dispute_pages import staging, words
from settlement.dispute_pages.forms import AskForm, ListForm, ReasonForm
from settlement.disputes import drafting, listing, opening, telling
from settlement.disputes.moving import TEXT, CannotDispute
from settlement.models import Draft
from settlement.models.disputes import Ask, Reason
from settlement.models.evidence import Evidence

HERE = "portal_disputes"


def draft_of(seat: Seat, draft_id: int) -> Draft:
    """Fetch what this person has begun at this party; raises Http404."""
    own = Draft.objects.filter(party=seat.party, person=seat.person, about=None)
    return get_object_or_404(own.select_related("opened"), pk=draft_id)


# Which CDRs


@require_http_methods(["GET", "HEAD", "POST"])
@page(Area.DISPUTES, May.ACT)
def new(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Show the CDRs that are chosen, each with what stands in its way; go on if nothing does."""
    told = request.POST if request.method == "POST" else request.GET
    draft = _draft_told(told, seat)
    kept = draft.cdrs if draft and request.method != "POST" else []
    cdrs = drafting.visible(seat.party, _ids(told) or kept)
    form = ListForm(request.POST or None, request.FILES or None)
    if request.method != "POST":
        return _choice(request, seat, draft, cdrs, form)
    if "add" in request.POST:
        more, wrong = _listed(form, seat)
        both = list({cdr.pk: cdr for cdr in [*cdrs, *more]}.values())
        return _choice(request, seat, draft, both, form, wrong)
    if not cdrs:
        return _choice(request, seat, draft, cdrs, form, [str(words.NO_CDRS)])
    if len(cdrs) > opening.MOST or opening.problems(seat.party, cdrs, timezone.now()):
        return _choice(request, seat, draft, cdrs, form)
    made = drafting.choose(seat.party, seat.person, cdrs, timezone.now(), draft)
    return _to(seat, "portal_draft_reason", made)


def _choice(
    request: HttpRequest,
    seat: Seat,
    draft: Draft | None,
    cdrs: Sequence[Cdr],
    form: ListForm,
    wrong: Sequence[str] = (),
) -> HttpResponse:
    problems = opening.problems(seat.party, cdrs, timezone.now())
    good = [cdr for cdr in cdrs if cdr.pk not in problems]
    context = {
        "draft": draft,
        "rows": [(cdr, problems.get(cdr.pk, "")) for cdr in cdrs],
        "good": good,
        "total": sum((cdr.total_excl_vat for cdr in good), Decimal()),
        "form": form,
        "wrong": wrong,
        "most": opening.MOST,
        "too_many": len(cdrs) > opening.MOST,
    }
    bad = wrong or form.errors or (request.method == "POST" and problems)
    return show(
        request, seat, "portal/dispute_new.html", context, here=HERE, status=422 if bad else 200
    )


def _draft_told(told: QueryDict, seat: Seat) -> Draft | None:
    key = portal.number(told.get("draft", ""))
    draft = draft_of(seat, key) if key else None
    return draft if draft and draft.opened is None else None


def _ids(told: QueryDict) -> list[int]:
    return [key for text in told.getlist("cdr") if (key := portal.number(text))]


def _listed(form: ListForm, seat: Seat) -> tuple[list[Cdr], list[str]]:
    """Read the list that was uploaded."""
    if not form.is_valid():
        return [], []
    file = form.cleaned_data["csv"]
    if file is None:
        form.add_error("csv", words.CHOOSE)
        return [], []
    try:
        rows = listing.read(file.read(LIST))
    except CannotDispute as error:
        form.add_error("csv", str(error))
        return [], []
    return listing.find(seat.party, rows)


LIST = 1024 * 1024  # bytes of a list


def _to(seat: Seat, name: str, draft: Draft) -> HttpResponse:
    return HttpResponseRedirect(seat.url(name, draft_id=draft.pk))


# What is wrong


@require_http_methods(["GET", "HEAD", "POST"])
@page(Area.DISPUTES, May.ACT)
def reason(request: HttpRequest, seat: Seat, draft_id: int) -> HttpResponse:
    """Ask what is wrong, beside what the hub has found."""
    draft = draft_of(seat, draft_id)
    if draft.opened:
        return _sent(seat, draft)
    cdrs = drafting.visible(seat.party, draft.cdrs)
    findings = list(Finding.objects.filter(cdr__in=[cdr.pk for cdr in cdrs], cleared_at=None))
    chosen = draft.reason or words.suggested(findings)
    form = ReasonForm(request.POST or None, initial={"reason": chosen})
    if request.method == "POST" and form.is_valid():
        draft.reason, draft.updated_at = form.cleaned_data["reason"], timezone.now()
        draft.save(update_fields=["reason", "updated_at"])
        return _to(seat, "portal_draft_ask", draft)
    context = {
        "draft": draft,
        "form": form,
        "choices": _choices(form, "reason", REASONS),
        "found": words.found_about(findings, _side(seat, cdrs)),
        "suggested": not draft.reason and chosen,
    }
    return _step(request, seat, "portal/dispute_reason.html", context, form)


REASONS = [(value, label, words.HELPS[value]) for value, label in Reason.choices]


def _side(seat: Seat, cdrs: Sequence[Cdr]) -> Side:
    return Side.SOLD if cdrs and cdrs[0].owner_id == seat.party.pk else Side.BOUGHT


def _choices(
    form: forms.Form, name: str, options: Sequence[tuple[str, Any, Any]]
) -> list[dict[str, Any]]:
    """Return radio buttons with what each means."""
    now = form[name].value()
    return [
        {
            "id": f"id_{name}_{place}",
            "value": value,
            "label": label,
            "hint": hint,
            "checked": value == now,
        }
        for place, (value, label, hint) in enumerate(options)
    ]


# What is asked for


@require_http_methods(["GET", "HEAD", "POST"])
@page(Area.DISPUTES, May.ACT)
def ask(request: HttpRequest, seat: Seat, draft_id: int) -> HttpResponse:
    """Ask what is wanted, why, and for what shows it; all that is typed is kept at once."""
    draft = draft_of(seat, draft_id)
    if draft.opened:
        return _sent(seat, draft)
    cdrs = drafting.visible(seat.party, draft.cdrs)
    by_cpo = _side(seat, cdrs) is Side.SOLD
    total = sum((cdr.total_excl_vat for cdr in cdrs), Decimal())
    proven = opening.asked_by_price(cdrs, by_cpo=by_cpo) if cdrs else None
    options = list(_options(by_cpo, total))
    form = _ask_form(request, draft, proven, [option[0] for option in options])
    if request.method == "POST":
        form.is_valid()
        _keep(request, draft, form)
        if form.is_valid() and not form.errors and "add" not in request.POST:
            return _to(seat, "portal_draft_check", draft)
    context = {
        "draft": draft,
        "form": form,
        "choices": _choices(form, "ask", options),
        "proven": proven,
        "total": total,
        "by_cpo": by_cpo,
        "currency": cdrs[0].currency if cdrs else "",
        "count": len(cdrs),
        "kept": list(draft.files.defer("content")),
    }
    return _step(request, seat, "portal/dispute_ask.html", context, form)


def _options(by_cpo: bool, total: Decimal) -> Iterator[tuple[str, Any, Any]]:
    if not by_cpo and total > 0:
        yield Ask.FULL, Ask.FULL.label, words.ASKS[Ask.FULL]
    if by_cpo or total > 0:
        yield Ask.CORRECTED, Ask.CORRECTED.label, words.corrected(by_cpo)
    yield Ask.EXPLANATION, Ask.EXPLANATION.label, words.ASKS[Ask.EXPLANATION]


def _ask_form(
    request: HttpRequest, draft: Draft, proven: Decimal | None, asks: Sequence[str]
) -> AskForm:
    amount = draft.amount if draft.amount is not None else proven
    usual = Ask.CORRECTED if proven is not None else ""
    initial: dict[str, Any] = {"ask": draft.ask or usual, "message": draft.message}
    if amount is not None:
        initial["amount"] = f"{amount.normalize():f}"
    return AskForm(request.POST or None, request.FILES or None, initial=initial, asks=asks)


def _keep(request: HttpRequest, draft: Draft, form: AskForm) -> None:
    """Keep what was typed, as far as it makes sense, and the files that are fine."""
    told = form.cleaned_data
    draft.ask = told.get("ask") or draft.ask
    draft.amount = told.get("amount") if "amount" in told else draft.amount
    draft.message = request.POST.get("message", "").replace("\x00", "")[:TEXT]
    draft.updated_at = timezone.now()
    draft.save(update_fields=["ask", "amount", "message", "updated_at"])
    staging.drop_unwanted(request, draft)
    staging.keep(form, draft)


def _step(
    request: HttpRequest, seat: Seat, template: str, context: dict[str, Any], form: forms.Form
) -> HttpResponse:
    status = 422 if form.errors else 200
    return show(request, seat, template, context, here=HERE, status=status)


# Check, and send


@require_http_methods(["GET", "HEAD", "POST"])
@page(Area.DISPUTES, May.ACT)
def check(request: HttpRequest, seat: Seat, draft_id: int) -> HttpResponse:
    """Show what would be opened, until when it is answered and what it holds; open it."""
    draft = draft_of(seat, draft_id)
    problem = ""
    if request.method == "POST" or draft.opened:
        try:
            drafting.send(draft, timezone.now())
        except CannotDispute as error:
            problem = str(error)
        else:
            return _sent(seat, draft_of(seat, draft_id))
    elif not draft.reason:
        return _to(seat, "portal_draft_reason", draft)
    elif not draft.ask or not draft.message.strip():
        return _to(seat, "portal_draft_ask", draft)
    return _checked(request, seat, draft, problem)


def _checked(request: HttpRequest, seat: Seat, draft: Draft, problem: str) -> HttpResponse:
    context: dict[str, Any] = {"draft": draft, "problem": problem}
    try:
        foreseen = drafting.foreseen(draft, timezone.now())
    except CannotDispute as error:
        context["problem"] = problem or str(error)
    else:
        context |= {
            "dispute": foreseen,
            "partner": foreseen.respondent,
            "consequence": telling.consequence(foreseen),
            "money_now": telling.money_now(foreseen),
        }
    files = list(draft.files.defer("content"))
    context["shared"] = [file for file in files if file.visible_to == Evidence.Audience.PARTIES]
    context["hub_only"] = [file for file in files if file.visible_to == Evidence.Audience.HUB]
    status = 422 if context["problem"] else 200
    return show(request, seat, "portal/dispute_check.html", context, here=HERE, status=status)


def _sent(seat: Seat, draft: Draft) -> HttpResponse:
    if draft.opened is None:
        raise Http404
    url = seat.url("portal_dispute_opened", reference=draft.opened.reference)
    return HttpResponseRedirect(url)


@require_POST
@page(Area.DISPUTES, May.ACT)
def drop(request: HttpRequest, seat: Seat, draft_id: int) -> HttpResponse:
    """Throw away what was begun and not sent."""
    draft = draft_of(seat, draft_id)
    if draft.opened is None:
        draft.delete()
    return HttpResponseRedirect(seat.url("portal_disputes"))
