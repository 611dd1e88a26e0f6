"""A party joins the network: invited and, in the sandbox, ready to trade at once."""

import re
from collections.abc import Sequence

from django.db import transaction

from hub.money import is_currency
from hub.ocpi.messages import Address
from parties import connecting, invitations, proposals
from parties.models import Dialect, Party, Platform, Role
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
    currency: str = "EUR",
) -> tuple[Party, str]:
    """Let a party join that trades in a currency; return it with its registration token.

    `platform_token` is that of an earlier, unused invitation whose platform it shares.
    Raises CannotJoin; nothing is changed then.
    """
    if dialect not in Dialect.values:
        raise CannotJoin(f"{dialect!r} is not a dialect ({', '.join(Dialect.values)})")
    _check(name, [host] if host else [])
    try:
        party, token = invitations.invite(
            address, roles, name, dialect=dialect, host=host, join=platform_token
        )
    except invitations.InvitationError as error:
        raise CannotJoin(str(error)) from error
    onboarding.equip(party, currency)
    return party, token


def connect(plan: connecting.Plan) -> tuple[Party, Platform]:
    """Register the hub with a partner whose party then joins; return it with its platform.

    Raises CannotJoin or CannotConnect; nothing is changed then.
    """
    _check(plan.name, plan.hosts)
    platform = connecting.connect(plan, joined=onboarding.equip)
    return invitations.party_at(plan.address, plan.name), platform


@transaction.atomic
def assign(platform: Platform, address: Address, role: str, name: str) -> Role:
    """Let a party act in one more role through a platform. Raises CannotJoin."""
    _check(name, [])
    party = invitations.party_at(address, name)
    try:
        assigned = invitations.assign(platform, party, role)
    except invitations.InvitationError as error:
        raise CannotJoin(str(error)) from error
    proposals.drop_granted(platform)
    onboarding.equip(party)
    return assigned


def _check(name: str, hosts: Sequence[str]) -> None:
    for host in hosts:
        if not HOST.fullmatch(host):
            raise CannotJoin(f"{host!r} is not a host, or host:port")
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise CannotJoin(f"a name has 1 to {NAME_LENGTH} printable characters")


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
