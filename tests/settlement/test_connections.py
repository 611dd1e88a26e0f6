"""The desk for connections: what staff see, do and may not do."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from hub.ocpi.messages import Address
from hub.sandbox.partner import Partner
from parties import proposals
from parties.models import Key, Platform, Role, User
from settlement.models import LegalEntity
from tests.ocpi.test_credentials import PATH, credentials, registered, role
from tests.partners import InProcess
from tests.speaking import Speaker, invited, joined

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("plain_static")]
LIST = "admin:parties_platform_changelist"


def staff(*permissions: str) -> Client:
    user = User.objects.create_user(f"{len(permissions)}@hub.example", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk() -> Client:
    seen = ("view_platform", "view_key", "view_role", "view_endpoint")
    return staff("change_platform", *seen)


@pytest.fixture
def partner():
    with Partner(Address("DE", "EMP"), ["EMSP"], "An eMSP", send=InProcess()).served() as partner:
        yield partner


@pytest.fixture
def member(partner):
    return registered(partner, invited("DE", "EMP", "EMSP"))


def page_of(platform: Platform) -> str:
    return reverse("admin:parties_platform_connection", args=[platform.pk])


def do(desk: Client, platform: Platform, deed: str, **given: Any) -> str:
    """Do something at the desk and return the page that follows."""
    return desk.post(page_of(platform), {"deed": deed, **given}, follow=True).content.decode()


def test_the_list_and_the_page_show_how_old_tokens_are_and_hide_what_they_are(
    desk: Client, member: Speaker, partner: Partner
) -> None:
    Key.objects.filter(purpose="access").update(created_at="2020-01-01T00:00Z")
    listing = desk.get(reverse(LIST)).content.decode()
    assert "change it" in listing
    member.get("versions")
    change = reverse("admin:parties_platform_change", args=[member.platform.pk])
    for url in (change, page_of(member.platform)):
        text = desk.get(url).content.decode()
        assert member.token[-4:] in text
        for secret in (member.token, partner.token, member.platform.sealed_token):
            assert secret not in text
        assert "<script>" not in text
        assert " style=" not in text
    assert page_of(member.platform) in desk.get(change).content.decode()


def test_the_list_costs_the_same_however_long(
    desk: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(10):
        joined("NL", f"X{number:02}", "CPO")
    with django_assert_max_num_queries(8):
        desk.get(reverse(LIST))


@pytest.mark.ocpi("C-09")
def test_to_invite_again_shows_the_token_once(desk: Client, partner: Partner) -> None:
    guest = invited("DE", "EMP", "EMSP")
    response = desk.post(page_of(guest.platform), {"deed": "invite"})
    text = response.content.decode()
    guest.token = text.split('<pre id="token">')[1].split("<")[0]
    assert "no-store" in response["Cache-Control"]
    assert guest.token not in desk.get(page_of(guest.platform)).content.decode()
    assert guest.token not in str(desk.cookies)
    assert registered(partner, guest).platform.state == "connected"


@pytest.mark.ocpi("C-21")
def test_hosts_are_approved_as_they_were_seen(desk: Client, member: Speaker) -> None:
    def ask(host: str) -> None:
        body = {"token": "x", "url": f"http://{host}/versions", "roles": [role()]}
        assert member.put(PATH, body).code == 3001

    ask("honest.example")
    text = desk.get(page_of(member.platform)).content.decode()
    assert "Hosts: honest.example" in text
    seen = text.split('name="seen" value="')[1].split('"')[0]
    ask("h0nest.example")
    assert "in the meantime" in do(desk, member.platform, "approve", seen=seen)
    assert "example" not in str(member.platform.hosts)
    seen = proposals.fingerprint(member.platform.proposal)
    assert "Approved: h0nest.example" in do(desk, member.platform, "approve", seen=seen)
    assert "h0nest.example" in member.platform.hosts
    assert "No longer approved: h0nest.example" in do(desk, member.platform, "forget")


def test_a_wish_is_dismissed(desk: Client, member: Speaker) -> None:
    body = {"token": "x", "url": "http://thief.example/versions", "roles": [role()]}
    member.put(PATH, body)
    seen = proposals.fingerprint(member.platform.proposal)
    assert "Dismissed" in do(desk, member.platform, "dismiss", seen=seen)
    assert member.platform.proposal is None


@pytest.mark.ocpi("C-17")
def test_roles_are_assigned_and_withdrawn(desk: Client, member: Speaker, partner: Partner) -> None:
    wanted = role(role="CPO", party_id="NEW", business_details={"name": "<b>New</b>"})
    member.put(PATH, credentials(partner, roles=[role(), wanted]))
    text = desk.get(page_of(member.platform)).content.decode()
    assert "DE*NEW CPO (&lt;b&gt;New&lt;/b&gt;)" in text
    given = {"country_code": "de", "party_id": "new", "role": "CPO", "name": "New"}
    assert "Assigned: DE*NEW (CPO)" in do(desk, member.platform, "assign", **given)
    assert member.platform.proposal is None
    assert LegalEntity.objects.filter(party__party_id="NEW").exists()
    assert "registered as CPO already" in do(desk, member.platform, "assign", **given)
    new = Role.objects.get(role="CPO")
    assert "Withdrawn" in do(desk, member.platform, "withdraw", role=str(new.pk))
    assert not Role.objects.filter(pk=new.pk).exists()
    last = Role.objects.get()
    assert "the only role" in do(desk, member.platform, "withdraw", role=str(last.pk))


@pytest.mark.ocpi("X-04")
def test_staff_say_how_a_platform_is_treated(desk: Client, member: Speaker) -> None:
    text = do(desk, member.platform, "manners", strict="on")
    assert "strict: yes, names_parties: no, always_200: no" in text
    assert (member.platform.strict, member.platform.names_parties) == (True, False)
    do(desk, member.platform, "manners", names_parties="on")
    assert (member.platform.strict, member.platform.names_parties) == (False, True)


@pytest.mark.ocpi("C-16")
def test_the_token_before_is_ended_at_once(desk: Client, member: Speaker, partner: Partner) -> None:
    partner.token = "another_token"
    member.put(PATH, credentials(partner))
    assert (member.get("versions").http, bool(member.platform.previous_sealed_token)) == (200, True)
    assert "Only the newest" in do(desk, member.platform, "cut")
    assert (member.get("versions").http, member.platform.previous_sealed_token) == (401, "")


def test_a_role_of_another_platform_is_not_withdrawn_here(desk: Client, member: Speaker) -> None:
    other = joined("NL", "CPO", "CPO", "EMSP")
    for number in (str(other.platform.roles.first().pk), "", "x"):
        answer = desk.post(page_of(member.platform), {"deed": "withdraw", "role": number})
        assert answer.status_code == 404
    assert other.platform.roles.count() == 2


@pytest.mark.ocpi("A-11", "C-08")
def test_tokens_are_changed_and_the_platform_suspended(
    desk: Client, member: Speaker, partner: Partner
) -> None:
    partner.hub_token = member.token
    assert "Both tokens were changed" in do(desk, member.platform, "rotate")
    assert partner.hub_token != member.token
    assert "say that you are sure" in do(desk, member.platform, "suspend")
    assert member.platform.state == "connected"
    assert "the partner was told" in do(desk, member.platform, "suspend", sure="on")
    assert member.platform.state == "suspended"
    assert "cannot move" in do(desk, member.platform, "suspend", sure="on")
    assert "is not registered" in do(desk, member.platform, "rotate")


@pytest.mark.ocpi("C-13")
def test_the_hub_registers_with_a_partner(desk: Client, partner: Partner) -> None:
    connect = reverse("admin:parties_platform_connect")
    given = {
        "country_code": "de",
        "party_id": "emp",
        "roles": ["EMSP"],
        "name": "An eMSP",
        "url": partner.versions_url,
        "token": "wrong",
        "hosts": "",
    }
    text = desk.post(connect, given).content.decode()
    assert "HTTP 401" in text
    assert "wrong" not in text
    assert not Platform.objects.exists()
    text = desk.post(connect, {**given, "token": partner.token}, follow=True).content.decode()
    assert "Registered with DE*EMP" in text
    assert Platform.objects.get().state == "connected"
    assert "This field is required" in desk.post(connect, {}).content.decode()
    refused = desk.post(connect, {**given, "country_code": "1"}).content.decode()
    assert "2 letters" in refused


def test_who_may_only_look_is_turned_away(member: Speaker) -> None:
    viewer = staff("view_platform")
    connect = reverse("admin:parties_platform_connect")
    assert viewer.get(reverse(LIST)).status_code == 200
    assert connect not in viewer.get(reverse(LIST)).content.decode()
    for url in (connect, page_of(member.platform)):
        assert viewer.get(url).status_code == 403
        assert viewer.post(url, {"deed": "suspend", "sure": "on"}).status_code == 403
        assert Client().post(url, {"deed": "suspend", "sure": "on"}).status_code == 302
    assert member.platform.state == "connected"


def test_nothing_else_can_be_done_here(desk: Client, member: Speaker) -> None:
    assert desk.post(page_of(member.platform), {"deed": "delete"}).status_code == 403
    assert desk.get(page_of(member.platform)).status_code == 200
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(User.objects.get())
    answer = careful.post(page_of(member.platform), {"deed": "suspend", "sure": "on"})
    assert answer.status_code == 403
    assert member.platform.state == "connected"
