"""What the log must not tell: the paths of requests to /ocpi, which name drivers' tokens."""

import io
import json
import logging
import socket
import threading

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.test import Client

from hub import egress
from hub.logs import JsonLines

pytestmark = pytest.mark.usefixtures("plain_static")
UID = "DRIVER-4711"
PATH = f"/ocpi/2.2.1/receiver/tokens/DE/EMP/{UID}"


@pytest.fixture
def log(monkeypatch):
    """Yield what the handler of the settings writes, warnings of Django included."""
    [handler] = [
        item for item in logging.getLogger().handlers if isinstance(item.formatter, JsonLines)
    ]
    stream = io.StringIO()
    monkeypatch.setattr(handler, "stream", stream)
    django, level = logging.getLogger("django.request"), logging.ERROR
    django.setLevel(logging.WARNING)
    yield stream
    django.setLevel(level)


def call(path, **options):
    return Client(raise_request_exception=False).put(path, "{}", "application/json", **options)


@pytest.mark.parametrize(
    ("error", "status"),
    [(Http404, 404), (PermissionDenied, 403), (SuspiciousOperation, 400), (ValueError, 500)],
)
@pytest.mark.ocpi("K-11")
def test_no_line_about_a_request_holds_its_path(log, monkeypatch, error, status):
    def fail(*args):
        raise error(f"{UID} is no good")

    monkeypatch.setattr("django.middleware.security.SecurityMiddleware.process_request", fail)
    assert call(PATH).status_code == status
    assert UID not in log.getvalue()
    first = json.loads(log.getvalue().splitlines()[0])
    assert (first["message"], first["status_code"]) == (
        "PUT /ocpi/... was refused or failed",
        status,
    )
    if status == 500:
        assert "in fail" in first["exc_info"]
        assert first["exc_info"].endswith("ValueError")


def test_a_wrong_host_is_logged_without_the_path(log, settings):
    settings.ALLOWED_HOSTS = ["hub.example"]
    assert call(PATH, headers={"Host": "evil.example"}).status_code == 400
    assert "another host" in log.getvalue()
    assert UID not in log.getvalue()


def test_other_paths_are_logged(log):
    call("/admin/nothing-here")
    assert "/admin/nothing-here" in log.getvalue()


def test_an_odd_answer_of_a_partner_does_not_bring_the_url_into_the_log(log):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\n\r\nhi")

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/tokens/DE/EMP/{UID}"
        egress.call(egress.Request("PUT", url, None, {}, 2))
    assert UID not in log.getvalue()
