"""What is mounted where; apps are named in strings only."""

from django.contrib import admin
from django.urls import include, path, re_path, register_converter

from hub import health, pages, scraping, styleguide
from hub.portal import PartyCode

register_converter(PartyCode, "party")

handler500 = "hub.pages.server_error"

admin.autodiscover()
urlpatterns = [
    path("", pages.developers, name="developers"),
    path("developers/reference/", pages.api_reference, name="reference"),
    path("developers/reference/openapi.json", pages.openapi_document, name="openapi"),
    re_path(r"^ocpi/", include("locations.urls")),
    re_path(r"^ocpi/", include("cdrs.urls")),
    re_path(r"^ocpi/?", include("parties.urls")),  # last: it answers for what is not there
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("app/", include("settlement.portal_urls")),
    path("app/", include("cdrs.portal_urls")),
    path("app/", include("parties.people.urls")),
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
    path("metrics", scraping.page, name="metrics"),
    path("admin/", admin.site.urls),
]
