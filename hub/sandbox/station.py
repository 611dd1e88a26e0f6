"""What a simulated CPO does on request: commands, charging profiles, charging preferences.

Nothing is sent from here: a deed says what is answered at once, what the result is a moment later,
and what has then to be told. Source: OCPI 2.2.1, mod_commands and mod_charging_profiles.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import RLock
from typing import Any

from hub.ocpi import times
from hub.ocpi.errors import Invalid, NotFound, OcpiError
from hub.sandbox import charging
from hub.sandbox.charging import TICK, Charge, Outlet, on_tick, staged
from hub.sandbox.inbox import Memory

TIMEOUT = 30  # seconds within which it promises the result
HOUR = timedelta(hours=1)
FREE: dict[str, Any] = {"id": "FREE", "currency": "EUR", "elements": []}
IDLE_PROFILE = {
    "charging_rate_unit": "A",
    "charging_profile_period": [{"start_period": 0, "limit": Decimal(32)}],
}
Item = dict[str, Any]


class NotCapable(OcpiError):
    """The EVSE cannot take preferences into account."""

    http_status, status_code = 404, 2001


@dataclass(frozen=True)
class Deed:
    """What comes of a request; `told` are objects with their modules, `result` may be none."""

    answer: str
    result: Item | None = None
    told: tuple[tuple[str, Item], ...] = ()

    @property
    def response(self) -> Item:
        """Return what is answered at once."""
        return {"result": self.answer, "timeout": TIMEOUT if self.result else 0}


def accepted(result: str = "ACCEPTED", *told: tuple[str, Item], **more: Any) -> Deed:
    """Return the deed of something that is done."""
    return Deed("ACCEPTED", {"result": result, **more}, told)


REJECTED, UNKNOWN_SESSION = Deed("REJECTED"), Deed("UNKNOWN_SESSION")


@dataclass
class Station:
    """The chargers of a CPO that have something to do; what it owns is in `own`."""

    own: Memory
    running: dict[str, Charge] = field(default_factory=dict)
    reserved: dict[str, Item] = field(default_factory=dict)
    profiles: dict[str, Item] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = RLock()

    def obey(self, command: str, body: Item) -> Deed:
        """Carry out a command."""
        with self._lock:
            match command:
                case "START_SESSION":
                    return self._start(body)
                case "STOP_SESSION":
                    return self._stop(body["session_id"])
                case "RESERVE_NOW":
                    return self._reserve(body)
                case "CANCEL_RESERVATION":
                    known = self.reserved.pop(body["reservation_id"], None)
                    return accepted("ACCEPTED" if known else "UNKNOWN_RESERVATION")
                case _:
                    return accepted() if self._outlet(body) else REJECTED

    def control(self, method: str, uid: str, body: Item) -> Deed:
        """Set, clear or show the charging profile of a session."""
        with self._lock:
            if uid not in self.running:
                return UNKNOWN_SESSION
            if method == "GET":
                return accepted(profile=self.active(uid))
            if method == "DELETE":
                known = self.profiles.pop(uid, None)
                return accepted("ACCEPTED" if known else "UNKNOWN")
            self.profiles[uid] = body["charging_profile"]
            return accepted()

    def active(self, uid: str) -> Item:
        """Return the profile that a session charges by."""
        started = times.render(self.running[uid].started_at)
        profile = self.profiles.get(uid, IDLE_PROFILE)
        return {"start_date_time": started, "charging_profile": profile}

    def prefer(self, uid: str, preferences: Item) -> str:
        """Return whether a session can follow the driver's preferences; raises NotFound."""
        with self._lock:
            if uid not in self.running:
                raise NotFound("no such session")
            evse = self.running[uid].outlet.evse
        if "CHARGING_PREFERENCES_CAPABLE" not in evse.get("capabilities", []):
            raise NotCapable("this EVSE does not take charging preferences")
        if preferences["profile_type"] != "FAST" and "departure_time" not in preferences:
            return "DEPARTURE_REQUIRED"
        return "ACCEPTED"

    def _start(self, body: Item) -> Deed:
        outlet = self._outlet(body)
        if outlet is None:
            return REJECTED
        if any(charge.outlet.evse is outlet.evse for charge in self.running.values()):
            return accepted("EVSE_OCCUPIED")
        charge = begun(outlet, body["token"], datetime.now(UTC))
        self.running[f"S-{charge.uid}"] = charge
        more = {}
        if reference := body.get("authorization_reference"):
            more = {"authorization_reference": reference}
        session = charging.session(charge, progress=Decimal(0)) | more
        return accepted("ACCEPTED", ("sessions", session))

    def _stop(self, uid: str) -> Deed:
        charge = self.running.pop(uid, None)
        if charge is None:
            return UNKNOWN_SESSION
        self.profiles.pop(uid, None)
        charge = ended(charge, datetime.now(UTC))
        told = [("sessions", charging.session(charge, progress=Decimal(1)))]
        if charge.outlet.tariff is not FREE:
            told.append(("cdrs", charging.cdr(charge)))
        return accepted("ACCEPTED", *told)

    def _reserve(self, body: Item) -> Deed:
        if self._outlet(body) is None:
            return REJECTED
        self.reserved[body["reservation_id"]] = body
        return accepted()

    def _outlet(self, body: Mapping[str, Any]) -> Outlet | None:
        """Return the EVSE that a command is about; any of the location when it names none."""
        location = self.own.get("locations", body["location_id"])
        evses = location.get("evses", []) if location else []
        wanted = body.get("evse_uid")
        evse = next((item for item in evses if wanted in {None, item["uid"]}), None)
        if location is None or evse is None:
            return None
        named = evse["connectors"][0].get("tariff_ids") or [""]
        owner = {name: location[name] for name in ("country_code", "party_id")}
        return Outlet(owner, location, evse, self.own.get("tariffs", named[0]) or FREE)


def begun(outlet: Outlet, token: Item, now: datetime) -> Charge:
    """Return a charge that has begun a moment ago, as if it would last an hour."""
    if not {"country_code", "party_id", "uid"} <= token.keys():
        raise Invalid("a token is expected")
    uid = f"{outlet.cpo['party_id']}-R{secrets.token_hex(4)}"
    started = on_tick(now) - timedelta(seconds=TICK)
    stages = staged(outlet, started, charging=HOUR, parking=timedelta(), power_kw=power(outlet))
    return Charge(uid, outlet, token, stages, auth_method="COMMAND")


def ended(charge: Charge, now: datetime) -> Charge:
    """Return a charge as it was when it ended now."""
    stages = staged(
        charge.outlet,
        charge.started_at,
        charging=on_tick(now) - charge.started_at,
        parking=timedelta(),
        power_kw=power(charge.outlet),
    )
    return replace(charge, stages=stages)


def power(outlet: Outlet) -> int:
    """Return what a car takes there, in kW."""
    return outlet.power_kw if "max_electric_power" in outlet.connector else 11
