"""Giving commands through the hub, and calling back with their results."""

from typing import Any

from django.conf import settings
from django.test import Client

from hub.ocpi import client, json
from hub.ocpi.messages import Address
from hub.sandbox.partner import Partner
from parties.models import Errand
from tests import objects

FAILED = {"result": "FAILED", "message": [{"language": "en", "text": "no car"}]}


def starting(emsp: Partner, **members: Any) -> dict[str, Any]:
    token = objects.token(emsp.address)
    return {"token": token, "location_id": "L1", "evse_uid": "E1", **members}


def start(emsp: Partner, *, to: Address | None = None, **members: Any) -> client.Answer:
    return emsp.command("START_SESSION", starting(emsp, **members), to=to)


def heard(partner: Partner) -> list[Any]:
    """Return the commands and results that reached a partner."""
    return [item for item in partner.received if item.module == "commands"]


def callback_of(cpo: Partner) -> str:
    """Return the path of the URL that the CPO was given for the result."""
    url: str = heard(cpo)[-1].body["response_url"]
    return url.removeprefix(settings.HUB_BASE_URL)


def post(path: str, body: Any, **headers: str) -> client.Answer:
    """Call back without any header, unless some are given."""
    response = Client().post(path, json.dumps(body), "text/plain", headers=headers)
    envelope = json.loads(response.content)
    told = (envelope["status_code"], envelope["status_message"], envelope.get("data"))
    return client.Answer(response.status_code, *told, response.headers)


def results(partner: Partner) -> dict[str, Any]:
    return partner.inbox.all("results")


def another(errand: Errand, **changes: Any) -> Errand:
    """Make an errand that differs from one in some respects."""
    values = {field.name: getattr(errand, field.name) for field in errand._meta.fields}
    return Errand.objects.create(**values | {"id": None} | changes)


def copied(errand: Errand, **changes: Any) -> Errand:
    """Put another errand in the place of one: the database lets nobody turn it back."""
    Errand.objects.filter(pk=errand.pk).delete()
    return another(errand, **changes)
