"""What receivers are owed: written with the object, sent until acknowledged.

The truth is the delivery table. A drain sends one platform what is due; any number of drains may
be started, an advisory lock lets one act. The body is rendered when it is sent, so that nothing
stale is replayed (OCPI 2.2.1, transport_and_format, "Offline behaviour").
"""

from parties.delivery.claiming import LOCK
from parties.delivery.claiming import due_platforms as platforms_due
from parties.delivery.figures import figures, given_up_of, unattended
from parties.delivery.health import FAILURES_BEFORE_PAUSE, IN_FLIGHT, MARK_EVERY
from parties.delivery.outcomes import MONEY, Outcome, delay, judge
from parties.delivery.owing import (
    DEBT,
    OWED,
    broadcast_to,
    hasten,
    owe,
    owe_everything,
    pause_broadcasts,
    share_network,
)
from parties.delivery.process import drain, finish, wake
from parties.delivery.replaying import owe_again, send_again
from parties.delivery.tallies import add as count

__all__ = [
    "DEBT",
    "FAILURES_BEFORE_PAUSE",
    "IN_FLIGHT",
    "LOCK",
    "MARK_EVERY",
    "MONEY",
    "OWED",
    "Outcome",
    "broadcast_to",
    "count",
    "delay",
    "drain",
    "figures",
    "finish",
    "given_up_of",
    "hasten",
    "judge",
    "owe",
    "owe_again",
    "owe_everything",
    "pause_broadcasts",
    "platforms_due",
    "send_again",
    "share_network",
    "unattended",
    "wake",
]
