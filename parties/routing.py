"""Which parties a message is for."""

from django.conf import settings

from hub.ocpi.errors import Invalid, OcpiError, UnknownReceiver
from hub.ocpi.messages import Address, Route
from parties import policy
from parties.models import Role, RoleQuerySet


def hub_address() -> Address:
    """Return the hub's own address."""
    return Address(settings.HUB_COUNTRY_CODE, settings.HUB_PARTY_ID)


def for_hub(route: Route, sender: Role) -> bool:
    """Tell whether a message is for the hub itself: to it, to nobody, or back to its sender."""
    return route.to in {None, hub_address(), sender.party.address}


def broadcast(module: str, sender: Role) -> RoleQuerySet:
    """Return the roles that a party's object is broadcast to: opposite, connected, receiving."""
    opposite = policy.BROADCAST_TO[sender.role]
    receivers = Role.objects.receiving(module).filter(role__in=opposite)
    return receivers.exclude(party=sender.party)


def require_broadcast(route: Route, sender: Role, module: str) -> None:
    """Refuse a broadcastable object that is addressed to one party only."""
    if route.to is None or for_hub(route, sender):
        return
    if not Role.objects.at(route.to).exists():
        raise UnknownReceiver(f"{route.to} is not a party of this network")
    raise OcpiError(f"{module} go to everybody: leave OCPI-to-* out or name {hub_address()}")


def require_payer(route: Route, sender: Role, payer: Address) -> None:
    """Refuse a session or CDR that is addressed to another party than its token's owner."""
    if for_hub(route, sender) or route.to == payer:
        return
    raise Invalid(f"OCPI-to-* names {route.to}, but the token belongs to {payer}")


def emsp_role(address: Address) -> Role | None:
    """Return the role in which a party pays for its drivers, if it is in the network."""
    roles = Role.objects.at(address).filter(role__in=[Role.Kind.EMSP, Role.Kind.OTHER])
    return roles.select_related("party", "platform").order_by("role").first()
