"""OCPI 2.2.1, mod_cdrs."""

from typing import Annotated

from msgspec import Struct

from hub.ocpi.types.basic import (
    AT_LEAST_ONE,
    CiString32,
    CiString36,
    CiString39,
    CiString48,
    Country,
    CountryCode,
    Currency,
    DateTime,
    Id36,
    Id39,
    Number,
    PartyId,
    Price,
    String10,
    String45,
    String255,
    String512,
    Verbatim512,
    Verbatim5000,
)
from hub.ocpi.types.enums import (
    AuthMethod,
    CdrDimensionType,
    ConnectorFormat,
    ConnectorType,
    PowerType,
    TokenType,
)
from hub.ocpi.types.locations import GeoLocation
from hub.ocpi.types.tariffs import Tariff


class CdrDimension(Struct, kw_only=True):
    """mod_cdrs, CdrDimension."""

    type: CdrDimensionType
    volume: Number


class CdrToken(Struct, kw_only=True):
    """mod_cdrs, CdrToken."""

    country_code: CountryCode
    party_id: PartyId
    uid: Id36
    type: TokenType
    contract_id: CiString36


class ChargingPeriod(Struct, kw_only=True):
    """mod_cdrs, ChargingPeriod."""

    start_date_time: DateTime
    dimensions: Annotated[list[CdrDimension], AT_LEAST_ONE]
    tariff_id: CiString36 | None = None


class CdrLocation(Struct, kw_only=True):
    """mod_cdrs, CdrLocation."""

    id: Id36
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    evse_uid: Id36
    evse_id: CiString48
    connector_id: Id36
    connector_standard: ConnectorType
    connector_format: ConnectorFormat
    connector_power_type: PowerType


class SignedValue(Struct, kw_only=True):
    """mod_cdrs, SignedValue."""

    nature: CiString32
    plain_data: Verbatim5000
    signed_data: Verbatim5000


class SignedData(Struct, kw_only=True):
    """mod_cdrs, SignedData."""

    encoding_method: CiString36
    encoding_method_version: int | None = None
    public_key: Verbatim512 | None = None
    signed_values: Annotated[list[SignedValue], AT_LEAST_ONE]
    url: String512 | None = None


class CDR(Struct, kw_only=True):
    """mod_cdrs, CDR."""

    country_code: CountryCode
    party_id: PartyId
    id: Id39
    start_date_time: DateTime
    end_date_time: DateTime
    session_id: Id36 | None = None
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
