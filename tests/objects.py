"""Valid objects of 2.2.1, to be changed as a test needs."""

from decimal import Decimal as D

from hub.ocpi.messages import Address as Owner  # noqa: F401 - what owns them

STAMP = "2026-11-10T10:00:00Z"


def connector(**members):
    return {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 32,
        "last_updated": STAMP,
        **members,
    }


def evse(**members):
    return {
        "uid": "E1",
        "evse_id": "NL*CPO*E1",
        "status": "AVAILABLE",
        "connectors": [connector()],
        "last_updated": STAMP,
        **members,
    }


def location(owner, **members):
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "id": "L1",
        "publish": True,
        "name": "Dam",
        "address": "Dam 1",
        "city": "Amsterdam",
        "country": "NLD",
        "coordinates": {"latitude": "52.37300", "longitude": "4.89300"},
        "evses": [evse()],
        "time_zone": "Europe/Amsterdam",
        "last_updated": STAMP,
        **members,
    }


def tariff(owner, **members):
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "id": "T1",
        "currency": "EUR",
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": D("0.50"), "step_size": 1}]}
        ],
        "last_updated": STAMP,
        **members,
    }


def token(owner, **members):
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "uid": "CARD1",
        "type": "RFID",
        "contract_id": f"{owner.country_code}-{owner.party_id}-C1",
        "issuer": "Somebody",
        "valid": True,
        "whitelist": "ALWAYS",
        "last_updated": "2026-01-01T00:00:00Z",
        **members,
    }


def cdr_token(payer, **members):
    return {
        "country_code": payer.country_code,
        "party_id": payer.party_id,
        "uid": "CARD1",
        "type": "RFID",
        "contract_id": f"{payer.country_code}-{payer.party_id}-C1",
        **members,
    }


def session(owner, payer, **members):
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "id": "S1",
        "start_date_time": "2026-11-10T08:00:00Z",
        "kwh": D("20"),
        "cdr_token": cdr_token(payer),
        "auth_method": "WHITELIST",
        "location_id": "L1",
        "evse_uid": "E1",
        "connector_id": "1",
        "currency": "EUR",
        "status": "ACTIVE",
        "last_updated": STAMP,
        **members,
    }


def cdr(owner, payer, **members):
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "id": "C1",
        "start_date_time": "2026-11-10T08:00:00Z",
        "end_date_time": "2026-11-10T10:00:00Z",
        "session_id": "S1",
        "cdr_token": cdr_token(payer),
        "auth_method": "WHITELIST",
        "cdr_location": {
            "id": "L1",
            "address": "Dam 1",
            "city": "Amsterdam",
            "country": "NLD",
            "coordinates": {"latitude": "52.37300", "longitude": "4.89300"},
            "evse_uid": "E1",
            "evse_id": "NL*CPO*E1",
            "connector_id": "1",
            "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET",
            "connector_power_type": "AC_3_PHASE",
        },
        "currency": "EUR",
        "charging_periods": [
            {
                "start_date_time": "2026-11-10T08:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": D("20")}],
            }
        ],
        "total_cost": {"excl_vat": D("10.00"), "incl_vat": D("12.10")},
        "total_energy": D("20"),
        "total_time": D("2"),
        "last_updated": STAMP,
        **members,
    }
