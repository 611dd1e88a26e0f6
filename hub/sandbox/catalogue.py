"""What the demo network has on offer: who trades, with which chargers, prices and cards.

Everything follows from the position of a site or card in its table, so it is the same every time.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from hub.ocpi.messages import Address
from hub.sandbox.places import Place, places_of


class Company(NamedTuple):
    """A party of the demo network."""

    address: Address
    role: str
    name: str
    currency: str = ""


class Charger(NamedTuple):
    """A kind of EVSE with one connector. `tariff` is AC or DC."""

    standard: str
    format: str
    power_type: str
    max_voltage: int
    max_amperage: int
    power_kw: int
    tariff: str


CPOS = (
    Company(Address("NL", "SWT"), "CPO", "Stroomwerf Laadnetwerk", "EUR"),
    Company(Address("US", "VLT"), "CPO", "Vialta Charging", "USD"),
)
EMSPS = (
    Company(Address("DE", "ROA"), "EMSP", "Roadlight Mobility"),
    Company(Address("BR", "MOV"), "EMSP", "Movente Mobilidade"),
)

TYPE_2 = Charger("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 230, 32, 22, "AC")
CCS_2 = Charger("IEC_62196_T2_COMBO", "CABLE", "DC", 500, 125, 50, "DC")
CCS_2_FAST = Charger("IEC_62196_T2_COMBO", "CABLE", "DC", 920, 250, 150, "DC")
TYPE_1 = Charger("IEC_62196_T1", "CABLE", "AC_1_PHASE", 240, 48, 11, "AC")
CCS_1 = Charger("IEC_62196_T1_COMBO", "CABLE", "DC", 500, 125, 50, "DC")
CCS_1_FAST = Charger("IEC_62196_T1_COMBO", "CABLE", "DC", 920, 250, 150, "DC")
WITH_TYPE_1 = frozenset({"USA", "CAN", "MEX"})
# The EVSEs of a site, by its position: one to four of them.
TYPE_2_SITES = (
    (TYPE_2, TYPE_2),
    (TYPE_2, TYPE_2, CCS_2),
    (TYPE_2,),
    (TYPE_2, CCS_2, CCS_2_FAST, CCS_2_FAST),
)
TYPE_1_SITES = (
    (TYPE_1, TYPE_1),
    (TYPE_1, TYPE_1, CCS_1),
    (TYPE_1,),
    (TYPE_1, CCS_1, CCS_1_FAST, CCS_1_FAST),
)
# Prices in the CPO's currency, before VAT: per session, per kWh by day and by night, per hour
# of parking after the charge. A day is from 8 to 20 h, local time.
PRICES = {
    ("SWT", "AC"): {"FLAT": "0.35", "DAY": "0.45", "NIGHT": "0.39", "PARKING_TIME": "2.40"},
    ("SWT", "DC"): {"FLAT": "0.50", "DAY": "0.62", "NIGHT": "0.55"},
    ("VLT", "AC"): {"FLAT": "1.00", "DAY": "0.36", "NIGHT": "0.29", "PARKING_TIME": "3.00"},
    ("VLT", "DC"): {"FLAT": "1.50", "DAY": "0.52", "NIGHT": "0.44"},
}
DAY = {"start_time": "08:00", "end_time": "20:00"}
CARDS = 15  # per eMSP
LOST_CARD, SECRET_CARD = 15, 16  # one that is blocked, and one that nobody is told of

Item = dict[str, Any]


def identity(company: Company) -> Item:
    """Return the members that say whose an object is."""
    return {"country_code": company.address.country_code, "party_id": company.address.party_id}


def tariffs_of(cpo: Company, stamp: str) -> list[Item]:
    """Return the tariffs of a CPO: one per kind of charger and rate of VAT."""
    rates = sorted({place.vat for place in places_of(cpo.address.party_id)})
    return [_tariff(cpo, kind, vat, stamp) for kind in ("AC", "DC") for vat in rates]


def tariff_id(cpo: Company, kind: str, vat: str) -> str:
    """Return the id of a tariff."""
    return "-".join(filter(None, (cpo.address.party_id, kind, vat and f"VAT{vat}")))


def locations_of(cpo: Company, stamp: str) -> list[Item]:
    """Return the locations of a CPO with their EVSEs."""
    places = places_of(cpo.address.party_id)
    return [_location(cpo, place, number, stamp) for number, place in enumerate(places, start=1)]


def card(emsp: Company, number: int, stamp: str) -> Item:
    """Return a token of an eMSP: most are RFID cards, every third one is an app."""
    country_code, party_id = emsp.address.country_code, emsp.address.party_id
    app = number % 3 == 0
    contract = f"{country_code}-{party_id}-C{20260000 + 37 * number}"
    return {
        **identity(emsp),
        "uid": f"{party_id}-app-{number:04}" if app else f"{_rfid(party_id, number)}",
        "type": "APP_USER" if app else "RFID",
        "contract_id": contract.replace("-", ""),
        "visual_number": contract,
        "issuer": emsp.name,
        "valid": number != LOST_CARD,
        "whitelist": "NEVER" if number == LOST_CARD else "ALLOWED",
        "language": "pt" if country_code == "BR" else "de",
        "last_updated": stamp,
    }


def cards_of(emsp: Company, stamp: str) -> list[Item]:
    """Return the tokens of an eMSP."""
    return [card(emsp, number, stamp) for number in range(1, CARDS + 1)]


def _rfid(party_id: str, number: int) -> str:
    """Return a card's number as a reader shows it: 7 bytes in hexadecimal."""
    return f"04{party_id.encode().hex().upper()}{number * 7919:06X}"


def _tariff(cpo: Company, kind: str, vat: str, stamp: str) -> Item:
    prices = PRICES[cpo.address.party_id, kind]
    rate = {"vat": Decimal(vat)} if vat else {}

    def element(dimension: str, price: str, **more: Mapping[str, str]) -> Item:
        component = {"type": dimension, "price": Decimal(price), **rate, "step_size": 1}
        return {"price_components": [component], **more}

    elements = [
        element("FLAT", prices["FLAT"]),
        element("ENERGY", prices["DAY"], restrictions=DAY),
        element("ENERGY", prices["NIGHT"]),
    ]
    if "PARKING_TIME" in prices:
        elements.append(element("PARKING_TIME", prices["PARKING_TIME"]))
    text = "{FLAT} a session, {DAY} a kWh by day, {NIGHT} by night".format(**prices)
    return {
        **identity(cpo),
        "id": tariff_id(cpo, kind, vat),
        "currency": cpo.currency,
        "type": "REGULAR",
        "tariff_alt_text": [{"language": "en", "text": f"{cpo.currency} {text}, before tax"}],
        "elements": elements,
        "last_updated": stamp,
    }


def _location(cpo: Company, place: Place, number: int, stamp: str) -> Item:
    sites = TYPE_1_SITES if place.country in WITH_TYPE_1 else TYPE_2_SITES
    chargers = sites[number % len(sites)]
    return {
        **identity(cpo),
        "id": f"{cpo.address.party_id}-{number:03}",
        "publish": True,
        "name": f"{place.name}, {place.city}",
        "address": place.address,
        "city": place.city,
        "postal_code": place.postal_code,
        "country": place.country,
        "coordinates": {"latitude": place.latitude, "longitude": place.longitude},
        "parking_type": place.parking_type,
        "evses": [
            _evse(cpo, charger, place, f"{number:03}{position}", stamp)
            for position, charger in enumerate(chargers, start=1)
        ],
        "operator": {"name": cpo.name},
        "time_zone": place.time_zone,
        "opening_times": {"twentyfourseven": True},
        "last_updated": stamp,
    }


def _evse(cpo: Company, charger: Charger, place: Place, code: str, stamp: str) -> Item:
    country_code, party_id = cpo.address.country_code, cpo.address.party_id
    connector = {
        "id": "1",
        "standard": charger.standard,
        "format": charger.format,
        "power_type": charger.power_type,
        "max_voltage": charger.max_voltage,
        "max_amperage": charger.max_amperage,
        "max_electric_power": charger.power_kw * 1000,
        "tariff_ids": [tariff_id(cpo, charger.tariff, place.vat)],
        "last_updated": stamp,
    }
    return {
        "uid": f"{party_id}-E{code}",
        "evse_id": f"{country_code}*{party_id}*E{code}",
        "status": "AVAILABLE",
        "capabilities": ["RFID_READER", "REMOTE_START_STOP_CAPABLE"],
        "connectors": [connector],
        "physical_reference": code[-1],
        "last_updated": stamp,
    }
