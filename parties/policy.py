"""Who may use which interface of the hub, in one table.

Source: OCPI 2.2.1, terminology, "Typical OCPI implementations per role".
"""

from collections.abc import Iterable

from hub.ocpi.errors import Forbidden, Invalid
from hub.ocpi.messages import Address
from hub.ocpi.versions import RECEIVER, SENDER
from parties.models import Role

_CPO, _EMSP, _NAP = Role.Kind.CPO, Role.Kind.EMSP, Role.Kind.NAP
_NSP, _OTHER, _SCSP = Role.Kind.NSP, Role.Kind.OTHER, Role.Kind.SCSP

ALLOWED: dict[tuple[str, str], frozenset[Role.Kind]] = {
    ("locations", RECEIVER): frozenset({_CPO, _NAP}),
    ("locations", SENDER): frozenset({_EMSP, _NSP, _NAP, _OTHER}),
    ("tariffs", RECEIVER): frozenset({_CPO, _NAP}),
    ("tariffs", SENDER): frozenset({_EMSP, _NSP, _NAP, _OTHER}),
    ("sessions", RECEIVER): frozenset({_CPO}),
    ("sessions", SENDER): frozenset({_EMSP, _SCSP, _OTHER}),
    ("cdrs", RECEIVER): frozenset({_CPO}),
    ("cdrs", SENDER): frozenset({_EMSP, _OTHER}),
    ("tokens", RECEIVER): frozenset({_EMSP, _OTHER}),
    ("tokens", SENDER): frozenset({_CPO}),
    ("commands", RECEIVER): frozenset({_EMSP, _OTHER}),
    ("commands", SENDER): frozenset({_CPO}),
    ("chargingprofiles", RECEIVER): frozenset({_EMSP, _SCSP, _OTHER}),
    ("chargingprofiles", SENDER): frozenset({_CPO}),
    ("hubclientinfo", SENDER): frozenset(Role.Kind),
}

BROADCAST_TO: dict[str, frozenset[Role.Kind]] = {
    _CPO: frozenset({_EMSP, _NAP, _NSP, _OTHER}),
    _NAP: frozenset({_EMSP, _NSP, _OTHER}),
    _EMSP: frozenset({_CPO}),
    _OTHER: frozenset({_CPO}),
}

OPPOSITE: dict[str, frozenset[Role.Kind]] = {  # who has something to say to whom
    _CPO: frozenset({_EMSP, _NAP, _NSP, _OTHER, _SCSP}),
    _EMSP: frozenset({_CPO, _NAP}),
    _NAP: frozenset({_CPO, _EMSP, _NSP, _OTHER}),
    _NSP: frozenset({_CPO, _NAP}),
    _OTHER: frozenset({_CPO, _NAP}),
    _SCSP: frozenset({_CPO}),
}


def counterparts(module: str, interface: str) -> frozenset[Role.Kind]:
    """Return the roles that stand behind an interface: those that call the hub's other one."""
    return ALLOWED[module, SENDER if interface == RECEIVER else RECEIVER]


def acting_role(
    roles: Iterable[Role], module: str, interface: str, *candidates: Address | None
) -> Role:
    """Return which of a platform's roles acts on an interface.

    The first of the addresses that is given (routing header, owner in the URL) decides; without
    any, the platform must have exactly one role that may act. Raises Forbidden when none may,
    Invalid when the named party is not one of the platform's.
    """
    allowed = ALLOWED[module, interface]
    able = [role for role in roles if role.role in allowed]
    if not able:
        names = " or ".join(sorted(allowed))
        raise Forbidden(f"only a party with role {names} may use {module} {interface}")
    named = next((address for address in candidates if address), None)
    fitting = [role for role in able if named in {None, role.party.address}]
    if not fitting:
        raise Invalid(f"{named} is not a party of this platform that may use {module}")
    if len({role.party_id for role in fitting}) > 1:
        raise Invalid("several parties of this platform may act: say which in OCPI-from-*")
    return fitting[0]
