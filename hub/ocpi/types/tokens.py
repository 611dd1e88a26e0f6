"""OCPI 2.2.1, mod_tokens."""

from msgspec import Struct

from hub.ocpi.types.basic import (
    CiString36,
    CountryCode,
    DateTime,
    DisplayText,
    Id36,
    PartyId,
    String2,
    String64,
)
from hub.ocpi.types.enums import AllowedType, ProfileType, TokenType, WhitelistType


class EnergyContract(Struct, kw_only=True):
    """mod_tokens, EnergyContract."""

    supplier_name: String64
    contract_id: String64 | None = None


class Token(Struct, kw_only=True):
    """mod_tokens, Token."""

    country_code: CountryCode
    party_id: PartyId
    uid: Id36
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


class LocationReferences(Struct, kw_only=True):
    """mod_tokens, LocationReferences."""

    location_id: Id36
    evse_uids: list[CiString36] | None = None


class AuthorizationInfo(Struct, kw_only=True):
    """mod_tokens, AuthorizationInfo."""

    allowed: AllowedType
    token: Token
    location: LocationReferences | None = None
    authorization_reference: CiString36 | None = None
    info: DisplayText | None = None
