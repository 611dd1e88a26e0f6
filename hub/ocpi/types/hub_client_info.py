"""OCPI 2.2.1, mod_hub_client_info."""

from msgspec import Struct

from hub.ocpi.types.basic import CountryCode, DateTime, PartyId
from hub.ocpi.types.enums import ConnectionStatus, Role


class ClientInfo(Struct, kw_only=True):
    """mod_hub_client_info, ClientInfo."""

    party_id: PartyId
    country_code: CountryCode
    role: Role
    status: ConnectionStatus
    last_updated: DateTime
