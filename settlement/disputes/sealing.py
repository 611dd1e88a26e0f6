"""Evidence that the hub itself gives: what it knows of a disputed CDR, with its digest and time."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from cdrs import claims, explorer, telling
from cdrs.explorer import Side
from cdrs.models import Cdr, Finding, Session
from cdrs.pricing import Refused
from cdrs.pricing.explanation import explain
from cdrs.pricing.rendering import as_json
from hub.ocpi import json
from parties.models import Party, User
from settlement.disputes.evidence import safe_name
from settlement.disputes.moving import CannotDispute, Kind, locked, note
from settlement.models import Dispute, Evidence

About = Evidence.About
MOST = 50  # files of the hub in a dispute
SIDES = (Side.SOLD, Side.BOUGHT)


@transaction.atomic
def seal(
    dispute: Dispute,
    about: str,
    cdr: Cdr,
    now: dt.datetime,
    *,
    party: Party | None = None,
    person: User | None = None,
) -> Evidence:
    """Add what the hub knows about a disputed CDR, as it is now; once for each.

    `party` is who has asked for it, None the hub. Raises CannotDispute where there is nothing.
    """
    dispute = locked(dispute)
    if party is not None and party.pk not in (dispute.claimant_id, dispute.respondent_id):
        raise CannotDispute(_("This dispute is between two others."))
    if not dispute.items.filter(cdr=cdr).exists() or about not in About.values:
        raise CannotDispute(_("The hub has nothing like this."))
    made: Evidence | None = dispute.evidence.filter(sealed=True, about=about, cdr=cdr).first()
    if made is not None:
        return made
    if dispute.is_over:
        raise CannotDispute(_("%s is over: nothing is added to it.") % dispute.reference)
    if dispute.evidence.filter(sealed=True).count() >= MOST:
        raise CannotDispute(_("The hub adds at most %d files to a dispute.") % MOST)
    made = _made(dispute, About(about), cdr, now)
    said = {"names": made.name, "sealed": made.sha256}
    note(dispute, Kind.EVIDENCE, now, party=party, person=person, **said)
    return made


def _made(dispute: Dispute, about: About, cdr: Cdr, now: dt.datetime) -> Evidence:
    made = Evidence.holding(
        json.pretty({"cdr": cdr.uid, about: TOLD[about](cdr)}).encode(),
        dispute=dispute,
        name=safe_name(f"{about}-{cdr.uid}.json"),
        type=Evidence.Type.JSON,
        state=Evidence.State.CLEAN,
        sealed=True,
        about=about,
        cdr=cdr,
        added_at=now,
    )
    made.save(force_insert=True)
    return made


def _findings(cdr: Cdr) -> list[dict[str, Any]]:
    """Return what the rules found; what names others is told by its rule only."""
    return [
        {
            "rule": item.code,
            "severity": item.severity,
            "text": _words(item),
            "found_at": item.found_at.isoformat(),
            "cleared_at": item.cleared_at and item.cleared_at.isoformat(),
        }
        for item in cdr.findings.order_by("pk")
    ]


def _words(finding: Finding) -> str:
    hidden = any(finding.code in telling.MENTIONS_OTHERS[side] for side in SIDES)
    return str(telling.rule_in_words(finding.code)) if hidden else finding.text


def _price(cdr: Cdr) -> Any:
    """Return what is claimed beside what the hub computes, step by step."""
    try:
        assessment = claims.assessed(cdr)
    except (Refused, KeyError) as error:
        raise CannotDispute(_("The hub cannot price it: %s") % error) from error
    return {
        "verdict": assessment.cost_verdict,
        "claimed": cdr.total_excl_vat,
        "computed": assessment.account.total.excl,
        "steps": json.kept(as_json(explain(assessment.account))),
    }


def _tariff(cdr: Cdr) -> Any:
    """Return the tariffs that the CDR has in it, and those that the hub knew at its start."""
    verdict = cdr.verdicts.order_by("-pk").first()
    inside = cdr.body.get("tariffs") or []
    known = (verdict.tariffs if verdict else None) or []
    if not inside and not known:
        raise CannotDispute(_("The hub knows no tariff of this CDR."))
    return {"in_the_cdr": inside, "published": known}


def _session(cdr: Cdr) -> Mapping[str, Any]:
    rows = Session.objects.filter(owner=cdr.owner_id, emsp=cdr.emsp_id)
    found = rows.filter(uid__iexact=cdr.session_uid).first() if cdr.session_uid else None
    if found is None:
        raise CannotDispute(_("The hub knows no session of this CDR."))
    body: Mapping[str, Any] = found.body
    return body


def _duplicates(cdr: Cdr) -> list[dict[str, Any]]:
    """Return the CDRs between the same two that bill the same session, or the same start.

    Those that the eMSP does not see in its list are not told.
    """
    if cdr.emsp is None:
        return []
    known = explorer.of_party(cdr.emsp, Side.BOUGHT)
    same = known.filter(owner=cdr.owner_id).exclude(pk=cdr.pk)
    started = same.filter(
        evse_uid__iexact=cdr.evse_uid,
        token_uid__iexact=cdr.token_uid,
        started_at=cdr.started_at,
    )
    found = started | (same.filter(session_uid__iexact=cdr.session_uid or "-"))
    rows = [*found.order_by("pk")[:20]]
    if not rows:
        raise CannotDispute(_("The hub knows no other CDR of this session."))
    return [
        {
            "id": other.uid,
            "start_date_time": other.started_at.isoformat(),
            "end_date_time": other.ended_at.isoformat(),
            "total_energy": other.energy_kwh,
            "total_cost": other.total_excl_vat,
            "credit": other.credit,
            "state": other.state,
        }
        for other in rows
    ]


TOLD: dict[About, Callable[[Cdr], Any]] = {
    About.FINDINGS: _findings,
    About.PRICE: _price,
    About.TARIFF: _tariff,
    About.SESSION: _session,
    About.DUPLICATE: _duplicates,
}
