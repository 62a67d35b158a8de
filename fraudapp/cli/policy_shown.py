"""Shows policies, whole ones and their history."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from fraudapp.cli.candidates import fate, fields, found, moment, waiting_for_approval
from fraudapp.cli.control import Control
from fraudapp.cli.list_entries import Entries
from fraudapp.cli.policy_changes import thresholds
from fraudapp.control.fitting import ruling_of
from models.characters import legible
from models.control.chain import Candidate
from models.control.records import ControlRecord, ListKey
from models.control.state import ControlState
from models.control.versions import Version
from models.files.lines import shown
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling
from models.schema.schema import Schema

_OF_THRESHOLDS: Final = re.compile(r"flag-([\d.e-]+)-block-([\d.e-]+)")


class AsOf:
    """What lists and caps were at an offset of the control log, beside all that it says now."""

    def __init__(self, version: Version | None) -> None:
        """Without an offset in the version nothing is gathered."""
        self.offset: Final = version.offset if version else 0
        self.entries: Final = Entries(before=self.offset)
        self._state = ControlState()

    def take(self, record: ControlRecord) -> None:
        """Take the next record of the log in."""
        if record.offset < self.offset:
            self.entries.take(record)
            if not isinstance(record.key, ListKey):
                self._state.apply(record)

    def caps(self, candidate: Candidate) -> list[str]:
        """Return the caps of a policy that were on; the one on all under an empty name."""
        return sorted(self._state.caps[candidate.id].begun)


class Shown(NamedTuple):
    """A policy with its lists and caps as of a version."""

    candidate: Candidate
    fields: dict[str, Any]
    entries: dict[str, list[dict[str, Any]]]
    """By the name of each list that the policy looks into."""


def of_thresholds(version: str) -> str | None:
    """Return what a version of thresholds says; None if it is none."""
    match = _OF_THRESHOLDS.fullmatch(version)
    if match is None:
        return None
    return (
        f"{version}: no policy was in force. The settings were FRAUD_FLAG_AT={match[1]} and "
        f"FRAUD_BLOCK_AT={match[2]}, and nothing else decided"
    )


def show(control: Control, candidate: Candidate, as_of: AsOf) -> Shown:
    """Return a policy, with lists and caps where `as_of` has an offset."""
    described = fields(control, candidate)
    entries: dict[str, list[dict[str, Any]]] = {}
    ruling = readable(candidate, control.settings.transaction_schema)
    described["explore"] = ruling.policy.explore if ruling else None
    described["model"] = ruling.policy.model if ruling else None
    described["shadow"] = [*ruling.policy.shadow] if ruling else None
    described["canary"] = ruling.policy.canary if ruling else None
    if as_of.offset:
        for name in ruling.lists if ruling else ():
            there = as_of.entries.lists[name]
            entries[name] = [each.fields(name, value) for value, each in there.items()]
        described["lists"] = {name: len(each) for name, each in entries.items()}
        described["caps"] = [each or "all" for each in as_of.caps(candidate)]
    return Shown(candidate, described, entries)


def last_readable(control: Control) -> tuple[Candidate, Ruling] | None:
    """Return the last policy of the chain that fits the schema of the settings, if one does.

    It is the one in force at workers with that schema, unless it is for another model than theirs.
    """
    for candidate in reversed(control.known.chain.members):
        if ruling := readable(candidate, control.settings.transaction_schema):
            return candidate, ruling
    return None


def readable(candidate: Candidate, schema: Schema) -> Ruling | None:
    """Return a policy, compiled for a schema; None if it does not fit."""
    try:
        return ruling_of(candidate, schema)
    except PolicyError:
        return None


def head_of(shown_: Shown, as_of: AsOf) -> Iterator[str]:
    """Yield the lines of a comment before the text of a policy."""
    told = shown_.fields
    parent = f"version {told['parent_number']}" if told["parent_number"] else told["parent"]
    yield f"version {told['number']}, {told['fate']}"
    yield f"id {told['id']}, at offset {told['offset']} of the control log"
    yield f"in the place of {parent or 'the thresholds of the settings'}"
    yield f"by {told['author']} at {told['written_at']}" + _noted(told["note"])
    if told["approver"]:
        yield f"approved by {told['approver']}" + _noted(told["approval_note"])
    if told["explore"]:
        yield f"{told['explore']:.4g} of what the model alone would block is flagged instead"
    if told["model"]:
        yield f"model {told['model']} scores"
    if told["shadow"]:
        yield f"in shadow: {', '.join(told['shadow'])}"
    if told["canary"]:
        yield f"{told['shadow'][0]} decides for {told['canary']:.4g} of senders"
    if as_of.offset:
        yield f"as of offset {as_of.offset} of the control log:"
        for name, count in told["lists"].items():
            yield f"list {name} had {count:,} entries, with those that expire"
        caps = ", ".join("on all" if each == "all" else f"on {each}" for each in told["caps"])
        yield f"caps that were on: {caps or 'none'}"


def history(control: Control, *, everything: bool) -> list[Candidate]:
    """Return policies in the order of the log: those in the chain and those that wait, or all."""
    waiting = waiting_for_approval(control)
    return [
        each
        for each in control.known.chain.candidates.values()
        if everything or each.number or each in waiting
    ]


def history_lines(control: Control, candidates: Sequence[Candidate]) -> Iterator[str]:
    """Yield a table of policies; those that wait have their place among these, and their ids."""
    waiting = waiting_for_approval(control)
    rows = [("number", "when", "author", "approver", "fate", "note")]
    for each in candidates:
        what = fate(control, each)
        if each in waiting:
            what += f" ({waiting.index(each) + 1} of {len(waiting)}: {each.id})"
        rows.append(
            (
                str(each.number or "-"),
                moment(each.written_at),
                legible(each.proposed.author),
                legible(each.approved.author) if each.approved else "-",
                what,
                legible(each.proposed.note),
            )
        )
    yield from table(rows)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows with columns of equal width, whatever is in them; the last one is as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def difference(control: Control, one: str, other: str | None) -> Iterator[str]:
    """Yield the lines of a unified diff; a text that is no version is the path of a file."""
    if other is None:
        current = str(control.head.number) if control.head else "0"
        one, other = (one, current) if Version.of(one) else (current, one)
    (before, old), (after, new) = _text(control, one), _text(control, other)
    yield from difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), before, after
    )


def _text(control: Control, named: str) -> tuple[str, str]:
    if named == "0":
        return "thresholds of the settings", thresholds(control)
    if version := Version.of(named):
        return f"version {version.number}", found(control, version.number).proposed.text
    try:
        return shown(Path(named)), Path(named).read_text(encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(
            f"{legible(named)} is no version, and no file that can be read: {exc.strerror}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise click.ClickException(f"{legible(named)} is not UTF-8: {exc}") from exc


def _noted(note: str) -> str:
    return f": {note}" if note else ""
