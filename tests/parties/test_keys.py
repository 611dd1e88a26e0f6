"""Tokens: their forms, their digests, their secrecy."""

import base64

import pytest

from parties import keys

TOKEN = "och_0123456789"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (f"Token {TOKEN}", "plain"),
        (f"token {TOKEN}", "plain"),
        (f"Bearer {TOKEN}", "plain"),
        (TOKEN, "plain"),
        (encoded(TOKEN), "base64"),
        (f"Token  {TOKEN}", "plain"),
        (f"Token {encoded(TOKEN)}", "base64"),
        (f"Token {encoded(TOKEN).rstrip('=')}", "base64"),
        (f"Token {encoded(TOKEN + chr(10))}", "base64"),
        (f"Token {encoded(TOKEN).replace('+', '-').replace('/', '_')}", "base64"),
    ],
)
@pytest.mark.ocpi("A-04", "A-05")
def test_a_token_is_found_in_every_form_that_partners_send(header, form):
    assert (TOKEN, form) in keys.candidates(header)


@pytest.mark.parametrize(
    "header", ["", "Token", "Token a b", "Basic abc", f"Basic {TOKEN}", "Token a,Token b"]
)
def test_what_is_no_token_header_yields_no_valid_candidate(header):
    assert TOKEN not in [token for token, _ in keys.candidates(header)]


@pytest.mark.ocpi("A-10")
def test_tokens_are_long_unlike_and_not_base64():
    tokens = {keys.new_token() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert len(token) == 47
        with pytest.raises(ValueError, match=r"."):
            base64.b64decode(token, validate=True)


@pytest.mark.ocpi("A-10")
def test_a_digest_needs_the_secret_and_a_sealed_token_comes_back(settings):
    digest, sealed = keys.digest(TOKEN), keys.seal(TOKEN)
    assert TOKEN not in sealed
    assert keys.unseal(sealed) == TOKEN
    settings.SECRET_KEY = "another"
    assert keys.digest(TOKEN) != digest
