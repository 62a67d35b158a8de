"""Keys open what their scopes say, and are never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.keys import parse
from fraudapp.settings import SettingsError, load

secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","))


def test_keys_have_names_and_scopes() -> None:
    keys = parse("reader:read:SECRET, writer:read+write:S:with:colons")
    reader, writer = keys.find("SECRET"), keys.find("S:with:colons")
    assert reader is not None
    assert writer is not None
    assert (reader.name, reader.scopes) == ("reader", frozenset({"read"}))
    assert (writer.name, writer.scopes) == ("writer", frozenset({"read", "write"}))
    for wrong in ("", "secret", "SECRET ", "SECRE", "SECRETS", "reader", "\udcff"):
        assert keys.find(wrong) is None
    assert keys
    assert not parse("")
    assert parse("").find("") is None


@given(secret=secrets.filter(bool), other=st.text())
def test_only_the_secret_itself_is_found(secret: str, other: str) -> None:
    keys = parse(f"a:read:{secret}")
    assert (keys.find(other) is not None) == (other == secret)
    assert keys.find(secret) is not None


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "a:read",
        "a:read:",
        "a::hunter2",
        "a:admin:hunter2",
        "a:read+:hunter2",
        ":read:hunter2",
        "a b:read:hunter2",
        "a:read:hun ter2",
        "a:read:hunter2,a:write:other",
        "a:read:hunter2,b:write:hunter2",
        "a:read:hunter2,",
    ],
)
def test_a_wrong_key_stops_the_start_and_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^FRAUD_API_KEYS=\(hidden\): key \d") as caught:
        load({"FRAUD_API_KEYS": text})
    assert "hunter2" not in caught.value.message


def test_a_secret_is_shown_nowhere() -> None:
    settings = load({"FRAUD_API_KEYS": "a:read:hunter2"})
    shown = repr(settings) + repr(settings.keys) + repr(settings.keys.find("hunter2"))
    assert "hunter2" not in shown
