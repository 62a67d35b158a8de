"""What is written is read back, and all else raises one error."""

from __future__ import annotations

import string
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models import characters
from models.control.records import (
    MAX_ARCHIVED_BYTES,
    Approved,
    Archived,
    CapKey,
    Capped,
    InvalidRecord,
    Listed,
    ListKey,
    ModelKey,
    PolicyKey,
    Proposed,
    Removed,
    approval,
    cap,
    check_entry,
    distribution,
    entry,
    proposal,
    read,
    removal,
)
from tests.support.transactions import writable

ID = "0123456789abcdef" * 2
ids = st.text("0123456789abcdef", min_size=32, max_size=32)
names = st.from_regex("[a-z][a-z0-9_]{0,62}", fullmatch=True)
entries = st.one_of(
    st.text(writable, min_size=1, max_size=128),
    st.text("/'\"\\ é漢\u200d", min_size=1, max_size=128),
)
unicode = st.characters(exclude_categories=["Cs"])
authors = st.text(unicode, min_size=1, max_size=128)
notes = st.text(unicode, max_size=1_000)
moments = st.datetimes(timezones=st.just(timezone.utc))

proposed = st.builds(
    Proposed,
    parent=st.one_of(st.just(""), ids),
    text=st.text(unicode),
    author=authors,
    note=notes,
    needs_approval=st.booleans(),
)
approved = st.builds(Approved, author=authors, note=notes)
listed = st.builds(Listed, author=authors, note=notes, expires_at=st.none() | moments)
removed = st.builds(Removed, author=authors, note=notes)
capped = st.builds(Capped, on=st.booleans(), share=st.floats(0, 1), author=authors, note=notes)


@given(
    st.one_of(
        st.tuples(st.just(proposal), ids.map(PolicyKey), proposed),
        st.tuples(st.just(approval), ids.map(PolicyKey), approved),
        st.tuples(st.just(entry), st.builds(ListKey, names, entries), listed),
        st.tuples(st.just(removal), st.builds(ListKey, names, entries), removed),
    ),
    st.integers(0, 2**63 - 1),
    st.integers(0, 253_402_300_799_999),
)
def test_each_record_is_read_as_it_was_written(
    made: tuple[Any, Any, Any], offset: int, written_at: int
) -> None:
    write, key, value = made
    found = read(offset, written_at, *write(*key, value))
    assert (type(found.key), type(found.value)) == (type(key), type(value))
    assert found == (offset, written_at, key, value)


@given(st.builds(CapKey, ids, st.just("") | names), capped)
def test_a_cap_is_read_as_it_was_written(key: CapKey, value: Capped) -> None:
    assert read(3, 4, *cap(key, value)) == (3, 4, key, value)


@given(st.text(max_size=140), st.text(max_size=140))
def test_what_can_be_written_to_a_list_can_be_read(name: str, value: str) -> None:
    try:
        check_entry(name, value)
    except InvalidRecord:
        return
    assert read(0, 0, *entry(name, value, Listed(author="a"))).key == (name, value)


def test_an_entry_with_a_character_that_only_a_newer_python_knows_is_read_and_not_written() -> None:
    unassigned = "\u0378"
    assert not characters.allowed(unassigned)
    with pytest.raises(InvalidRecord, match="must not hold"):
        check_entry("mules", unassigned)
    assert read(0, 0, *entry("mules", unassigned, Listed(author="a"))).key == ("mules", unassigned)


def encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return b"\xff"


kinds = st.sampled_from(["policy/", "approval/", "list/", "list/mules/", "cap/", f"cap/{ID}/"])
keys = st.none() | st.binary(max_size=60)
keys |= st.builds(str.__add__, kinds, st.text(st.characters(exclude_categories=["Cs"]))).map(
    str.encode
)
keys |= st.builds(bytes.__add__, kinds.map(str.encode), st.binary(max_size=40))
keys |= kinds.map(lambda kind: f"{kind}{ID}".encode())
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
)
fields = st.sampled_from(["parent", "text", "author", "note", "expires_at", "on", "share"])
values = st.none() | st.binary() | json.map(encoded)
values |= st.dictionaries(fields, json, max_size=5).map(encoded)
headers = st.lists(st.tuples(st.sampled_from(["author", "note", b"x"]), st.none() | st.binary()))


@given(keys, values, headers)
@example(b"list/mules/a", None, [("author", None), ("note", b"\xff"), ("author", b"")])
@example(f"policy/{ID}".encode(), b"[" * 200_000, [])
@example(f"policy/{ID}".encode(), b'{"text":' * 200_000, [])
@example(f"policy/{ID}".encode(), b'{"parent":"","author":"a","text":"\\ud800"}', [])
@example(b"list/mules/\xed\xa0\x80", b'{"author":"a"}', [])
def test_whatever_is_in_the_topic_is_read_or_raises_one_error(
    key: bytes | None, value: bytes | None, said: list[Any]
) -> None:
    try:
        found = read(0, 0, key, value, said)
    except InvalidRecord:
        return
    if isinstance(found.value, Removed):
        assert 1 <= len(found.value.author) <= 128
        assert len(found.value.note) <= 1_000
    else:
        assert msgspec.convert(msgspec.to_builtins(found.value), type(found.value)) == found.value


POLICY = b'{"parent":"","text":"","author":"a"}'
CAP = b'{"on":true,"share":1,"author":"a"}'
ENTRY = b'{"author":"a"}'
UPPER, TOO_LONG = ID.upper(), f"{ID}0"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, POLICY),
        (b"", POLICY),
        (b"policy", POLICY),
        *((f"policy/{each}".encode(), POLICY) for each in (ID[1:], TOO_LONG, UPPER, f"{ID}\n")),
        (f"policy/{ID}/".encode(), POLICY),
        (f"Policy/{ID}".encode(), POLICY),
        (f"policy/{ID}".encode(), None),
        (f"policy/{ID}".encode(), b""),
        (f"policy/{ID}".encode(), b'{"text":"","author":"a"}'),
        (f"policy/{ID}".encode(), b'{"parent":"\\n","text":"","author":"a"}'),
        (f"policy/{ID}".encode(), b'{"parent":"","text":"","author":""}'),
        (f"policy/{ID}".encode(), b'{"parent":"","text":"%b","author":"a"}' % (b"x" * (1 << 21))),
        (f"approval/{ID}".encode(), None),
        (f"cap/{ID}/".encode(), CAP),
        (f"cap/{ID}/A".encode(), CAP),
        (f"cap/{ID}/a/b".encode(), CAP),
        (f"cap/{ID}/a\n".encode(), CAP),
        (f"cap/{ID}".encode(), None),
        *(
            (f"cap/{ID}".encode(), b'{"on":true,"share":%b,"author":"a"}' % share)
            for share in (b"-0.1", b"1.1", b"NaN", b"1e999", b"1" * 5_000, b"null")
        ),
        (b"list", ENTRY),
        (b"list/mules", ENTRY),
        (b"list/mules/", ENTRY),
        (b"list//a", ENTRY),
        (b"list/Mules/a", ENTRY),
        (b"list/mules\n/a", ENTRY),
        (b"list/mules/a\x00", ENTRY),
        (b"list/mules/a\x00", None),
        (b"list/mules/" + b"a" * 129, ENTRY),
        (b"list/" + b"a" * 64 + b"/a", ENTRY),
        (b"list/mules/a", b""),
        *(
            (b"list/mules/a", b'{"author":"a","expires_at":"%b"}' % moment)
            for moment in (b"2026-01-01T00:00:00", b"2026-01-01", b"9999-12-31T24:00:00Z", b"x")
        ),
        (b"list/mules/a", b'{"author":"a","expires_at":1e300}'),
    ],
)
def test_what_none_of_us_writes_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(InvalidRecord):
        read(0, 0, key, value)


@pytest.mark.parametrize(
    "moment",
    [
        b"0001-01-01T00:00:00+23:59",
        b"9999-12-31T23:59:59.999999-23:59",
        b"2026-06-30T23:59:59Z",
    ],
)
def test_an_entry_may_expire_at_any_moment(moment: bytes) -> None:
    found = read(0, 0, b"list/mules/a", b'{"author":"a","expires_at":"%b"}' % moment)
    assert isinstance(found.value, Listed)
    assert isinstance(found.value.expires_at, datetime)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_record_was_written_at_a_moment_that_has_a_date(written_at: int) -> None:
    found = read(0, written_at, *entry("mules", "a", Listed(author="a"))).written_at
    assert datetime.fromtimestamp(found / 1_000, timezone.utc).year >= 1970
    if 0 <= written_at < 250_000_000_000_000:
        assert found == written_at


def test_a_removal_by_a_stranger_names_nobody_and_no_more_than_fits() -> None:
    assert read(0, 0, b"list/mules/a", None).value == Removed(author="unknown")
    found = read(0, 0, b"list/mules/a", None, [("author", b"a" * 999), ("note", b"n" * 9_999)])
    assert found.value == Removed(author="a" * 128, note="n" * 1_000)


@pytest.mark.parametrize(
    "write",
    [
        lambda: proposal(ID, Proposed(parent="", text="\ud800", author="a")),
        lambda: approval(ID, Approved(author="\ud800")),
        lambda: entry("mules", "\ud800", Listed(author="a")),
        lambda: removal("mules", "\ud800", Removed()),
        lambda: cap(CapKey(ID, "\ud800"), Capped(on=True, share=1.0, author="a")),
    ],
)
def test_half_of_a_surrogate_pair_is_not_written(write: Any) -> None:
    with pytest.raises(InvalidRecord):
        write()


def test_a_name_has_letters_of_ascii_only() -> None:
    for name in ("mulés", "ⓜules", "m٣", "m" + string.punctuation):
        with pytest.raises(InvalidRecord):
            check_entry(name, "a")


@given(model=st.binary(), card=st.text(unicode), author=authors, note=notes)
def test_a_model_of_the_archive_is_read_back_with_its_card(
    model: bytes, card: str, author: str, note: str
) -> None:
    told = Archived.of(model, card.encode(), author=author, note=note)
    key, value, headers = distribution("logistic-1", told)
    found = read(1, 2, key, value, headers)
    assert (found.key, found.value) == (ModelKey("logistic-1"), told)
    assert told.is_whole(model)
    assert told.size == len(model) + len(card.encode())


@given(model=st.binary(max_size=64), other=st.binary(max_size=64), card=st.text(unicode))
@example(model=b"ab", other=b"a", card="b")
def test_no_other_content_is_taken_for_that_of_the_archive(
    model: bytes, other: bytes, card: str
) -> None:
    told = Archived.of(model, card.encode(), author="ann")
    assert told.is_whole(other) == (other == model)


def test_a_model_of_the_archive_is_of_a_kind_that_workers_of_before_skip() -> None:
    key, _, _ = distribution("logistic-1", Archived.of(b"1", b"2", author="ann"))
    assert key == b"archived-model/logistic-1"
    with pytest.raises(InvalidRecord, match="it is no policy"):  # what they say of its kind
        read(0, 0, b"of-later/logistic-1", b"{}")


@pytest.mark.parametrize("size", [-1, MAX_ARCHIVED_BYTES + 1, 0.5, "1", None])
def test_a_size_that_no_worker_takes_is_none(size: object) -> None:
    value = {"model_bytes": size, "card": "{}", "sha256": "0" * 64, "author": "ann"}
    with pytest.raises(InvalidRecord):
        read(0, 0, b"archived-model/logistic-1", msgspec.json.encode(value))
    with pytest.raises(InvalidRecord):
        read(0, 0, b"archived-model/a b", msgspec.json.encode({**value, "model_bytes": 1}))


def test_a_model_that_no_worker_takes_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.control.records.MAX_ARCHIVED_BYTES", 9)
    Archived.of(bytes(9), b"{}", author="ann")
    with pytest.raises(InvalidRecord, match="10 bytes, and no worker takes more than 9"):
        Archived.of(bytes(10), b"{}", author="ann")
