"""The portal's pages about CDRs."""

from django.urls import path

from cdrs import pages

urlpatterns = [
    path("<party:code>/cdrs/", pages.cdrs, name="portal_cdrs"),
    path("<party:code>/cdrs/export.csv", pages.export, name="portal_cdrs_export"),
    path("<party:code>/cdrs/held/", pages.held, name="portal_held"),
    path("<party:code>/cdrs/<int:cdr_id>/", pages.cdr, name="portal_cdr"),
]
