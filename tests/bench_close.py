"""How fast a month is closed: a section of `./ocn bench`, or alone.

Two months of stored CDRs, one with ten times as many as the other, among the parties of a network:
three CPOs to two eMSPs, each CPO in a country. What binds money (the freeze, cells, fees,
statements, and the comparison before any number is spent) is compared with the bare aggregate: one
`GROUP BY` over the same rows. Then the documents are issued with e-invoices and annexes, and those
of the larger month are put on paper by as many processes as there are cores.

`BENCH_CLOSED` CDRs (100,000; try 1,000,000) and `BENCH_PARTIES` parties (40; try 200) of
`python -m tests.bench_close`, a process of its own on the database that DATABASE_URL names.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import django
from django.db import connection

from hub import services
from tests.benching import Figure, table
from tests.running import ROOT, fresh_hub

MOST = int(os.environ.get("BENCH_CLOSED", "100000"))
PARTIES = int(os.environ.get("BENCH_PARTIES", "40"))
MONTHS = ((date(2023, 1, 1), MOST // 10), (date(2023, 2, 1), MOST))
CPOS = PARTIES * 3 // 5
EMSPS = PARTIES - CPOS
LIMIT = 60.0  # seconds that a million CDRs may take, to where the documents are in the books
TIMES = 4.0  # as long as the bare aggregate
PAPER = 300.0  # seconds that all documents of 200 parties may take
COUNTRIES = ["DE", "FR", "NL", "BE", "AT"]
BARE = """
    SELECT month, owner_id, emsp_id, country, currency, credit_of_id IS NOT NULL, count(*),
        sum(energy_kwh), sum(total_excl_vat), round(sum(total_excl_vat), 2)
    FROM cdrs_cdr WHERE period_id = %s AND state = 'accepted' GROUP BY 1, 2, 3, 4, 5, 6
"""
FILL = """
    INSERT INTO cdrs_cdr (owner_id, emsp_id, period_id, uid, body, complete, last_updated, version,
        received_at, state, month, started_at, ended_at, session_uid, token_uid, evse_uid, country,
        currency, energy_kwh, total_excl_vat, digest, rules)
    SELECT (%(cpos)s::bigint[])[1 + n %% %(sellers)s],
        (%(emsps)s::bigint[])[1 + n / 7 %% %(payers)s],
        %(period)s, 'C' || n, %(body)s, true, at, 1, at, 'accepted', %(month)s, at,
        at + interval '40 minutes', 'S' || n, 'T' || n %% 50000, 'E' || n %% 5000,
        (%(countries)s::text[])[1 + n %% %(sellers)s %% 5], 'EUR', 20.1234,
        8.0493 + n %% 1000 / 7.0, '', 'bench'
    FROM generate_series(1, %(count)s) AS n,
        LATERAL (SELECT %(month)s::timestamptz + interval '2 seconds' * (n %% 1200000) AS at) AS t
"""


def figures(url: str) -> Iterator[Figure]:
    """Measure everything; `url` is that of a database with the hub's tables."""
    command = [sys.executable, "-m", "tests.bench_close", "--measure"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        check=True,
    )
    yield from (Figure(**row) for row in json.loads(done.stdout))


def measured() -> Iterator[Figure]:
    """Close both months, the smaller first."""
    from settlement import onboarding

    cpos, emsps = _parties("CPO", CPOS), _parties("EMSP", EMSPS)
    for party in [*cpos, *emsps]:
        onboarding.equip(party)
    _charge(cpos[: CPOS // 2])
    bound = []
    for month, count in MONTHS:
        period = _filled(month, count, [p.pk for p in cpos], [p.pk for p in emsps])
        found = list(_closed(period, count))
        bound.append(found[1].value / count)
        yield from found
    yield _printed(period)
    detail = "time for each CDR, ten times as many to as many"
    yield Figure("close: linear", bound[1] / bound[0], "x", detail)


def _closed(period: Any, count: int) -> Iterator[Figure]:
    """Close a month: first what binds money, then the documents with their annexes."""
    from settlement import clearing, statements

    now = datetime(2026, 1, 6, 9, tzinfo=UTC)
    looked = min(_timed(lambda: _looked_at(period)) for _ in range(2))
    yield Figure(f"close: the cockpit of an open month, {count:,} CDRs", looked * 1000, "ms")
    bare = min(_timed(lambda: _bare(period)) for _ in range(2))
    parts = {
        "freeze, cells, fees": _timed(lambda: clearing.step(period, now=now)),
        "statements": _timed(lambda: clearing.step(period, now=now)),
    }
    statements.lapse(period, now, early=True)
    parts["compared"] = _timed(lambda: clearing.step(period, now=now))
    total = sum(parts.values())
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
    told += f"; {total / bare:.1f} times the bare aggregate ({bare:.2f} s, at most {TIMES:.0f})"
    yield Figure(f"close: what binds money, {count:,} CDRs", total, "s", told)
    issued = _timed(lambda: clearing.settle(period, now=now))
    text = f"{period.documents.count()} with e-invoices, annexes and ledger"
    text += f"; all of it {total + issued:.1f} s (a million CDRs: at most {LIMIT:.0f})"
    yield Figure(f"close: documents issued, {count:,} CDRs", issued, "s", text)


def _printed(period: Any) -> Figure:
    """Put the documents of a month on paper, as the workers of one machine do."""
    cores = os.cpu_count() or 1
    began = time.perf_counter()
    command = [sys.executable, "-m", "tests.bench_close", "--print"]
    workers = [subprocess.Popen(command, cwd=ROOT) for _ in range(cores)]
    if any(worker.wait() for worker in workers) or period.documents.unfinished().exists():
        raise SystemExit("not every document could be printed")
    took, count = time.perf_counter() - began, period.documents.count()
    text = f"PDF and Parquet of {count}, {cores} processes; {took / count:.2f} s each"
    return Figure(
        "close: documents printed", took, "s", f"{text} (200 parties: at most {PAPER:.0f})"
    )


def _looked_at(period: Any) -> None:
    """Read what the cockpit shows of all months, and of this one."""
    from django.contrib import admin

    from cdrs.models import Period
    from settlement.cockpit import PeriodAdmin, cockpit

    list(PeriodAdmin(Period, admin.site).get_queryset(None))
    cockpit(period)


def _bare(period: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '256MB'")
        cursor.execute(BARE, [period.pk])
        cursor.fetchall()
        cursor.execute("RESET work_mem")


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _parties(role: str, count: int) -> list[Any]:
    from parties.models import Party, Platform, Role

    made = []
    for number in range(count):
        code, country = f"{role[0]}{number:02X}", COUNTRIES[number % len(COUNTRIES)]
        party = Party.objects.create(country_code=country, party_id=code, name=f"Bench {code}")
        platform = Platform.objects.create(name=code, state="connected")
        Role.objects.create(party=party, platform=platform, role=role)
        made.append(party)
    return made


def _charge(parties: list[Any]) -> None:
    """Let half of the CPOs pay fees, and those change in the middle of each month."""
    from settlement.models import Agreement

    for month, _ in MONTHS:
        for party in parties:
            Agreement.objects.create(
                party=party, kind="cpo", valid_from=month.replace(day=15), fee_percent=1
            )


def _filled(month: date, count: int, cpos: list[int], emsps: list[int]) -> Any:
    from cdrs.models import Period

    period = Period.objects.create(month=month)
    facts = {"cpos": cpos, "emsps": emsps, "sellers": len(cpos), "payers": len(emsps)}
    facts |= {"period": period.pk, "month": month, "count": count}
    facts["countries"] = COUNTRIES
    facts["body"] = json.dumps({"remark": "x" * 400})
    with connection.cursor() as cursor:
        cursor.execute(FILL.replace("'C' ||", f"'{month:%m}-C' ||"), facts)
        cursor.execute("VACUUM ANALYZE cdrs_cdr")
    return period


def main() -> None:
    """Print a table, or in a process of its own what was measured."""
    if "--measure" in sys.argv:
        _set_up()
        print(json.dumps([vars(item) for item in measured()]))  # noqa: T201
        return
    if "--print" in sys.argv:
        _set_up()
        _print()
        return
    with fresh_hub() as hub:
        print("\n".join(table(figures(services.database_url(hub.data_dir)))))  # noqa: T201


def _set_up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()


def _print() -> None:
    from settlement import rendering

    rendering.render_missing()


if __name__ == "__main__":
    main()
