"""A party joins the network: invited and, in the sandbox, ready to trade at once."""

import re
from collections.abc import Sequence

from django.db import transaction

from hub.money import is_currency
from hub.ocpi.messages import Address
from parties import invitations
from parties.models import Dialect, Party
from settlement import onboarding

HOST = re.compile(r"[a-z0-9.-]+(:[0-9]{1,5})?")
NAME_LENGTH = 100


class CannotJoin(Exception):
    """The party cannot join like this; the message says why."""


@transaction.atomic
def join(
    address: Address,
    roles: Sequence[str],
    name: str,
    *,
    dialect: str = Dialect.OCPI,
    host: str = "",
    platform_token: str = "",
) -> tuple[Party, str]:
    """Let a party join and return it with its registration token.

    `platform_token` is that of an earlier, unused invitation whose platform it shares.
    Raises CannotJoin; nothing is changed then.
    """
    if dialect not in Dialect.values:
        raise CannotJoin(f"{dialect!r} is not a dialect ({', '.join(Dialect.values)})")
    if host and not HOST.fullmatch(host):
        raise CannotJoin(f"{host!r} is not a host, or host:port")
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise CannotJoin(f"a name has 1 to {NAME_LENGTH} printable characters")
    try:
        party, token = invitations.invite(
            address, roles, name, dialect=dialect, host=host, join=platform_token
        )
    except invitations.InvitationError as error:
        raise CannotJoin(str(error)) from error
    onboarding.equip(party)
    return party, token


def address_of(country_code: str, party_id: str) -> Address:
    """Return the address that is spelled so; raises CannotJoin."""
    if not re.fullmatch(r"[A-Za-z]{2}", country_code):
        raise CannotJoin(f"a country code has 2 letters, not {country_code!r}")
    if not re.fullmatch(r"[A-Za-z0-9]{3}", party_id):
        raise CannotJoin(f"a party id has 3 letters or digits, not {party_id!r}")
    return Address.of(country_code, party_id)


def currency_of(code: str) -> str:
    """Return a currency; raises CannotJoin for anything else."""
    if not is_currency(code):
        raise CannotJoin(f"{code!r} is not a currency of ISO 4217")
    return code
