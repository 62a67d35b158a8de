"""Settings of webhooks that could not work are refused with a sentence."""

from __future__ import annotations

from base64 import b64encode

import pytest

from fraudapp.settings import SettingsError, load
from fraudapp.webhooks.service import webhooks_of
from tests.unit.fraudapp.webhooks.receiving import KEY, SECRET

URL = "https://example.com/hooks/token?of=mine"


def of(**changes: str) -> dict[str, str]:
    given = {"FRAUD_WEBHOOK_URL": URL, "FRAUD_WEBHOOK_SECRET": SECRET}
    return {**given, **{f"FRAUD_WEBHOOK_{name}": value for name, value in changes.items()}}


def test_all_is_told_to_a_receiver_unless_the_settings_say_otherwise() -> None:
    settings = load(of())
    assert settings.webhook_url is not None
    assert settings.webhook_url.get_secret_value() == URL
    assert settings.webhook_key == KEY
    assert settings.webhook_kinds == {"blocked", "capped", "policy"}
    assert load(of(EVENTS=" policy ,blocked")).webhook_kinds == {"policy", "blocked"}


def test_without_a_receiver_nothing_is_made() -> None:
    settings = load({})
    assert webhooks_of(settings) is None
    assert settings.webhook_key == b""


@pytest.mark.parametrize("missing", ["FRAUD_WEBHOOK_URL", "FRAUD_WEBHOOK_SECRET"])
def test_address_and_secret_go_together(missing: str) -> None:
    given = of()
    del given[missing]
    with pytest.raises(SettingsError) as caught:
        load(given)
    assert caught.value.message == (
        "FRAUD_WEBHOOK_URL and FRAUD_WEBHOOK_SECRET go together: set both or none"
    )


@pytest.mark.parametrize(
    "secret",
    [
        "hunter2",
        b64encode(KEY).decode(),
        "whsec_",
        "whsec_hunter2",
        "whsec_" + b64encode(b"x" * 23).decode(),
        "whsec_" + b64encode(b"x" * 65).decode(),
        SECRET + "\nsecond",
        "whsec_whsec_" + b64encode(KEY).decode(),
        "WHSEC_" + b64encode(KEY).decode(),
        "whsec_\u00e4",
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(of(SECRET=secret))
    assert caught.value.message.startswith("FRAUD_WEBHOOK_SECRET=(hidden): write whsec_ and 24")
    assert secret.removeprefix("whsec_") not in caught.value.message or secret == "whsec_"


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_has_24_to_64_bytes(length: int) -> None:
    key = bytes(length)
    assert load(of(SECRET=f" whsec_{b64encode(key).decode()}\n")).webhook_key == key


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("example.com/hooks/token", "https://HOST/PATH"),
        ("ftp://example.com/token", "https:// : "),
        ("https://user:token@example.com/", "no user and password"),
        ("https://a,b/token", "one host"),
        ("https:///token", "name the host"),
        ("https://h/token#x", "https://HOST/PATH"),
        ("https://h/to ken", "a space"),
    ],
)
def test_an_address_that_is_none_is_refused_and_not_shown(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(of(URL=url))
    assert caught.value.message.startswith("FRAUD_WEBHOOK_URL=(hidden): ")
    assert words.replace(" : ", "") in caught.value.message
    assert "token" not in caught.value.message


@pytest.mark.parametrize(
    "events", ["block", "blocked,,policy", ",", "blocked;policy", "capped,capped"]
)
def test_events_that_are_none_are_refused(events: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^FRAUD_WEBHOOK_EVENTS=.* any of blocked, capped, pol"
    ):
        load(of(EVENTS=events))
