"""Who pays: the eMSP, its token, its consent, and the agreement between the two parties."""

from cdrs.facts import Facts
from cdrs.rules.context import Context
from cdrs.rules.engine import FLAG, HOLD, rule

NEW = "2026-12"
MANY = 20  # sessions of one token in a day


@rule(HOLD, retried=True, final=True)
def emsp_unknown(facts: Facts, context: Context) -> str | None:
    """The token must belong to an eMSP of this network."""
    if context.emsp_known:
        return None
    return f"no eMSP of this network owns the token ({facts.payer or 'not resolved'})"


@rule(HOLD, retried=True)
def token_unknown(facts: Facts, context: Context) -> str | None:
    """The token must have been told to the hub, unless an app started the session."""
    if context.token or facts.text("auth_method") == "COMMAND":
        return None
    return "the eMSP has not told the hub this token"


@rule(HOLD, since=NEW)
def token_of_another_emsp(facts: Facts, context: Context) -> str | None:
    """The token must not be another eMSP's."""
    if context.token or not context.token_of_another:
        return None
    return f"another eMSP owns token {facts.text('cdr_token', 'uid')}"


@rule(HOLD)
def token_invalid(facts: Facts, context: Context) -> str | None:
    """The token must have been valid when the session started."""
    token = context.token
    if token and not token.valid and token.last_updated <= facts.started_at:
        return "the token was invalid when the session started"
    return None


@rule(FLAG)
def contract_differs(facts: Facts, context: Context) -> str | None:
    """The contract id must be the token's."""
    told = facts.text("cdr_token", "contract_id")
    if context.token and told and told.upper() != context.token.contract_id.upper():
        return f"the token's contract is {context.token.contract_id}, not {told}"
    return None


@rule(FLAG, since=NEW)
def whitelist_ignored(facts: Facts, context: Context) -> str | None:
    """A token that is never to be whitelisted needs the eMSP's consent each time."""
    never = context.token is not None and context.token.whitelist == "NEVER"
    if never and facts.text("auth_method") == "WHITELIST":
        return "the eMSP wants to be asked about this token each time, and was not"
    return None


@rule(FLAG, since=NEW)
def authorization_unknown(facts: Facts, context: Context) -> str | None:
    """Of a session that the eMSP authorised the hub has seen the answer."""
    asked = facts.text("auth_method") == "AUTH_REQUEST"
    if asked and context.authorizations_told and context.authorized is None:
        return "the hub has seen no authorisation of this token on that day"
    return None


@rule(FLAG, since=NEW)
def authorization_refused(facts: Facts, context: Context) -> str | None:
    """The eMSP must not have refused the token."""
    answer = context.authorized
    if answer and answer.allowed != "ALLOWED" and facts.text("auth_method") == "AUTH_REQUEST":
        return f"the eMSP has answered {answer.allowed or 'that it does not know the token'}"
    return None


@rule(FLAG, since=NEW)
def authorization_reference_differs(facts: Facts, context: Context) -> str | None:
    """The authorization_reference is the one that the eMSP gave."""
    told = facts.text("authorization_reference")
    given = context.authorized.reference if context.authorized else ""
    if told and given and told.upper() != given.upper():
        return f"the eMSP gave the reference {given}, not {told}"
    return None


@rule(FLAG, since=NEW)
def authorization_used_twice(facts: Facts, context: Context) -> str | None:
    """An authorization_reference is for one session."""
    if context.same_authorization:
        return f"CDR {context.same_authorization} has the same authorization_reference"
    return None


@rule(FLAG, since=NEW, timed=True)
def token_at_two_places(facts: Facts, context: Context) -> str | None:
    """A token charges at one place at a time."""
    if context.elsewhere:
        return f"the token charged elsewhere meanwhile: CDR {context.elsewhere}"
    return None


@rule(FLAG, since=NEW, timed=True)
def token_used_often(facts: Facts, context: Context) -> str | None:
    """More than twenty sessions of a token in a day deserve a look."""
    count = context.of_token_that_day
    return f"{count} sessions of this token in a day" if count > MANY else None


@rule(HOLD, since=NEW, retried=True, timed=True)
def agreement_missing(facts: Facts, context: Context) -> str | None:
    """CPO and eMSP need agreements that let them trade when the session starts."""
    if context.parameters.trading and context.contracted:
        return None
    return "CPO and eMSP have no agreement in force for the start of the session"


@rule(FLAG, credits=True)
def incomplete(facts: Facts, context: Context) -> str | None:
    """What the quick-start dialect left out and the hub could not derive."""
    return f"could not be derived: {', '.join(context.lacking)}" if context.lacking else None


@rule(HOLD, credits=True)
def not_shown_to_the_emsp(facts: Facts, context: Context) -> str | None:
    """Nobody pays for what cannot be sent to them as valid OCPI (in the sandbox they do)."""
    if not context.parameters.hold_lacking or not context.lacking:
        return None
    return f"it cannot be sent to the eMSP without {', '.join(context.lacking)}"
