"""Keys grant their scopes, and their secrets are never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.config.api_keys import parse
from fraudapp.settings import SettingsError, load

secrets = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=16
)
SECRET = "a-secret-of-sixteen-or-more"


def test_keys_have_names_and_scopes() -> None:
    keys = parse(f"reader:read:{SECRET}, writer:read+write:another:with:colons")
    reader, writer = keys.find(SECRET), keys.find("another:with:colons")
    assert reader is not None
    assert writer is not None
    assert (reader.name, reader.scopes) == ("reader", frozenset({"read"}))
    assert (writer.name, writer.scopes) == ("writer", frozenset({"read", "write"}))
    for wrong in ("", SECRET.upper(), f"{SECRET} ", SECRET[:-1], f"{SECRET}s", "reader", "\udcff"):
        assert keys.find(wrong) is None
    assert keys
    assert not parse("")
    assert parse("").find("") is None


def test_a_key_may_have_any_of_the_scopes_together() -> None:
    keys = parse(f"ann:read+author+approve:{SECRET}, bob:approve:{SECRET[::-1]}")
    ann, bob = keys.find(SECRET), keys.find(SECRET[::-1])
    assert ann is not None
    assert bob is not None
    assert ann.scopes == {"read", "author", "approve"}
    assert bob.scopes == {"approve"}
    with pytest.raises(
        ValueError, match=r"key 1 .*: .* read, write, label, author, approve, joined by \+"
    ):
        parse(f"ann:read+admin:{SECRET}")


def test_keys_may_be_on_a_line_each() -> None:
    keys = parse(f"reader:read:{SECRET}\nwriter:write:{SECRET[::-1]}")
    assert keys.names == ["reader", "writer"]


@pytest.mark.parametrize(
    "text",
    [
        "{reader}\n\n{writer}",
        "\n{reader}\n \n{writer}\n\n",
        "# who reads\n{reader}\n  #gone:read:0123456789abcdef,other\n{writer}",
        "{reader},,{writer},",
        ",\n{reader}\r\n\r\n{writer},\n#",
    ],
)
def test_a_line_without_a_key_takes_no_other_away(text: str) -> None:
    reader, writer = f"reader:read:{SECRET}", f"writer:write:{SECRET[::-1]}#"
    keys = parse(text.format(reader=reader, writer=writer))
    assert keys.names == ["reader", "writer"]
    assert keys.find(f"{SECRET[::-1]}#")


@given(secret=secrets, other=st.text())
def test_only_the_secret_itself_is_found(secret: str, other: str) -> None:
    keys = parse(f"a:read:{secret}")
    assert (keys.find(other) is not None) == (other == secret)
    assert keys.find(secret) is not None


@pytest.mark.parametrize(
    "text",
    [
        "hunter2-and-so-on",
        "a:read",
        "a:read:",
        "a::hunter2-and-so-on",
        "a:admin:hunter2-and-so-on",
        "a:read+:hunter2-and-so-on",
        ":read:hunter2-and-so-on",
        "a b:read:hunter2-and-so-on",
        "a:read:hun ter2-and-so-on",
        "a:read:hunter2-and-so-on,a:write:other",
        "a:read:hunter2-and-so-on,b:write:hunter2-and-so-on",
        "a:read:hunter2-15chars",
        " ",
        ",",
        "\n",
        "#a:read:hunter2-and-so-on",
        "#\n\n,#",
    ],
)
def test_a_wrong_key_stops_the_start_and_is_not_repeated(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^FRAUD_API_KEYS=\(hidden\): (key \d|there is no key)"
    ) as caught:
        load({"FRAUD_API_KEYS": text})
    assert "hunter2" not in caught.value.message


def test_a_secret_is_shown_nowhere() -> None:
    settings = load({"FRAUD_API_KEYS": "a:read:hunter2-and-so-on"})
    shown = repr(settings) + repr(settings.keys) + repr(settings.keys.find("hunter2-and-so-on"))
    assert "hunter2" not in shown
