"""OCPI 2.2.1, mod_sessions."""

from msgspec import Struct

from hub.ocpi.types.basic import (
    CiString36,
    CountryCode,
    Currency,
    DateTime,
    Id36,
    Number,
    PartyId,
    Price,
    String255,
)
from hub.ocpi.types.cdrs import CdrToken, ChargingPeriod
from hub.ocpi.types.enums import AuthMethod, ProfileType, SessionStatus


class Session(Struct, kw_only=True):
    """mod_sessions, Session."""

    country_code: CountryCode
    party_id: PartyId
    id: Id36
    start_date_time: DateTime
    end_date_time: DateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    location_id: Id36
    evse_uid: Id36
    connector_id: Id36
    meter_id: String255 | None = None
    currency: Currency
    charging_periods: list[ChargingPeriod] | None = None
    total_cost: Price | None = None
    status: SessionStatus
    last_updated: DateTime


class ChargingPreferences(Struct, kw_only=True):
    """mod_sessions, ChargingPreferences."""

    profile_type: ProfileType
    departure_time: DateTime | None = None
    energy_need: Number | None = None
    discharge_allowed: bool | None = None
