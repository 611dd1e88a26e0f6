"""OCPI 2.2.1, mod_charging_profiles."""

from msgspec import Struct

from hub.ocpi.types.basic import DateTime, Number, Url
from hub.ocpi.types.enums import (
    ChargingProfileResponseType,
    ChargingProfileResultType,
    ChargingRateUnit,
)


class ChargingProfilePeriod(Struct, kw_only=True):
    """mod_charging_profiles, ChargingProfilePeriod."""

    start_period: int
    limit: Number


class ChargingProfile(Struct, kw_only=True):
    """mod_charging_profiles, ChargingProfile."""

    start_date_time: DateTime | None = None
    duration: int | None = None
    charging_rate_unit: ChargingRateUnit
    min_charging_rate: Number | None = None
    charging_profile_period: list[ChargingProfilePeriod] | None = None


class ActiveChargingProfile(Struct, kw_only=True):
    """mod_charging_profiles, ActiveChargingProfile."""

    start_date_time: DateTime
    charging_profile: ChargingProfile


class SetChargingProfile(Struct, kw_only=True):
    """mod_charging_profiles, SetChargingProfile."""

    charging_profile: ChargingProfile
    response_url: Url


class ChargingProfileResponse(Struct, kw_only=True):
    """mod_charging_profiles, ChargingProfileResponse."""

    result: ChargingProfileResponseType
    timeout: int


class ActiveChargingProfileResult(Struct, kw_only=True):
    """mod_charging_profiles, ActiveChargingProfileResult."""

    result: ChargingProfileResultType
    profile: ActiveChargingProfile | None = None


class ChargingProfileResult(Struct, kw_only=True):
    """mod_charging_profiles, ChargingProfileResult."""

    result: ChargingProfileResultType


class ClearProfileResult(Struct, kw_only=True):
    """mod_charging_profiles, ClearProfileResult."""

    result: ChargingProfileResultType
