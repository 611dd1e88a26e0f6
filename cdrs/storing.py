"""A CDR with its findings, its verdict and what is owed of it, written in one statement.

The month is that of the CDR, as long as it takes what comes: its row is locked FOR SHARE by the
statement itself, so that the freeze waits for us, or we for the freeze and then write nothing. In
that case, and for the first CDR of a month, `periods` says which month takes the CDR.

Rows are handed over as JSON and made by the server, by the types of its columns.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from msgspec import Raw

from cdrs import rules
from cdrs.facts import Facts
from cdrs.judging import Judgement, verdict_of
from cdrs.models import Cdr, Verdict
from cdrs.periods import month_of, period_for
from hub import statements
from hub.countries import alpha_2
from hub.ocpi import json
from parties import delivery
from parties.models import Party, Role


@dataclass(frozen=True)
class Arrival:
    """A CDR that is to be stored: as valid 2.2.1, as it was sent if that differs, as judged.

    `receiver` is the role that is owed it, None when it is nobody yet.
    """

    owner: Party
    facts: Facts
    raw: Any
    complete: bool
    payer: Role | None
    receiver: Role | None
    credit_of: Cdr | None
    judgement: Judgement
    now: datetime

    @cached_property
    def row(self) -> dict[str, Any]:
        """Return the values of its columns, but for the period."""
        body, raw = json.dumps(self.facts.body), _encoded(self.raw)
        return {
            "owner_id": self.owner.pk,
            "emsp_id": self.payer.party_id if self.payer else None,
            "state": Cdr.State.HELD if self.judgement.held else Cdr.State.ACCEPTED,
            "credit_of_id": self.credit_of.pk if self.credit_of else None,
            "body": Raw(body),
            "raw": Raw(raw) if raw else None,
            "complete": self.complete,
            "version": 1,
            "digest": hashlib.sha256(raw or body).hexdigest(),
            "rules": rules.VERSION,
            "received_at": self.now,
            **_columns(self.facts),
        }


def store(arrival: Arrival) -> int:
    """Store a CDR and return its key; call in a transaction, which then holds the period's row."""
    month, now = arrival.row["month"], arrival.now
    values = _values(arrival)
    if arrival.judgement.held:
        return _written(values, None)
    taken = _written(values, month)
    return taken or _written(values, period_for(month, now=now, arriving=True).month)


def _written(values: Mapping[str, Any], month: Any) -> int:
    """Return the key of the CDR, 0 when a month does not take it."""
    found = statements.rows(_STORE, {**values, "month": month})
    return int(found[0][0]) if found else 0


def _values(arrival: Arrival) -> dict[str, Any]:
    judgement, now = arrival.judgement, arrival.now
    verdict = verdict_of(judgement, arrival.facts.excl_vat, Verdict.Cause.INTAKE, now)
    findings = [_finding(item, now) for item in judgement.findings]
    return {
        "cdr": json.dumps(arrival.row).decode(),
        "findings": json.dumps(findings).decode(),
        "verdict": json.dumps({**verdict, "context": Raw(judgement.told)}).decode(),
        "receiver": arrival.receiver.pk if arrival.receiver else None,
        "now": now,
    }


def _finding(item: rules.Finding, now: datetime) -> dict[str, Any]:
    return {"code": item.code, "severity": item.severity, "text": item.text, "found_at": now}


def _encoded(raw: Any) -> bytes | None:
    return None if raw is None else json.dumps(raw)


def _columns(facts: Facts) -> dict[str, Any]:
    return {
        "uid": facts.text("id"),
        "last_updated": facts.last_updated,
        "started_at": facts.started_at,
        "ended_at": facts.ended_at,
        "month": month_of(facts.ended_at),
        "session_uid": facts.text("session_id"),
        "token_uid": facts.text("cdr_token", "uid"),
        "evse_uid": facts.text("cdr_location", "evse_uid"),
        "country": alpha_2(facts.text("cdr_location", "country")),
        "currency": facts.text("currency"),
        "energy_kwh": facts.energy_kwh,
        "total_excl_vat": facts.excl_vat,
        "total_incl_vat": facts.incl_vat,
    }


# The statement


def _names(model: Any, *without: str) -> Sequence[str]:
    """Return the columns of a table that are told, which is all but the key and some others."""
    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    return [column for column in columns if column not in without]


def _listed(names: Sequence[str], alias: str = "") -> str:
    return ", ".join(f"{alias}.{name}" if alias else name for name in names)


_CDR, _VERDICT = _names(Cdr, "period_id"), _names(Verdict, "cdr_id")
_FINDING = ("code", "severity", "text", "found_at")
_OWED = delivery.DEBT.format(
    what=f"receiver.id, '{Cdr.module}', cdr.id, cdr.version",
    follows="cdr.credit_of_id",
    whence="cdr, parties_role AS receiver WHERE receiver.id = %(receiver)s::bigint",
)
_STORE = f"""
    WITH month AS MATERIALIZED (
        SELECT id FROM cdrs_period WHERE month = %(month)s::date AND (state = 'open'
            OR state = 'grace' AND grace_until > %(now)s::timestamptz) FOR SHARE
    ), cdr AS (
        INSERT INTO cdrs_cdr (period_id, {_listed(_CDR)})
        SELECT month.id, {_listed(_CDR, "told")}
        FROM jsonb_populate_record(NULL::cdrs_cdr, %(cdr)s::jsonb) AS told
            LEFT JOIN month ON true
        WHERE %(month)s::date IS NULL OR month.id IS NOT NULL
        RETURNING id, version, credit_of_id
    ), findings AS (
        INSERT INTO cdrs_finding (cdr_id, {_listed(_FINDING)})
        SELECT cdr.id, {_listed(_FINDING, "told")}
        FROM cdr, jsonb_populate_recordset(NULL::cdrs_finding, %(findings)s::jsonb) AS told
    ), verdict AS (
        INSERT INTO cdrs_verdict (cdr_id, {_listed(_VERDICT)})
        SELECT cdr.id, {_listed(_VERDICT, "told")}
        FROM cdr, jsonb_populate_record(NULL::cdrs_verdict, %(verdict)s::jsonb) AS told
    ), owed AS ({_OWED})
    SELECT id FROM cdr
"""  # noqa: S608 - names of columns only
