"""The addresses of the resolution centre."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from settlement.dispute_pages import answering, case, listing, opening


class Reference(StringConverter):
    """The reference of a dispute in an address: D-2024-000123."""

    regex = "D-[0-9]{4}-[0-9]{6,10}"


register_converter(Reference, "reference")

HOME = "<party:code>/disputes/"
DRAFT = f"{HOME}drafts/<int:draft_id>/"
CASE = f"{HOME}<reference:reference>/"

urlpatterns = [
    path(HOME, listing.disputes, name="portal_disputes"),
    path(f"{HOME}export.csv", listing.export, name="portal_disputes_export"),
    path(f"{HOME}new/", opening.new, name="portal_dispute_new"),
    path(f"{DRAFT}reason/", opening.reason, name="portal_draft_reason"),
    path(f"{DRAFT}ask/", opening.ask, name="portal_draft_ask"),
    path(f"{DRAFT}check/", opening.check, name="portal_draft_check"),
    path(f"{DRAFT}drop/", opening.drop, name="portal_draft_drop"),
    path(CASE, case.dispute, name="portal_dispute"),
    path(f"{CASE}opened/", case.opened, name="portal_dispute_opened"),
    path(f"{CASE}say/", case.say, name="portal_dispute_say"),
    path(f"{CASE}seal/", case.seal, name="portal_dispute_seal"),
    path(f"{CASE}evidence/<int:evidence_id>/", case.evidence_file, name="portal_evidence"),
    path(f"{CASE}<str:name>/", answering.answer, name="portal_dispute_answer"),
]
