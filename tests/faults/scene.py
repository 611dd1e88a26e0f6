"""The scene of a fault: a running hub, its receivers, a steady load, and the oracle at the end."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import psycopg

from hub import services
from hub.ocpi import json
from tests.faults.driver import Cdrs, Driver, Evses, Line, Sessions, Source, Tokens
from tests.faults.oracle import Evidence
from tests.faults.proxy import Proxy, proxy
from tests.faults.receivers import Receivers, receivers, token_of, version
from tests.objects import Owner
from tests.running import ROOT, RunningHub

RATE = float(os.environ.get("FAULT_RATE", "20"))  # writes per second
SETTLE_LIMIT = float(os.environ.get("FAULT_SETTLE_SECONDS", "180"))
LONE = "DELON"  # the receiver in a process of its own, behind a proxy
PAYERS = 2  # eMSPs with drivers, whose sessions and CDRs are told to them alone
INVITE = """
import sys, django
django.setup()
from django.db import transaction
from hub.ocpi.messages import Address
from settlement import joining
with transaction.atomic():
    for name in sys.argv[1:]:
        party, role = name.split("=")
        print(party, joining.join(Address(party[:2], party[2:]), [role], party)[1])
"""
OWED = """
    SELECT platform.name, count(*), platform.state, platform.paused_until, max(last_answer)
    FROM parties_delivery JOIN parties_role AS role ON role.id = receiver_id
    JOIN parties_platform AS platform ON platform.id = role.platform_id
    WHERE parties_delivery.state = 'live' AND wanted > acknowledged
    GROUP BY platform.id
"""
BODIES = {
    "locations": "SELECT body FROM locations_location",
    "sessions": "SELECT body FROM cdrs_session",
    "tokens": "SELECT body FROM cdrs_token",
    "cdrs": "SELECT body FROM cdrs_cdr",
}
FACTS = {"sessions": "kwh", "tokens": "valid", "cdrs": "total_energy"}


@dataclass
class Scene:
    """A hub under load with its receivers, whose roles are known by their names."""

    hub: RunningHub
    receivers: Receivers
    lone: Receivers  # LONE, in a process of its own
    proxy: Proxy  # before the lone one
    roles: Mapping[str, str]
    driver: Driver
    database: str  # where the oracle looks, past all proxies

    def turn(self, name: str, mood: str) -> None:
        """Put a receiver in a mood."""
        self.receivers_of(name).turn(name, mood)

    def renew(self, name: str) -> None:
        """Have a receiver tell the hub its credentials once more."""
        token, url = self.driver.tokens[name], self.receivers_of(name).url
        known = exchange(self.hub, name, self.roles[name], token, url, "PUT")
        self.driver.tokens[name] = known

    def receivers_of(self, name: str) -> Receivers:
        """Return the process in which a receiver is."""
        return self.lone if name == LONE else self.receivers

    def named(self, role: str) -> list[str]:
        """Return the receivers in a role."""
        return [name for name, its in self.roles.items() if its == role]

    def entitled(self, key: str) -> frozenset[str]:
        """Return who is to be told of an object."""
        kind, _, _, uid, *_ = key.split("/")
        if kind == "evse":
            return frozenset(self.named("EMSP"))
        if kind == "token":
            return frozenset(self.named("CPO"))
        return frozenset({payer_of(uid)})

    def owed(self) -> list[str]:
        """Return what is still to be delivered, a line for each receiver."""
        with psycopg.connect(self.database) as connection:
            return [" ".join(map(str, row)) for row in connection.execute(OWED)]

    def settle(self, limit: float = SETTLE_LIMIT) -> float:
        """Wait until nothing is owed; return how long that took."""
        started = time.monotonic()
        while (owed := self.owed()) and time.monotonic() - started < limit:
            time.sleep(0.2)
        assert not owed, f"still owed after {limit:.0f} s: {'; '.join(owed)}"
        return time.monotonic() - started

    def evidence(self) -> Evidence:
        """Collect what the oracle compares."""
        ledgers = {name: self.receivers_of(name).ledger(name) for name in self.roles}
        breaches = self.hub.run("check_invariants", "--json")
        found = json.loads(breaches.stdout.encode())["breaches"]
        told = [f"invariant: {item['check']}: {item['subject']}: {item['text']}" for item in found]
        return Evidence(self.driver.writes, self.held(), ledgers, self.entitled, told)

    def held(self) -> dict[str, str]:
        """Return the versions that the hub holds, by the keys of their objects."""
        found: dict[str, str] = {}
        with psycopg.connect(self.database) as connection:
            for module, query in BODIES.items():
                for (body,) in connection.execute(query):
                    found |= held_of(module, body)
        return found


def status_of(hub: RunningHub, path: str) -> int:
    """Return the status of a GET at a hub, 0 without one."""
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def held_of(module: str, body: Any) -> dict[str, str]:
    """Return the versions of an object of the hub."""
    uid = body["uid" if module == "tokens" else "id"]
    place = f"{body['country_code']}/{body['party_id']}/{uid}"
    if module == "locations":
        return {f"evse/{place}/{evse['uid']}": version(evse, "status") for evse in body["evses"]}
    return {f"{module.removesuffix('s')}/{place}": version(body, FACTS[module])}


def owner_of(name: str) -> Owner:
    """Return the party of a receiver."""
    return Owner(name[:2], name[2:])


def payer_of(uid: str) -> str:
    """Return the payer of a session or CDR, which its id begins with."""
    return uid[:5]


def cast(cpos: int, emsps: int) -> dict[str, str]:
    """Return names and roles of so many receivers."""
    roles = {f"NLC{number:02}": "CPO" for number in range(cpos)}
    return roles | {f"DEM{number:02}": "EMSP" for number in range(emsps)}


def invite(hub: RunningHub, roles: Mapping[str, str]) -> dict[str, str]:
    """Invite parties and return their registration tokens."""
    named = [f"{name}={role}" for name, role in roles.items()]
    environment = {**hub.environment, "DJANGO_SETTINGS_MODULE": "hub.settings"}
    command = [sys.executable, "-c", INVITE, *named]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return dict(line.split(" ") for line in result.stdout.splitlines())


def exchange(
    hub: RunningHub, name: str, role: str, token: str, url: str, method: str = "POST"
) -> str:
    """Exchange the credentials of a receiver and return its token for the hub."""
    line = Line(hub.url, token)
    address = owner_of(name)
    place = {"country_code": address.country_code, "party_id": address.party_id}
    roles = [{"role": role, "business_details": {"name": name}, **place}]
    body = {"token": token_of(name), "url": f"{url}/{name}/versions", "roles": roles}
    connection = http.client.HTTPConnection(line.address, timeout=30)
    path = "/ocpi/2.2.1/credentials"
    connection.request(method, path, json.dumps(body), line.headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["status_code"] == 1000, answer
    return str(answer["data"]["token"])


def sources_of(roles: Mapping[str, str]) -> dict[str, list[Source]]:
    """Return what each party tells: payers first, since the others name their tokens."""
    emsps = [name for name, role in roles.items() if role == "EMSP"][:PAYERS]
    cpos = [name for name, role in roles.items() if role == "CPO"]
    return {name: tokens(name) for name in emsps} | {name: charging(name, emsps) for name in cpos}


def tokens(name: str) -> list[Source]:
    """Return the tokens of an eMSP: the one that charges, and others that come and go."""
    flips = cycle([False, True])
    changing: list[Source] = [
        Tokens(owner_of(name), f"T{number}", lambda: next(flips)) for number in range(8)
    ]
    return [Tokens(owner_of(name), "CARD1", lambda: True), *changing]


def charging(name: str, payers: Sequence[str]) -> list[Source]:
    """Return what a CPO tells: its locations, and sessions and CDRs of every payer."""
    owner = owner_of(name)
    found: list[Source] = [Evses(owner, f"L{number}", evses=4) for number in range(8)]
    for payer in payers:
        found += [Sessions(owner, owner_of(payer), f"{payer}-S{number}") for number in range(8)]
        found += [Cdrs(owner, owner_of(payer), f"{payer}-{number}") for number in range(4)]
    return found


@contextmanager
def scene(
    hub: RunningHub,
    folder: Path,
    *,
    cpos: int = 2,
    emsps: int = 6,
    rate: float = RATE,
    database: str = "",
) -> Iterator[Scene]:
    """Have receivers registered with a hub, and everything told to it once.

    `database` is where the truth is if not in the hub's embedded PostgreSQL.
    """
    many, lone = cast(cpos, emsps), {LONE: "EMSP"}
    roles = many | lone
    with (
        proxy() as between,
        receivers(folder, many) as served,
        receivers(folder, lone, between.url) as served_alone,
    ):
        between.targets.append(served_alone.address)
        invitations = invite(hub, roles)
        urls = {name: between.url if name == LONE else served.url for name in roles}
        known = {
            name: exchange(hub, name, role, invitations[name], urls[name])
            for name, role in roles.items()
        }
        driver = Driver(hub.url, known, rate, sources_of(roles))
        driver.prepare()
        where = database or services.database_url(hub.data_dir)
        yield Scene(hub, served, served_alone, between, roles, driver, where)
