"""Only the proxies in the settings are believed about the caller's address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from fraudapp.config.proxies import parse
from web import caller as module
from web.caller import MAX_ELEMENT_CHARACTERS, MAX_HOPS, Callers, subscriber

PROXY = "10.0.0.5"


CALLERS = Callers(parse("10.0.0.0/24, fd00::/64,::ffff:192.168.7.0/120"))


def seen(peer: str, *headers: tuple[str, str]) -> str:
    request = make_mocked_request("GET", "/", CIMultiDict(headers))
    return CALLERS.of(request.clone(remote=peer))


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, 10.0.0.9,fd00::2"], "203.0.113.7"),
        (["1.1.1.1", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7", "10.0.0.9"], "203.0.113.7"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["2001:db8::1"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["[2001:DB8:0::1]:4711"], "2001:db8::1"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, ::ffff:10.0.0.9, 192.168.7.9"], "203.0.113.7"),
        ([" ,203.0.113.7,, "], "203.0.113.7"),
        (["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
        (["1.1.1.1, unknown"], PROXY),
        (["1.1.1.1, unknown, 10.0.0.9"], "10.0.0.9"),
        (["1.1.1.1, _hidden"], PROXY),
        (["1.1.1.1, 203.0.113"], PROXY),
        (["1.1.1.1, 203.0.113.07"], PROXY),
        (["1.1.1.1, 203.0.113.7 x"], PROXY),
        (["1.1.1.1, [2001:db8::1"], PROXY),
        (["1.1.1.1, localhost"], PROXY),
        (["1.1.1.1, fe80::1%eth0"], PROXY),
        (["1.1.1.1, ٢.2.2.2"], PROXY),
        ([""], PROXY),
        ([","], PROXY),
        ([], PROXY),
    ],
)
def test_the_last_that_is_no_proxy_is_the_caller(told: list[str], address: str) -> None:
    assert seen(PROXY, *(("X-Forwarded-For", each) for each in told)) == address


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (["for=203.0.113.7"], "203.0.113.7"),
        (["for=1.1.1.1, For=203.0.113.7;proto=https;by=10.0.0.5"], "203.0.113.7"),
        (['host="a.example:80" ; for="203.0.113.7:4711"'], "203.0.113.7"),
        (['for="[2001:db8::1]:4711"'], "2001:db8::1"),
        (['for="[2001:db8::1]", for=10.0.0.9'], "2001:db8::1"),
        (["for=1.1.1.1", "for=203.0.113.7"], "203.0.113.7"),
        (['for=1.1.1.1;x=", for="[2001:db8::1]"'], "2001:db8::1"),
        (['for="1.1.1.1, for=203.0.113.7'], "203.0.113.7"),
        (["for=1.1.1.1, for=unknown"], PROXY),
        (["for=1.1.1.1, for=_hidden"], PROXY),
        (["for=1.1.1.1, proto=https"], PROXY),
        (["for=1.1.1.1, for=203.0.113.7;for=203.0.113.8"], PROXY),
        (["for=1.1.1.1, for=203.0.113.7;"], PROXY),
        (["for=1.1.1.1, nonsense"], PROXY),
        ([f'for=1.1.1.1, for=203.0.113.7;host="{MAX_ELEMENT_CHARACTERS * "x"}"'], PROXY),
        (['for=1.1.1.1, for="203.0.113.7'], PROXY),
    ],
)
def test_the_standard_header_is_understood(told: list[str], address: str) -> None:
    assert seen(PROXY, *(("Forwarded", each) for each in told)) == address


def test_where_two_headers_disagree_none_is_believed() -> None:
    told = ("X-Forwarded-For", "203.0.113.7")
    assert seen(PROXY, told, ("Forwarded", "for=203.0.113.7")) == "203.0.113.7"
    assert seen(PROXY, told, ("Forwarded", "for=1.1.1.1")) == PROXY
    assert seen(PROXY, told, ("Forwarded", "for=unknown")) == PROXY


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("10.0.1.5", "10.0.1.5"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.5", "1.1.1.1"),
        ("192.168.7.1", "1.1.1.1"),
        ("fd00::9", "1.1.1.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("", "unknown"),
        ("/run/socket", "/run/socket"),
    ],
)
def test_only_a_proxy_is_believed(peer: str, address: str) -> None:
    assert seen(peer, ("X-Forwarded-For", "1.1.1.1"), ("Forwarded", "for=1.1.1.1")) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", "unknown"),
    ],
)
def test_a_network_of_ipv6_is_one_subscriber(address: str, network: str) -> None:
    assert subscriber(address) == network


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
def test_of_many_hops_the_last_are_looked_at(name: str) -> None:
    own, other = ("for=", "for=203.0.113.7") if name == "Forwarded" else ("", "203.0.113.7")
    told = [other, *(f"{own}10.0.0.{number}" for number in range(MAX_HOPS - 1, 0, -1))]
    assert seen(PROXY, (name, ",".join(told))) == "203.0.113.7"
    told.append(f"{own}10.0.0.0")
    assert seen(PROXY, (name, ",".join(told))) == f"10.0.0.{MAX_HOPS - 1}"


@pytest.mark.parametrize("element", ["", "1::", "10.0.0.9", "for=10.0.0.9;x=y", "y", "1" * 7_999])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded"])
def test_what_a_client_has_made_up_is_hardly_looked_at(
    name: str, element: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(reader: Callable[[str], Any], text: str) -> Any:
        read.append(text)
        return reader(text)

    for each in ("_node", "_forwarded"):
        monkeypatch.setattr(module, each, partial(noted, getattr(module, each)))
    line = ",".join([element] * (8_000 // (len(element) + 1)))
    seen(PROXY, *[(name, line)] * 100)
    assert len(read) <= 2 * MAX_HOPS
    assert max(map(len, read), default=0) <= MAX_ELEMENT_CHARACTERS


def test_what_hostile_headers_take_grows_with_their_length_only() -> None:
    # Quadratic time would exceed the timeout of a test.
    for text in ("10.0.0.9,", '"', "for=", "1", "1:"):
        longest = text * (1_000_000 // len(text))
        seen(PROXY, ("X-Forwarded-For", longest), ("Forwarded", longest))
