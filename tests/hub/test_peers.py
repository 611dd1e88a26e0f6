"""Who is at the other end: the peer, unless a proxy that we trust speaks for somebody."""

from ipaddress import ip_network

import pytest

from hub import peers

PROXIES = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


def request(rf, peer, **headers):
    return rf.get("/", REMOTE_ADDR=peer, headers=headers)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),  # anybody may say so
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.9", "198.51.100.9"),  # what the proxy itself has seen
        ("10.0.0.1", "6.6.6.6, 198.51.100.9, 10.0.0.2", "198.51.100.9"),  # two proxies
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "nonsense"),
        ("", "198.51.100.9", ""),
    ],
)
def test_the_address_of_the_client(rf, settings, peer, forwarded, address):
    settings.TRUSTED_PROXIES = PROXIES
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert peers.address(request(rf, peer, **headers)) == address


@pytest.mark.parametrize(
    ("peer", "headers", "inside"),
    [
        ("127.0.0.1", {}, True),
        ("192.168.1.7", {}, True),
        ("8.8.8.8", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),  # from a proxy we do not know
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, False),
        ("10.0.0.1", {"X-Forwarded-For": "8.8.8.8"}, False),
        ("10.0.0.1", {"X-Forwarded-For": "192.168.1.7"}, True),
    ],
)
def test_who_is_inside(rf, settings, peer, headers, inside):
    settings.TRUSTED_PROXIES = PROXIES
    assert peers.is_inside(request(rf, peer, **headers)) == inside
