"""Who may see and do what at a party: one table."""

from enum import IntEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

from parties.models import Access


class Area(models.TextChoices):
    """A part of the portal."""

    CREDENTIALS = "credentials", _("Credentials")
    MESSAGES = "messages", _("Messages")
    NETWORK = "network", _("Locations, tariffs, sessions")
    CDRS = "cdrs", _("CDRs")
    DISPUTES = "disputes", _("Disputes")
    PAPERS = "papers", _("Statements, invoices, payouts")
    BANK = "bank", _("Bank details")
    PEOPLE = "people", _("People")
    TRAIL = "trail", _("Audit trail")


class May(IntEnum):
    """How much: nothing, look, look and act."""

    NOTHING = 0
    READ = 1
    ACT = 2


_LEVELS = {"-": May.NOTHING, "R": May.READ, "W": May.ACT}
_COLUMNS = (Access.OWNER, Access.DEVELOPER, Access.FINANCE, Access.OPERATIONS, Access.VIEWER)
# fmt: off
_TABLE = {  #       Owner  Developer  Finance  Operations  Viewer
    Area.CREDENTIALS: "W       W         -         -          -",
    Area.MESSAGES:    "W       W         -         R          R",
    Area.NETWORK:     "R       R         R         W          R",
    Area.CDRS:        "R       R         R         R          R",
    Area.DISPUTES:    "W       -         W         W          R",
    Area.PAPERS:      "R       -         W         -          R",
    Area.BANK:        "W       -         W         -          -",
    Area.PEOPLE:      "W       -         -         -          -",
    Area.TRAIL:       "R       R         R         R          -",
}
# fmt: on
MATRIX: dict[Area, dict[Access, May]] = {
    area: dict(zip(_COLUMNS, (_LEVELS[cell] for cell in row.split()), strict=True))
    for area, row in _TABLE.items()
}


def level(access: str, area: str) -> May:
    """Return how much an access may do in an area."""
    return MATRIX[Area(area)][Access(access)]


def own_areas(access: str) -> list[Area]:
    """Return the areas whose part of the audit trail an access sees: an owner's are all.

    Others see what was done where they may act themselves.
    """
    if access == Access.OWNER:
        return list(Area)
    return [area for area in Area if level(access, area) == May.ACT]
