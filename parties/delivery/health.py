"""How a receiver is doing: the circuit breaker, the slow start and the pace of one platform.

It belongs to the drain that holds the platform. What another drain, or staff, must know of it is in
the platform's row; the window of the latest results is not.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from parties.delivery.outcomes import FAILED, Outcome, Verdict, jittered
from parties.models import Pause, Platform

IN_FLIGHT = 8  # by slow start: 1, 2, 4, 8
SLOW_START = timedelta(seconds=60)
FAILURES_BEFORE_PAUSE = 5
WINDOW, WINDOW_SECONDS = 20, 60.0
GOOD_BEFORE_CLOSED = 3
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
AUTH_PAUSE = timedelta(minutes=15)
GONE_PAUSE = timedelta(minutes=5)
REREAD_EVERY = 3600.0
MISSES_BEFORE_REREAD = 3  # objects of a module in a row that a receiver answers 404 to
GARBLED_BEFORE_ALERT = 10
RECOVERY = 10  # % of the pace that come back each minute
SLOWEST = 5  # %
LATE_ANSWERS = 20.0  # seconds in which calls of before new credentials may still be answered
MARK_EVERY = timedelta(seconds=60)  # how often it is noted that a platform was heard of
KEPT = (*Platform.WELL, "pace", "paced_at", "reread_at")


@dataclass
class Health:
    """The health of one platform; `note` takes in what came of a try."""

    platform: int
    kept: dict[str, Any] = field(default_factory=dict)  # as in the platform's row
    alerts: list[str] = field(default_factory=list)
    width: int = IN_FLIGHT
    good: int = 0  # tries that succeeded since the width was last changed
    recovered: int = 0  # ... since the breaker opened
    changed: bool = False
    heard: bool = False
    tokens: float = float("inf")
    filled_at: float = field(default_factory=time.monotonic)
    recent: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    reread: float = -REREAD_EVERY  # when it was last found that its versions must be read
    moved: bool = False  # they must be read now
    missed: dict[str, int] = field(default_factory=dict)  # 404s in a row, by module
    limits: tuple[int, int, int] = (50, 8, 2)  # per second; states and CDRs at once
    heard_at: datetime | None = None
    registered_at: datetime | None = None
    renewed: float = float("-inf")  # when it told its credentials anew

    def take(self, platform: Platform) -> None:
        """Take over what is known of the platform, unless there is news that it does not have."""
        self.limits = platform.rate, platform.states_at_once, platform.cdrs_at_once
        self.heard_at = platform.heard_at
        if platform.registered_at != self.registered_at:
            self._renew(platform.registered_at)
        if self.changed:
            return
        new = not self.kept
        self.kept = {name: getattr(platform, name) for name in KEPT}
        young = timezone.now() - platform.state_since < SLOW_START
        if new and (young or self.kept["failures"] or self.kept["openings"]):
            self.width = 1
        if self.kept["openings"] and self.recovered == 0:
            self.width = 1

    @property
    def resting(self) -> bool:
        """Tell whether the platform is to be left alone now."""
        until = self.kept.get("paused_until")
        return until is not None and until > timezone.now()

    def room(self, states: int, cdrs: int) -> tuple[int, int, int]:
        """Return how many more may be sent: in all, states, CDRs; given how many are under way."""
        if self.resting:
            return 0, 0, 0
        rate, most_states, most_cdrs = self.limits
        scale = self.width / IN_FLIGHT
        most = max(1, round(scale * (most_states + most_cdrs))) if scale < 1 else 1_000
        total = min(most - states - cdrs, self._tokens(rate) if rate else 1_000)
        return max(0, total), max(0, most_states - states), max(0, most_cdrs - cdrs)

    def spend(self, number: int) -> None:
        """Note that so many are sent."""
        self.tokens -= number

    def note(self, module: str, verdict: Verdict) -> None:
        """Take in what came of a try."""
        outcome = verdict.outcome
        if outcome is Outcome.AUTH and self._knows_us(verdict):
            outcome = Outcome.TRANSIENT
        self._note_misses(module, verdict)
        if outcome in FAILED:
            self._fail(outcome)
        elif outcome is Outcome.AUTH:
            self._rest(Pause.AUTH, AUTH_PAUSE, "it does not accept the hub's token")
        elif outcome is Outcome.GONE:
            self._reread()
            self._rest(Pause.GONE, GONE_PAUSE, "its endpoint is gone")
        elif outcome is Outcome.THROTTLED:
            self._slow_down(verdict.pause or 0.0)
        elif outcome in {Outcome.ACKNOWLEDGED, Outcome.REFUSED}:
            self._succeed()

    def news(self) -> dict[str, Any]:
        """Return what the platform's row should say now, nothing when it says so already."""
        now = timezone.now()
        told = self.heard and (self.heard_at is None or now - self.heard_at >= MARK_EVERY)
        if not self.changed and not told:
            return {}
        return {**self.kept, **({"heard_at": now} if self.heard else {})}

    def booked(self) -> None:
        """Note that the platform's row says so."""
        if self.heard:
            self.heard_at = timezone.now()
        self.changed = self.heard = self.moved = False

    def _renew(self, registered_at: datetime | None) -> None:
        """Forget what was before a handshake: it has the hub's token, and the hub has its own."""
        if self.kept:
            self.renewed = time.monotonic()
        self.registered_at, self.kept, self.changed = registered_at, {}, False
        self.recent.clear()

    def _knows_us(self, verdict: Verdict) -> bool:
        """Tell whether a refusal of the hub's token is about this call alone.

        That is so with a 403 among good answers, which is about the object, and with a call that
        was on its way when the platform told its credentials anew.
        """
        late = time.monotonic() - self.renewed < LATE_ANSWERS
        return late or (verdict.http == 403 and self._answers())

    def _answers(self) -> bool:
        """Tell whether the latest results were not all bad."""
        since = time.monotonic() - WINDOW_SECONDS
        return any(good for at, good in self.recent if at > since)

    def _succeed(self) -> None:
        self.heard = True
        self.recent.append((time.monotonic(), True))
        self._set(failures=0, garbled=0)
        self.good, self.recovered = self.good + 1, self.recovered + 1
        if self.good >= self.width and self.width < IN_FLIGHT:
            self.width, self.good = min(2 * self.width, IN_FLIGHT), 0
        if not self.kept["openings"] or self.recovered >= GOOD_BEFORE_CLOSED:
            self._set(openings=0, failing_since=None)
        if not self.resting:
            self._set(paused_until=None, pause_reason="")

    def _fail(self, outcome: Outcome) -> None:
        self.recent.append((time.monotonic(), False))
        since = self.kept["failing_since"] or timezone.now()
        self._set(failures=self.kept["failures"] + 1, failing_since=since)
        if outcome is Outcome.UNREADABLE:
            self._set(garbled=self.kept["garbled"] + 1)
            if self.kept["garbled"] == GARBLED_BEFORE_ALERT:
                self.alerts.append("its answers are no OCPI")
        if not self.resting and self._trips():
            self._open()

    def _trips(self) -> bool:
        """Tell whether it is time to leave the platform alone."""
        if self.kept["openings"] or self.kept["failures"] >= FAILURES_BEFORE_PAUSE:
            return True
        since = time.monotonic() - WINDOW_SECONDS
        latest = [good for at, good in self.recent if at > since]
        return len(latest) >= WINDOW and 2 * latest.count(False) >= WINDOW

    def _open(self) -> None:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.kept["openings"], 10))
        self._set(openings=min(self.kept["openings"] + 1, 1000))
        self._rest(Pause.FAILING, jittered(pause), "")

    def _rest(self, reason: Pause, pause: timedelta, alert: str) -> None:
        """Leave the platform alone for a while; then a single try shows whether that is over."""
        if alert and self.kept["pause_reason"] != reason:
            self.alerts.append(alert)
        until = max(filter(None, [self.kept["paused_until"], timezone.now() + pause]))
        self._set(paused_until=until, pause_reason=reason)
        self.width, self.good, self.recovered = 1, 0, 0
        self.recent.clear()

    def _slow_down(self, seconds: float) -> None:
        """Leave it alone for as long as it wants, and send half as much from then on."""
        self.heard = True
        until = timezone.now() + timedelta(seconds=seconds)
        if not self.resting:
            self._set(pace=max(SLOWEST, self._pace() // 2), paced_at=until)
        until = max(filter(None, [self.kept["paused_until"], until]))
        self._set(paused_until=until, pause_reason=Pause.THROTTLED)

    def _pace(self) -> int:
        """Return the pace of now (%): what was lost comes back by and by."""
        since = self.kept.get("paced_at")
        if since is None:
            return 100
        minutes = max(0.0, (timezone.now() - since).total_seconds() / 60)
        return min(100, int(self.kept["pace"] + RECOVERY * minutes))

    def _tokens(self, rate: int) -> int:
        """Return how many may be sent now at so many a second."""
        now, rate_now = time.monotonic(), rate * self._pace() / 100
        most = max(1.0, rate_now / 4)
        self.tokens = min(most, self.tokens + rate_now * (now - self.filled_at))
        self.filled_at = now
        return int(self.tokens)

    def _note_misses(self, module: str, verdict: Verdict) -> None:
        """Count 404s in a row; many mean that the module has moved."""
        if verdict.http != 404:
            self.missed[module] = 0
        elif verdict.outcome is Outcome.REFUSED:
            self.missed[module] = self.missed.get(module, 0) + 1
            if self.missed[module] == MISSES_BEFORE_REREAD:
                self._reread()

    def _reread(self) -> None:
        """Have the versions read anew, once an hour at most."""
        if time.monotonic() - self.reread > REREAD_EVERY:
            self.reread, self.moved = time.monotonic(), True
            self._set(reread_at=timezone.now())

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if self.kept.get(name) != value:
                self.kept[name], self.changed = value, True
