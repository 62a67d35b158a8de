"""The records of the control log: what their keys and values say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from models import characters
from models.policies.definition import MODEL, NAME
from models.records import MAX_TEXT_CHARACTERS
from models.seals import has_name, seal

MAX_POLICY_CHARACTERS: Final = 1 << 20
MAX_MODEL_CHARACTERS: Final = 16 << 20
MAX_ARCHIVED_BYTES: Final = 16 << 20
"""Bytes of a model file in the archive, at most: every worker holds all of it, and far more once it
is ready to score."""
ROOT: Final = ""
"""The parent of the first policy."""

AUTHOR_HEADER: Final = "author"
NOTE_HEADER: Final = "note"
"""Headers of a removal, which has no value to hold them."""
_MAX_AUTHOR: Final = 128
_MAX_NOTE: Final = 1_000
_MAX_WRITTEN_AT: Final = 253_402_300_799_999

Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
Author = Annotated[str, Meta(min_length=1, max_length=_MAX_AUTHOR)]
Note = Annotated[str, Meta(max_length=_MAX_NOTE)]

_NewRecord = tuple[bytes, "bytes | None", list[tuple[str, bytes]]]


class Proposed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy. It comes in force if its parent is in force when the record is read."""

    parent: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?$(?!\n)")]
    """The id of the policy that it takes the place of; `ROOT` if there is none."""
    text: Annotated[str, Meta(max_length=MAX_POLICY_CHARACTERS)]
    """The policy file."""
    author: Author
    note: Note = ""
    needs_approval: bool = False
    """Whether it, and the one after it, come in force only once somebody else has approved them."""


class Approved(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The approval of a policy, by somebody else than its author."""

    author: Author
    note: Note = ""


class Listed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of a list; of several under one key, the last counts."""

    author: Author
    note: Note = ""
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    """From then on, by the time of the decision, it is not there."""


class Removed(Struct, frozen=True, kw_only=True):
    """The removal of an entry: a record without a value."""

    author: str = "unknown"
    note: str = ""


class Capped(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cap of the policy in force: it begins or ends."""

    on: bool
    share: Annotated[float, Meta(ge=0, le=1)]
    """The share that was seen."""
    author: Author
    """The worker that saw it, or the person who ended it."""
    note: Note = ""


class Distributed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that every worker may score with: its files, as `models.artifact` writes them."""

    model: Annotated[str, Meta(max_length=MAX_MODEL_CHARACTERS)]
    """The model file."""
    card: Annotated[str, Meta(max_length=MAX_MODEL_CHARACTERS)]
    """The model card."""
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    """Of both, see `models.seals.seal`."""
    author: Author
    note: Note = ""

    @classmethod
    def of(cls, model: bytes, card: bytes, *, author: str, note: str = "") -> Distributed:
        """Return a model by its two files, sealed."""
        sha256 = seal(model, card)
        return cls(
            model=model.decode(), card=card.decode(), sha256=sha256, author=author, note=note
        )

    @property
    def files(self) -> tuple[bytes, bytes]:
        """The model file and the card, as bytes."""
        return self.model.encode(), self.card.encode()

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return sum(map(len, self.files))


class Archived(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model like a `Distributed`, whose model file is too large for a record.

    It is in the archive. The card is here, for all who ask only what a model is.
    """

    model_bytes: Annotated[int, Meta(ge=0, le=MAX_ARCHIVED_BYTES)]
    """Bytes of the model file."""
    card: Annotated[str, Meta(max_length=MAX_MODEL_CHARACTERS)]
    """The model card."""
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    """Of both, see `models.seals.seal`."""
    author: Author
    note: Note = ""

    @classmethod
    def of(cls, model: bytes, card: bytes, *, author: str, note: str = "") -> Archived:
        """Return a model by its two files; raises `InvalidRecord` for one that is too large."""
        if len(model) > MAX_ARCHIVED_BYTES:
            raise InvalidRecord(
                f"the model file has {len(model):,} bytes, and no worker takes more than "
                f"{MAX_ARCHIVED_BYTES:,}; train a smaller one"
            )
        return cls(
            model_bytes=len(model),
            card=card.decode(),
            sha256=seal(model, card),
            author=author,
            note=note,
        )

    def is_whole(self, model: bytes) -> bool:
        """Whether this is the model file."""
        return len(model) == self.model_bytes and seal(model, self.card.encode()) == self.sha256

    @property
    def size(self) -> int:
        """Bytes of both files."""
        return self.model_bytes + len(self.card.encode())


Published = Distributed | Archived
"""A model that every worker may score with."""


class ModelKey(NamedTuple):
    """The key of a `Published`."""

    version: str


class PolicyKey(NamedTuple):
    """The key of a `Proposed` or an `Approved`."""

    id: str


class ListKey(NamedTuple):
    """The key of an entry."""

    name: str
    value: str


class CapKey(NamedTuple):
    """The key of a cap of a policy: on all that is blocked, or on one rule."""

    policy: str
    rule: str
    """Empty for the cap on all."""


Key = PolicyKey | ListKey | CapKey | ModelKey
Value = Proposed | Approved | Listed | Removed | Capped | Published


class InvalidRecord(ValueError):
    """A record that none of us has written; the message says what is wrong."""


class ControlRecord(NamedTuple):
    """A record of the control log."""

    offset: int
    written_at: int
    """By the broker's clock, milliseconds since 1970; before the year 10000."""
    key: Key
    value: Value


_APPROVAL: Final = "approval"
_MODEL: Final = "model"
_ARCHIVED: Final = "archived-model"
"""A kind of its own: workers of before skip its records, as those of any kind they do not know."""
_KINDS: Final[Mapping[str, Any]] = {
    kind: msgspec.json.Decoder(type_).decode
    for kind, type_ in {
        "policy": Proposed,
        _APPROVAL: Approved,
        "list": Listed,
        "cap": Capped,
        _MODEL: Distributed,
        _ARCHIVED: Archived,
    }.items()
}
_is_name: Final = re.compile(NAME).fullmatch
_is_version: Final = re.compile(MODEL).fullmatch
_is_id: Final = re.compile("[0-9a-f]{32}").fullmatch
_encode: Final = msgspec.json.Encoder().encode


def proposal(id_: str, value: Proposed) -> _NewRecord:
    """Return the record of a policy under a new id.

    This and the others check nothing, but raise `InvalidRecord` for half of a surrogate pair. What
    readers would skip is found by `read`.
    """
    return _written(f"policy/{id_}", value)


def approval(id_: str, value: Approved) -> _NewRecord:
    """Return the record that approves a policy."""
    return _written(f"{_APPROVAL}/{id_}", value)


def distribution(version: str, value: Published) -> _NewRecord:
    """Return the record of a model."""
    kind = _ARCHIVED if isinstance(value, Archived) else _MODEL
    return _written(f"{kind}/{version}", value)


def entry(name: str, value: str, listed: Listed) -> _NewRecord:
    """Return the record of an entry of a list."""
    return _written(f"list/{name}/{value}", listed)


def removal(name: str, value: str, removed: Removed) -> _NewRecord:
    """Return the record that removes an entry of a list."""
    said = {AUTHOR_HEADER: removed.author, NOTE_HEADER: removed.note}
    headers = [(header, text.encode(errors="replace")) for header, text in said.items()]
    return _written(f"list/{name}/{value}", None)[0], None, headers


def cap(key: CapKey, value: Capped) -> _NewRecord:
    """Return the record of a cap."""
    return _written("/".join(filter(None, ("cap", *key))), value)


def check_entry(name: str, value: str) -> None:
    """Raise `InvalidRecord` unless a list can have this name, and an entry this value."""
    _check_form(name, value)
    if not value.isprintable() and (problem := characters.problem(value)):
        raise InvalidRecord(f"list {name}: entry {value!r:.80} {problem}")


def read(
    offset: int,
    written_at: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> ControlRecord:
    """Return what a record says; raises `InvalidRecord`."""
    if not 0 <= written_at <= _MAX_WRITTEN_AT:  # in a topic that takes the clocks of producers
        written_at = 0 if written_at < 0 else _MAX_WRITTEN_AT
    try:
        kind, _, path = (key or b"").decode().partition("/")
        if kind == "list":  # first, since most records are
            return ControlRecord(offset, written_at, *_of_list(path, value, headers))
        if kind not in _KINDS or value is None:
            raise InvalidRecord("it is no policy, approval, entry of a list, cap or model")
        decoded = _KINDS[kind](value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRecord(str(exc)) from exc
    if kind in (_MODEL, _ARCHIVED):
        if not _is_version(path):
            raise InvalidRecord(f"{path!r:.80} is no version of a model")
        return ControlRecord(offset, written_at, ModelKey(path), _intact(path, decoded))
    if kind != "cap":
        return ControlRecord(offset, written_at, PolicyKey(_id(path)), decoded)
    policy, slash, rule = path.partition("/")
    if slash and not _is_name(rule):
        raise InvalidRecord(f"{rule!r:.80} is no id of a rule")
    return ControlRecord(offset, written_at, CapKey(_id(policy), rule), decoded)


def _intact(version: str, value: Published) -> Published:
    if isinstance(value, Archived):
        return value  # what is in the archive may be mended: whoever has read it checks it
    model, card = value.files
    if not has_name(version, model) or seal(model, card) != value.sha256:
        raise InvalidRecord(f"model {version} was changed or damaged: its hash is another one")
    return value


def _of_list(
    path: str, value: bytes | None, headers: Sequence[tuple[str, bytes]]
) -> tuple[ListKey, Value]:
    name, _, text = path.partition("/")
    _check_form(name, text)
    # All readers have to agree, and a newer Python may know more characters than an older one.
    if not characters.allowed_to_others(text):
        raise InvalidRecord(f"list {name}: entry {text!r:.80} {characters.problem(text)}")
    if value is not None:
        return ListKey(name, text), _KINDS["list"](value)
    # Of a header that somebody else has written, the content may be None.
    said = {header: (content or b"").decode(errors="replace") for header, content in headers}
    return ListKey(name, text), Removed(
        author=said.get(AUTHOR_HEADER, "")[:_MAX_AUTHOR] or "unknown",
        note=said.get(NOTE_HEADER, "")[:_MAX_NOTE],
    )


def _check_form(name: str, value: str) -> None:
    if not _is_name(name):
        raise InvalidRecord(
            f"{name!r:.80} is no name of a list: use lower-case letters, digits and _"
        )
    if not 1 <= len(value) <= MAX_TEXT_CHARACTERS:
        raise InvalidRecord(
            f"list {name}: an entry has 1 to {MAX_TEXT_CHARACTERS} characters, not {len(value):,}"
        )


def _id(text: str) -> str:
    if not _is_id(text):
        raise InvalidRecord(f"{text!r:.80} is no id of a policy: it has 32 digits from 0 to f")
    return text


def _written(path: str, value: Struct | None) -> _NewRecord:
    try:
        return path.encode(), None if value is None else _encode(value), []
    except UnicodeEncodeError as exc:
        raise InvalidRecord(f"a key or a text of it is no Unicode: {exc}") from exc
