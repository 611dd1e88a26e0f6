"""The portal's pages about money."""

from django.urls import path

from settlement import pages
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
]
