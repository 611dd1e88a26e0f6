"""What the hub counts of its own work, for Prometheus; the list is in docs/operations.md.

Any layer may count: `metrics.DUP_CDR.inc()` costs half a microsecond, `inbound` six. The web
processes and workers of a host count in files of `DATA_DIR/metrics`, which whoever answers /metrics
adds up (hub/scraping.py). What the database knows is asked then (parties/monitoring.py), so it
holds for all hosts. Labels name receivers and modules, never a driver.
"""

import tomllib
from pathlib import Path

from django.conf import settings
from prometheus_client import Counter, Histogram

FOLDER = Path(settings.METRICS_DIR)
FOLDER.mkdir(parents=True, exist_ok=True)
VERSION = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

INBOUND = Histogram(
    "inbound_seconds", "How long requests to the hub took", ["module"], buckets=SECONDS
)
REFUSED = Counter("inbound_refused", "Requests refused before a thread was taken", ["reason"])
RATE_LIMITED = Counter("rate_limited", "Requests refused because there were too many", ["who"])
AUTH_FAIL = Counter("auth_fail", "Requests with a token that is none")
DUP_CDR = Counter("dup_cdr", "CDRs that were sent once more")
STALE_PUT = Counter("stale_put", "Objects older than what the hub has, which it did not take")
FUTURE_CLOCK = Counter("future_clock", "Objects refused because they are from the future")
COMMAND_LATENCY = Histogram(
    "command_latency_seconds", "How long parties took to answer commands", buckets=SECONDS
)
COMMAND_TIMEOUT = Counter("command_timeout", "Commands that a party did not answer in time")
EGRESS_DENIED = Counter("egress_denied", "Calls that the guarded door refused", ["reason"])


def inbound(module: str, seconds: float) -> None:
    """Note how long a request to a module took."""
    INBOUND.labels(module or "other").observe(seconds)
