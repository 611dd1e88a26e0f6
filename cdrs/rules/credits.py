"""CDRs that take others back. Source: OCPI 2.2.1, mod_cdrs, Credit CDRs."""

from datetime import timedelta

from cdrs.facts import Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, REJECT, rule

NEW = "2026-12"
NOTED = "2027-01"  # since then a settled CDR is taken back by a credit note of the next close
USUAL_ID, CREDIT_ID = 36, 39


@rule(REJECT, since=NEW)
def credit_without_reference(facts: Facts, context: Context) -> str | None:
    """A credit names the CDR that it takes back."""
    if facts.credit and not facts.text("credit_reference_id"):
        return "credit_reference_id is required in a credit"
    return None


@rule(FLAG, since=NEW)
def reference_without_credit(facts: Facts, context: Context) -> str | None:
    """Only a credit has a credit_reference_id."""
    named = facts.text("credit_reference_id")
    return f"it names CDR {named} without being a credit" if named and not facts.credit else None


@rule(FLAG, since=NEW)
def long_id(facts: Facts, context: Context) -> str | None:
    """Only the id of a credit has more than 36 characters."""
    length = len(facts.text("id"))
    return f"the id has {length} characters" if length > USUAL_ID and not facts.credit else None


@rule(HOLD, retried=True, final=True)
def credit_reference_unknown(facts: Facts, context: Context) -> str | None:
    """A credit names a CDR of the same CPO that is not a credit itself."""
    if not facts.credit:
        return None
    if context.original is None:
        return f"credits {facts.text('credit_reference_id') or 'nothing'}, which is not known"
    return "credits a credit" if context.original.credit else None


@rule(HOLD, final=True)
def credit_not_exact(facts: Facts, context: Context) -> str | None:
    """A credit takes back exactly what was charged."""
    original = context.original
    if not facts.credit or original is None:
        return None
    if not original.same_trade:
        return "the original is of another eMSP, country or month"
    if (facts.excl_vat, facts.text("currency")) == (-original.excl_vat, original.currency):
        return None
    return f"credits {facts.excl_vat}, the original is {original.excl_vat} {original.currency}"


@rule(FLAG, since=NEW, credits=True)
def credit_differs(facts: Facts, context: Context) -> str | None:
    """A credit repeats its original but for the total."""
    if not facts.credit or context.original is None or not context.original.differs:
        return None
    return f"the original has another {', '.join(context.original.differs)}"


@rule(HOLD, retried=True, final=True)
def credit_of_held(facts: Facts, context: Context) -> str | None:
    """What is not billed need not be taken back."""
    if facts.credit and context.original and not context.original.accepted:
        return "the original is held itself"
    return None


@rule(HOLD, final=True)
def credited_twice(facts: Facts, context: Context) -> str | None:
    """A CDR is credited once."""
    if facts.credit and context.original and context.original.credited:
        return "the original is credited already"
    return None


@rule(HOLD, final=True, until=NOTED)
def credit_after_settlement(facts: Facts, context: Context) -> str | None:
    """What is settled already is taken back by a credit note."""
    if facts.credit and context.original and context.original.settled:
        return "the original is settled: a credit note is needed"
    return None


@rule(HOLD, since=NEW, credits=True)
def credit_too_late(facts: Facts, context: Context) -> str | None:
    """How late a CDR may be taken back is for the agreement to say (`credit_days`)."""
    days, original = context.parameters.credit_days, context.original
    if not facts.credit or days is None or original is None or original.ended_at is None:
        return None
    if context.now - original.ended_at <= timedelta(days=days):
        return None
    return f"the original is more than {days} days old"
