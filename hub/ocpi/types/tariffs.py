"""OCPI 2.2.1, mod_tariffs."""

from typing import Annotated

from msgspec import Struct

from hub.ocpi.types.basic import (
    AT_LEAST_ONE,
    CountryCode,
    Currency,
    DateTime,
    DisplayText,
    Id36,
    LocalDate,
    LocalTime,
    Number,
    PartyId,
    Price,
    Url,
)
from hub.ocpi.types.enums import (
    DayOfWeek,
    ReservationRestrictionType,
    TariffDimensionType,
    TariffType,
)
from hub.ocpi.types.locations import EnergyMix


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
    id: Id36
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
