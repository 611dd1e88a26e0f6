"""Who is connected: told to those who may know, in the list and by push, when it changes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hub.ocpi import types, validation
from hub.ocpi.messages import Address
from hub.sandbox.faults import Fault
from hub.states import WrongState
from parties import clientinfo, delivery, invitations, keys, policy
from parties.models import ClientInfo, Delivery, Key, Platform, Role
from tests import objects
from tests.partners import member
from tests.speaking import invited, joined

pytestmark = pytest.mark.django_db
LIST = "2.2.1/sender/hubclientinfo"


@pytest.fixture
def cpo():
    return joined("NL", "CPO", "CPO")


@pytest.fixture
def emsp():
    return joined("DE", "EMP", "EMSP", modules=["hubclientinfo"])


def told(speaker, query="", **headers):
    """Return what the list says, as (party, role, status)."""
    reply = speaker.get(LIST + query, **headers)
    assert (reply.http, reply.code) == (200, 1000)
    return [(item["party_id"], item["role"], item["status"]) for item in reply.data]


def owed():
    """Return what is owed as (receiver, whose status)."""
    rows = Delivery.objects.filter(module="hubclientinfo").select_related("receiver__party")
    infos = ClientInfo.objects.in_bulk()
    return sorted((row.receiver.party.party_id, str(infos[row.object_id])) for row in rows)


@pytest.mark.ocpi("H-01", "H-02")
def test_the_list_holds_one_valid_object_for_each_role_of_a_party(cpo):
    both = joined("SE", "STR", "CPO", "EMSP")
    joined("DE", "EMP", "EMSP")
    reply = cpo.get(LIST)
    assert [(item["party_id"], item["role"]) for item in reply.data] == [
        ("STR", "EMSP"),
        ("EMP", "EMSP"),
    ]
    assert all(not validation.problems(types.ClientInfo, item) for item in reply.data)
    assert set(reply.data[0]) == {"party_id", "country_code", "role", "status", "last_updated"}
    assert told(both) == [("CPO", "CPO", "CONNECTED"), ("EMP", "EMSP", "CONNECTED")]


@pytest.mark.ocpi("H-01", "R-02")
def test_the_list_neither_needs_nor_returns_routing_headers(cpo, emsp):
    several = joined("BE", "ONE", "EMSP")
    invitations.invite(Address("BE", "TWO"), ["EMSP"], "Two", join=_joinable(several))
    assert told(several) == [("CPO", "CPO", "CONNECTED")]
    reply = cpo.get(f"{LIST}/", OCPI_from_party_id="half a pair", OCPI_to_party_id="EMP")
    assert [item["party_id"] for item in reply.data] == ["EMP", "ONE", "TWO"]
    assert [name for name in reply.headers if name.lower().startswith("ocpi-")] == []


def _joinable(speaker):
    """Return an invitation to the speaker's platform."""
    return keys.issue(speaker.platform, Key.Purpose.INVITATION)


@pytest.mark.ocpi("H-01", "G-05", "G-06")
def test_the_list_is_paginated_and_filtered(cpo):
    for code in ("AAA", "BBB", "CCC"):
        joined("DE", code, "EMSP")
    old = timezone.now() - timedelta(days=2)
    ClientInfo.objects.filter(owner__party_id="AAA").update(last_updated=old)
    first = cpo.get(f"{LIST}?limit=2")
    assert [item["party_id"] for item in first.data] == ["AAA", "BBB"]
    assert (first.headers["X-Total-Count"], first.headers["X-Limit"]) == ("3", "2")
    assert "/ocpi/2.2.1/sender/hubclientinfo?offset=2&limit=2>" in first.headers["Link"]
    recent = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [party for party, *_ in told(cpo, f"?date_from={recent}")] == ["BBB", "CCC"]
    assert [party for party, *_ in told(cpo, f"?date_to={recent}")] == ["AAA"]
    assert cpo.get(f"{LIST}?limit=0").code == 2001


@pytest.mark.ocpi("H-01", "T-15")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_get_is_defined(cpo, method):
    reply = cpo.call(method, LIST, {})
    assert (reply.http, reply.code) == (405, 2000)
    assert reply.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.ocpi("H-10", "V-05")
def test_the_module_is_advertised_by_its_own_name_as_sender_only(cpo):
    endpoints = cpo.get("2.2.1").data["endpoints"]
    [entry] = [item for item in endpoints if item["identifier"] == "hubclientinfo"]
    assert entry["role"] == "SENDER"
    assert cpo.get(entry["url"].split("/ocpi/")[1]).code == 1000


@pytest.mark.ocpi("H-05")
def test_who_has_nothing_to_say_to_each_other_is_not_told(cpo, emsp):
    joined("FR", "SRV", "NSP")
    joined("AT", "CPA", "CPO")
    joined("AT", "SCS", "SCSP")
    assert [party for party, *_ in told(emsp)] == ["CPO", "CPA"]
    assert [party for party, *_ in told(cpo)] == ["EMP", "SRV", "SCS"]


@pytest.mark.ocpi("H-05")
def test_opposite_roles_are_opposite_both_ways():
    for kind, others in policy.OPPOSITE.items():
        assert all(kind in policy.OPPOSITE[other] for other in others)
        assert policy.BROADCAST_TO.get(kind, frozenset()) <= others
    assert set(policy.OPPOSITE) == set(Role.Kind)


@pytest.mark.ocpi("H-04", "C-09")
@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("push_only", "CONNECTED"),
        ("connected", "CONNECTED"),
        ("suspended", "SUSPENDED"),
    ],
)
def test_the_status_follows_the_platform(cpo, state, status):
    guest = invited("DE", "EMP", "EMSP")
    assert told(cpo) == [("EMP", "EMSP", "PLANNED")]
    clientinfo.move(guest.platform, state)
    assert told(cpo) == [("EMP", "EMSP", status)]


@pytest.mark.ocpi("H-01", "H-04")
def test_a_change_is_owed_to_those_who_may_know_and_to_nobody_else(cpo, emsp):
    joined("FR", "SRV", "EMSP", modules=["locations"])
    joined("AT", "CPA", "CPO", modules=["hubclientinfo"])
    joined("SE", "OFF", "EMSP", modules=["hubclientinfo"], state="push_only")
    Delivery.objects.all().delete()
    clientinfo.move(cpo.platform, Platform.State.OFFLINE)
    assert owed() == [("EMP", "NL*CPO/CPO")]
    assert told(emsp)[0] == ("CPO", "CPO", "OFFLINE")


@pytest.mark.ocpi("H-01")
def test_a_platform_is_told_once_for_all_its_parties(cpo):
    several = joined("BE", "ONE", "EMSP", modules=["hubclientinfo"])
    invitations.invite(Address("BE", "TWO"), ["EMSP"], "Two", join=_joinable(several))
    Delivery.objects.all().delete()
    clientinfo.move(cpo.platform, Platform.State.OFFLINE)
    assert owed() == [("ONE", "NL*CPO/CPO")]


@pytest.mark.ocpi("H-07")
def test_last_updated_changes_with_the_status_only(cpo, emsp):
    before = ClientInfo.objects.get(owner__party_id="CPO")
    since = cpo.platform.state_since
    clientinfo.move(cpo.platform, Platform.State.CONNECTED)
    clientinfo.move(cpo.platform, Platform.State.PUSH_ONLY)
    same = ClientInfo.objects.get(owner__party_id="CPO")
    assert (same.last_updated, same.version, same.body) == (
        before.last_updated,
        before.version,
        before.body,
    )
    clientinfo.move(cpo.platform, Platform.State.SUSPENDED)
    after = ClientInfo.objects.get(owner__party_id="CPO")
    assert after.last_updated > before.last_updated
    assert after.version == before.version + 1
    assert cpo.platform.state_since > since


def test_a_move_that_is_not_allowed_changes_and_tells_nothing(cpo, emsp):
    clientinfo.move(cpo.platform, Platform.State.SUSPENDED)
    before = (ClientInfo.objects.get(owner__party_id="CPO").body, owed())
    with pytest.raises(WrongState):
        clientinfo.move(cpo.platform, Platform.State.OFFLINE)
    assert (ClientInfo.objects.get(owner__party_id="CPO").body, owed()) == before
    assert cpo.platform.state == "suspended"


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("H-01", "H-02", "R-02", "H-10")
def test_partners_are_told_by_put_without_routing_headers(deliver):
    with (
        member("FR*CPO", ["CPO"], "Cast Charging") as cpo,
        member("SE*STR", ["CPO", "EMSP"], "Cast Stranger") as stranger,
    ):
        deliver()
        [told] = [item for item in cpo.received if item.module == "hubclientinfo"]
        assert (told.method, told.path[3:], told.query) == ("PUT", ("SE", "STR"), {})
        assert (told.body["role"], told.body["status"]) == ("EMSP", "CONNECTED")
        assert not [name for name in told.headers if name.lower().startswith("ocpi-")]
        [news] = stranger.inbox.all("hubclientinfo").values()
        assert (news["party_id"], news["role"], news["status"]) == ("CPO", "CPO", "CONNECTED")


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("H-03")
def test_a_party_in_two_roles_is_two_objects_on_one_url(deliver):
    with member("FR*CPO", ["CPO"], "Cast Charging") as cpo:
        joined("SE", "TWO", "EMSP", "OTHER")
        deliver()
        received = [item for item in cpo.received if item.module == "hubclientinfo"]
        assert {item.path[3:] for item in received} == {("SE", "TWO")}
        assert sorted(item.body["role"] for item in received) == ["EMSP", "OTHER"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("H-01", "H-04")
def test_who_connects_is_told_who_was_there_before_and_nothing_twice(deliver):
    joined("SE", "ONE", "EMSP")
    with member("FR*CPO", ["CPO"], "Cast Charging") as cpo:
        deliver()
        clientinfo.move(Platform.objects.get(name="Cast Charging"), Platform.State.CONNECTED)
        deliver()
        received = [item for item in cpo.received if item.module == "hubclientinfo"]
        assert [item.body["party_id"] for item in received] == ["ONE"]


@pytest.mark.ocpi("H-08", "B-08")
def test_who_is_offline_is_sent_nothing_and_owed_each_object_once(cpo, emsp):
    clientinfo.move(emsp.platform, Platform.State.OFFLINE)
    Role.objects.get(party=emsp.party).platform.endpoints.create(
        module="locations", interface="RECEIVER", url="http://127.0.0.1:1/locations"
    )
    for name in ("one", "two", "three"):
        body = objects.location(cpo.address, name=name)
        cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", body)
    assert delivery.platforms_due() == []
    assert delivery.drain(emsp.platform.pk) == 0
    assert Delivery.objects.get(module="locations").wanted == 3
    clientinfo.move(emsp.platform, Platform.State.CONNECTED)
    assert delivery.platforms_due() == [emsp.platform.pk]


@pytest.mark.django_db(transaction=True)
@pytest.mark.ocpi("C-04")
def test_a_receiver_that_knows_only_the_hub_is_told_of_its_mistake(deliver, caplog):
    """The hub's roles are HUB alone; a receiver must not answer 404 to the owners behind it."""
    with member("DE*MSP", ["EMSP"], "Cast Mobility") as emsp:
        roles = emsp.request("GET", emsp.hub_endpoints["credentials SENDER"]).data["roles"]
        assert [(role["role"], role["party_id"]) for role in roles] == [("HUB", "OCN")]
        emsp.misbehave(Fault.NOT_FOUND, module="locations")
        cpo = joined("NL", "CPO", "CPO")
        body = objects.location(cpo.address)
        cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", body)
        deliver()
        assert "exempt the hub" in Delivery.objects.get(module="locations").last_answer
        assert "its check of owners must exempt the hub" in caplog.text
