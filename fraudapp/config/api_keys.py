"""API keys: who may read and who may write over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

SCOPES: Final = ("read", "write")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRET: Final = re.compile(r"[\x21-\x7e]+")
_COMMENT: Final = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
LEAST: Final = 16
"""Characters of a secret: of random letters and digits, 95 bits."""
_FORM: Final = "write NAME:SCOPES:SECRET,NAME:SCOPES:SECRET with scopes read, write or read+write"


@dataclass(frozen=True)
class Key:
    """A named key and what it opens; the secret itself is not kept."""

    name: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)


class Keys:
    """The keys there are; none at all means that the API is open."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keys) and self._keys == other._keys

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> list[str]:
        """What the keys are called."""
        return [key.name for key in self._keys]

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret; takes as long whichever it is, and if it is none."""
        digest = _digest(secret)
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None


def parse(text: str) -> Keys:
    """Read `NAME:SCOPES:SECRET,...`, or one a line; no key at all only of an empty text.

    Nothing between two separators is no key, nor is a line that starts with #. A secret may hold
    any visible ASCII character but a comma. Raises `ValueError`, whose text repeats nothing of
    what was given.
    """
    keys: list[Key] = []
    parts = [each for each in re.split(r"[,\n]", _COMMENT.sub("", text)) if each.strip()]
    if text and not parts:
        raise ValueError(f"there is no key in it: {_FORM}")
    for number, part in enumerate(parts, start=1):
        name, _, rest = part.strip().partition(":")
        scopes, _, secret = rest.partition(":")
        given = scopes.split("+")
        if not _NAME.fullmatch(name) or not _SECRET.fullmatch(secret):
            raise ValueError(f"key {number} is not of the right form: {_FORM}")
        if not set(given) <= set(SCOPES):
            raise ValueError(f"key {number} has a scope that does not exist: {_FORM}")
        if len(secret) < LEAST:
            raise ValueError(
                f"key {number} has a secret shorter than {LEAST} characters; "
                "make one with `openssl rand -hex 16`"
            )
        key = Key(name, frozenset(given), _digest(secret))
        if any(each.name == key.name or each.digest == key.digest for each in keys):
            raise ValueError(f"key {number} has the name or the secret of an earlier one")
        keys.append(key)
    return Keys(keys)


def _digest(secret: str) -> bytes:
    # Of one length whatever the secret, so that comparing tells nothing of it.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
