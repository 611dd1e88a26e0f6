"""OCPI 2.2.1, mod_locations."""

from typing import Annotated

from msgspec import Struct

from hub.ocpi.types.basic import (
    AT_LEAST_ONE,
    CiString4,
    CiString36,
    CiString48,
    Country,
    CountryCode,
    DateTime,
    DisplayText,
    Id36,
    Int5,
    Latitude,
    LocalTime,
    Longitude,
    Number,
    PartyId,
    String4,
    String10,
    String16,
    String45,
    String64,
    String100,
    String255,
    Url,
    Weekday,
)
from hub.ocpi.types.enums import (
    Capability,
    ConnectorFormat,
    ConnectorType,
    EnergySourceCategory,
    EnvironmentalImpactCategory,
    Facility,
    ImageCategory,
    ParkingRestriction,
    ParkingType,
    PowerType,
    Status,
    TokenType,
)


class GeoLocation(Struct, kw_only=True):
    """mod_locations, GeoLocation."""

    latitude: Latitude
    longitude: Longitude


class AdditionalGeoLocation(Struct, kw_only=True):
    """mod_locations, AdditionalGeoLocation."""

    latitude: Latitude
    longitude: Longitude
    name: DisplayText | None = None


class Image(Struct, kw_only=True):
    """mod_locations, Image."""

    url: Url
    thumbnail: Url | None = None
    category: ImageCategory
    type: CiString4
    width: Int5 | None = None
    height: Int5 | None = None


class BusinessDetails(Struct, kw_only=True):
    """mod_locations, BusinessDetails."""

    name: String100
    website: Url | None = None
    logo: Image | None = None


class EnergySource(Struct, kw_only=True):
    """mod_locations, EnergySource."""

    source: EnergySourceCategory
    percentage: Number


class EnvironmentalImpact(Struct, kw_only=True):
    """mod_locations, EnvironmentalImpact."""

    category: EnvironmentalImpactCategory
    amount: Number


class EnergyMix(Struct, kw_only=True):
    """mod_locations, EnergyMix."""

    is_green_energy: bool
    energy_sources: list[EnergySource] | None = None
    environ_impact: list[EnvironmentalImpact] | None = None
    supplier_name: String64 | None = None
    energy_product_name: String64 | None = None


class ExceptionalPeriod(Struct, kw_only=True):
    """mod_locations, ExceptionalPeriod."""

    period_begin: DateTime
    period_end: DateTime


class RegularHours(Struct, kw_only=True):
    """mod_locations, RegularHours."""

    weekday: Weekday
    period_begin: LocalTime
    period_end: LocalTime


class Hours(Struct, kw_only=True):
    """mod_locations, Hours."""

    twentyfourseven: bool
    regular_hours: list[RegularHours] | None = None
    exceptional_openings: list[ExceptionalPeriod] | None = None
    exceptional_closings: list[ExceptionalPeriod] | None = None


class PublishTokenType(Struct, kw_only=True):
    """mod_locations, PublishTokenType."""

    uid: CiString36 | None = None
    type: TokenType | None = None
    visual_number: String64 | None = None
    issuer: String64 | None = None
    group_id: CiString36 | None = None


class StatusSchedule(Struct, kw_only=True):
    """mod_locations, StatusSchedule."""

    period_begin: DateTime
    period_end: DateTime | None = None
    status: Status


class Connector(Struct, kw_only=True):
    """mod_locations, Connector."""

    id: Id36
    standard: ConnectorType
    format: ConnectorFormat
    power_type: PowerType
    max_voltage: int
    max_amperage: int
    max_electric_power: int | None = None
    tariff_ids: list[CiString36] | None = None
    terms_and_conditions: Url | None = None
    last_updated: DateTime


class EVSE(Struct, kw_only=True):
    """mod_locations, EVSE."""

    uid: Id36
    evse_id: CiString48 | None = None
    status: Status
    status_schedule: list[StatusSchedule] | None = None
    capabilities: list[Capability] | None = None
    connectors: Annotated[list[Connector], AT_LEAST_ONE]
    floor_level: String4 | None = None
    coordinates: GeoLocation | None = None
    physical_reference: String16 | None = None
    directions: list[DisplayText] | None = None
    parking_restrictions: list[ParkingRestriction] | None = None
    images: list[Image] | None = None
    last_updated: DateTime


class Location(Struct, kw_only=True):
    """mod_locations, Location."""

    country_code: CountryCode
    party_id: PartyId
    id: Id36
    publish: bool
    publish_allowed_to: list[PublishTokenType] | None = None
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    related_locations: list[AdditionalGeoLocation] | None = None
    parking_type: ParkingType | None = None
    evses: list[EVSE] | None = None
    directions: list[DisplayText] | None = None
    operator: BusinessDetails | None = None
    suboperator: BusinessDetails | None = None
    owner: BusinessDetails | None = None
    facilities: list[Facility] | None = None
    time_zone: String255
    opening_times: Hours | None = None
    charging_when_closed: bool | None = None
    images: list[Image] | None = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime
