"""The wire types of OCPI 2.2.1: every object with its fields in the order of the specification.

They are the one source for validation (see `validation.py`): a field's presence, type, length and
allowed values are read from here. Lengths follow the errata of May 2026 (address 255, state 45);
a coordinate may be as long as its pattern, one more than the length given beside it.
"""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

_ASCII = "^[ -~]*$"
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
AT_LEAST_ONE = Meta(min_length=1)

# Basic types
CiString4 = Annotated[str, Meta(min_length=1, max_length=4, pattern=_ASCII)]
CiString32 = Annotated[str, Meta(min_length=1, max_length=32, pattern=_ASCII)]
CiString36 = Annotated[str, Meta(min_length=1, max_length=36, pattern=_ASCII)]
CiString39 = Annotated[str, Meta(min_length=1, max_length=39, pattern=_ASCII)]
CiString48 = Annotated[str, Meta(min_length=1, max_length=48, pattern=_ASCII)]
String2 = Annotated[str, Meta(max_length=2, pattern=_NO_CONTROLS)]
String4 = Annotated[str, Meta(max_length=4, pattern=_NO_CONTROLS)]
String10 = Annotated[str, Meta(max_length=10, pattern=_NO_CONTROLS)]
String16 = Annotated[str, Meta(max_length=16, pattern=_NO_CONTROLS)]
String45 = Annotated[str, Meta(max_length=45, pattern=_NO_CONTROLS)]
String64 = Annotated[str, Meta(max_length=64, pattern=_NO_CONTROLS)]
String100 = Annotated[str, Meta(max_length=100, pattern=_NO_CONTROLS)]
String255 = Annotated[str, Meta(max_length=255, pattern=_NO_CONTROLS)]
String512 = Annotated[str, Meta(max_length=512, pattern=_NO_CONTROLS)]
String5000 = Annotated[str, Meta(max_length=5000, pattern=_NO_CONTROLS)]
CountryCode = Annotated[str, Meta(pattern="^[A-Za-z]{2}$")]
PartyId = Annotated[str, Meta(pattern="^[A-Za-z0-9]{3}$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
CredentialsToken = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[!-~]+$")]
Url = Annotated[str, Meta(min_length=1, max_length=255, pattern="^[!-~]+$")]
DateTime = Annotated[
    str, Meta(max_length=25, pattern=r"^\d{4}-\d{1,2}-\d{1,2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z?$")
]
Number = Decimal
Latitude = Annotated[str, Meta(max_length=11, pattern=r"^-?\d{1,2}\.\d{5,7}$")]
Longitude = Annotated[str, Meta(max_length=12, pattern=r"^-?\d{1,3}\.\d{5,7}$")]
LocalTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
LocalDate = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Weekday = Annotated[int, Meta(ge=1, le=7)]

# Enumerations
AuthMethod = Literal[
    "AUTH_REQUEST",
    "COMMAND",
    "WHITELIST",
]
Capability = Literal[
    "CHARGING_PROFILE_CAPABLE",
    "CHARGING_PREFERENCES_CAPABLE",
    "CHIP_CARD_SUPPORT",
    "CONTACTLESS_CARD_SUPPORT",
    "CREDIT_CARD_PAYABLE",
    "DEBIT_CARD_PAYABLE",
    "PED_TERMINAL",
    "REMOTE_START_STOP_CAPABLE",
    "RESERVABLE",
    "RFID_READER",
    "START_SESSION_CONNECTOR_REQUIRED",
    "TOKEN_GROUP_CAPABLE",
    "UNLOCK_CAPABLE",
]
CdrDimensionType = Literal[
    "CURRENT",
    "ENERGY",
    "ENERGY_EXPORT",
    "ENERGY_IMPORT",
    "MAX_CURRENT",
    "MIN_CURRENT",
    "MAX_POWER",
    "MIN_POWER",
    "PARKING_TIME",
    "POWER",
    "RESERVATION_TIME",
    "STATE_OF_CHARGE",
    "TIME",
]
ConnectorFormat = Literal[
    "SOCKET",
    "CABLE",
]
ConnectorType = Literal[
    "CHADEMO",
    "CHAOJI",
    "DOMESTIC_A",
    "DOMESTIC_B",
    "DOMESTIC_C",
    "DOMESTIC_D",
    "DOMESTIC_E",
    "DOMESTIC_F",
    "DOMESTIC_G",
    "DOMESTIC_H",
    "DOMESTIC_I",
    "DOMESTIC_J",
    "DOMESTIC_K",
    "DOMESTIC_L",
    "DOMESTIC_M",
    "DOMESTIC_N",
    "DOMESTIC_O",
    "GBT_AC",
    "GBT_DC",
    "IEC_60309_2_single_16",
    "IEC_60309_2_three_16",
    "IEC_60309_2_three_32",
    "IEC_60309_2_three_64",
    "IEC_62196_T1",
    "IEC_62196_T1_COMBO",
    "IEC_62196_T2",
    "IEC_62196_T2_COMBO",
    "IEC_62196_T3A",
    "IEC_62196_T3C",
    "NEMA_5_20",
    "NEMA_6_30",
    "NEMA_6_50",
    "NEMA_10_30",
    "NEMA_10_50",
    "NEMA_14_30",
    "NEMA_14_50",
    "PANTOGRAPH_BOTTOM_UP",
    "PANTOGRAPH_TOP_DOWN",
    "TESLA_R",
    "TESLA_S",
]
DayOfWeek = Literal[
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
]
EnergySourceCategory = Literal[
    "NUCLEAR",
    "GENERAL_FOSSIL",
    "COAL",
    "GAS",
    "GENERAL_GREEN",
    "SOLAR",
    "WIND",
    "WATER",
]
EnvironmentalImpactCategory = Literal[
    "NUCLEAR_WASTE",
    "CARBON_DIOXIDE",
]
Facility = Literal[
    "HOTEL",
    "RESTAURANT",
    "CAFE",
    "MALL",
    "SUPERMARKET",
    "SPORT",
    "RECREATION_AREA",
    "NATURE",
    "MUSEUM",
    "BIKE_SHARING",
    "BUS_STOP",
    "TAXI_STAND",
    "TRAM_STOP",
    "METRO_STATION",
    "TRAIN_STATION",
    "AIRPORT",
    "PARKING_LOT",
    "CARPOOL_PARKING",
    "FUEL_STATION",
    "WIFI",
]
ImageCategory = Literal[
    "CHARGER",
    "ENTRANCE",
    "LOCATION",
    "NETWORK",
    "OPERATOR",
    "OTHER",
    "OWNER",
]
InterfaceRole = Literal[
    "SENDER",
    "RECEIVER",
]
ModuleID = Literal[
    "cdrs",
    "chargingprofiles",
    "commands",
    "credentials",
    "hubclientinfo",
    "locations",
    "sessions",
    "tariffs",
    "tokens",
]
ParkingRestriction = Literal[
    "EV_ONLY",
    "PLUGGED",
    "DISABLED",
    "CUSTOMERS",
    "MOTORCYCLES",
]
ParkingType = Literal[
    "ALONG_MOTORWAY",
    "PARKING_GARAGE",
    "PARKING_LOT",
    "ON_DRIVEWAY",
    "ON_STREET",
    "UNDERGROUND_GARAGE",
]
PowerType = Literal[
    "AC_1_PHASE",
    "AC_2_PHASE",
    "AC_2_PHASE_SPLIT",
    "AC_3_PHASE",
    "DC",
]
ProfileType = Literal[
    "CHEAP",
    "FAST",
    "GREEN",
    "REGULAR",
]
ReservationRestrictionType = Literal[
    "RESERVATION",
    "RESERVATION_EXPIRES",
]
Role = Literal[
    "CPO",
    "EMSP",
    "HUB",
    "NAP",
    "NSP",
    "OTHER",
    "SCSP",
]
SessionStatus = Literal[
    "ACTIVE",
    "COMPLETED",
    "INVALID",
    "PENDING",
    "RESERVATION",
]
Status = Literal[
    "AVAILABLE",
    "BLOCKED",
    "CHARGING",
    "INOPERATIVE",
    "OUTOFORDER",
    "PLANNED",
    "REMOVED",
    "RESERVED",
    "UNKNOWN",
]
TariffDimensionType = Literal[
    "ENERGY",
    "FLAT",
    "PARKING_TIME",
    "TIME",
]
TariffType = Literal[
    "AD_HOC_PAYMENT",
    "PROFILE_CHEAP",
    "PROFILE_FAST",
    "PROFILE_GREEN",
    "REGULAR",
]
TokenType = Literal[
    "AD_HOC_USER",
    "APP_USER",
    "OTHER",
    "RFID",
]
VersionNumber = Literal[
    "2.0",
    "2.1",
    "2.1.1",
    "2.2",
    "2.2.1",
]
WhitelistType = Literal[
    "ALWAYS",
    "ALLOWED",
    "ALLOWED_OFFLINE",
    "NEVER",
]

# Common types


class DisplayText(Struct, kw_only=True):
    """types, DisplayText."""

    language: String2
    text: String512


class Price(Struct, kw_only=True):
    """types, Price."""

    excl_vat: Number
    incl_vat: Number | None = None


# Versions and credentials


class Version(Struct, kw_only=True):
    """version_information_endpoint, Version."""

    version: VersionNumber
    url: Url


class Endpoint(Struct, kw_only=True):
    """version_information_endpoint, Endpoint."""

    identifier: ModuleID
    role: InterfaceRole
    url: Url


class VersionDetails(Struct, kw_only=True):
    """version_information_endpoint, VersionDetails."""

    version: VersionNumber
    endpoints: Annotated[list[Endpoint], AT_LEAST_ONE]


class Image(Struct, kw_only=True):
    """mod_locations, Image."""

    url: Url
    thumbnail: Url | None = None
    category: ImageCategory
    type: CiString4
    width: int | None = None
    height: int | None = None


class BusinessDetails(Struct, kw_only=True):
    """mod_locations, BusinessDetails."""

    name: String100
    website: Url | None = None
    logo: Image | None = None


class CredentialsRole(Struct, kw_only=True):
    """credentials, CredentialsRole."""

    role: Role
    business_details: BusinessDetails
    party_id: PartyId
    country_code: CountryCode


class Credentials(Struct, kw_only=True):
    """credentials, Credentials."""

    token: CredentialsToken
    url: Url
    roles: Annotated[list[CredentialsRole], AT_LEAST_ONE]


# Locations


class GeoLocation(Struct, kw_only=True):
    """mod_locations, GeoLocation."""

    latitude: Latitude
    longitude: Longitude


class AdditionalGeoLocation(Struct, kw_only=True):
    """mod_locations, AdditionalGeoLocation."""

    latitude: Latitude
    longitude: Longitude
    name: DisplayText | None = None


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

    id: CiString36
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

    uid: CiString36
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
    id: CiString36
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


# Tariffs


class PriceComponent(Struct, kw_only=True):
    """mod_tariffs, PriceComponent."""

    type: TariffDimensionType
    price: Number
    vat: Number | None = None
    step_size: int


class TariffRestrictions(Struct, kw_only=True):
    """mod_tariffs, TariffRestrictions."""

    start_time: LocalTime | None = None
    end_time: LocalTime | None = None
    start_date: LocalDate | None = None
    end_date: LocalDate | None = None
    min_kwh: Number | None = None
    max_kwh: Number | None = None
    min_current: Number | None = None
    max_current: Number | None = None
    min_power: Number | None = None
    max_power: Number | None = None
    min_duration: int | None = None
    max_duration: int | None = None
    day_of_week: list[DayOfWeek] | None = None
    reservation: ReservationRestrictionType | None = None


class TariffElement(Struct, kw_only=True):
    """mod_tariffs, TariffElement."""

    price_components: Annotated[list[PriceComponent], AT_LEAST_ONE]
    restrictions: TariffRestrictions | None = None


class Tariff(Struct, kw_only=True):
    """mod_tariffs, Tariff."""

    country_code: CountryCode
    party_id: PartyId
    id: CiString36
    currency: Currency
    type: TariffType | None = None
    tariff_alt_text: list[DisplayText] | None = None
    tariff_alt_url: Url | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    elements: Annotated[list[TariffElement], AT_LEAST_ONE]
    start_date_time: DateTime | None = None
    end_date_time: DateTime | None = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime


# Tokens


class EnergyContract(Struct, kw_only=True):
    """mod_tokens, EnergyContract."""

    supplier_name: String64
    contract_id: String64 | None = None


class Token(Struct, kw_only=True):
    """mod_tokens, Token."""

    country_code: CountryCode
    party_id: PartyId
    uid: CiString36
    type: TokenType
    contract_id: CiString36
    visual_number: String64 | None = None
    issuer: String64
    group_id: CiString36 | None = None
    valid: bool
    whitelist: WhitelistType
    language: String2 | None = None
    default_profile_type: ProfileType | None = None
    energy_contract: EnergyContract | None = None
    last_updated: DateTime


# Sessions


class CdrDimension(Struct, kw_only=True):
    """mod_cdrs, CdrDimension."""

    type: CdrDimensionType
    volume: Number


class CdrToken(Struct, kw_only=True):
    """mod_cdrs, CdrToken."""

    country_code: CountryCode
    party_id: PartyId
    uid: CiString36
    type: TokenType
    contract_id: CiString36


class ChargingPeriod(Struct, kw_only=True):
    """mod_cdrs, ChargingPeriod."""

    start_date_time: DateTime
    dimensions: Annotated[list[CdrDimension], AT_LEAST_ONE]
    tariff_id: CiString36 | None = None


class Session(Struct, kw_only=True):
    """mod_sessions, Session."""

    country_code: CountryCode
    party_id: PartyId
    id: CiString36
    start_date_time: DateTime
    end_date_time: DateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    location_id: CiString36
    evse_uid: CiString36
    connector_id: CiString36
    meter_id: String255 | None = None
    currency: Currency
    charging_periods: list[ChargingPeriod] | None = None
    total_cost: Price | None = None
    status: SessionStatus
    last_updated: DateTime


# CDRs


class CdrLocation(Struct, kw_only=True):
    """mod_cdrs, CdrLocation."""

    id: CiString36
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    evse_uid: CiString36
    evse_id: CiString48
    connector_id: CiString36
    connector_standard: ConnectorType
    connector_format: ConnectorFormat
    connector_power_type: PowerType


class SignedValue(Struct, kw_only=True):
    """mod_cdrs, SignedValue."""

    nature: CiString32
    plain_data: String5000
    signed_data: String5000


class SignedData(Struct, kw_only=True):
    """mod_cdrs, SignedData."""

    encoding_method: CiString36
    encoding_method_version: int | None = None
    public_key: String512 | None = None
    signed_values: Annotated[list[SignedValue], AT_LEAST_ONE]
    url: String512 | None = None


class CDR(Struct, kw_only=True):
    """mod_cdrs, CDR."""

    country_code: CountryCode
    party_id: PartyId
    id: CiString39
    start_date_time: DateTime
    end_date_time: DateTime
    session_id: CiString36 | None = None
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    cdr_location: CdrLocation
    meter_id: String255 | None = None
    currency: Currency
    tariffs: list[Tariff] | None = None
    charging_periods: Annotated[list[ChargingPeriod], AT_LEAST_ONE]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number
    total_energy_cost: Price | None = None
    total_time: Number
    total_time_cost: Price | None = None
    total_parking_time: Number | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: String255 | None = None
    invoice_reference_id: CiString39 | None = None
    credit: bool | None = None
    credit_reference_id: CiString39 | None = None
    home_charging_compensation: bool | None = None
    last_updated: DateTime
