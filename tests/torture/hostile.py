"""Messages that are no transactions, made from valid ones."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

from models.parsing import InvalidTransaction
from models.schema.schema import PAYSIM

Fields = dict[str, Any]

_WRONG: Final[list[Any]] = [
    None,
    True,
    "",
    "12.5",
    "1,000",
    "\uff11\uff12",  # full-width digits
    -1,
    -0.5,
    1e400,
    float("nan"),
    float("-inf"),
    [],
    {},
    "x" * 129,
    "nul\x00",
    "line\r\nbreak",
    "cash_in",
    " TRANSFER ",
    "CASH-IN",
    2,
    10**40,
    {"__faust": {"ns": "x"}},
]


def mutated(good: bytes, random_: random.Random) -> bytes | None:
    """Return a message made from a valid one that is no valid transaction any more."""
    while True:
        made = random_.choice(_MUTATIONS)(good, random_)
        try:
            PAYSIM.parser.parse(made)
        except InvalidTransaction:
            return made


def _truncated(good: bytes, random_: random.Random) -> bytes:
    return good[: random_.randrange(len(good))]


def _flipped(good: bytes, random_: random.Random) -> bytes:
    made = bytearray(good)
    for _ in range(random_.randint(1, 8)):
        made[random_.randrange(len(made))] = random_.randrange(256)
    return bytes(made)


def _spliced(good: bytes, random_: random.Random) -> bytes:
    a, b = sorted((random_.randrange(len(good)), random_.randrange(len(good))))
    return good[:b] + good[a:]


def _wrong_field(good: bytes, random_: random.Random) -> bytes:
    fields: Fields = json.loads(good)
    fields[random_.choice(list(fields))] = random_.choice(_WRONG)
    return json.dumps(fields).encode()


def _without_field(good: bytes, random_: random.Random) -> bytes:
    fields: Fields = json.loads(good)
    del fields[random_.choice(list(fields))]
    return json.dumps(fields).encode()


def _another_kind(good: bytes, random_: random.Random) -> bytes | None:
    return random_.choice(
        [
            None,
            b"",
            b"null",
            b"[" + good + b"]",
            b"[" * 5_000,
            b'{"a":' * 5_000,
            b"\xef\xbb\xbf" + good,
            b"\xff\xfe" + good,
            good + good,
            random_.randbytes(random_.randrange(1, 400)),
            b"x" * random_.randrange(1, 50_000),
        ]
    )


_MUTATIONS: Final[list[Callable[[bytes, random.Random], bytes | None]]] = [
    _truncated,
    _flipped,
    _spliced,
    _wrong_field,
    _wrong_field,
    _without_field,
    _another_kind,
]
