"""Look names up without letting a slow name server hold up the lookups of other names.

The system's resolver knows no deadline, and may take half a minute. So it runs in threads, and a
name that is being looked up is not looked up again: everybody waits for the one answer, each for
as long as they can. A slow name takes one thread, however often it is called.
"""

import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

MOST = 64  # names looked up at once

_threads = ThreadPoolExecutor(max_workers=MOST, thread_name_prefix="resolve")
_lock = threading.Lock()
_running: dict[tuple[str, int], Future[list[Any]]] = {}


def look_up(host: str, port: int) -> Future[list[Any]]:
    """Return the coming answer of `socket.getaddrinfo`; do not cancel it, others may wait too."""
    with _lock:
        answer = _running.get((host, port))
        if answer is not None:
            return answer
        answer = _threads.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        _running[host, port] = answer
    answer.add_done_callback(lambda _: _running.pop((host, port), None))
    return answer
