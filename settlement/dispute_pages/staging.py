"""Files of an answer that is not sent yet: what was fine stays, whatever is wrong with the rest."""

from dataclasses import dataclass

from django import forms
from django.http import HttpRequest

from hub import portal
from parties.people.shell import Seat
from settlement.dispute_pages.forms import EvidenceForm
from settlement.disputes import drafting
from settlement.disputes.evidence import Upload
from settlement.disputes.moving import CannotDispute
from settlement.models import Dispute, Draft, DraftFile, Evidence


@dataclass
class Staged:
    """The files of an answer, and the draft that keeps them."""

    draft: Draft | None
    uploads: list[Upload]

    def drop(self) -> None:
        """Forget them: they are sent."""
        if self.draft is not None:
            self.draft.delete()


def taken(request: HttpRequest, form: forms.Form, found: Dispute, seat: Seat) -> Staged:
    """Keep the files that came with a form and are fine, and forget those that are not wanted."""
    form.is_valid()
    if not isinstance(form, EvidenceForm):
        return Staged(None, [])
    draft = drafting.answer_to(found, seat.party, seat.person)
    drop_unwanted(request, draft)
    keep(form, draft)
    return Staged(draft, drafting.uploads_of(draft))


def drop_unwanted(request: HttpRequest, draft: Draft) -> None:
    """Forget the files of a draft that are ticked for that."""
    unwanted = [portal.number(key) for key in request.POST.getlist("drop")]
    draft.files.filter(pk__in=unwanted).delete()


def keep(form: EvidenceForm, draft: Draft) -> None:
    """Keep the files that came with a form and are fine.

    "Only for the hub" is about them; where none came, about those that are kept already.
    """
    if form.cleaned_data.get("hub_only"):
        if not form.files.getlist("evidence"):
            draft.files.update(visible_to=Evidence.Audience.HUB)
        form.data = form.data.copy()  # type: ignore[attr-defined]
        del form.data["hub_only"]  # type: ignore[attr-defined]
    try:
        drafting.keep_files(draft, form.taken)
    except CannotDispute as error:
        form.add_error("evidence", str(error))


def kept(found: Dispute, seat: Seat) -> list[DraftFile]:
    """Return the files that are kept for a person's answer."""
    rows = DraftFile.objects.filter(draft__about=found, draft__person=seat.person)
    return list(rows.defer("content"))
