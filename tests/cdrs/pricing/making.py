"""CDRs and tariffs to price, as short to write as they are to say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

from cdrs.pricing import price

DAY = "2024-01-15"  # a Monday


def component(kind, price, step=1, vat=None):
    told = {"type": kind, "price": D(price), "step_size": step}
    return told if vat is None else {**told, "vat": D(vat)}


def energy(price, step=1, vat=None):
    return component("ENERGY", price, step, vat)


def charging(price, step=1, vat=None):
    return component("TIME", price, step, vat)


def parking(price, step=1, vat=None):
    return component("PARKING_TIME", price, step, vat)


def flat(price, vat=None):
    return component("FLAT", price, 0, vat)


def element(*components, **restrictions):
    told = {"price_components": list(components)}
    return {**told, "restrictions": restrictions} if restrictions else told


def tariff(*elements, **members):
    return {"id": "T1", "currency": "EUR", "elements": list(elements), **members}


def period(start, tariff_id=None, **volumes):
    """Make a charging period; a clock time is one of DAY in UTC."""
    told = {
        "start_date_time": instant(start),
        "dimensions": [{"type": kind, "volume": D(volume)} for kind, volume in volumes.items()],
    }
    return {**told, "tariff_id": tariff_id} if tariff_id else told


def cdr(*periods, end=None, **members):
    """Make a CDR; it ends an hour after its last period starts, unless told."""
    start, last = (item["start_date_time"] for item in (periods[0], periods[-1]))
    later = datetime.fromisoformat(last) + timedelta(hours=1)
    return {
        "start_date_time": start,
        "end_date_time": instant(end) if end else later.astimezone(UTC).isoformat(),
        "currency": "EUR",
        "cdr_location": {"country": "DEU"},
        "charging_periods": list(periods),
        **members,
    }


def instant(text):
    return f"{DAY}T{text}:00Z" if len(text) == 5 else text


def cost(session, *tariffs, tz="UTC", side="excl_vat"):
    return price(session, list(tariffs), tz)["total_cost"][side]


def warnings(session, *tariffs, tz="UTC"):
    return price(session, list(tariffs), tz)["warnings"]
