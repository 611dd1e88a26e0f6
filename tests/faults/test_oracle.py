"""The oracle sees what it is there for: each kind of loss, made on purpose."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import objects
from tests.faults import moods
from tests.faults.driver import Call, Line, Write, version
from tests.faults.oracle import Evidence, repeated
from tests.faults.scene import LONE, Scene, owner_of, scene
from tests.running import fresh_hub

FIRST, SECOND = "2026-11-28T10:00:00.000Z A", "2026-11-28T10:00:00.001Z B"


def written(key: str, told: str, status: int = 200) -> Write:
    return Write(
        key, told, at=0.0, seconds=0.1, status=status, code=1000 if status == 200 else 3000
    )


def told(key: str, version: str, applied: bool = True) -> dict[str, Any]:
    return {"at": 0.0, "method": "PUT", "applied": applied, "versions": {key: version}}


KEPT = Evidence(
    writes=[written("k", FIRST), written("k", SECOND)],
    hub={"k": SECOND},
    ledgers={"receiver": [told("k", FIRST), told("k", SECOND)], "other": []},
    entitled=lambda key: frozenset({"receiver"}),
)


def test_a_promise_that_is_kept() -> None:
    assert KEPT.findings() == []


def test_an_acknowledged_write_that_the_hub_does_not_have() -> None:
    (finding, *_) = replace(KEPT, hub={"k": FIRST}).findings()
    assert finding == f"lost: k {SECOND}, the hub has {FIRST}"
    assert "lost: k" in replace(KEPT, hub={}).findings()[0]


def test_a_write_that_was_refused_may_be_there_or_not() -> None:
    writes = [written("k", FIRST), written("k", SECOND, status=503)]
    first = {"receiver": [told("k", FIRST)], "other": []}
    assert replace(KEPT, writes=writes).findings() == []
    assert replace(KEPT, writes=writes, hub={"k": FIRST}, ledgers=first).findings() == []


def test_a_receiver_that_lacks_the_last_version() -> None:
    ledgers = {"receiver": [told("k", FIRST), told("k", SECOND, applied=False)], "other": []}
    (finding,) = replace(KEPT, ledgers=ledgers).findings()
    assert finding == f"undelivered: receiver has {FIRST} of k, not {SECOND}"


def test_a_receiver_that_is_told_what_is_not_for_it() -> None:
    ledgers = {**KEPT.ledgers, "other": [told("k", SECOND)]}
    assert replace(KEPT, ledgers=ledgers).findings() == ["not entitled: other was told of k"]


def test_a_version_that_goes_backwards() -> None:
    ledger = [told("k", SECOND), told("k", FIRST), told("k", SECOND)]
    (finding,) = replace(KEPT, ledgers={"receiver": ledger, "other": []}).findings()
    assert finding == f"backwards: receiver got k {FIRST} after {SECOND}"


def test_what_is_told_twice_is_counted_and_no_loss() -> None:
    ledger = [told("k", FIRST), told("k", SECOND), told("k", SECOND)]
    assert replace(KEPT, ledgers={"receiver": ledger, "other": []}).findings() == []
    assert repeated(ledger) == 1


# With a real hub


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Have a small scene, everything in it delivered."""
    folder: Path = tmp_path_factory.mktemp("ledgers")
    with fresh_hub() as hub, scene(hub, folder, cpos=1, emsps=2) as small:
        small.settle()
        yield small


def publish(ours: Scene, uid: str) -> None:
    """Publish one more location."""
    (cpo,) = ours.named("CPO")
    owner = owner_of(cpo)
    body = objects.location(owner, id=uid)
    path = f"receiver/locations/{owner.country_code}/{owner.party_id}/{uid}"
    line = Line(ours.hub.url, ours.driver.tokens[cpo])
    told = version(body["evses"][0], "status")
    write = line.make(Call("PUT", path, body, f"evse/{path[19:]}/E1", told))
    assert write.accepted, write
    ours.driver.writes.append(write)


FORGET = """
DELETE FROM parties_delivery USING locations_location AS location, parties_role AS role,
    parties_party AS party
WHERE module = 'locations' AND object_id = location.id AND receiver_id = role.id
    AND role.party_id = party.id AND location.uid = %s AND party.party_id = %s AND attempts > 0
"""


def forget_refused(ours: Scene, uid: str) -> None:
    """Delete what the lone receiver is owed once it has refused it: nobody is sending it then."""
    deadline = time.monotonic() + 30
    with psycopg.connect(ours.database, autocommit=True) as connection:
        while not connection.execute(FORGET, [uid, LONE[2:]]).rowcount:
            assert time.monotonic() < deadline, f"{LONE} was never told of {uid}"
            time.sleep(0.05)


@pytest.mark.network
def test_the_hub_keeps_its_promise_and_a_deleted_debt_breaks_it(ours: Scene) -> None:
    assert ours.evidence().findings() == []
    ours.turn(LONE, "error500")
    publish(ours, "GONE")
    forget_refused(ours, "GONE")
    ours.turn(LONE, moods.OK)
    ours.settle()
    findings = ours.evidence().findings()
    assert [finding.partition(":")[0] for finding in findings] == ["undelivered", "invariant"]
    assert findings[0].startswith(f"undelivered: {LONE} has None of evse/NL/C00/GONE/E1")
    assert "the_entitled_are_owed" in findings[1]


@pytest.mark.network
def test_an_old_version_breaks_it(ours: Scene) -> None:
    """Somebody sends a receiver what it had long ago: a replay, as a queue would do it."""
    before = len(ours.evidence().findings())
    (cpo,) = ours.named("CPO")
    name = ours.named("EMSP")[0]
    body = objects.evse(uid="L0E0", last_updated="2020-01-01T00:00:00.000Z")
    path = f"locations/{cpo[:2]}/{cpo[2:]}/L0/L0E0"
    assert ours.receivers.push(name, path, body) == 200
    findings = ours.evidence().findings()
    assert len(findings) == before + 2
    assert any(finding.startswith(f"backwards: {name} got evse/") for finding in findings)
    assert any(finding.startswith(f"undelivered: {name} has 2020") for finding in findings)


@pytest.mark.network
def test_a_lost_write_breaks_it(ours: Scene) -> None:
    held = ours.evidence().hub
    with psycopg.connect(ours.database) as connection:
        connection.execute("DELETE FROM parties_delivery WHERE module = 'tokens'")
        connection.execute("DELETE FROM cdrs_token WHERE uid = 'T3'")
    findings = ours.evidence().findings()
    lost = [key for key in held if key.endswith("/T3")]
    assert len(lost) == 2
    assert {finding.split()[1] for finding in findings if finding.startswith("lost")} == set(lost)
