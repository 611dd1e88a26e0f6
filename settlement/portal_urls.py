"""The portal's pages about money."""

from django.urls import path

from settlement import pages, payout_pages, statement_pages
from settlement.dispute_pages.urls import urlpatterns as disputes

urlpatterns = [
    *disputes,
    path("<party:code>/preview/", pages.preview, name="portal_preview"),
    path("<party:code>/documents/", pages.documents, name="portal_documents"),
    path("<party:code>/documents/<int:document_id>/", pages.document, name="portal_document"),
    path(
        "<party:code>/documents/<int:document_id>/files/<str:kind>",
        pages.document_file,
        name="portal_document_file",
    ),
    path("<party:code>/statements/", statement_pages.listing, name="portal_statements"),
    path(
        "<party:code>/statements/<int:statement_id>/",
        statement_pages.statement,
        name="portal_statement",
    ),
    path(
        "<party:code>/statements/<int:statement_id>/approve/",
        statement_pages.approve,
        name="portal_statement_approve",
    ),
    path(
        "<party:code>/statements/<int:statement_id>/object/",
        statement_pages.object_to,
        name="portal_statement_object",
    ),
    path("<party:code>/payouts/", payout_pages.payouts, name="portal_payouts"),
    path("<party:code>/payouts/<int:payout_id>/", payout_pages.payout, name="portal_payout"),
    path(
        "<party:code>/payouts/<int:payout_id>/lines.csv",
        payout_pages.advice,
        name="portal_payout_advice",
    ),
]
