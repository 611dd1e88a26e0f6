"""An example of each object, made from its schema: what is required, and a little more."""

from typing import Any

from hub.ocpi import schemas

NAMED: dict[str, Any] = {
    "CountryCode": "NL",
    "PartyId": "ABC",
    "Country": "NLD",
    "Currency": "EUR",
    "CredentialsToken": "YOUR_SERVER_TOKEN",
    "Url": "https://your-backend.com/ocpi/versions",
    "DateTime": "2026-01-15T09:30:00Z",
    "Latitude": "52.37300",
    "Longitude": "4.89300",
    "LocalTime": "08:00",
    "LocalDate": "2026-01-15",
    "CommandType": "START_SESSION",
    "CdrDimensionType": "ENERGY",
    "ConnectorType": "IEC_62196_T2",
    "InterfaceRole": "RECEIVER",
    "PowerType": "AC_3_PHASE",
    "Role": "CPO",
    "TariffDimensionType": "ENERGY",
    "TokenType": "RFID",
    "VersionNumber": "2.2.1",
}
MEMBERS: dict[str, Any] = {
    "name": "Station Square",
    "address": "Station Square 1",
    "city": "Amsterdam",
    "time_zone": "Europe/Amsterdam",
    "contract_id": "NL-ABC-C00000001",
    "issuer": "Your company",
    "language": "en",
    "text": "Welcome",
    "evse_id": "NL*ABC*E1001",
    "response_url": "https://your-backend.com/ocpi/results/1001",
    "kwh": 12.5,
    "volume": 12.5,
    "total_energy": 12.5,
    "total_time": 1.5,
    "price": 0.36,
    "excl_vat": 4.5,
    "max_voltage": 230,
    "max_amperage": 32,
    "step_size": 1,
    "timeout": 30,
    "type": "RFID",
}
MORE = {"Location": ("name", "evses"), "ChargingProfile": ("charging_profile_period",)}
ID = "1001"


def example(schema: dict[str, Any], name: str = "") -> Any:
    """Return an example of a schema of the document; `name` is that of the member it is for."""
    if "$ref" in schema:
        return _referred(schema["$ref"].removeprefix(schemas.REF), name)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], name)
    if schema.get("type") == "array":
        return [example(schema.get("items", {}), name)]
    if schema.get("type") == "boolean":
        return True
    if schema.get("type") in {"number", "integer"}:
        return MEMBERS.get(name, schema.get("minimum", 10))
    return MEMBERS.get(name, ID)


def _referred(kind: str, name: str) -> Any:
    schema = schemas.everything()[kind]
    if "properties" not in schema:
        own = MEMBERS.get(name) if kind == "Url" else None
        return own or NAMED.get(kind) or schema["enum"][0]
    wanted = {*schema.get("required", ()), *MORE.get(kind.removesuffix("Change"), ())}
    if kind.endswith("Change"):
        wanted |= {next(iter(schemas.everything()[kind.removesuffix("Change")]["required"][3:]))}
    return {
        member: example(inner, member)
        for member, inner in schema["properties"].items()
        if member in wanted
    }
