"""Health: what the hub needs, each by its name."""

import pytest
from django.db.migrations.recorder import MigrationRecorder

from hub import health, supervisor
from hub.crew import Failure

pytestmark = pytest.mark.django_db


@pytest.fixture
def working():
    """Have a worker that has just been at work."""
    health.beat_heart()
    health._are_applied.cache_clear()
    yield
    health._are_applied.cache_clear()


def test_a_process_that_answers_is_alive(client):
    assert client.get("/health/live").json() == {"live": True}


def test_everything_works(client, working):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    names = ("ready", "database", "redis", "worker", "migrations", "clock")
    assert answer.json() == dict.fromkeys(names, True)


def test_without_redis_it_is_told_what_is_missing(client, working, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert [name for name, works in answer.json().items() if not works] == [
        "ready",
        "redis",
        "worker",
    ]


def test_a_database_that_is_behind_the_code_is_not_ready(client, working):
    rows = MigrationRecorder.Migration.objects.filter(app="parties")
    rows.order_by("-pk")[0].delete()
    assert client.get("/health/ready").json()["migrations"] is False
    assert client.get("/health/ready").status_code == 503


def test_a_clock_that_is_not_the_databases_is_told_and_refused_at_start(
    client, working, monkeypatch
):
    clock = health.time.time
    assert abs(health.clock_offset()) < health.CLOCK_SECONDS
    monkeypatch.setattr(health.time, "time", lambda: clock() + 6)
    assert health.clock_offset() == pytest.approx(6, abs=1)
    assert client.get("/health/ready").json()["clock"] is False
    with pytest.raises(Failure, match=r"the clock of this host is \+\d+\.\d s off"):
        supervisor.refuse_wrong_clock()
