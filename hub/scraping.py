"""The page that Prometheus reads: /metrics.

It is for this machine and private networks, or for who has METRICS_TOKEN; to all others there is no
such page. The counters of this host's processes are added up; the database is asked by `ASKED`.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from hub import metrics, peers

logger = logging.getLogger(__name__)
ASKED: list[Callable[[], Iterable[Metric]]] = []  # the apps add theirs


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Return all metrics."""
    if not may_read(request):
        raise Http404
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(metrics.FOLDER))  # type: ignore[no-untyped-call]
    registry.register(Asked())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_read(request: HttpRequest) -> bool:
    """Tell whether the figures are for whoever asks."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    if wanted and kind.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), wanted.encode())
    return peers.is_inside(request)


class Asked(Collector):
    """What is asked for at this moment, as far as the database answers."""

    def collect(self) -> Iterator[Metric]:
        """Yield the figures, whether the database answers, and what is running."""
        found: list[Metric] = []
        try:
            for ask in ASKED:
                found += ask()
        except DatabaseError:
            logger.warning("the database does not answer: its metrics are missing")
        yield from found
        yield GaugeMetricFamily("database_up", "Whether the database answers", float(bool(found)))
        build = InfoMetricFamily("hub_build", "What is running")
        build.add_metric([], {"version": metrics.VERSION, "environment": settings.ENVIRONMENT})
        yield build
