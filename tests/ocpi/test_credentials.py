"""Credentials, the whole life: POST, GET, PUT, DELETE, and who comes back.

The partners are real HTTP servers on loopback, which the hub calls back.
"""

import logging
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from hub.ocpi import validation
from hub.ocpi.messages import Address
from hub.ocpi.types import Credentials
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties import invitations, keys, proposals, registration, tasks
from parties.models import Endpoint, Key, Party, Platform, Role
from parties.ourselves import credentials_for
from tests import objects
from tests.speaking import Speaker, invited, joined

pytestmark = pytest.mark.django_db
PATH = "2.2.1/credentials"
UNREACHABLE = "http://127.0.0.1:1/versions"
MODULE = "2.2.1/sender/locations"


@pytest.fixture
def desk():
    with Partner(Address("DE", "EMP"), ["EMSP"], "An eMSP").served() as partner:
        yield partner


@pytest.fixture
def guest():
    return invited("DE", "EMP", "EMSP")


@pytest.fixture
def member(desk, guest):
    return registered(desk, guest)


def registered(desk, guest, path=PATH):
    reply = guest.post(path, credentials(desk))
    assert (reply.http, reply.code) == (200, 1000)
    return Speaker(guest.address, reply.data["token"])


def role(**members):
    details = {"business_details": {"name": "An eMSP"}}
    return {"role": "EMSP", "country_code": "DE", "party_id": "EMP", **details, **members}


def credentials(desk, **members):
    return {"token": desk.token, "url": desk.versions_url, "roles": [role()], **members}


def renewed(desk, **members):
    """Let the partner make itself a new token, and return its credentials with it."""
    desk.token = f"new_{desk.token}"[:64]
    return credentials(desk, **members)


def everything(platform):
    """Return all that a handshake may change."""
    row = Platform.objects.filter(pk=platform.pk).values().get()
    for noise in ("proposal", "heard_at"):
        row.pop(noise)
    used = ("last_used_at", "id")
    return (
        row,
        [
            {k: v for k, v in key.items() if k not in used}
            for key in platform.keys.order_by("pk").values()
        ],
        sorted(platform.endpoints.values_list("module", "interface", "url")),
        sorted(platform.roles.values_list("party", "role")),
        list(Party.objects.values("name", "business_details")),
    )


# GET


@pytest.mark.ocpi("C-10", "C-03", "R-02", "V-10")
def test_get_shows_the_hubs_own_credentials_with_the_token_in_use(guest, desk):
    invitation = guest.get(PATH).data
    assert invitation["token"] == guest.token
    member = registered(desk, guest)
    reply = member.get(PATH)
    assert reply.data == {**invitation, "token": member.token}
    assert [item["role"] for item in reply.data["roles"]] == ["HUB"]
    assert desk.token not in str(reply.envelope)
    assert not [name for name in reply.headers if name.lower().startswith("ocpi-")]


@pytest.mark.ocpi("C-03", "X-04")
def test_the_parties_are_named_to_a_platform_that_insists_and_to_no_other(desk, member):
    joined("NL", "CPO", "CPO")
    joined("NL", "OFF", "CPO", state="offline")
    joined("NL", "NEW", "CPO", state="invited")
    joined("NL", "MSP", "EMSP")
    assert len(member.get(PATH).data["roles"]) == 1
    Platform.objects.filter(pk=member.platform.pk).update(names_parties=True)
    for reply in (member.get(PATH), member.put(PATH, credentials(desk))):
        assert validation.problems(Credentials, reply.data) == []
        named = [f"{item['party_id']} {item['role']}" for item in reply.data["roles"]]
        assert named == ["OCN HUB", "CPO CPO", "OFF CPO"]


@pytest.mark.ocpi("C-20", "R-02", "V-11")
def test_routing_headers_are_ignored_here(member):
    for path in (PATH, "versions", "2.2.1"):
        reply = member.get(path, OCPI_to_party_id="???", OCPI_from_country_code="Atlantis")
        assert (reply.http, reply.code) == (200, 1000)


# Methods


@pytest.mark.ocpi("C-01", "T-15")
def test_there_is_no_patch(guest, member):
    for speaker in (guest, member):
        reply = speaker.call("PATCH", PATH, {"token": "x"})
        assert reply.http == (401 if speaker is guest else 405)
    assert {"GET", "POST", "PUT", "DELETE"} <= set(reply.headers["Allow"].split(", "))


@pytest.mark.ocpi("C-06", "T-15")
def test_who_is_registered_cannot_post(desk, member):
    before = everything(member.platform)
    for body in (credentials(desk), {}, b"no JSON"):
        reply = member.post(PATH, body)
        assert (reply.http, reply.headers["Allow"]) == (405, "GET, PUT, DELETE")
    assert everything(member.platform) == before


@pytest.mark.ocpi("C-07", "C-08", "T-15")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_who_is_not_registered_can_neither_put_nor_delete(desk, guest, method):
    before = everything(guest.platform)
    reply = guest.call(method, PATH, credentials(desk) if method == "PUT" else None)
    assert (reply.http, reply.headers["Allow"]) == (405, "GET, POST")
    assert everything(guest.platform) == before
    assert not desk.inbox.received


@pytest.mark.ocpi("A-07", "T-13")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_strangers_get_nothing_but_401(desk, method):
    stranger = Speaker(Address("DE", "EMP"), "och_nobody_gave_me_this")
    assert stranger.call(method, PATH, credentials(desk)).http == 401
    assert not desk.inbox.received


# PUT


@pytest.mark.ocpi("C-07", "C-05", "A-10", "C-19")
def test_put_replaces_both_tokens_and_reads_the_endpoints_anew(desk, member):
    before, called = keys.unseal(member.platform.sealed_token), len(desk.inbox.received)
    Endpoint.objects.all().delete()
    reply = member.put(PATH, renewed(desk))
    assert (reply.http, reply.code) == (200, 1000)
    assert reply.data == credentials_for(member.platform, reply.data["token"])
    assert reply.data["token"] != member.token
    platform = member.platform
    assert keys.unseal(platform.sealed_token) == desk.token != before
    assert [item.path for item in list(desk.inbox.received)[called:]] == [
        ("versions",),
        ("2.2.1",),
    ]
    assert platform.endpoints.filter(module="locations", interface="RECEIVER").exists()
    assert platform.state == "connected"


@pytest.mark.ocpi("C-07")
def test_every_put_brings_another_token_though_nothing_else_changes(desk, member):
    tokens = {member.token}
    for _ in range(3):
        member = Speaker(member.address, member.put(PATH, credentials(desk)).data["token"])
        tokens.add(member.token)
    assert len(tokens) == 4
    assert member.platform.previous_sealed_token == ""  # the partner's own is the same


@pytest.mark.ocpi("C-16")
def test_the_token_before_lives_until_the_new_one_is_used(desk, member):
    new = Speaker(member.address, member.put(PATH, renewed(desk)).data["token"])
    assert member.get(MODULE).http == 200  # the answer may have been lost
    assert member.get(PATH).data["token"] == member.token
    assert new.get(MODULE).http == 200
    for path in (MODULE, PATH, "versions"):
        assert member.get(path).http == 401


@pytest.mark.ocpi("C-16")
def test_or_for_a_quarter_of_an_hour(desk, member):
    new = Speaker(member.address, member.put(PATH, renewed(desk)).data["token"])
    previous = Key.objects.get(purpose="previous")
    left = previous.expires_at - timezone.now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    Key.objects.filter(pk=previous.pk).update(expires_at=timezone.now())
    assert member.get(MODULE).http == 401
    tasks.reconnect()
    assert [key.purpose for key in Key.objects.filter(used_at=None)] == ["access"]
    assert new.get(MODULE).http == 200


@pytest.mark.ocpi("C-16", "C-15")
def test_who_lost_the_answer_puts_again_with_the_token_before(desk, member):
    lost = member.put(PATH, renewed(desk)).data["token"]
    found = member.put(PATH, renewed(desk)).data["token"]
    assert Speaker(member.address, lost).get("versions").http == 401
    assert member.get(MODULE).http == 200
    assert Speaker(member.address, found).get(MODULE).http == 200
    assert member.get("versions").http == 401


@pytest.mark.ocpi("C-16")
def test_the_partners_token_before_is_kept_for_the_grace_only(desk, member):
    before = desk.token
    member.put(PATH, renewed(desk))
    platform = member.platform
    assert before not in platform.previous_sealed_token
    assert keys.previous_token(platform) == before
    Platform.objects.update(previous_until=timezone.now())
    assert keys.previous_token(member.platform) == ""
    tasks.reconnect()
    assert member.platform.previous_sealed_token == ""


@pytest.mark.ocpi("C-07", "V-07")
def test_put_moves_the_connection_to_the_version_of_its_endpoint(desk, member):
    assert member.platform.version == "2.2.1"
    new = member.put("2.2/credentials", renewed(desk))
    assert (new.code, member.platform.version) == (1000, "2.2")
    member = Speaker(member.address, new.data["token"])
    assert member.put(PATH, renewed(desk)).code == 1000
    assert member.platform.version == "2.2.1"


def test_put_takes_over_the_business_details(desk, member):
    details = {"name": "Renamed", "website": "https://emp.example"}
    assert member.put(PATH, renewed(desk, roles=[role(business_details=details)])).code == 1000
    assert (member.party.name, member.party.business_details) == ("Renamed", details)


def test_put_ends_the_pause_of_a_partner_that_failed(desk, member):
    Platform.objects.update(failures=7, paused_until=timezone.now() + timedelta(hours=1))
    member.put(PATH, renewed(desk))
    assert (member.platform.failures, member.platform.paused_until) == (0, None)


def test_put_connects_whom_the_hub_took_for_offline(desk, member):
    Platform.objects.update(state="offline")
    assert member.put(PATH, renewed(desk)).code == 1000
    assert member.platform.state == "connected"


# Failures of PUT leave nothing half-done


@pytest.mark.ocpi("C-11", "C-15")
@pytest.mark.parametrize(
    "fault", [Fault.ERROR500, Fault.GARBAGE, Fault.CLOSE, Fault.UNAUTHORIZED, Fault.REFUSE]
)
@pytest.mark.parametrize("step", [0, 1])
def test_put_fails_where_the_partner_fails(rewired, guest, fault, step):
    member = registered(rewired, guest)
    before = everything(member.platform)
    rewired.well, rewired.fault = step, fault
    reply = member.put(PATH, renewed(rewired))
    assert (reply.http, reply.code) == (200, 3001)
    assert everything(member.platform) == before
    assert member.get(MODULE).http == 200


@pytest.fixture
def rewired():
    """A partner whose every answer a test can write itself."""
    with Rewired(Address("DE", "EMP"), ["EMSP"], "An eMSP").served() as partner:
        yield partner


class Rewired(Partner):
    """Answers from `script`, a function of the path, wherever that says something.

    That is the data, or a tuple of status, data and headers. After `well` calls it has a fault.
    """

    script = staticmethod(lambda path: None)
    well, fault = 1000, Fault.OK

    def answer(self, received):
        self.well -= 1
        if self.well < 0:
            self.misbehave(self.fault)
        return super().answer(received)

    def _handle(self, received):
        said = self.script(received.path)
        if said is None:
            return super()._handle(received)
        return said if isinstance(said, tuple) else (200, said, {})


def offer(desk, *endpoints):
    return lambda path: (
        {"version": "2.2.1", "endpoints": list(endpoints)} if path == ("2.2.1",) else None
    )


@pytest.mark.ocpi("C-12", "C-15", "T-16")
def test_put_without_our_version_is_3002(rewired, guest):
    member = registered(rewired, guest)
    before = everything(member.platform)
    rewired.script = lambda path: [{"version": "2.1.1", "url": f"{rewired.url}/2.1.1"}]
    assert member.put(PATH, renewed(rewired)).code == 3002
    assert everything(member.platform) == before
    assert member.get(MODULE).http == 200


JUNK = [
    None,
    "x",
    {"identifier": "locations"},
    {"identifier": "locations", "role": "BOTH", "url": "http://127.0.0.1:1/x"},
    {"identifier": "x-parking", "role": "SENDER", "url": "http://127.0.0.1:1/x"},
    {"identifier": "tokens", "role": "SENDER", "url": "http://127.0.0.1:1/" + "x" * 255},
]


@pytest.mark.ocpi("C-12", "C-15", "T-16", "V-08")
@pytest.mark.parametrize("listed", [[], JUNK])
def test_put_without_a_usable_endpoint_is_3003(rewired, guest, listed):
    member = registered(rewired, guest)
    before = everything(member.platform)
    rewired.script = offer(rewired, *listed)
    reply = member.put(PATH, renewed(rewired))
    assert (reply.http, reply.code) == (200, 3003)
    assert everything(member.platform) == before
    assert member.get(MODULE).http == 200


@pytest.mark.ocpi("C-12", "C-15")
def test_post_without_a_usable_endpoint_is_3003_and_the_invitation_stays_good(rewired, guest):
    rewired.script = offer(rewired)
    before = everything(guest.platform)
    assert guest.post(PATH, credentials(rewired)).code == 3003
    assert everything(guest.platform) == before
    del rewired.script
    assert guest.post(PATH, credentials(rewired)).code == 1000


@pytest.mark.ocpi("C-12")
def test_who_only_pushes_needs_no_endpoint_but_that_of_credentials(rewired, guest):
    url = f"{rewired.url}/2.2.1/credentials"
    rewired.script = offer(rewired, {"identifier": "credentials", "role": "SENDER", "url": url})
    assert guest.post(PATH, credentials(rewired)).code == 1000
    assert [item.module for item in guest.platform.endpoints.all()] == ["credentials"]


@pytest.mark.ocpi("V-04", "V-08")
@pytest.mark.parametrize("roles", [["SENDER"], ["RECEIVER"], ["RECEIVER", "SENDER"], [None], ["X"]])
def test_the_role_of_a_credentials_endpoint_means_nothing(rewired, guest, roles):
    base = f"{rewired.url}/2.2.1"
    listed = [
        {
            "identifier": "credentials",
            "url": f"{base}/credentials",
            **({"role": name} if name else {}),
        }
        for name in roles
    ]
    tokens = {"identifier": "tokens", "role": "SENDER", "url": f"{base}/sender/tokens"}
    rewired.script = offer(rewired, *JUNK, *listed, tokens)
    assert guest.post(PATH, credentials(rewired)).code == 1000
    assert sorted(guest.platform.endpoints.values_list("module", "interface")) == [
        ("credentials", "SENDER"),
        ("tokens", "SENDER"),
    ]


@pytest.mark.ocpi("C-15")
@pytest.mark.parametrize("step", ["keys.issue", "delivery.owe_everything", "Endpoint.bulk_create"])
@pytest.mark.parametrize("error", [OperationalError, IntegrityError, RuntimeError])
def test_an_error_of_the_database_in_the_middle_changes_nothing(
    desk, member, monkeypatch, step, error
):
    def fail(*args, **kwargs):
        raise error("in the middle")

    owner = {
        "keys.issue": (keys, "issue"),
        "delivery.owe_everything": (registration.delivery, "owe_everything"),
        "Endpoint.bulk_create": (Endpoint.objects, "bulk_create"),
    }[step]
    before = everything(member.platform)
    monkeypatch.setattr(*owner, fail)
    reply = member.put(PATH, renewed(desk))
    assert (reply.http, reply.code) == (503 if error is OperationalError else 500, 3000)
    assert everything(member.platform) == before
    monkeypatch.undo()
    assert member.get(MODULE).http == 200
    assert member.put(PATH, credentials(desk)).code == 1000


# What only a person may change


@pytest.mark.ocpi("C-21", "C-15")
def test_another_host_waits_for_a_person(desk, member):
    before = everything(member.platform)
    with Partner(member.address, ["EMSP"], "A thief").served() as thief:
        reply = member.put(PATH, credentials(thief))
        assert (reply.http, reply.code) == (200, 3001)
        assert "staff have been asked" in reply.message
        assert not thief.inbox.received
        assert everything(member.platform) == before
        assert member.get(MODULE).http == 200
        wish = member.platform.proposal
        assert wish["hosts"] == [thief.url.split("/")[2]]
        assert wish["url"] == thief.versions_url
        assert thief.token not in str(wish)

        proposals.approve_hosts(member.platform, proposals.fingerprint(wish))
        assert member.put(PATH, credentials(thief)).code == 1000
    platform = member.platform
    assert (platform.versions_url, platform.proposal) == (thief.versions_url, None)
    old, new = desk.url.split("/")[2], thief.url.split("/")[2]
    assert platform.hosts == sorted([old, new])
    assert proposals.forget_unused_hosts(platform) == [old]
    assert member.platform.hosts == [new]


@pytest.mark.ocpi("C-21", "C-15")
@pytest.mark.parametrize("where", ["version", "endpoint"])
def test_another_host_behind_the_url_waits_too(rewired, guest, where):
    member = registered(rewired, guest)
    before = everything(member.platform)
    elsewhere = "http://elsewhere.example/2.2.1"
    if where == "version":
        rewired.script = lambda path: [{"version": "2.2.1", "url": elsewhere}]
    else:
        item = {"identifier": "cdrs", "role": "RECEIVER", "url": f"{elsewhere}/cdrs"}
        rewired.script = offer(rewired, item)
    reply = member.put(PATH, renewed(rewired))
    assert (reply.code, "elsewhere.example" in reply.message) == (3001, True)
    assert everything(member.platform) == before
    assert member.platform.proposal["hosts"] == ["elsewhere.example"]


def test_a_person_approves_what_they_saw_and_nothing_else(member):
    def ask(host):
        return member.put(PATH, {"token": "x", "url": f"http://{host}/v", "roles": [role()]})

    ask("honest.example")
    seen = proposals.fingerprint(member.platform.proposal)
    ask("honest.example")  # once more is still the same wish
    assert proposals.fingerprint(member.platform.proposal) == seen
    ask("h0nest.example")
    hosts = member.platform.hosts
    with pytest.raises(proposals.Outdated):
        proposals.approve_hosts(member.platform, seen)
    with pytest.raises(proposals.Outdated):
        proposals.dismiss(member.platform, seen)
    assert member.platform.hosts == hosts
    proposals.dismiss(member.platform, proposals.fingerprint(member.platform.proposal))
    assert (member.platform.proposal, member.platform.hosts) == (None, hosts)


@pytest.mark.ocpi("C-17", "C-15")
def test_another_role_waits_for_a_person(desk, member):
    joined("NL", "CPO", "CPO")
    before = everything(member.platform)
    stolen = role(role="CPO", country_code="nl", party_id="cpo")
    wanted = role(role="CPO")
    reply = member.put(PATH, renewed(desk, roles=[role(), stolen, wanted]))
    assert (reply.http, reply.code) == (200, 2001)
    assert "staff have been asked" in reply.message
    assert everything(member.platform) == before
    assert not [item for item in desk.inbox.received if item.headers["Authorization"] == desk.token]
    named = [
        (item["country_code"], item["party_id"], item["role"])
        for item in member.platform.proposal["roles"]
    ]
    assert named == [("NL", "CPO", "CPO"), ("DE", "EMP", "CPO")]

    with pytest.raises(invitations.InvitationError):
        invitations.assign(member.platform, Party.objects.get(party_id="CPO"), "CPO")
    invitations.assign(member.platform, member.party, "CPO")
    proposals.drop_granted(member.platform)
    assert [item["country_code"] for item in member.platform.proposal["roles"]] == ["NL"]
    assert member.put(PATH, credentials(desk, roles=[role(), wanted])).code == 1000
    assert member.platform.proposal is None


@pytest.mark.ocpi("C-17", "C-18")
@pytest.mark.parametrize(
    "roles",
    [
        [],
        [role(role="HUB")],
        [role(role="MASTER")],
        [role(), role()],
        [role(), role(country_code="de", party_id="emp")],
        [role(party_id="EMPX")],
        [role(business_details={})],
    ],
)
def test_put_with_impossible_roles_is_2001_and_nobody_is_asked(desk, member, roles):
    before, called = everything(member.platform), len(desk.inbox.received)
    reply = member.put(PATH, renewed(desk, roles=roles))
    assert (reply.http, reply.code) == (200, 2001)
    assert everything(member.platform) == before
    assert member.platform.proposal is None
    assert len(desk.inbox.received) == called


@pytest.mark.ocpi("C-02", "A-02")
@pytest.mark.parametrize(
    "members",
    [
        {"token": ""},
        {"token": "a b"},
        {"token": "x" * 65},
        {"token": None},
        {"url": None},
        {"url": "http://x/" + "x" * 255},
        {"roles": None},
    ],
)
def test_put_with_bad_credentials_is_2001(desk, member, members):
    before = everything(member.platform)
    reply = member.put(PATH, credentials(desk, **members))
    assert (reply.http, reply.code) == (200, 2001)
    assert reply.data[0]["path"].startswith("$")
    assert everything(member.platform) == before


# DELETE


@pytest.mark.ocpi("C-08", "C-09")
def test_delete_ends_the_connection_at_once_and_keeps_the_data(desk, member):
    platform, roles = member.platform, Role.objects.count()
    reply = member.call("DELETE", PATH)
    assert (reply.http, reply.code, reply.data) == (200, 1000, None)
    for method, path in (("GET", "versions"), ("GET", MODULE), ("POST", PATH), ("DELETE", PATH)):
        assert member.call(method, path).http == 401
    platform.refresh_from_db()
    assert (platform.state, platform.sealed_token) == ("suspended", "")
    assert not platform.endpoints.exists()
    assert not platform.keys.filter(used_at=None).exists()
    assert (Role.objects.count(), Party.objects.get().name) == (roles, "An eMSP")
    assert [key.purpose for key in platform.keys.all()] == ["invitation"]  # on record


@pytest.mark.ocpi("C-08")
def test_delete_ends_the_token_before_as_well(desk, member):
    new = Speaker(member.address, member.put(PATH, renewed(desk)).data["token"])
    assert member.call("DELETE", PATH).code == 1000  # the one before is good for this, too
    assert (member.get("versions").http, new.get("versions").http) == (401, 401)
    assert member.platform.previous_sealed_token == ""


@pytest.mark.ocpi("C-09")
def test_nothing_is_delivered_to_who_has_left(desk, member, deliver):
    cpo = joined("NL", "CPO", "CPO")
    cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", objects.location(cpo.address))
    member.call("DELETE", PATH)
    assert deliver() == 0
    assert not desk.received


@pytest.mark.ocpi("C-09", "A-09")
def test_who_left_comes_back_by_a_fresh_invitation_only(desk, guest):
    member = registered(desk, guest)
    member.call("DELETE", PATH)
    assert guest.post(PATH, credentials(desk)).http == 401
    guest.token = invitations.reinvite(member.platform)
    assert member.platform.state == "invited"
    again = registered(desk, guest)
    assert again.get(MODULE).http == 200
    assert again.platform == member.platform
    assert guest.get("versions").http == 401


# Invited again


@pytest.mark.ocpi("C-09", "A-08")
def test_who_lost_the_answer_to_its_registration_is_invited_again(desk, guest):
    member = registered(desk, guest)
    guest.token = invitations.reinvite(member.platform)
    assert member.get(MODULE).http == 200  # what works goes on working
    assert guest.get(MODULE).http == 401
    for method in ("PUT", "DELETE"):
        assert guest.call(method, PATH, credentials(desk)).http == 405
    again = registered(desk, guest)
    assert (again.get(MODULE).http, member.get(MODULE).http) == (200, 401)
    assert member.platform.keys.filter(used_at=None).count() == 1


def test_a_second_invitation_ends_the_first(guest):
    token = invitations.reinvite(guest.platform)
    assert guest.get("versions").http == 401
    assert Speaker(guest.address, token).get("versions").http == 200


def test_an_invitation_that_ran_out_is_renewed(desk, guest):
    Key.objects.update(expires_at="2020-01-01T00:00Z")
    guest.token = invitations.reinvite(guest.platform)
    registered(desk, guest)


@pytest.mark.ocpi("C-21")
def test_who_comes_back_is_still_held_to_the_approved_hosts(desk, member, guest):
    member.call("DELETE", PATH)
    guest.token = invitations.reinvite(member.platform)
    with Partner(member.address, ["EMSP"], "Elsewhere").served() as elsewhere:
        assert guest.post(PATH, credentials(elsewhere)).code == 3001
        assert guest.platform.proposal["url"] == elsewhere.versions_url
        host = elsewhere.url.split("/")[2]
        guest.token = invitations.reinvite(member.platform, host=host)
        assert guest.post(PATH, credentials(elsewhere)).code == 1000
    assert guest.platform.hosts == [host]


# What a partner may be like


@pytest.mark.ocpi("C-02", "C-17", "T-25")
def test_several_parties_share_a_platform(desk, guest):
    two = Address("DE", "TWO")
    invitations.invite(two, ["CPO", "NSP"], "Second", join=guest.token)
    second = {"party_id": "two", "country_code": "de", "business_details": {"name": "Zwei"}}
    named = [role(country_code="de"), role(**second, role="CPO"), role(**second, role="NSP")]
    reply = guest.post(PATH, credentials(desk, roles=named))
    assert (reply.code, reply.message) == (1000, "Welcome DE*EMP, DE*TWO")
    assert [item["role"] for item in reply.data["roles"]] == ["HUB"]  # whatever the client has
    assert {str(item) for item in guest.platform.roles.all()} == {
        "DE*EMP (EMSP)",
        "DE*TWO (CPO)",
        "DE*TWO (NSP)",
    }
    assert Party.objects.get(party_id="TWO").name == "Zwei"
    member = Speaker(guest.address, reply.data["token"])
    assert member.put(PATH, renewed(desk, roles=named)).code == 1000


@pytest.mark.ocpi("C-17")
def test_a_party_cannot_take_the_role_of_another_platform(desk, guest):
    joined("NL", "CPO", "CPO")
    reply = guest.post(PATH, credentials(desk, roles=[role(), role(**STOLEN)]))
    assert (reply.http, reply.code) == (200, 2001)
    assert not desk.inbox.received
    assert guest.platform.roles.count() == 1


STOLEN = {"role": "CPO", "country_code": "NL", "party_id": "CPO"}


@pytest.mark.ocpi("C-21", "C-15")
@pytest.mark.parametrize(
    "said",
    [
        lambda url: (302, None, {"Location": f"{url}/elsewhere"}),
        lambda url: (307, None, {"Location": "http://127.0.0.1:1/versions"}),
        lambda url: [{"version": "2.2.1", "url": "x" * 2_000_000}],
        lambda url: [{"version": "2.2.1", "url": "http://user:word@127.0.0.1/x"}],
        lambda url: [{"version": "2.2.1", "url": "ftp://127.0.0.1/x"}],
        lambda url: [{"version": "2.2.1", "url": "/relative"}],
        lambda url: {"version": "2.2.1", "url": url},
        lambda url: [],
    ],
)
def test_a_strange_answer_of_the_partner_is_3001_and_not_followed(rewired, guest, said):
    member = registered(rewired, guest)
    before, called = everything(member.platform), len(rewired.inbox.received)
    rewired.script = lambda path: said(rewired.url) if path == ("versions",) else None
    reply = member.put(PATH, renewed(rewired))
    assert (reply.http, reply.code) == (200, 3001)
    assert len(rewired.inbox.received) == called + 1
    assert everything(member.platform) == before


@pytest.mark.ocpi("V-01", "V-08", "C-12")
def test_junk_in_the_list_of_versions_does_no_harm(rewired, guest):
    junk = [None, 5, {"version": "2.2.1"}, {"version": "3.0", "url": "http://x.example/"}]
    good = {"version": "2.2.1", "url": f"{rewired.url}/2.2.1"}
    rewired.script = lambda path: [*junk, good, *junk] if path == ("versions",) else None
    assert guest.post(PATH, credentials(rewired)).code == 1000
    assert guest.platform.hosts == [rewired.url.split("/")[2]]


def test_one_object_in_a_list_is_taken_for_the_object(rewired, guest):
    details = {"version": "2.2.1", "endpoints": rewired.endpoints()}
    rewired.script = lambda path: [details] if path == ("2.2.1",) else None
    assert guest.post(PATH, credentials(rewired)).code == 1000


@pytest.mark.ocpi("C-21", "T-01")
def test_in_live_a_url_without_https_is_not_called(desk, guest, settings):
    settings.ALLOW_PRIVATE_NETWORKS = settings.SANDBOX = False
    for speaker in (guest, invited("DE", "TWO", "EMSP", dialect="quickstart")):
        named = [role(party_id=speaker.address.party_id)]
        reply = speaker.post("2.2/credentials", credentials(desk, roles=named))
        assert (reply.http, reply.code) == (200, 3001)
        assert "only https" in reply.message
        assert speaker.platform.state == "invited"
    assert not desk.inbox.received


@pytest.mark.ocpi("C-21")
def test_in_live_a_push_only_platform_is_held_to_the_host_it_named(settings):
    settings.SANDBOX = False
    guest = invited("DE", "EMP", "EMSP", dialect="quickstart")
    body = {"token": "x", "url": "https://emp.invalid/versions", "roles": [role()]}
    member = Speaker(guest.address, guest.post("2.2/credentials", body).data["token"])
    assert (member.platform.state, member.platform.hosts) == ("push_only", ["emp.invalid"])
    reply = member.put("2.2/credentials", {**body, "url": "https://thief.invalid/versions"})
    assert reply.code == 3001
    assert member.platform.versions_url == "https://emp.invalid/versions"
    assert member.platform.proposal["hosts"] == ["thief.invalid"]


def test_in_the_sandbox_who_guessed_a_url_may_correct_it(desk):
    guest = invited("DE", "EMP", "EMSP", dialect="quickstart")
    body = credentials(desk, url="https://your-backend.invalid/ocpi/versions")
    member = Speaker(guest.address, guest.post("2.2/credentials", body).data["token"])
    assert member.platform.state == "push_only"
    assert member.put("2.2/credentials", credentials(desk)).code == 1000
    assert (member.platform.state, member.platform.hosts) == (
        "connected",
        [desk.url.split("/")[2]],
    )


def test_a_quickstart_partner_whose_url_fails_is_push_only_again(desk):
    guest = invited("DE", "EMP", "EMSP", dialect="quickstart")
    member = registered(desk, guest, "2.2/credentials")
    desk.misbehave(Fault.ERROR500)
    assert member.put("2.2/credentials", credentials(desk)).code == 1000
    platform = member.platform
    assert (platform.state, platform.endpoints.count()) == ("push_only", 0)


@pytest.mark.ocpi("C-18", "X-05")
def test_credentials_are_repaired_where_that_is_clear_and_told_so(desk, guest):
    odd = role(role="MSP", business_details={"name": "An eMSP", "website": ""})
    reply = guest.post(PATH, credentials(desk, roles=[odd]))
    assert reply.code == 1000
    assert "MSP for EMSP" in reply.message
    assert reply.message.startswith("Welcome DE*EMP")
    assert guest.party.business_details == {"name": "An eMSP"}
    Platform.objects.update(strict=True)
    member = Speaker(guest.address, reply.data["token"])
    before = everything(member.platform)
    assert member.put(PATH, credentials(desk, roles=[odd])).code == 2001
    assert everything(member.platform) == before


# Tokens in the database and in the log


@pytest.mark.ocpi("A-10")
def test_no_token_is_logged_or_readable_in_the_database(desk, guest, caplog):
    caplog.set_level(logging.DEBUG)
    tokens = {guest.token, desk.token}
    member = registered(desk, guest)
    tokens |= {member.token}
    member = Speaker(guest.address, member.put(PATH, renewed(desk)).data["token"])
    tokens |= {member.token, desk.token}
    member.put(PATH, credentials(desk, url="http://elsewhere.example/"))
    kept = str(Platform.objects.values().get()) + str(list(Key.objects.values()))
    member.call("DELETE", PATH)
    tokens |= {invitations.reinvite(member.platform)}
    lines = "\n".join(str(vars(record)) for record in caplog.records)
    for token in tokens:
        assert token not in lines
        assert token not in kept
    told = {(item.message, item.platform) for item in caplog.records if hasattr(item, "platform")}
    for change in ("token issued", "platform registered", "platform has left"):
        assert (change, member.platform.pk) in told


@pytest.mark.parametrize(
    "values",
    [
        {"purpose": "access"},
        {"purpose": "previous", "expires_at": timezone.now()},
        {"purpose": "offered", "expires_at": timezone.now()},
        {"purpose": "invitation"},
    ],
)
def test_the_database_knows_one_key_of_each_kind(values):
    platform = Platform.objects.create(name="Somebody")
    keys_of = [{**values, "digest": bytes([number]), "hint": "abcd"} for number in range(2)]
    platform.keys.create(**keys_of[0])
    with pytest.raises(IntegrityError), transaction.atomic():
        platform.keys.create(**keys_of[1])


@pytest.mark.parametrize("purpose", ["previous", "offered"])
def test_a_key_that_is_to_pass_says_when(purpose):
    platform = Platform.objects.create(name="Somebody")
    with pytest.raises(IntegrityError, match="passing_key_expires"), transaction.atomic():
        platform.keys.create(purpose=purpose, digest=b"x", hint="abcd")


def test_the_use_of_a_token_is_noted_once_a_minute(member, django_assert_num_queries):
    member.get("versions")
    noted = Key.objects.get(purpose="access").last_used_at
    assert timezone.now() - noted < timedelta(seconds=10)
    with django_assert_num_queries(1):
        member.get("versions")
    Key.objects.filter(purpose="access").update(last_used_at=noted - timedelta(minutes=2))
    member.get("versions")
    assert Key.objects.get(purpose="access").last_used_at > noted


# Roles


def test_a_role_is_withdrawn_by_the_guarded_door_only(desk, member):
    assert invitations.assign(member.platform, member.party, "NSP")
    with pytest.raises(invitations.InvitationError, match="registered as NSP already"):
        invitations.assign(member.platform, member.party, "NSP")
    with pytest.raises(invitations.InvitationError, match="not a role"):
        invitations.assign(member.platform, member.party, "HUB")
    invitations.withdraw(Role.objects.get(role="NSP"))
    emsp = Role.objects.get(role="EMSP")
    with pytest.raises(invitations.InvitationError, match="the only role"):
        invitations.withdraw(emsp)
    invitations.assign(member.platform, member.party, "NSP")
    cpo = joined("NL", "CPO", "CPO")
    member.put(f"2.2.1/receiver/tokens/{member.path}/CARD1", objects.token(member.address))
    cpo.put(f"2.2.1/receiver/locations/{cpo.path}/LOC1", objects.location(cpo.address))
    cdr = objects.cdr(cpo.address, member.address)
    assert cpo.post("2.2.1/receiver/cdrs", cdr).http == 201
    with pytest.raises(invitations.InvitationError, match="CDRs, which stay on record"):
        invitations.withdraw(emsp)
    assert Role.objects.filter(pk=emsp.pk).exists()
