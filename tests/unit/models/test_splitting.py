"""Arrays are split item by item, and no further than necessary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import splitting
from models.parsing import InvalidTransaction
from models.splitting import MAX_GAP_BYTES, MAX_ITEM_BYTES, MAX_ITEMS, TooManyItems, items

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.fixture(params=["at once", "one by one"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one by one":
        monkeypatch.setattr(splitting, "_MAX_WHOLE_BYTES", 0)


either_way = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@either_way
@given(st.lists(json_values), st.sampled_from(["", " ", "\n\t\r "]), st.booleans())
def test_every_item_is_found(values: list[Any], gap: str, ascii_only: bool) -> None:
    written = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
    raw = f"{gap}[{gap}{f'{gap},{gap}'.join(written)}{gap}]{gap}".encode()
    assert [json.loads(item) for item in items(raw)] == values


@either_way
@given(st.binary(max_size=50))
def test_what_is_no_array_is_refused(junk: bytes) -> None:
    try:
        found = list(items(b"[" + junk))
    except InvalidTransaction:
        return
    assert all(item in junk for item in found)


@pytest.mark.parametrize(
    "raw", [b"", b"[", b"[1", b"[1,", b"[1,]", b"[1 2]", b"[]]", b"[1]x", b"5"]
)
def test_what_is_half_an_array_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidTransaction):
        list(items(raw))


@pytest.mark.parametrize("item", [b"0", b"{}", b'{"a":[{"b":"]"}]}', b'"\xff"'])
def test_nothing_is_looked_at_after_one_item_too_many(item: bytes) -> None:
    most = b",".join([item] * MAX_ITEMS)
    assert len(list(items(b"[" + most + b"]"))) == MAX_ITEMS
    for after in (item + b"]", item + b",]x", b"\x00" * 1_000_000):
        with pytest.raises(TooManyItems):
            list(items(b"[" + most + b"," + after))


def test_no_look_is_longer_than_an_item_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noted(text: str) -> tuple[Any, int]:
        seen.append(len(text))
        return decode(text)

    decode = splitting._decode_first
    monkeypatch.setattr(splitting, "_decode_first", noted)
    long = b'"' + b"x" * (MAX_ITEM_BYTES - 2) + b'"'
    assert list(items(b"[" + b",".join([long] * 20) + b"]")) == [long] * 20
    for longer in (b'"x' + long[1:], b"9" * (MAX_ITEM_BYTES + 1), b"[" + b"0," * 1_000_000 + b"0]"):
        with pytest.raises(InvalidTransaction, match="65,536"):
            list(items(b"[" + longer + b"," + b'" "' * 200_000 + b"]"))
    assert max(seen) <= MAX_ITEM_BYTES + 1


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b"[1,2]"), (b"[", b"1,2]"), (b"[1", b",2]"), (b"[1,", b"2]"), (b"[1,2]", b"")],
)
def test_white_space_is_skipped_up_to_a_bound(
    before: bytes, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "_MAX_WHOLE_BYTES", 0)
    assert list(items(before + b" " * MAX_GAP_BYTES + after)) == [b"1", b"2"]
    with pytest.raises(InvalidTransaction, match="4,096 of white space"):
        list(items(before + b" " * (MAX_GAP_BYTES + 1) + after))
