"""What the hub knows when it judges a CDR: small, and kept with the verdict so that it can be
judged again. Energies in kWh, power in kW, amounts in the CDR's currency.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Raw, Struct


class Parameters(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an agreement may set; these are the defaults for everyone."""

    trading: bool = True
    currencies: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    long_hours: Decimal = Decimal(24)
    most_hours: Decimal = Decimal(72)
    late_hours: Decimal = Decimal(72)
    late_days: int | None = 30
    high_energy_kwh: Decimal = Decimal(120)
    most_energy_kwh: Decimal = Decimal(400)
    feeding_back: bool = False
    power_tolerance: Decimal = Decimal("1.05")
    tariff_required: bool = True
    tariff_as_published: bool = True
    tariff_notice_minutes: int = 15
    cost_tolerance: Decimal = Decimal("0.01")
    cost_tolerance_share: Decimal = Decimal("0.001")
    most_per_kwh: Decimal | None = None
    most_times_median: Decimal | None = Decimal(3)
    vat_rates: tuple[Decimal, ...] = ()
    location_required: bool = False
    session_required: bool = False
    session_tolerance: Decimal = Decimal("0.05")
    credit_days: int | None = 90
    signed_data_countries: tuple[str, ...] = ("DE",)
    signed_data_required: bool = False
    hold_lacking: bool = True


class KnownToken(Struct, frozen=True, omit_defaults=True):
    """A token as its eMSP last told it."""

    valid: bool
    contract_id: str
    last_updated: datetime
    whitelist: str = "ALLOWED"


class KnownConnector(Struct, frozen=True, omit_defaults=True):
    """A connector as its CPO last told it: volt, ampere a phase, watt."""

    power_type: str = ""
    max_voltage: Decimal | None = None
    max_amperage: Decimal | None = None
    max_electric_power: Decimal | None = None

    @property
    def most_kw(self) -> Decimal | None:
        """Return the power that it can give; two phases of a split phase give twice that of one."""
        if self.max_electric_power:
            return self.max_electric_power / 1000
        if not self.max_voltage or not self.max_amperage:
            return None
        phases = {"AC_3_PHASE": 3, "AC_2_PHASE": 2, "AC_2_PHASE_SPLIT": 2}
        return self.max_voltage * self.max_amperage * phases.get(self.power_type, 1) / 1000


class KnownPlace(Struct, frozen=True, omit_defaults=True):
    """A location as its CPO last told it, with the CDR's EVSE and connector in it."""

    country: str = ""
    time_zone: str | None = None
    latitude: str = ""
    longitude: str = ""
    evse_known: bool = False
    evse_status: str = ""
    evse_updated: datetime | None = None
    connector: KnownConnector | None = None


class KnownSession(Struct, frozen=True, omit_defaults=True):
    """The session of a CDR as its CPO last told it."""

    status: str
    kwh: Decimal
    started_at: str
    ended_at: str | None = None
    currency: str = ""
    token_uid: str = ""
    evse_uid: str = ""


class KnownTariff(Struct, frozen=True, omit_defaults=True):
    """A tariff that a CDR names, as it was published when the session started.

    `since` is when the hub learned of that version; `same` tells whether the CDR has the same
    prices, None where it has not got the tariff in it.
    """

    uid: str
    since: datetime
    same: bool | None = None


class Authorized(Struct, frozen=True, omit_defaults=True):
    """What the eMSP said when it was asked about the token."""

    allowed: str
    reference: str = ""


class Original(Struct, frozen=True, omit_defaults=True):
    """The CDR that a credit refers to; `differs` names what the credit tells otherwise."""

    excl_vat: Decimal
    currency: str
    credit: bool
    credited: bool
    settled: bool
    accepted: bool = True
    same_trade: bool = True  # of the same eMSP, country and month as the credit
    ended_at: datetime | None = None
    differs: tuple[str, ...] = ()


class Norm(Struct, frozen=True, omit_defaults=True):
    """What is usual for a CPO in a currency: medians, and median deviations from them."""

    cdrs: int
    per_kwh: Decimal
    per_kwh_off: Decimal
    kwh: Decimal
    kwh_off: Decimal
    hours: Decimal
    hours_off: Decimal


class Figure(Struct, frozen=True, omit_defaults=True):
    """A figure as claimed and as computed; `field` is like total_cost.excl_vat."""

    field: str
    claimed: Decimal
    computed: Decimal
    verdict: str

    @property
    def difference(self) -> Decimal:
        """Return how much more is claimed than computed."""
        return self.claimed - self.computed


class Priced(Struct, frozen=True, omit_defaults=True):
    """What became of pricing a CDR: the refusal, or the verdict and the figures that differ."""

    engine: str = ""
    refused: str = ""
    text: str = ""
    verdict: str = ""
    cost_verdict: str = ""
    reading: str = ""
    excl_vat: Decimal | None = None
    incl_vat: Decimal | None = None
    unlimited_excl_vat: Decimal | None = None  # without min_price and max_price
    figures: tuple[Figure, ...] = ()
    warnings: tuple[str, ...] = ()
    ambiguous: bool = False  # an element has two prices for one dimension
    later: bool = False  # too much work for now: it is priced after the commit


class Context(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that the hub knows. Of other CDRs the ids are told, empty where there is none."""

    now: datetime
    parameters: Parameters = Parameters()
    emsp_known: bool = True
    contracted: bool = True
    token: KnownToken | None = None
    token_of_another: bool = False
    authorized: Authorized | None = None
    authorizations_told: bool = False
    location_known: bool = True
    place: KnownPlace | None = None
    session: KnownSession | None = None
    sessions_told: bool = False
    lacking: tuple[str, ...] = ()
    same_session: str = ""
    same_start: str = ""
    nearly_same: str = ""
    overlapping: str = ""
    same_authorization: str = ""
    by_another_cpo: str = ""
    elsewhere: str = ""
    replaces: str = ""
    same_energy: int = 0
    of_token_that_day: int = 0
    tiny_that_day: int = 0
    original: Original | None = None
    norm: Norm | None = None
    tariffs: tuple[KnownTariff, ...] = ()
    priced: Priced | None = None


class Published(Struct, frozen=True):
    """A tariff as it was published when the session started, and since when."""

    uid: str
    since: datetime
    body: Raw


class Evidence(Context, frozen=True, omit_defaults=True, kw_only=True):
    """A context as the database tells it, with what its last parts are made of."""

    agreed: tuple[dict[str, Any], ...] = ()
    published: tuple[Published, ...] = ()
