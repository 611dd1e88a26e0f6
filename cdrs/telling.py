"""What CDRs and their findings are called in front of a party, and what it can do about them."""

from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cdrs import exceptions
from cdrs.explorer import Opinion, Side
from cdrs.models import Cdr, Finding

Words = str | Promise
MENTIONS_OTHERS = {  # whose text names what is nobody's business on that side
    Side.SOLD: frozenset({"billed_by_another_cpo", "token_at_two_places"}),
    Side.BOUGHT: frozenset({"unusual", "dearer_than_usual", "billed_by_another_cpo"}),
}


class Remedy(NamedTuple):
    """What either side can do about CDRs that are held for a reason."""

    sold: Words
    bought: Words

    def on(self, side: Side) -> Words:
        """Return what one side can do."""
        return self.sold if side is Side.SOLD else self.bought


CREDIT = gettext_lazy(
    "If the hub is right, take the CDR back by a credit CDR and send a corrected one. "
    "If not, ask the hub's staff to release it."
)
NOT_PAID = gettext_lazy("Nothing for now: you do not pay for it while it is held.")
DEFAULT = Remedy(CREDIT, NOT_PAID)
COMPANY = gettext_lazy("Send the hub's staff the company, address and VAT id that are missing.")
REMEDIES: dict[str, Remedy] = {
    "emsp_unknown": Remedy(
        gettext_lazy("Send CDRs for tokens of connected eMSPs only; tried again every night."),
        NOT_PAID,
    ),
    "token_unknown": Remedy(
        gettext_lazy("Nothing: it is judged again when the eMSP has told the hub the token."),
        gettext_lazy("Push this token to the hub, if it is yours; the CDR is then judged again."),
    ),
    "agreement_missing": Remedy(
        gettext_lazy("Ask the hub's staff to note the agreement with this eMSP."),
        gettext_lazy("Ask the hub's staff to note the agreement with this CPO."),
    ),
    "location_required": Remedy(
        gettext_lazy("Publish the location; the CDR is judged again every night."), NOT_PAID
    ),
    "session_required": Remedy(
        gettext_lazy("Push the session; the CDR is judged again every night."), NOT_PAID
    ),
    "tariff_missing": Remedy(
        gettext_lazy("Publish the tariff, or put it into the CDR; it is judged again every night."),
        NOT_PAID,
    ),
    "time_zone_missing": Remedy(
        gettext_lazy("Publish the location with its time zone; judged again every night."),
        NOT_PAID,
    ),
    "priced_later": Remedy(
        gettext_lazy("Nothing: it is being priced."), gettext_lazy("Nothing: it is being priced.")
    ),
    "credit_reference_unknown": Remedy(
        gettext_lazy("Send the CDR that this credit takes back; it is judged again every night."),
        NOT_PAID,
    ),
    "contested": Remedy(
        gettext_lazy("Answer the dispute, or ask the hub's staff where there is none."),
        gettext_lazy("Nothing for now: you do not pay for it until the dispute is decided."),
    ),
    # found when a month is closed
    "legal_entity_missing": Remedy(COMPANY, COMPANY),
    "self_billing_agreement_missing": Remedy(
        gettext_lazy("Agree to self-billing: the hub's staff has the paper."), NOT_PAID
    ),
    "vat_rule_missing": Remedy(
        gettext_lazy("Nothing: the hub's staff has to say how this supply is taxed."), NOT_PAID
    ),
    "exchange_rate_missing": Remedy(
        gettext_lazy("Nothing: the hub's staff has to enter the exchange rate for the VAT."),
        NOT_PAID,
    ),
    "credit_without_original": Remedy(
        gettext_lazy("Nothing: what it takes back was billed already, and is credited on paper."),
        gettext_lazy("Nothing: what it takes back was billed already, and is credited on paper."),
    ),
}
BY_PEOPLE = {"contested": gettext_lazy("One of its two sides disputes it.")}
BY_THE_CLOSE = {
    "legal_entity_missing": gettext_lazy("The company data of a side is not complete."),
    "self_billing_agreement_missing": gettext_lazy("The CPO has not agreed to self-billing."),
    "vat_rule_missing": gettext_lazy("Nobody has said yet how this supply is taxed."),
    "exchange_rate_missing": gettext_lazy(
        "Its VAT has to be told in the currency of the country, and there is no rate for that."
    ),
    "credit_without_original": gettext_lazy("It credits a CDR of another month."),
}


def remedy(code: str, side: Side) -> Words:
    """Say what a side can do about CDRs that are held for a reason."""
    return REMEDIES.get(code, DEFAULT).on(side)


def rule_in_words(code: str) -> Words:
    """Say what a rule asks for."""
    return exceptions.words(code) or (BY_THE_CLOSE | BY_PEOPLE).get(code, code)


def finding_in_words(finding: Finding, side: Side) -> Words:
    """Say what was found, without what concerns others."""
    plain = finding.code in BY_THE_CLOSE or finding.code in BY_PEOPLE
    hidden = plain or finding.code in MENTIONS_OTHERS[side]
    return rule_in_words(finding.code) if hidden else finding.text


class Status(NamedTuple):
    """What a CDR is in front of a party: the kind of its tag, and the word."""

    tag: str
    word: Words


def status_of(cdr: Any) -> Status:
    """Say what became of a CDR that was fetched for the explorer."""
    if cdr.state == Cdr.State.DISCARDED:
        return Status("closed", _("Discarded"))
    if cdr.state == Cdr.State.HELD:
        return Status("held", _("Held"))
    if cdr.is_credited:
        return Status("closed", Opinion.CREDITED.label)
    if cdr.credit:
        return Status("ok", _("Credit"))
    return Status("ok", (Opinion.FLAGGED if cdr.open_findings else Opinion.CLEAN).label)
