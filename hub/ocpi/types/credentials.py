"""OCPI 2.2.1, credentials."""

from typing import Annotated

from msgspec import Struct

from hub.ocpi.types.basic import AT_LEAST_ONE, CountryCode, CredentialsToken, PartyId, Url
from hub.ocpi.types.enums import Role
from hub.ocpi.types.locations import BusinessDetails


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
