"""Speaking OCPI to the hub in-process, as one of the cast."""

import base64
from dataclasses import dataclass, field

from django.test import Client

from hub.ocpi import json
from hub.ocpi.messages import Address
from parties import clientinfo, invitations, keys
from parties.models import Endpoint, Key, Party, Platform
from settlement import onboarding


@dataclass
class Reply:
    """An answer: HTTP status, the envelope, headers."""

    http: int
    envelope: dict
    headers: dict

    @property
    def code(self):
        return self.envelope["status_code"]

    @property
    def data(self):
        return self.envelope.get("data")

    @property
    def message(self):
        return self.envelope["status_message"]


@dataclass
class Speaker:
    """A party that calls the hub; `token` is plain and sent in Base64."""

    address: Address
    token: str
    headers: dict = field(default_factory=dict)
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    @property
    def party(self):
        return Party.objects.get(
            country_code=self.address.country_code, party_id=self.address.party_id
        )

    @property
    def platform(self):
        return self.party.roles.first().platform

    @property
    def path(self):
        return f"{self.address.country_code}/{self.address.party_id}"

    def call(self, method, path, body=None, **headers):
        raw = body if isinstance(body, bytes | None) else json.dumps(body)
        encoded = base64.b64encode(self.token.encode()).decode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Authorization": f"Token {encoded}", **self.headers, **named}
        response = self.client.generic(
            method,
            f"/ocpi/{path}",
            raw or b"",
            content_type="application/json",
            headers={name: value for name, value in given.items() if value is not None},
        )
        assert response["Content-Type"] == "application/json"
        assert response["X-Request-ID"]
        assert response["X-Correlation-ID"]
        return Reply(response.status_code, json.loads(response.content), dict(response.headers))

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def put(self, path, body, **headers):
        return self.call("PUT", path, body, **headers)

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)


def invited(country_code, party_id, *roles, dialect="ocpi", **options):
    """Return a speaker that holds a registration token."""
    address = Address(country_code, party_id)
    name = f"Party {address}"
    _, token = invitations.invite(address, roles, name, dialect=dialect, **options)
    return Speaker(address, token)


def joined(country_code, party_id, *roles, dialect="ocpi", modules=(), state="connected"):
    """Return a speaker that is registered; `modules` are those that it receives."""
    speaker = invited(country_code, party_id, *roles, dialect=dialect)
    platform = speaker.platform
    onboarding.agree(speaker.party)
    Key.objects.filter(platform=platform).delete()
    Platform.objects.filter(pk=platform.pk).update(state=state, version="2.2.1")
    clientinfo.refresh(platform)
    Endpoint.objects.bulk_create(
        Endpoint(platform=platform, module=module, interface="RECEIVER", url=f"http://x/{module}")
        for module in modules
    )
    speaker.token = keys.issue(platform, Key.Purpose.ACCESS)
    return speaker
