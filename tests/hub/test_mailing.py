"""Where letters go is read from the environment."""

from pathlib import Path

import pytest

from hub.mailing import BadMailUrl, settings_of

FOLDER = Path("/data/mail")


def of(**environment):
    found = settings_of(environment, FOLDER)
    return {name.removeprefix("EMAIL_"): value for name, value in found.items()}


def test_unless_told_they_are_files():
    found = of(EMAIL_URL="")
    assert found["BACKEND"].endswith("filebased.EmailBackend")
    assert found["FILE_PATH"] == "/data/mail"
    assert of(EMAIL_URL="file:/elsewhere")["FILE_PATH"] == "/elsewhere"


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "ssl"),
    [
        ("smtp://mail.example", "mail.example", 25, False, False),
        ("smtp://mail.example:2525?tls=1", "mail.example", 2525, True, False),
        ("submission://mail.example", "mail.example", 587, True, False),
        ("smtps://mail.example", "mail.example", 465, False, True),
    ],
)
def test_a_url_says_all_in_one(url, host, port, tls, ssl):
    found = of(EMAIL_URL=url)
    assert (found["HOST"], found["PORT"]) == (host, port)
    assert (found["USE_TLS"], found["USE_SSL"]) == (tls, ssl)


def test_names_and_passwords_may_have_any_character():
    found = of(EMAIL_URL="submission://hub%40x.example:p%2Fa%3Ass@mail.example")
    assert (found["HOST_USER"], found["HOST_PASSWORD"]) == ("hub@x.example", "p/a:ss")


def test_djangos_own_names_work_too():
    found = of(EMAIL_HOST="mail.example", EMAIL_PORT="587", EMAIL_USE_TLS="1")
    assert (found["HOST"], found["PORT"], found["USE_TLS"]) == ("mail.example", 587, True)
    assert found["USE_SSL"] is False


@pytest.mark.parametrize(
    "url", ["mailto:x@y.example", "smtp:", "submission://:587", "mail.example"]
)
def test_nonsense_is_refused_without_telling_the_password(url):
    with pytest.raises(BadMailUrl, match="EMAIL_URL"):
        of(EMAIL_URL=url)
