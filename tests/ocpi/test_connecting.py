"""The hub as Sender of credentials: registering with a partner, and changing tokens from our side.

The partner is a real HTTP server that calls the hub back before it answers.
"""

import json
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from hub.egress import EgressFailedError
from hub.ocpi.messages import Address
from hub.sandbox.faults import Fault
from hub.sandbox.partner import Partner
from parties import calling, connecting, handshake, journal, keys, leaving, registration
from parties.connecting import CannotConnect
from parties.models import Endpoint, Exchange, Key, Party, Platform, Role
from parties.ourselves import credentials_for
from settlement.models import LegalEntity
from tests.partners import InProcess
from tests.speaking import Speaker, invited, joined

pytestmark = pytest.mark.django_db(transaction=True)
CPO = Address("NL", "CPO")
MODULE = "2.2.1/sender/tokens"


class Scripted(Partner):
    """Answers from `script`, a function of a request, wherever that says something."""

    script = staticmethod(lambda received: None)
    terms = {}

    def credentials(self):
        return {**super().credentials(), **self.terms}

    def _handle(self, received):
        try:
            said = self.script(received)
        finally:
            connections.close_all()  # of this thread of the partner's server
        return (200, said, {}) if said is not None else super()._handle(received)


@pytest.fixture
def partner():
    with Scripted(CPO, ["CPO"], "A CPO", send=InProcess()).served() as partner:
        yield partner


def plan(partner, **members):
    named = {"address": CPO, "roles": ["CPO"], "name": "A CPO"}
    return connecting.Plan(
        **{**named, "url": partner.versions_url, "token": partner.token, **members}
    )


def nothing_is_left():
    counts = [kind.objects.count() for kind in (Platform, Party, Role, Key, Endpoint)]
    return counts == [0] * 5


def called(partner):
    """Return the calls of the hub, as method and path."""
    return [(item.method, "/".join(item.path)) for item in list(partner.inbox.received)]


# Registering


@pytest.mark.ocpi("C-13", "C-01", "C-03", "R-02", "X-07")
def test_the_hub_registers_with_a_partner_that_gave_it_a_token(partner):
    token_a = partner.token
    platform = connecting.connect(plan(partner))
    assert called(partner) == [
        ("GET", "versions"),
        ("GET", "2.2.1"),
        ("POST", "2.2.1/sender/credentials"),
    ]
    for item in partner.inbox.received:
        assert not [name for name in item.headers if name.lower().startswith("ocpi-")]
    assert (platform.state, platform.version) == ("connected", "2.2.1")
    assert keys.unseal(platform.sealed_token) == partner.token != token_a
    assert token_a not in str(Platform.objects.values().get())
    [sent] = [item.body for item in partner.inbox.received if item.method == "POST"]
    assert sent == credentials_for(platform, partner.hub_token)
    assert [key.purpose for key in platform.keys.all()] == ["access"]
    assert platform.hosts == [partner.url.split("/")[2]]
    assert (platform.versions_url, Party.objects.get().name) == (partner.versions_url, "A CPO")
    member = Speaker(CPO, partner.hub_token)
    assert member.get(MODULE).http == 200
    assert member.get("2.2.1/credentials").data["token"] == partner.hub_token


@pytest.mark.ocpi("C-13", "A-08")
def test_before_the_answer_our_token_opens_versions_and_credentials_only(partner):
    seen = {}

    def look(received):
        if received.method == "POST":
            early = Speaker(CPO, received.body["token"])
            for path in ("versions", "2.2.1", "2.2.1/credentials", MODULE):
                seen[path] = early.get(path).http
            for method in ("POST", "PUT", "DELETE"):
                seen[method] = early.call(method, "2.2.1/credentials", received.body).http

    partner.script = look
    connecting.connect(plan(partner))
    assert seen == {
        "versions": 200,
        "2.2.1": 200,
        "2.2.1/credentials": 200,
        MODULE: 401,
        "POST": 405,
        "PUT": 405,
        "DELETE": 405,
    }


@pytest.mark.ocpi("C-13", "V-08")
@pytest.mark.parametrize(
    ("offered", "chosen"), [(["2.1.1", "2.2", "2.2.1", "9"], "2.2.1"), (["2.0", "2.2"], "2.2")]
)
def test_the_best_version_that_both_speak_is_chosen(partner, offered, chosen):
    listed = [{"version": name, "url": f"{partner.url}/2.2.1"} for name in offered]
    partner.script = lambda received: listed if received.path == ("versions",) else None
    assert connecting.connect(plan(partner)).version == chosen


@pytest.mark.ocpi("C-13")
def test_the_party_joins_the_platform_to_which_it_was_invited(partner):
    guest = invited("NL", "CPO", "CPO")
    assert connecting.connect(plan(partner)) == guest.platform
    assert guest.get("versions").http == 401  # the invitation is over
    assert Platform.objects.count() == 1


@pytest.mark.ocpi("C-13")
def test_a_partner_that_wants_its_token_plain_gets_it_plain(partner):
    partner.token_form = "plain"
    assert connecting.connect(plan(partner)).token_form == "plain"


@pytest.mark.ocpi("C-13", "T-16")
def test_a_partner_that_takes_us_as_registered_is_sent_put_when_staff_say_so(partner):
    partner.hub_token = "och_from_an_earlier_life"
    with pytest.raises(CannotConnect, match="--put"):
        connecting.connect(plan(partner))
    assert nothing_is_left()
    platform = connecting.connect(plan(partner, again=True))
    assert called(partner)[-1] == ("PUT", "2.2.1/sender/credentials")
    assert platform.state == "connected"
    assert Speaker(CPO, partner.hub_token).get(MODULE).http == 200


@pytest.mark.ocpi("C-14", "C-12")
def test_nothing_is_sent_to_a_partner_without_an_endpoint_for_it(partner):
    tokens = {"identifier": "tokens", "role": "RECEIVER", "url": f"{partner.url}/tokens"}
    details = {"version": "2.2.1", "endpoints": [tokens]}
    partner.script = lambda received: details if received.path == ("2.2.1",) else None
    with pytest.raises(CannotConnect, match="no endpoint for credentials"):
        connecting.connect(plan(partner))
    assert [method for method, _ in called(partner)] == ["GET", "GET"]
    assert nothing_is_left()


@pytest.mark.ocpi("C-15", "C-11")
@pytest.mark.parametrize("module", ["", "credentials"])
@pytest.mark.parametrize(
    "fault", [Fault.ERROR500, Fault.GARBAGE, Fault.CLOSE, Fault.UNAUTHORIZED, Fault.REFUSE]
)
def test_a_failure_leaves_nothing_and_it_can_be_repeated(partner, fault, module):
    partner.misbehave(fault, module=module)
    with pytest.raises(CannotConnect):
        connecting.connect(plan(partner))
    assert nothing_is_left()
    partner.misbehave(Fault.OK)
    assert connecting.connect(plan(partner)).state == "connected"


@pytest.mark.ocpi("X-02")
@pytest.mark.parametrize("written", ["meanwhile", "afterwards"])
def test_what_was_said_stays_in_the_journal(partner, written):
    def look(received):
        if written == "meanwhile":
            journal.flush()

    partner.script = look
    partner.misbehave(Fault.GARBAGE, module="credentials")
    with pytest.raises(CannotConnect):
        connecting.connect(plan(partner))
    journal.flush()
    assert nothing_is_left()
    out = Exchange.objects.filter(direction="out").order_by("pk")
    assert [item.method for item in out] == ["GET", "GET", "POST"]
    assert partner.token not in str(list(Exchange.objects.values()))


@pytest.mark.ocpi("C-15")
def test_a_failure_leaves_an_invited_platform_as_it_was(partner):
    guest = invited("NL", "CPO", "CPO")
    partner.misbehave(Fault.ERROR500, module="credentials")
    with pytest.raises(CannotConnect):
        connecting.connect(plan(partner))
    assert [key.purpose for key in Key.objects.all()] == ["invitation"]
    assert guest.get("versions").http == 200


@pytest.mark.ocpi("C-15")
def test_a_partner_that_never_answers_is_given_up_in_time(partner, monkeypatch):
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 1.0)
    partner.misbehave(Fault.HANG, module="credentials")
    with pytest.raises(CannotConnect, match="not known what the partner made of it"):
        connecting.connect(plan(partner))
    assert nothing_is_left()


ROLE = {
    "role": "CPO",
    "country_code": "NL",
    "party_id": "CPO",
    "business_details": {"name": "A CPO"},
}


@pytest.mark.ocpi("C-13", "C-15", "C-17")
@pytest.mark.parametrize(
    "terms",
    [
        {"roles": [ROLE, {**ROLE, "role": "EMSP"}]},
        {"roles": [{**ROLE, "party_id": "XYZ"}]},
        {"roles": [ROLE, ROLE]},
        {"roles": [{**ROLE, "role": "HUB"}]},
        {"roles": []},
        {"url": "http://elsewhere.example/versions"},
        {"url": None},
    ],
)
def test_a_partner_that_is_not_who_we_expected_is_left_at_once(partner, terms):
    partner.terms = terms
    with pytest.raises(CannotConnect, match="the partner was told"):
        connecting.connect(plan(partner))
    assert called(partner)[-1][0] == "DELETE"
    assert not partner.registered
    assert nothing_is_left()


@pytest.mark.ocpi("C-15")
def test_a_role_that_is_taken_meanwhile_is_left_to_who_has_it(partner):
    def take(received):
        if received.method == "POST":
            joined("NL", "CPO", "CPO")

    partner.script = take
    with pytest.raises(CannotConnect, match="registered as CPO already"):
        connecting.connect(plan(partner))
    assert not partner.registered
    assert Platform.objects.count() == 1


@pytest.mark.ocpi("C-15")
def test_an_error_of_the_database_takes_the_registration_back(partner, monkeypatch):
    def fail(*args):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(registration.clientinfo, "move", fail)
    with pytest.raises(RuntimeError):
        connecting.connect(plan(partner))
    assert not partner.registered
    assert nothing_is_left()


@pytest.mark.ocpi("C-13")
@pytest.mark.parametrize("answer", [{}, {"token": ""}, {"token": "a b"}, {"token": 5}, [], "x"])
def test_an_answer_without_a_token_is_none(partner, answer):
    partner.script = lambda received: answer if received.method == "POST" else None
    with pytest.raises(CannotConnect):
        connecting.connect(plan(partner))
    assert nothing_is_left()


@pytest.mark.ocpi("C-21")
def test_hosts_may_be_fixed_and_the_hub_does_not_register_with_itself(partner):
    with pytest.raises(CannotConnect, match="not a host approved"):
        connecting.connect(plan(partner, hosts=["partner.example"]))
    with pytest.raises(CannotConnect, match="the hub itself"):
        connecting.connect(plan(partner, url=f"{settings.HUB_BASE_URL}/ocpi/versions"))
    assert not partner.inbox.received
    assert nothing_is_left()


@pytest.mark.parametrize("state", ["connected", "offline", "push_only", "suspended"])
def test_who_is_in_the_network_already_is_not_registered_once_more(partner, state):
    joined("NL", "CPO", "CPO", state=state)
    with pytest.raises(CannotConnect, match="already"):
        connecting.connect(plan(partner))
    assert not partner.inbox.received


# Changing the tokens


@pytest.fixture
def platform(partner):
    return connecting.connect(plan(partner))


@pytest.mark.ocpi("A-11", "V-09", "C-01", "C-16")
def test_the_hub_changes_both_tokens(partner, platform):
    ours, theirs = partner.hub_token, partner.token
    assert connecting.rotate(platform) == ""
    assert called(partner)[-3:] == [
        ("GET", "versions"),
        ("GET", "2.2.1"),
        ("PUT", "2.2.1/sender/credentials"),
    ]
    assert (partner.hub_token != ours, partner.token != theirs) == (True, True)
    platform.refresh_from_db()
    assert keys.unseal(platform.sealed_token) == partner.token
    assert keys.previous_token(platform) == theirs
    assert Speaker(CPO, ours).get(MODULE).http == 200
    assert Speaker(CPO, partner.hub_token).get(MODULE).http == 200
    assert Speaker(CPO, ours).get("versions").http == 401


@pytest.mark.ocpi("A-11", "C-01")
def test_so_can_a_partner_that_the_hub_registered_with(partner, platform):
    ours, theirs = partner.hub_token, partner.token
    partner.renew()
    assert (partner.hub_token != ours, partner.token != theirs) == (True, True)
    assert connecting.rotate(Platform.objects.get()) == ""
    partner.leave()
    assert Platform.objects.get().state == "suspended"
    assert Speaker(CPO, ours).get("versions").http == 401


@pytest.mark.ocpi("C-16", "C-15")
def test_a_partner_that_lost_our_answer_is_called_with_its_token_of_before(partner, platform):
    ours, theirs, send = partner.hub_token, partner.token, partner.send

    def lossy(method, url, **options):
        answer = send(method, url, **options)
        if method == "PUT":
            raise EgressFailedError("the answer is lost")
        return answer

    partner.send = lossy
    with pytest.raises(EgressFailedError):
        partner.renew()
    partner.send = send
    assert (partner.hub_token, partner.token) == (ours, theirs)
    platform.refresh_from_db()
    assert keys.unseal(platform.sealed_token) != theirs
    probe = calling.Call("GET", platform.versions_url, module="versions")
    assert calling.make(platform, probe).succeeded
    assert Speaker(CPO, ours).get(MODULE).http == 200
    partner.renew()
    platform.refresh_from_db()
    assert keys.unseal(platform.sealed_token) == partner.token
    assert calling.make(platform, probe).succeeded
    assert Speaker(CPO, partner.hub_token).get(MODULE).http == 200


@pytest.mark.ocpi("C-15", "A-11")
@pytest.mark.parametrize("module", ["", "credentials"])
@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.REFUSE])
def test_a_partner_that_refuses_new_tokens_keeps_the_old_ones(partner, platform, fault, module):
    before = Platform.objects.values().get(), list(Key.objects.values("digest", "purpose"))
    partner.misbehave(fault, module=module)
    with pytest.raises(CannotConnect):
        connecting.rotate(platform)
    after = Platform.objects.values().get(), list(Key.objects.values("digest", "purpose"))
    assert after == before
    assert Speaker(CPO, partner.hub_token).get(MODULE).http == 200


@pytest.mark.ocpi("C-15", "C-16")
def test_when_the_partners_answer_is_lost_its_use_of_the_new_token_decides(partner, platform):
    ours = partner.hub_token
    lose_answers(partner)
    with pytest.raises(CannotConnect, match="not known"):
        connecting.rotate(platform)
    assert partner.hub_token != ours
    old, new = Speaker(CPO, ours), Speaker(CPO, partner.hub_token)
    assert old.get(MODULE).http == 200
    assert new.get(MODULE).http == 200  # so it took the new one
    assert old.get("versions").http == 401
    assert [key.purpose for key in Key.objects.all()] == ["access"]


def lose_answers(partner):
    """Let the partner do what PUT credentials asks, and then hang up without an answer."""
    exchange = partner.exchange

    def lost(received):
        exchange(received)
        partner.exchange = exchange
        raise ConnectionError

    partner.exchange = lost


@pytest.mark.ocpi("C-16")
def test_an_offer_nobody_took_runs_out(partner, platform):
    lose_answers(partner)
    with pytest.raises(CannotConnect):
        connecting.rotate(platform)
    Key.objects.filter(purpose="offered").update(expires_at="2020-01-01T00:00Z")
    assert Speaker(CPO, partner.hub_token).get(MODULE).http == 401
    keys.forget_expired()
    assert [key.purpose for key in Key.objects.all()] == ["access"]


@pytest.mark.ocpi("C-17", "A-11")
@pytest.mark.parametrize(
    ("terms", "wish"),
    [
        ({"roles": [ROLE, {**ROLE, "role": "EMSP"}]}, {"hosts": [], "roles": 1}),
        ({"url": "http://elsewhere.example/v"}, {"hosts": ["elsewhere.example"], "roles": 0}),
    ],
)
def test_what_else_a_partner_changes_on_that_occasion_waits(partner, platform, terms, wish):
    partner.terms = terms
    assert "the tokens were changed, but" in connecting.rotate(platform)
    platform.refresh_from_db()
    assert keys.unseal(platform.sealed_token) == partner.token
    assert platform.versions_url == partner.versions_url
    assert [role.role for role in platform.roles.all()] == ["CPO"]
    assert platform.proposal["hosts"] == wish["hosts"]
    assert len(platform.proposal["roles"]) == wish["roles"]
    assert Speaker(CPO, partner.hub_token).get(MODULE).http == 200


# Suspending


@pytest.mark.ocpi("C-08", "C-09", "C-01")
def test_staff_suspend_a_platform_and_the_partner_is_told(partner, platform):
    token, outcome = partner.hub_token, leaving.suspend(platform)
    assert outcome == "the partner was told: HTTP 200, OCPI 1000"
    assert called(partner)[-1] == ("DELETE", "2.2.1/sender/credentials")
    assert not partner.registered
    assert Speaker(CPO, token).get("versions").http == 401
    platform.refresh_from_db()
    assert (platform.state, platform.sealed_token) == ("suspended", "")
    assert not platform.endpoints.exists()
    assert not platform.keys.exists()


@pytest.mark.ocpi("C-08")
@pytest.mark.parametrize("fault", [Fault.ERROR500, Fault.CLOSE, Fault.UNAUTHORIZED])
def test_a_partner_that_will_not_hear_of_it_is_suspended_all_the_same(partner, platform, fault):
    partner.misbehave(fault)
    outcome = leaving.suspend(platform)
    assert outcome.startswith(("the partner refused", "the partner could not be told"))
    assert Speaker(CPO, partner.hub_token).get("versions").http == 401


# Commands


def run(*args):
    out = StringIO()
    call_command(*args, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.ocpi("C-13", "A-11", "C-08", "C-09")
def test_all_of_it_by_commands(partner):
    who = ("connect_party", "nl", "cpo", "cpo", "A CPO")
    how = ("--url", partner.versions_url, "--token", partner.token)
    shown = run(*who, *how)
    assert (shown["state"], shown["version"]) == ("connected", "2.2.1")
    assert shown["roles"] == ["CPO"]
    assert "locations SENDER" in shown["modules"]
    assert LegalEntity.objects.filter(party__party_id="CPO").exists()  # ready to trade
    before = partner.hub_token
    assert run("rotate_token", "NL-CPO")["remark"] == ""
    assert partner.hub_token not in {before, ""}
    assert run("suspend", "NL-CPO")["outcome"].startswith("the partner was told")
    token = run("reinvite", "nl-cpo")["token"]
    partner.register(f"{settings.HUB_BASE_URL}/ocpi/versions", token)
    assert Platform.objects.get().state == "connected"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["rotate_token", "NL-XYZ"], "no role"),
        (["rotate_token", "NLXYZ"], "CC-PID"),
        (["reinvite", "NL-CPO", "--role", "EMSP"], "no role EMSP"),
        (["suspend", "NL-TWO"], "several platforms"),
        (["rotate_token", "NL-CPO"], "not registered"),
        (["suspend", "NL-SUS"], "cannot move"),
        (["connect_party", "NL", "NEW", "BOSS", "N", "--url", "x", "--token", "x"], "not a role"),
        (["connect_party", "NLX", "NEW", "CPO", "N", "--url", "x", "--token", "x"], "2 letters"),
    ],
)
def test_commands_say_what_is_wrong(args, words):
    invited("NL", "CPO", "CPO")
    joined("NL", "SUS", "CPO", state="suspended")
    for role in ("CPO", "EMSP"):
        invited("NL", "TWO", role)
    with pytest.raises(CommandError, match=words):
        run(*args)


def test_a_second_rotation_at_the_same_time_is_refused(partner, platform):
    seen = []

    def again(received):
        if received.method == "PUT":
            with pytest.raises(CannotConnect, match="under way"):
                connecting.rotate(Platform.objects.get())
            seen.append(received)

    partner.script = again
    connecting.rotate(platform)
    assert len(seen) == 1
