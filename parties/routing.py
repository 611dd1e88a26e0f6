"""Whom a message is for: one place decides, from module, interface, method and routing headers.

Source: OCPI 2.2.1, transport_and_format, "Message Routing".
"""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings

from hub import statements
from hub.ocpi.errors import Invalid, UnknownReceiver
from hub.ocpi.messages import Address, Route
from hub.ocpi.versions import RECEIVER, SENDER
from hub.statements import Columns
from parties import policy
from parties.models import Endpoint, Party, Platform, Role, RoleQuerySet

BROADCASTABLE = frozenset({"locations", "tariffs", "tokens"})
HELD = frozenset({"sessions", "cdrs"})  # owed to the payer, whoever is addressed
STORED = BROADCASTABLE | HELD | {"hubclientinfo"}


@dataclass(frozen=True)
class Decision:
    """Where a message goes: on to `receiver`, or nowhere but the hub; `text` tells people."""

    text: str
    receiver: Role | None = None


@dataclass(frozen=True)
class Asked:
    """What the decision depends on, besides who asks."""

    module: str
    interface: str
    method: str
    route: Route


def hub_address() -> Address:
    """Return the hub's own address."""
    return Address(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID)


def for_hub(route: Route, sender: Role) -> bool:
    """Tell whether a message is for the hub itself: to it, to nobody, or back to its sender."""
    return route.to in {None, hub_address(), sender.party.address}


def decide(asked: Asked, sender: Role) -> Decision:
    """Decide which arrangement a message is part of.

    Direct when it names another party, whose role then is the `receiver` (but sessions and CDRs
    stay in the hub's custody, see `custody`). Otherwise it is read from the hub's store,
    broadcast, or open: then the view finds the receiver by what the message says.
    Raises UnknownReceiver.
    """
    if asked.route.to and not for_hub(asked.route, sender):
        return direct(addressee(asked.route.to, asked.module, asked.interface))
    if asked.method == "GET" and asked.module in STORED:
        return Decision("store")
    if asked.interface == RECEIVER and asked.module in BROADCASTABLE:
        return Decision("broadcast")
    return Decision("open")


def direct(receiver: Role) -> Decision:
    """Return the decision that a message goes to the party that it names."""
    return Decision(f"direct: {receiver.party}", receiver)


def opened(receiver: Role, key: str) -> Decision:
    """Return the decision that a message goes to the party found by a key of its content."""
    return Decision(f"open: {receiver.party} by {key}", receiver)


def broadcasted(receivers: int) -> Decision:
    """Return the decision that an object goes to several parties, as many as are told of it."""
    return Decision(f"broadcast: {receivers} receiver{'' if receivers == 1 else 's'}")


def custody(route: Route, sender: Role, payer: Address | None) -> Decision:
    """Return the decision on a session or CDR: the hub keeps it and owes it to its payer.

    Raises Invalid when it is addressed to another party than its token's owner.
    """
    addressed = not for_hub(route, sender)
    if addressed and payer and route.to != payer:
        raise Invalid(f"OCPI-to-* names {route.to}, but the token belongs to {payer}")
    role = emsp_role(payer) if payer else None
    if role is None:
        return Decision("held")
    return direct(role) if addressed else opened(role, "cdr_token")


def addressee(address: Address, module: str, interface: str) -> Role:
    """Return the role of a party that a message to one of its interfaces is for.

    A role whose platform offers the interface now comes first. Raises UnknownReceiver for a party
    that is not in the network, or in none of the roles that have such an interface.
    """
    fitting = Role.objects.at(address).filter(role__in=policy.counterparts(module, interface))
    roles = list(fitting.select_related("party", "platform"))
    if not roles:
        raise UnknownReceiver(f"{address} is no party that {_serves(module, interface)}")
    return next((role for role in roles if offers(role, module, interface)), roles[0])


def offers(role: Role, module: str, interface: str) -> bool:
    """Tell whether a role can be called at an interface now."""
    if role.platform.state != Platform.State.CONNECTED:
        return False
    endpoints = Endpoint.objects.filter(platform=role.platform_id, module=module)
    return endpoints.filter(interface=interface).exists()


def broadcast(module: str, sender: Role) -> RoleQuerySet:
    """Return the roles that a party's object is broadcast to: opposite, connected, receiving."""
    opposite = policy.BROADCAST_TO[sender.role]
    receivers = Role.objects.receiving(module).filter(role__in=opposite)
    return receivers.exclude(party=sender.party)


def owners(module: str, uid: str, **conditions: Any) -> list[Any]:
    """Return the stored objects of a module with an id, each of another party."""
    model = apps.get_model(settings.OCPI_MODELS[module])
    rows = model._default_manager.filter(uid__iexact=uid, **conditions)
    return list(rows.select_related("owner").distinct("owner_id").order_by("owner_id", "pk"))


def emsp_role(address: Address) -> Role | None:
    """Return the role in which a party pays for its drivers, if it is in the network."""
    return _role(address, *Role.WITH_DRIVERS)


def cpo_role(address: Address) -> Role | None:
    """Return the role in which a party runs charge points, if it is in the network."""
    return _role(address, Role.Kind.CPO)


def _role(address: Address, *kinds: Role.Kind) -> Role | None:
    values = [address.country_code, address.party_id, list(map(str, kinds))]
    for found in statements.rows(_ROLE, values):
        parties = len(_ROLES) + len(_PARTIES)
        role = _ROLES.made(found[: len(_ROLES)])
        role.party = _PARTIES.made(found[len(_ROLES) : parties])
        role.platform = _PLATFORMS.made(found[parties:])
        return role
    return None


def _serves(module: str, interface: str) -> str:
    kinds = " or ".join(sorted(policy.counterparts(module, interface)))
    return f"{'owns' if interface == SENDER else 'takes'} {module} in this network ({kinds})"


_ROLES, _PARTIES = Columns(Role, "role"), Columns(Party, "party")
_PLATFORMS = Columns(Platform, "platform")
_ROLE = f"""
    SELECT {_ROLES.text}, {_PARTIES.text}, {_PLATFORMS.text}
    FROM parties_role AS role JOIN parties_party AS party ON party.id = role.party_id
    JOIN parties_platform AS platform ON platform.id = role.platform_id
    WHERE party.country_code = %s AND party.party_id = %s AND role.role = ANY(%s::text[])
    ORDER BY role.role LIMIT 1
"""  # noqa: S608 - names of columns only
