"""The page of one dispute, its messages and its files."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from cdrs.models import Cdr
from hub import portal
from parties.people import trail
from parties.people.access import Area, May
from parties.people.shell import Seat, page, show
from settlement.dispute_pages import staging
from settlement.dispute_pages.deeds import offered_to
from settlement.dispute_pages.facts import dispute_of, events_of, evidence_of, facts, items_of
from settlement.dispute_pages.forms import SayForm
from settlement.disputes import answering, evidence, files, sealing
from settlement.disputes.evidence import Upload
from settlement.disputes.moving import CannotDispute, Kind, locked
from settlement.models import Dispute, Evidence

CDRS = 25  # on a page
AGAIN = dt.timedelta(minutes=2)  # in which the same words are the same message


@require_safe
@page(Area.DISPUTES)
def dispute(request: HttpRequest, seat: Seat, reference: str) -> HttpResponse:
    """Show one dispute."""
    return _case(request, seat, dispute_of(seat, reference), SayForm())


def _case(
    request: HttpRequest, seat: Seat, found: Dispute, form: SayForm, status: int = 200
) -> HttpResponse:
    may_act = seat.may(Area.DISPUTES, May.ACT)
    shown = Paginator(found.items.order_by("pk"), CDRS).get_page(request.GET.get("cdrs"))
    context = {
        **facts(found, seat.party),
        "items": items_of(shown),
        "page": shown,
        "events": events_of(found, seat.party),
        "evidence": evidence_of(found, seat.party),
        "abouts": Evidence.About.choices if may_act and not found.is_over else [],
        "deeds": offered_to(found, seat.party) if may_act else [],
        "may_say": may_act and (not found.is_over or form.is_bound),
        "form": form,
        "kept": staging.kept(found, seat),
    }
    return show(
        request, seat, "portal/dispute.html", context, here="portal_disputes", status=status
    )


@require_safe
@page(Area.DISPUTES, May.ACT)
def opened(request: HttpRequest, seat: Seat, reference: str) -> HttpResponse:
    """Confirm that a dispute is opened: its reference, what happens next, and to the money."""
    found = dispute_of(seat, reference)
    if found.claimant_id != seat.party.pk:
        raise Http404
    context = facts(found, seat.party)
    return show(request, seat, "portal/dispute_opened.html", context, here="portal_disputes")


@require_POST
@page(Area.DISPUTES, May.ACT)
def say(request: HttpRequest, seat: Seat, reference: str) -> HttpResponse:
    """Say something, with files; or add files alone. Sent twice it is said once."""
    found = dispute_of(seat, reference)
    form = SayForm(request.POST, request.FILES)
    staged = staging.taken(request, form, found, seat)
    if not form.is_valid():
        return _case(request, seat, found, form, status=422)
    try:
        _said(found, seat, form.cleaned_data, staged.uploads)
    except CannotDispute as error:
        form.add_error(None, str(error))
        return _case(request, seat, found, form, status=422)
    staged.drop()
    messages.success(request, _("It is sent: %s has got it.") % found.other(seat.party).name)
    return HttpResponseRedirect(seat.url("portal_dispute", reference=reference) + "#timeline")


@transaction.atomic
def _said(found: Dispute, seat: Seat, told: dict[str, Any], uploads: Sequence[Upload]) -> None:
    now, text = timezone.now(), told["message"].strip()
    if not text:
        evidence.add(found, seat.party, seat.person, uploads, now)
        return
    kind = Kind.QUESTION if told["question"] else Kind.MESSAGE
    before = locked(found).events.filter(kind=kind, person=seat.person, text=text)
    if before.filter(at__gte=now - AGAIN).exists():
        if more := evidence.unsent(found, seat.party, uploads):
            evidence.add(found, seat.party, seat.person, more, now)
        return
    answering.say(
        found, seat.party, text, seat.person, now, question=told["question"], files=uploads
    )


@require_POST
@page(Area.DISPUTES, May.ACT)
def seal(request: HttpRequest, seat: Seat, reference: str) -> HttpResponse:
    """Have the hub add what it knows about a CDR, sealed."""
    found = dispute_of(seat, reference)
    key = portal.number(request.POST.get("cdr", ""))
    cdr = Cdr.objects.filter(disputed__dispute=found, pk=key).first()
    if cdr is None:
        raise Http404
    try:
        made = sealing.seal(
            found, request.POST.get("about", ""), cdr, timezone.now(),
            party=seat.party, person=seat.person,
        )  # fmt: skip
    except CannotDispute as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%s is added, sealed by the hub.") % made.name)
    return HttpResponseRedirect(seat.url("portal_dispute", reference=reference) + "#evidence")


@require_safe
@page(Area.DISPUTES)
def evidence_file(
    request: HttpRequest, seat: Seat, reference: str, evidence_id: int
) -> HttpResponse:
    """Hand out a file that was scanned, and note that."""
    rows = Evidence.objects.visible_to(seat.party).filter(state=Evidence.State.CLEAN)
    file = rows.filter(dispute=dispute_of(seat, reference), pk=evidence_id).first()
    if file is None:
        raise Http404
    trail.note(
        seat.party, Area.DISPUTES, "downloaded", person=seat.person, subject=file.name,
        request=request, sha256=file.sha256,
    )  # fmt: skip
    kind = files.CONTENT_TYPES[Evidence.Type(file.type)]
    return portal.attachment(bytes(file.content), file.name, kind)
