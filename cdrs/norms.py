"""What is usual for a CPO: medians over three months, and the median deviations from them."""

import datetime as dt

from django.db import connection

SINCE = dt.timedelta(days=90)
LEARN = """
WITH sessions AS (
    SELECT owner_id, currency, energy_kwh AS kwh, total_excl_vat / energy_kwh AS per_kwh,
        extract(epoch FROM ended_at - started_at) / 3600 AS hours
    FROM cdrs_cdr
    WHERE state = 'accepted' AND credit_of_id IS NULL AND energy_kwh >= 1
        AND ended_at > %(since)s AND ended_at <= %(now)s
), usual AS (
    SELECT owner_id, currency, count(*) AS cdrs,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY per_kwh) AS per_kwh,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY kwh) AS kwh,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS hours
    FROM sessions GROUP BY owner_id, currency
)
INSERT INTO cdrs_norm (owner_id, currency, measured_at, cdrs, per_kwh, per_kwh_off, kwh, kwh_off,
    hours, hours_off)
SELECT owner_id, currency, %(now)s, u.cdrs,
    u.per_kwh, percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(s.per_kwh - u.per_kwh)),
    u.kwh, percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(s.kwh - u.kwh)),
    u.hours, percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(s.hours - u.hours))
FROM sessions s JOIN usual u USING (owner_id, currency)
GROUP BY owner_id, currency, u.cdrs, u.per_kwh, u.kwh, u.hours
ON CONFLICT (owner_id, currency) DO UPDATE SET measured_at = EXCLUDED.measured_at,
    cdrs = EXCLUDED.cdrs, per_kwh = EXCLUDED.per_kwh, per_kwh_off = EXCLUDED.per_kwh_off,
    kwh = EXCLUDED.kwh, kwh_off = EXCLUDED.kwh_off,
    hours = EXCLUDED.hours, hours_off = EXCLUDED.hours_off
"""


def learn(now: dt.datetime) -> int:
    """Measure what is usual for every CPO and currency; return how many there are."""
    with connection.cursor() as cursor:
        cursor.execute(LEARN, {"since": now - SINCE, "now": now})
        return int(cursor.rowcount)
