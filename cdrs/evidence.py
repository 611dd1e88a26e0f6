"""What the hub knows of CDRs when it judges them: one query, for one CDR or for many.

Everything is looked up by an index; of the CDRs of an EVSE or a token those of the week before are
looked at, the 500 and the 100 nearest: a token that a whole fleet shares must not slow its CDRs
down. Other CDRs count while they stand: neither credits nor credited nor discarded. Of a CDR that
is stored already only earlier ones count, so that of two duplicates the first one stands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from django.apps import apps
from django.conf import settings

from cdrs import rules
from cdrs.facts import Facts
from cdrs.periods import day_of, month_of
from hub import statements
from hub.countries import alpha_2
from parties.models import Party

QUERY = """
SELECT json_strip_nulls(json_build_object(
    'now', c.now,
    'emsp_known', c.emsp IS NOT NULL,
    'token', (
        SELECT json_build_object('valid', t.valid, 'contract_id', t.contract_id,
            'last_updated', t.last_updated, 'whitelist', t.body->>'whitelist')
        FROM cdrs_token t
        WHERE upper(t.uid) = upper(c.token) AND t.owner_id = c.emsp AND t.type = c.token_type),
    'token_of_another', EXISTS (
        SELECT FROM cdrs_token t WHERE upper(t.uid) = upper(c.token) AND t.type = c.token_type
            AND c.emsp IS NOT NULL AND t.owner_id <> c.emsp),
    'authorized', (
        SELECT json_build_object('allowed', a.allowed, 'reference', a.reference)
        FROM cdrs_authorization a
        WHERE a.cpo_id = c.owner AND upper(a.token_uid) = upper(c.token)
            AND a.at BETWEEN c.started - interval '1 day' AND c.started + interval '15 minutes'
        ORDER BY a.reference = c.authorized DESC, a.at DESC LIMIT 1),
    'authorizations_told', EXISTS (SELECT FROM cdrs_authorization a WHERE a.cpo_id = c.owner),
    'location_known', c.location = '' OR place.body IS NOT NULL,
    'place', CASE WHEN place.body IS NOT NULL THEN json_build_object(
        'country', place.body->>'country', 'time_zone', place.body->>'time_zone',
        'latitude', place.body->'coordinates'->>'latitude',
        'longitude', place.body->'coordinates'->>'longitude',
        'evse_known', evse.body IS NOT NULL, 'evse_status', evse.body->>'status',
        'evse_updated', evse.body->>'last_updated',
        'connector', CASE WHEN plug.body IS NOT NULL THEN json_build_object(
            'power_type', plug.body->>'power_type', 'max_voltage', plug.body->'max_voltage',
            'max_amperage', plug.body->'max_amperage',
            'max_electric_power', plug.body->'max_electric_power') END) END,
    'session', (
        SELECT json_build_object('status', s.status, 'kwh', s.body->'kwh',
            'started_at', s.body->>'start_date_time', 'ended_at', s.body->>'end_date_time',
            'currency', s.body->>'currency', 'token_uid', s.body->'cdr_token'->>'uid',
            'evse_uid', s.body->>'evse_uid')
        FROM cdrs_session s WHERE s.owner_id = c.owner AND upper(s.uid) = upper(c.session)),
    'sessions_told', c.session <> ''
        AND EXISTS (SELECT FROM cdrs_session s WHERE s.owner_id = c.owner),
    'same_session', (
        SELECT o.uid FROM cdrs_cdr o
        WHERE NOT c.credit AND c.session <> '' AND o.owner_id = c.owner
            AND upper(o.session_uid) = upper(c.session) AND {standing} LIMIT 1),
    'replaces', (
        SELECT o.uid FROM cdrs_cdr o
        WHERE NOT c.credit AND c.session <> '' AND o.owner_id = c.owner
            AND upper(o.session_uid) = upper(c.session) AND {earlier}
            AND EXISTS (SELECT FROM cdrs_cdr k WHERE k.credit_of_id = o.id) LIMIT 1),
    'same_start', evses.same_start,
    'nearly_same', CASE WHEN evses.same_start IS NULL THEN evses.nearly_same END,
    'overlapping', evses.overlapping,
    'same_energy', evses.same_energy,
    'tiny_that_day', evses.tiny,
    'by_another_cpo', tokens.by_another_cpo,
    'elsewhere', tokens.elsewhere,
    'of_token_that_day', tokens.that_day,
    'same_authorization', (
        SELECT o.uid FROM cdrs_cdr o
        WHERE NOT c.credit AND c.authorized <> '' AND o.owner_id = c.owner
            AND o.body ? 'authorization_reference'
            AND o.body->>'authorization_reference' = c.authorized AND {standing} LIMIT 1),
    'original', (
        SELECT json_build_object('excl_vat', o.total_excl_vat, 'currency', o.currency,
            'credit', coalesce((o.body->>'credit')::boolean, false),
            'credited', EXISTS (SELECT FROM cdrs_cdr k
                WHERE k.credit_of_id = o.id AND k.id IS DISTINCT FROM c.pk),
            'settled', coalesce(p.state NOT IN ('open', 'grace'), false),
            'accepted', o.state = 'accepted',
            'same_trade', (o.emsp_id, o.country, o.month)
                IS NOT DISTINCT FROM (c.emsp, c.country, c.month),
            'ended_at', o.ended_at,
            'differs', array_remove(ARRAY[
                CASE WHEN upper(o.session_uid) <> upper(c.session) THEN 'session_id' END,
                CASE WHEN upper(o.token_uid) <> upper(c.token) THEN 'cdr_token' END,
                CASE WHEN upper(o.evse_uid) <> upper(c.evse) THEN 'cdr_location' END,
                CASE WHEN o.started_at <> c.started THEN 'start_date_time' END,
                CASE WHEN o.ended_at <> c.ended THEN 'end_date_time' END,
                CASE WHEN o.energy_kwh <> c.energy THEN 'total_energy' END], NULL))
        FROM cdrs_cdr o LEFT JOIN cdrs_period p ON p.id = o.period_id
        WHERE c.credit AND o.owner_id = c.owner AND upper(o.uid) = upper(c.reference)),
    'norm', (
        SELECT row_to_json(m) FROM (
            SELECT cdrs, per_kwh, per_kwh_off, kwh, kwh_off, hours, hours_off FROM cdrs_norm
            WHERE owner_id = c.owner AND currency = c.currency) m),
    'contracted', c.emsp IS NULL OR terms.agreed IS NOT NULL,
    'agreed', coalesce((
        SELECT json_agg(a.values ORDER BY a.place) FROM (
            SELECT a.values, (a.cpo_id IS NOT NULL)::int + 2 * (a.emsp_id IS NOT NULL)::int AS place
            FROM cdrs_ruleparameters a
            WHERE (a.cpo_id IS NULL OR a.cpo_id = c.owner)
                AND (a.emsp_id IS NULL OR a.emsp_id = c.emsp)
                AND a.valid_from <= c.day AND (a.valid_to IS NULL OR a.valid_to > c.day)
            UNION ALL SELECT terms.agreed, -1 WHERE terms.agreed <> '{{}}') a), '[]'),
    'published', coalesce((
        SELECT json_agg(json_build_object('uid', t.uid, 'since', v.known_from, 'body', v.body)
            ORDER BY named.place)
        FROM ROWS FROM (unnest(CASE WHEN c.tariffs <> '[]'
                THEN ARRAY(SELECT jsonb_array_elements_text(c.tariffs))
                ELSE ARRAY(SELECT jsonb_array_elements_text(plug.body->'tariff_ids')) END))
            WITH ORDINALITY AS named (uid, place)
        JOIN {tariff} t ON t.owner_id = c.owner AND upper(t.uid) = upper(named.uid)
        CROSS JOIN LATERAL (
            SELECT v.known_from, v.body FROM {version} v WHERE v.tariff_id = t.id
            ORDER BY v.known_from <= c.started DESC,
                CASE WHEN v.known_from <= c.started THEN v.known_from END DESC, v.known_from
            LIMIT 1) v), '[]')))::text
FROM jsonb_to_recordset(%s::jsonb) AS c (
    n int, now timestamptz, owner bigint, emsp bigint, pk bigint, credit boolean,
    session text, evse text, connector text, location text, token text, token_type text,
    authorized text, reference text, started timestamptz, ended timestamptz, day date,
    energy numeric, currency text, country text, month date, tariffs jsonb)
CROSS JOIN LATERAL (
    SELECT cdr_terms(c.owner, c.emsp, c.currency, c.day) AS agreed OFFSET 0) terms
LEFT JOIN {location} place ON place.owner_id = c.owner AND upper(place.uid) = upper(c.location)
LEFT JOIN LATERAL (
    SELECT body FROM jsonb_array_elements(place.body->'evses') AS each (body)
    WHERE upper(each.body->>'uid') = upper(c.evse) LIMIT 1) evse ON true
LEFT JOIN LATERAL (
    SELECT body FROM jsonb_array_elements(evse.body->'connectors') AS each (body)
    WHERE upper(each.body->>'id') = upper(c.connector) LIMIT 1) plug ON true
LEFT JOIN LATERAL (
    SELECT min(o.uid) FILTER (WHERE o.same_token AND o.started_at = c.started) AS same_start,
        min(o.uid) FILTER (WHERE o.near) AS nearly_same,
        min(o.uid) FILTER (WHERE o.started_at < c.ended AND o.ended_at > c.started
            AND NOT o.near AND NOT (o.same_token AND o.started_at = c.started)) AS overlapping,
        count(*) FILTER (WHERE c.energy > 0 AND o.energy_kwh = c.energy) AS same_energy,
        count(*) FILTER (WHERE o.same_token AND o.energy_kwh < 1 AND c.energy < 1
            AND o.started_at > c.started - interval '1 day') AS tiny
    FROM (
        SELECT o.uid, o.started_at, o.ended_at, o.energy_kwh,
            upper(o.token_uid) = upper(c.token) AS same_token,
            upper(o.token_uid) = upper(c.token) AND o.started_at <> c.started
                AND abs(extract(epoch FROM o.started_at - c.started)) < 120
                AND abs(o.energy_kwh - c.energy) < 0.05 AS near
        FROM cdrs_cdr o
        WHERE NOT c.credit AND c.evse NOT IN ('', '#NA') AND o.owner_id = c.owner
            AND upper(o.evse_uid) = upper(c.evse)
            AND o.started_at > c.started - interval '7 days'
            AND o.started_at < greatest(c.ended, c.started + interval '2 minutes')
            AND {standing}
        ORDER BY o.started_at DESC LIMIT 500) o) evses ON true
LEFT JOIN LATERAL (
    SELECT min(o.uid) FILTER (WHERE o.owner_id <> c.owner AND o.started_at = c.started
            AND o.energy_kwh = c.energy) AS by_another_cpo,
        min(o.uid) FILTER (WHERE o.started_at < c.ended AND o.ended_at > c.started
            AND (o.owner_id <> c.owner OR upper(o.evse_uid) <> upper(c.evse))
            AND c.evse NOT IN ('', '#NA') AND o.evse_uid NOT IN ('', '#NA')) AS elsewhere,
        count(*) FILTER (WHERE o.started_at > c.started - interval '1 day') AS that_day
    FROM (
        SELECT o.uid, o.owner_id, o.evse_uid, o.started_at, o.ended_at, o.energy_kwh
        FROM cdrs_cdr o
        WHERE NOT c.credit AND c.token <> '' AND o.emsp_id = c.emsp
            AND upper(o.token_uid) = upper(c.token)
            AND o.started_at > c.started - interval '7 days'
            AND o.started_at < greatest(c.ended, c.started + interval '1 second')
            AND {standing}
        ORDER BY o.started_at DESC LIMIT 100) o) tokens ON true
ORDER BY c.n
"""
EARLIER = "(c.pk IS NULL OR o.id < c.pk)"
STANDING = f"""{EARLIER} AND o.state <> 'discarded' AND o.credit_of_id IS NULL
    AND o.total_excl_vat >= 0 AND NOT EXISTS (SELECT FROM cdrs_cdr k WHERE k.credit_of_id = o.id)"""
IN_THE_SANDBOX = {
    "late_days": None,
    "credit_days": None,
    "tariff_required": False,
    "signed_data_countries": (),  # the simulated CPO has no such meters
    "hold_lacking": False,  # there the guide's calls lead to an invoice, as they stand
}
EVERYONE: Mapping[str, Any] = IN_THE_SANDBOX if settings.SANDBOX else {}
_DECODER = msgspec.json.Decoder(rules.Evidence)
_USUAL = msgspec.convert({**EVERYONE}, rules.Parameters, strict=False)


@dataclass(frozen=True)
class Candidate:
    """A CDR to be judged; `now` is when it came, `pk` is None as long as it is not stored.

    Where its CPO has not told the place, the hub has derived it, and nothing is held against it.
    """

    owner: Party
    emsp_id: int | None
    facts: Facts
    now: datetime
    lacking: tuple[str, ...] = ()
    pk: int | None = None
    place_told: bool = True

    @property
    def embedded(self) -> list[dict[str, Any]]:
        """Return the tariffs that it has in it."""
        return list(self.facts.body.get("tariffs") or ())

    @property
    def named(self) -> list[str]:
        """Return the ids of the tariffs that it has in it or names, each once."""
        periods = self.facts.body["charging_periods"]
        named = [str(period["tariff_id"]) for period in periods if period.get("tariff_id")]
        return list(dict.fromkeys([str(item["id"]) for item in self.embedded] + named))


def gather(candidates: Sequence[Candidate]) -> list[rules.Evidence]:
    """Return what the hub knows of each CDR, in their order."""
    rows = [_row(place, candidate) for place, candidate in enumerate(candidates)]
    found = statements.rows(_query(), [msgspec.json.encode(rows).decode()])
    return [_DECODER.decode(text) for (text,) in found]


def parameters(agreed: Sequence[Mapping[str, Any]]) -> rules.Parameters:
    """Return the parameters that agreements make, laid over those for everyone."""
    if not agreed:
        return _USUAL
    merged: dict[str, Any] = {**EVERYONE}
    for values in agreed:
        merged |= values
    return msgspec.convert(merged, rules.Parameters, strict=False)


@cache
def _query() -> str:
    return QUERY.format(standing=STANDING, earlier=EARLIER, **dict(_tables()))


def _tables() -> Iterator[tuple[str, str]]:
    """Name the tables of another app on this floor, which is known by name only."""
    tariff = apps.get_model(settings.OCPI_MODELS["tariffs"])
    yield "location", apps.get_model(settings.OCPI_MODELS["locations"])._meta.db_table
    yield "tariff", tariff._meta.db_table
    yield "version", tariff._meta.get_field("versions").related_model._meta.db_table


def _row(place: int, candidate: Candidate) -> dict[str, Any]:
    facts = candidate.facts
    return {
        "n": place,
        "now": candidate.now,
        "owner": candidate.owner.pk,
        "emsp": candidate.emsp_id,
        "pk": candidate.pk,
        "credit": facts.credit,
        "session": facts.text("session_id"),
        "evse": facts.text("cdr_location", "evse_uid"),
        "connector": facts.text("cdr_location", "connector_id"),
        "location": facts.text("cdr_location", "id"),
        "token": facts.text("cdr_token", "uid"),
        "token_type": facts.text("cdr_token", "type"),
        "authorized": facts.text("authorization_reference"),
        "reference": facts.text("credit_reference_id"),
        "started": facts.started_at,
        "ended": facts.ended_at,
        "day": day_of(facts.started_at),
        "energy": facts.energy_kwh,
        "currency": facts.text("currency"),
        "country": alpha_2(facts.text("cdr_location", "country")),
        "month": month_of(facts.ended_at),
        "tariffs": candidate.named,
    }
