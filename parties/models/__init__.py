"""Platforms, parties and people; what they own, what they are owed, what was said."""

from parties.models.deliveries import Delivery, Tally
from parties.models.errands import Errand, FarPage
from parties.models.inspections import Inspection
from parties.models.journal import Exchange, Quirk
from parties.models.letters import Letter
from parties.models.network import (
    Dialect,
    Endpoint,
    Key,
    Party,
    Pause,
    Platform,
    Role,
    RoleQuerySet,
)
from parties.models.owned import ClientInfo, OwnedObject, OwnedObjectQuerySet
from parties.models.people import Access, Invitation, Membership, User, UserManager
from parties.models.pulls import Pull
from parties.models.trail import NOTHING, TrailEntry, TrailHead

__all__ = [
    "NOTHING",
    "Access",
    "ClientInfo",
    "Delivery",
    "Dialect",
    "Endpoint",
    "Errand",
    "Exchange",
    "FarPage",
    "Inspection",
    "Invitation",
    "Key",
    "Letter",
    "Membership",
    "OwnedObject",
    "OwnedObjectQuerySet",
    "Party",
    "Pause",
    "Platform",
    "Pull",
    "Quirk",
    "Role",
    "RoleQuerySet",
    "Tally",
    "TrailEntry",
    "TrailHead",
    "User",
    "UserManager",
]
