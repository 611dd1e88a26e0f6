"""The commands that let parties and people in."""

import io
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from hub.ocpi import json
from parties.models import Key, Party, Platform, Role, User
from settlement.models import LegalEntity, SelfBillingAgreement

pytestmark = pytest.mark.django_db


def manage(*arguments: str) -> Any:
    """Run a command and return what it prints with --json."""
    out = io.StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue().encode())


def counts() -> list[int]:
    return [model.objects.count() for model in (Party, Role, Platform, Key, LegalEntity, User)]


# add_party


def test_a_party_is_ready_to_trade_at_once() -> None:
    added = manage("add_party", "fr", "abc", "cpo,EMSP", "My Company", "--currency", "EUR")
    token = added.pop("token")
    assert added == {
        "country_code": "FR",
        "party_id": "ABC",
        "roles": ["CPO", "EMSP"],
        "name": "My Company",
    }
    assert token.startswith("och_")
    assert LegalEntity.objects.complete().count() == 2
    assert SelfBillingAgreement.objects.get().supplier.party == Party.objects.get()


def test_people_are_told_the_token_and_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("add_party", "FR", "ABC", "CPO", "My CPO", "--dialect", "quickstart")
    told = capsys.readouterr().out
    assert told.startswith("FR*ABC (My CPO) may register as CPO.\n")
    assert told.splitlines()[-1].startswith("och_")
    assert Platform.objects.get().dialect == "quickstart"


def test_a_second_party_shares_the_platform_of_the_first() -> None:
    first = manage("add_party", "FR", "ABC", "CPO", "One", "--host", "Partner.Example:8443")
    second = manage("add_party", "BE", "ABC", "CPO", "Two", "--with", first["token"])
    assert second["token"] == first["token"]
    assert Platform.objects.get().hosts == ["partner.example:8443"]
    Key.objects.update(used_at="2026-01-01T00:00:00Z")
    before = counts()
    with pytest.raises(CommandError, match="no unused invitation"):
        manage("add_party", "NL", "ABC", "CPO", "Three", "--with", first["token"])
    assert counts() == before


def test_a_known_party_may_take_a_further_role() -> None:
    manage("add_party", "FR", "ABC", "CPO", "One")
    manage("add_party", "FR", "ABC", "EMSP", "One")
    assert (Party.objects.count(), Role.objects.count(), Platform.objects.count()) == (1, 2, 2)
    before = counts()
    with pytest.raises(CommandError, match=r"FR\*ABC is registered as CPO already"):
        manage("add_party", "FR", "ABC", "NSP,CPO", "One")
    assert counts() == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["FRA", "ABC", "CPO", "X"], "a country code has 2 letters"),
        (["FR", "ABCD", "CPO", "X"], "a party id has 3 letters or digits"),
        (["FR", "A-C", "CPO", "X"], "a party id has 3 letters or digits"),
        (["FR", "ABC", "BOSS", "X"], "BOSS is not a role"),
        (["FR", "ABC", "HUB", "X"], "HUB is not a role"),
        (["FR", "ABC", "CPO,", "X"], " is not a role"),
        (["FR", "ABC", "CPO", ""], "a name has 1 to 100"),
        (["FR", "ABC", "CPO", "X" * 101], "a name has 1 to 100"),
        (["FR", "ABC", "CPO", "X", "--dialect", "klingon"], "'klingon' is not a dialect"),
        (["FR", "ABC", "CPO", "X", "--currency", "EURO"], "'EURO' is not a currency"),
        (["FR", "ABC", "CPO", "X", "--host", "https://x"], "'https://x' is not a host"),
        (["FR", "ABC", "CPO", "X", "--with", "och_guess"], "no unused invitation"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(arguments: list[str], reason: str) -> None:
    before = counts()
    with pytest.raises(CommandError, match=reason):
        manage("add_party", *arguments)
    assert counts() == before


def test_in_live_people_enter_the_terms(settings: Any) -> None:
    settings.SANDBOX = False
    manage("add_party", "FR", "ABC", "CPO", "My CPO")
    assert not LegalEntity.objects.exists()


# add_user


@pytest.mark.parametrize(
    ("access", "may", "may_not"),
    [
        ("support", "cdrs.view_cdr", "cdrs.change_cdr"),
        ("operations", "parties.change_platform", "settlement.change_vatrule"),
        ("clerk", "settlement.change_legalentity", "settlement.close_period"),
        ("approver", "settlement.close_period", "parties.change_platform"),
        ("admin", "parties.delete_party", ""),
    ],
)
def test_staff_may_what_their_access_says(access: str, may: str, may_not: str) -> None:
    added = manage("add_user", "Someone@Example.com", "--staff", access)
    user = User.objects.get(email="someone@example.com")
    assert added == {"email": user.email, "access": access, "password": added["password"]}
    assert user.is_staff
    assert user.check_password(added["password"])
    assert user.has_perm(may)
    assert not may_not or not user.has_perm(may_not)
    assert user.has_perm("settlement.view_document")


def test_adding_somebody_again_changes_access_and_password() -> None:
    manage("add_user", "a@example.com", "--staff", "admin", "--password", "first")
    again = manage("add_user", "A@example.com", "--staff", "support", "--password", "second")
    user = User.objects.get()
    assert (again["password"], user.is_superuser) == ("second", False)
    assert user.check_password("second")
    assert [group.name for group in user.groups.all()] == ["support"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a@example.com", "--staff", "king"], "'king' is not an access"),
        (["nobody", "--staff", "clerk"], "valid email"),
    ],
)
def test_who_cannot_be_added_is_not(arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        manage("add_user", *arguments)
    assert not User.objects.exists()


def test_in_live_a_password_must_be_a_good_one(settings: Any) -> None:
    settings.SANDBOX = False
    with pytest.raises(CommandError, match="too short"):
        manage("add_user", "a@example.com", "--staff", "admin", "--password", "demo")


def test_a_wrong_argument_is_an_error_with_status_1_and_nothing_on_standard_output():
    result = subprocess.run(
        [sys.executable, "manage.py", "close_period", "--json"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "YYYY-MM" in result.stderr
