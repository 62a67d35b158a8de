"""What is written to the control topic is told with its fate, once it was read back."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fraudapp.control.writer import MAX_BATCH, ControlWriter
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import SinkUnavailable
from models.artifact import ModelFileError
from models.control.records import (
    ROOT,
    Archived,
    CapKey,
    Capped,
    Distributed,
    InvalidRecord,
    Listed,
    Removed,
    read,
)
from models.control.state import ControlState
from models.seals import name_digest
from tests.support.memory import MemoryBroker

TEXT = "flag_at = 0.4\n"
EVER = datetime(2100, 1, 1, tzinfo=timezone.utc)
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Follower:
    """One who follows the topic in memory, and its writer."""

    def __init__(self, broker: MemoryBroker, settings: Settings) -> None:
        self.known = ControlState()
        self.writer = ControlWriter(settings, broker, self.known, self.read_to, self.end)  # type: ignore[arg-type]
        self._records = broker.topics[settings.control_topic][0]

    async def read_to(self, offset: int) -> None:
        await asyncio.sleep(0)
        for raw in self._records[self.known.next_offset : offset]:
            self.known.apply(read(raw.offset, raw.timestamp, raw.key, raw.value, raw.headers))

    async def end(self) -> int:
        return len(self._records)


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def broker(settings: Settings) -> MemoryBroker:
    return MemoryBroker({settings.control_topic: 1})


@pytest.fixture
def one(broker: MemoryBroker, settings: Settings) -> Follower:
    return Follower(broker, settings)


async def test_a_policy_is_told_with_its_number(one: Follower) -> None:
    first = await one.writer.propose(TEXT, author="a", parent=ROOT)
    second = await one.writer.propose(TEXT, author="b", parent=first.id, note="why")
    assert [each.number for each in (first, second)] == [1, 2]
    assert one.known.chain.members == [first, second]


async def test_of_two_writers_on_one_parent_one_is_too_late(
    one: Follower, broker: MemoryBroker, settings: Settings
) -> None:
    other = Follower(broker, settings)
    told = await asyncio.gather(
        one.writer.propose(TEXT, author="a", parent=ROOT),
        other.writer.propose(TEXT, author="b", parent=ROOT),
    )
    assert sorted(each.fate for each in told) == ["in the chain", "too late"]
    await one.read_to(2)
    await other.read_to(2)
    assert one.known.chain.head == other.known.chain.head


async def test_an_author_cannot_approve_his_own_policy_and_another_can(one: Follower) -> None:
    waits = await one.writer.propose(TEXT, author="a", parent=ROOT, needs_approval=True)
    assert await one.writer.approve(waits.id, author="a") is waits
    assert waits.fate == "waits for approval"
    await one.writer.approve(waits.id, author="b")
    assert waits.number == 1
    assert await one.writer.approve("0" * 32, author="b") is None


async def test_entries_come_and_go_in_the_order_of_their_changes(one: Follower) -> None:
    batches: list[int] = []
    values = [f"C{number}" for number in range(MAX_BATCH + 1)]
    listed = Listed(author="a", expires_at=EVER)
    assert await one.writer.add("mules", [*values, values[0]], listed) == len(values)
    changes: dict[str, Listed | Removed] = {values[0]: Removed(author="a"), "new": listed}
    assert await one.writer.change("mules", changes, batches.append) == 2
    assert one.known.lists.at(NOW)["mules"] == {*values[1:], "new"}
    assert batches == [2]
    assert await one.writer.remove("mules", values, Removed(author="a")) == len(values)
    assert one.known.lists.at(NOW)["mules"] == {"new"}


async def test_a_cap_begins_and_ends(one: Follower) -> None:
    policy = await one.writer.propose(TEXT, author="a", parent=ROOT)
    key = CapKey(policy.id, "")
    await one.writer.set_caps({key: Capped(on=True, share=0.5, author="w")})
    assert one.known.caps[policy.id].in_force.on_all
    await one.writer.set_caps({key: Capped(on=False, share=0.5, author="a")})
    assert not one.known.caps[policy.id].begun


async def test_what_readers_would_skip_is_refused_and_not_written(one: Follower) -> None:
    writer = one.writer
    attempts = [
        writer.propose(TEXT, author="", parent=ROOT),
        writer.propose(TEXT, author="a", parent=ROOT, note="n" * 1_001),
        writer.propose(TEXT, author="a", parent="none"),
        writer.approve("no id", author="a"),
        writer.add("mules", ["C1"], Listed(author="")),
        writer.add("mules", ["C1", ""], Listed(author="a")),
        writer.add("no name", ["C1"], Listed(author="a")),
        writer.remove("mules", ["\x00"], Removed(author="a")),
        writer.set_caps({CapKey("no id", ""): Capped(on=True, share=0.5, author="a")}),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidRecord):
            await attempt
    assert await one.end() == 0


async def test_a_change_of_nothing_writes_nothing(one: Follower) -> None:
    assert await one.writer.add("mules", [], Listed(author="a")) == 0
    assert await one.end() == 0


def version_of(model: bytes) -> str:
    return f"small-{name_digest(model)}"


async def test_a_model_is_in_the_topic_up_to_a_size_and_in_the_archive_above_it(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    environment = {"FRAUD_ARCHIVE_URL": tmp_path.as_uri(), "FRAUD_MODEL_RECORD_BYTES": "10"}
    writer, small = (one := Follower(broker, load(environment))).writer, version_of(b"12345678")
    assert await writer.distribute(small, b"12345678", b"{}", author="a")
    assert not (tmp_path / "models").exists()
    assert await writer.distribute("large-1", b"123456789", b"{}", author="a", note="why")
    assert one.known.models == {
        small: Distributed.of(b"12345678", b"{}", author="a"),
        "large-1": Archived.of(b"123456789", b"{}", author="a", note="why"),
    }
    (path,) = (tmp_path / "models" / "large-1").iterdir()
    assert path.read_bytes() == b"123456789"
    path.unlink()
    # Published again, perhaps with another card, it is only written where it was lost.
    assert not await writer.distribute("large-1", b"123456789", b'{"a":1}', author="b")
    assert path.read_bytes() == b"123456789"
    assert await one.end() == 2


async def test_of_a_model_that_the_archive_does_not_take_nothing_is_written(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    environment = {"FRAUD_MODEL_RECORD_BYTES": "0", "FRAUD_DATA_DIR": str(tmp_path)}
    url = (tmp_path / "file").as_uri()
    for archive, failure in ({"FRAUD_ARCHIVE_URL": url}, SinkUnavailable), ({}, ModelFileError):
        one = Follower(broker, load({**environment, **archive}))
        with pytest.raises(failure):
            await one.writer.distribute("large-1", b"1", b"{}", author="a")
        with pytest.raises(InvalidRecord):
            await one.writer.distribute("large-1", b"1", b"{}", author="")
        assert (await one.end(), one.known.models) == (0, {})
