"""What each call of the interface takes and brings: the method tables of OCPI 2.2.1 as data.

The key of a call is its method and its path below /ocpi, without the version and with `{}` for
every parameter. Source: the sections "Interfaces and Endpoints" of the modules.
"""

from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from msgspec import Struct

from hub.ocpi import types


class Partial(NamedTuple):
    """Any members of an object, for a PATCH; `last_updated` is required."""

    kind: type[Struct]


class Operation(NamedTuple):
    """One call: what it is for, its body, the data of its answer, its query and headers.

    A list of an object is written as list[...], several possible objects as a tuple.
    """

    summary: str | Promise
    body: Any = None
    answer: Any = None
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()  # of the answer, beside those that every answer has
    creates: bool = False
    about: str | Promise = ""
    optional_body: bool = False


PAGE = ("date_from", "date_to", "received_from", "offset", "limit")
PAGED = ("X-Total-Count", "X-Limit", "Link")
RESULTS = (
    types.CommandResult,
    types.ActiveChargingProfileResult,
    types.ChargingProfileResult,
    types.ClearProfileResult,
)
_AS_OWNER = _("Only for the owner: the country code and party id must be yours.")
_LATER = _("The outcome comes later, to the response_url that you give.")


def _list(kind: type[Struct], summary: Promise) -> Operation:
    return Operation(summary, answer=list[kind], query=PAGE, headers=PAGED)  # type: ignore[valid-type]


def _one(kind: type[Struct], summary: Promise, *query: str) -> Operation:
    return Operation(summary, answer=kind, query=query)


def _put(kind: type[Struct], summary: Promise, *query: str) -> Operation:
    return Operation(summary, kind, query=query, creates=True, about=_AS_OWNER)


def _patch(kind: type[Struct], summary: Promise, *query: str) -> Operation:
    return Operation(summary, Partial(kind), query=query, about=_AS_OWNER)


def _pushed(module: str, kind: type[Struct], *query: str) -> dict[str, Operation]:
    """Return the calls that every client-owned module has."""
    own = f"receiver/{module}/{{}}/{{}}/{{}}"
    return {
        f"GET {own}": _one(kind, _("Read back what the hub holds of yours"), *query),
        f"PUT {own}": _put(kind, _("Create or replace one"), *query),
        f"GET sender/{module}": _list(kind, _("List what you may see, page by page")),
        f"GET sender/{module}/{{}}": _one(kind, _("Read one by its id"), *query),
    }


def _part(kind: type[Struct], depth: str) -> dict[str, Operation]:
    """Return the calls for a part of a location."""
    own = f"receiver/locations/{{}}/{{}}/{{}}{depth}"
    return {
        f"GET {own}": _one(kind, _("Read back a part of it")),
        f"PUT {own}": _put(kind, _("Add or replace a part of it")),
        f"PATCH {own}": _patch(kind, _("Change members of a part of it")),
        f"GET sender/locations/{{}}{depth}": _one(kind, _("Read a part of it")),
    }


_START: dict[str, Operation] = {
    "GET versions": Operation(
        _("List the versions that the hub speaks"), None, list[types.Version]
    ),
    "GET ": Operation(_("List the endpoints of a version"), answer=types.VersionDetails),
    "GET credentials": _one(types.Credentials, _("See the hub's credentials as you use them")),
    "POST credentials": Operation(
        _("Register"),
        types.Credentials,
        types.Credentials,
        about=_("With your registration token. The hub calls your versions URL before it answers."),
    ),
    "PUT credentials": Operation(
        _("Change your token, URL or roles"),
        types.Credentials,
        types.Credentials,
        about=_("Every PUT brings a new token; the old one works until you use the new one."),
    ),
    "DELETE credentials": Operation(_("Leave: both tokens end")),
}

_LOCATIONS: dict[str, Operation] = {
    **_pushed("locations", types.Location),
    "PATCH receiver/locations/{}/{}/{}": _patch(types.Location, _("Change members of one")),
    **_part(types.EVSE, "/{}"),
    **_part(types.Connector, "/{}/{}"),
}

_TARIFFS: dict[str, Operation] = {
    **_pushed("tariffs", types.Tariff),
    "DELETE receiver/tariffs/{}/{}/{}": Operation(_("End one, everywhere"), about=_AS_OWNER),
}

_SESSIONS: dict[str, Operation] = {
    **_pushed("sessions", types.Session),
    "PATCH receiver/sessions/{}/{}/{}": _patch(
        types.Session, _("Change members of one; charging periods are appended")
    ),
    "PUT sender/sessions/{}/charging_preferences": Operation(
        _("Tell the CPO what the driver prefers"),
        types.ChargingPreferences,
        types.ChargingPreferencesResponse,
    ),
}

_CDRS: dict[str, Operation] = {
    **{key: call for key, call in _pushed("cdrs", types.CDR).items() if not call.creates},
    "POST receiver/cdrs": Operation(
        _("Send one"),
        types.CDR,
        headers=("Location",),
        creates=True,
        about=_("A CDR is never changed: correct it by a credit CDR and a new one."),
    ),
}

_TOKENS: dict[str, Operation] = {
    **_pushed("tokens", types.Token, "type"),
    "PATCH receiver/tokens/{}/{}/{}": _patch(types.Token, _("Change members of one"), "type"),
    **dict.fromkeys(
        ("POST sender/tokens/{}/authorize", "POST sender/tokens/{}/{}/{}/authorize"),
        Operation(
            _("Ask the token's eMSP whether the driver may charge"),
            types.LocationReferences,
            types.AuthorizationInfo,
            query=("type",),
            optional_body=True,
        ),
    ),
}

COMMANDS = (
    types.StartSession,
    types.ReserveNow,
    types.CancelReservation,
    types.StopSession,
    types.UnlockConnector,
)
_COMMANDS: dict[str, Operation] = {
    "POST receiver/commands/{}": Operation(
        _("Send a command to a charge point"), COMMANDS, types.CommandResponse, about=_LATER
    ),
}

_PROFILES: dict[str, Operation] = {
    "GET receiver/chargingprofiles/{}": Operation(
        _("Ask for the active profile of a session"),
        answer=types.ChargingProfileResponse,
        query=("duration", "response_url"),
        about=_LATER,
    ),
    "PUT receiver/chargingprofiles/{}": Operation(
        _("Set the profile of a session"),
        types.SetChargingProfile,
        types.ChargingProfileResponse,
        about=_LATER,
    ),
    "DELETE receiver/chargingprofiles/{}": Operation(
        _("Clear the profile of a session"),
        answer=types.ChargingProfileResponse,
        query=("response_url",),
        about=_LATER,
    ),
    "PUT sender/chargingprofiles/{}": Operation(
        _("Tell that the active profile changed"), types.ActiveChargingProfile
    ),
}

_NETWORK: dict[str, Operation] = {
    "GET sender/hubclientinfo": _list(types.ClientInfo, _("List who is connected")),
    "POST callback/{}": Operation(
        _("Bring the result of a command or profile request"),
        RESULTS,
        about=_("The hub gave you this URL as response_url. It needs no Authorization."),
    ),
    "GET page/{}": Operation(
        _("Read the next page of another party's list"),
        answer=list[Any],
        headers=PAGED,
        about=_("The hub gave you this URL in a Link header."),
    ),
}

OPERATIONS: dict[str, Operation] = {
    **_START,
    **_LOCATIONS,
    **_TARIFFS,
    **_SESSIONS,
    **_CDRS,
    **_TOKENS,
    **_COMMANDS,
    **_PROFILES,
    **_NETWORK,
}

_SIMPLE = _("The short form of the onboarding guide; the owner is your own party.")
_SHORT: dict[str, Operation] = {
    key.replace("receiver/", "").replace("/{}/{}", "", 1): operation
    for module in (_LOCATIONS, _TARIFFS, _SESSIONS, _CDRS)
    for key, operation in module.items()
    if " receiver/" in key
}
QUICK_START = {key: operation._replace(about=_SIMPLE) for key, operation in _SHORT.items()}
