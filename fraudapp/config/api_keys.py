"""API keys: who may read, send transactions, label them, change policies and approve them."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

SCOPES: Final = ("read", "write", "label", "author", "approve")
"""What keys can open: to read; to send transactions; to tell what became of them; to change
policies and lists; to approve the policies of others."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRET: Final = re.compile(r"[\x21-\x7e]+")
_COMMENT: Final = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
MIN_SECRET_CHARACTERS: Final = 16
"""Characters; that many random letters and digits hold 95 bits."""
_FORM: Final = (
    "write NAME:SCOPES:SECRET,NAME:SCOPES:SECRET with one or more of the scopes "
    f"{', '.join(SCOPES)}, joined by +"
)


@dataclass(frozen=True)
class Key:
    """A named key and the scopes it grants; only a digest of its secret is kept."""

    name: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)


class Keys:
    """The configured keys; false without any, which means that the API is open."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keys) and self._keys == other._keys

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> list[str]:
        """The names of the keys."""
        return [key.name for key in self._keys]

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, or None.

        It takes the same time whichever key matches, so that the time tells callers nothing.
        """
        digest = _digest(secret)
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None


def parse(text: str) -> Keys:
    """Parse `NAME:SCOPES:SECRET,...`, or one key a line; only an empty text gives no keys.

    Empty parts and lines that start with `#` are skipped. A secret may hold any visible ASCII
    character except a comma. Raises `ValueError`, whose message repeats nothing of the text.
    """
    keys: list[Key] = []
    parts = [each for each in re.split(r"[,\n]", _COMMENT.sub("", text)) if each.strip()]
    if text and not parts:
        raise ValueError(f"there is no key in it: {_FORM}")
    for position, part in enumerate(parts, start=1):
        name, _, rest = part.strip().partition(":")
        scopes, _, secret = rest.partition(":")
        given = scopes.split("+")
        if not _NAME.fullmatch(name) or not _SECRET.fullmatch(secret):
            raise ValueError(f"key {position} is not of the right form: {_FORM}")
        if not set(given) <= set(SCOPES):
            raise ValueError(f"key {position} has a scope that does not exist: {_FORM}")
        if len(secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(
                f"key {position} has a secret shorter than {MIN_SECRET_CHARACTERS} characters; "
                "make one with `openssl rand -hex 16`"
            )
        key = Key(name, frozenset(given), _digest(secret))
        if any(each.name == key.name or each.digest == key.digest for each in keys):
            raise ValueError(f"key {position} has the name or the secret of an earlier one")
        keys.append(key)
    return Keys(keys)


def _digest(secret: str) -> bytes:
    # All digests have one length, so that a comparison reveals nothing about the secret.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
