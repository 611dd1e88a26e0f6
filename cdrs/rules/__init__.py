"""What the hub checks of a CDR before it may be paid.

Each rule is a pure function of what the CDR says and of what the hub knows about it; it returns
one plain sentence when it fires. REJECT refuses the CDR, HOLD keeps it from being settled until it
is cleared, FLAG only marks it. docs/cdr-rules.md lists them all.
"""

from cdrs.rules import payer, duplicates, timing, energy, place  # noqa: F401, I001 - in this order
from cdrs.rules import sessions, price, credits, meters  # noqa: F401
from cdrs.rules.context import (
    Authorized,
    Context,
    Evidence,
    Figure,
    KnownConnector,
    KnownPlace,
    KnownSession,
    KnownTariff,
    KnownToken,
    Norm,
    Original,
    Parameters,
    Priced,
    Published,
)
from cdrs.rules.engine import (
    FIRST,
    FLAG,
    HOLD,
    REJECT,
    RULES,
    VERSION,
    Finding,
    Rule,
    by_code,
    codes,
    in_force,
    judge,
    rule,
)

__all__ = [
    "FIRST",
    "FLAG",
    "HOLD",
    "REJECT",
    "RULES",
    "VERSION",
    "Authorized",
    "Context",
    "Evidence",
    "Figure",
    "Finding",
    "KnownConnector",
    "KnownPlace",
    "KnownSession",
    "KnownTariff",
    "KnownToken",
    "Norm",
    "Original",
    "Parameters",
    "Priced",
    "Published",
    "Rule",
    "by_code",
    "codes",
    "in_force",
    "judge",
    "rule",
]
