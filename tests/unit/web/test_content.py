"""A body has to say that it is JSON, and saying it oddly or at length costs nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from web.content import demand_json
from web.problems import Problem

JSON = "application/json"
ODD = {
    "semicolons": JSON + ";" * 8_000,
    "quotes": JSON + ';a="' + '"' * 8_000,
    "parameters": JSON + ";a=b" * 2_000,
    "blanks": JSON + " ;  ;\t" * 1_500 + "x",
    "brackets": JSON + "; " + "(" * 8_000,
    "a long number": JSON + f"; charset*{'9' * 5_000}=a",
    "no text": JSON + "; charset*=idna''%41%ff",
    "no charset": JSON + "; charset*=undefined''a",
    "a charset that is escaped": JSON + "; charset*=unicode_escape''%5CuD800",
}


def request(*given: str) -> SimpleNamespace:
    headers = CIMultiDict(("Content-Type", each) for each in given)
    return SimpleNamespace(headers=CIMultiDictProxy(headers))


@pytest.mark.parametrize(
    "given",
    [
        JSON,
        "Application/JSON",
        "application/problem+json",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"; ',
        "application/json ; version=1;charset=us-ascii",
    ],
)
def test_json_is_taken(given: str) -> None:
    demand_json(request(given))


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("",),
        ("text/plain",),
        ("application/jsonp",),
        ("application/json, text/plain",),
        (JSON, "text/plain"),
        ("application/json; charset=latin-1",),
        ("application/json; charset=utf-8; charset=utf-16",),
        ("application/json; charset",),
        *((odd,) for odd in ODD.values()),
        ("application/json; ((((",),
        ('application/json; a="',),
    ],
)
def test_what_is_not_json_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(Problem) as caught:
        demand_json(request(*given))
    assert caught.value.status == 415
