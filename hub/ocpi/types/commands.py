"""OCPI 2.2.1, mod_commands."""

from msgspec import Struct

from hub.ocpi.types.basic import CiString36, DateTime, DisplayText, Id36, Url
from hub.ocpi.types.enums import CommandResponseType, CommandResultType
from hub.ocpi.types.tokens import Token


class CancelReservation(Struct, kw_only=True):
    """mod_commands, CancelReservation."""

    response_url: Url
    reservation_id: Id36


class ReserveNow(Struct, kw_only=True):
    """mod_commands, ReserveNow."""

    response_url: Url
    token: Token
    expiry_date: DateTime
    reservation_id: Id36
    location_id: Id36
    evse_uid: Id36 | None = None
    authorization_reference: CiString36 | None = None


class StartSession(Struct, kw_only=True):
    """mod_commands, StartSession."""

    response_url: Url
    token: Token
    location_id: Id36
    evse_uid: Id36 | None = None
    connector_id: Id36 | None = None
    authorization_reference: CiString36 | None = None


class StopSession(Struct, kw_only=True):
    """mod_commands, StopSession."""

    response_url: Url
    session_id: Id36


class UnlockConnector(Struct, kw_only=True):
    """mod_commands, UnlockConnector."""

    response_url: Url
    location_id: Id36
    evse_uid: Id36
    connector_id: Id36


class CommandResponse(Struct, kw_only=True):
    """mod_commands, CommandResponse."""

    result: CommandResponseType
    timeout: int
    message: list[DisplayText] | None = None


class CommandResult(Struct, kw_only=True):
    """mod_commands, CommandResult."""

    result: CommandResultType
    message: list[DisplayText] | None = None
