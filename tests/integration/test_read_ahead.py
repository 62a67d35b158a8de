"""What a process reads into an index is what the worker would have read, whatever ends it."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from fraudapp.decisions import index_process, read_ahead
from fraudapp.decisions.batch import Batch
from fraudapp.decisions.catch_ups import Read
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.index_process import Work
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.settings import Settings, load
from tests.integration.test_decision_log import Worker, workers
from tests.support.decisions import decision, id_in_partition
from tests.support.readback import eventually

__all__ = ["workers"]  # fixtures

MANY = 3_000
ON_START = Callable[[Process], None]


@pytest.fixture(autouse=True)
def few_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "MANY_RECORDS", 100)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The processes that were started."""
    return _noted(monkeypatch, lambda process: None)


def _noted(monkeypatch: pytest.MonkeyPatch, on_start: ON_START) -> list[Process]:
    found: list[Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*args: Any, **kwargs: Any) -> Process:
        process = await start(*args, **kwargs)
        found.append(process)
        on_start(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return found


def alike(one: DecisionIndex, other: DecisionIndex) -> bool:
    """Whether two indexes hold the same of all that follows from the log."""
    return all(
        getattr(one, each) == getattr(other, each)
        for each in ("next_offset", "fingerprint", "counts", "activity", "quality")
    )


async def fill(log: DecisionLog, partition: int, many: int = MANY) -> DecisionIndex:
    """Append decisions, the last of them again by a worker that does not look."""
    index = await log.ready(partition, generation=1)
    begin = index.next_offset
    made = [
        decision(id_in_partition(partition, begin + number, 4), score=number % 100 / 100)
        for number in range(many)
    ]
    assert await log.append(partition, Batch(made), begin)
    again = [(each.transaction_id.encode(), each) for each in made[-5:]]
    batch = Batch([each for _, each in again])
    await log._producer.append(
        log._topic, partition, zip(batch.keys, batch.encoded, [[]] * 5, strict=True), "again"
    )
    return await log.ready(partition, generation=2)


async def test_a_process_reads_what_the_worker_would_have_read(
    workers: list[Worker], started: list[Process]
) -> None:
    ours, theirs = (worker.log for worker in workers)
    expected = [await fill(ours, partition) for partition in range(2)]
    read: list[Read] = []
    theirs.on_read = read.append
    found = await asyncio.gather(*(theirs.ready(each, generation=3) for each in range(2)))
    for one, other in zip(found, expected, strict=True):
        assert alike(one, other)
        ids = [id_in_partition(found.index(one), number, 4) for number in range(MANY)]
        assert one.find(ids) == other.find(ids)
        assert len(one.find(ids)) == MANY
    assert [each.returncode for each in started] == [0, 0]
    assert not read
    more = decision(id_in_partition(0, MANY + 9, 4))
    assert await theirs.append(0, Batch([more]), found[0].next_offset)


async def test_what_is_known_is_not_read_again(
    workers: list[Worker], started: list[Process]
) -> None:
    ours, theirs = (worker.log for worker in workers)
    await fill(ours, 0)
    await theirs.ready(0, generation=3)
    await theirs.close()
    expected = await fill(ours, 0, many=50)
    again = DecisionLog(workers[1].settings, workers[1]._producer)
    await again.open()
    assert alike(await again.ready(0, generation=4), expected)
    await again.close()
    assert len(started) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_process_that_ends_or_stops_leaves_the_rest_to_the_worker(
    how: signal.Signals, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "SILENCE_SECONDS", 0.5)
    ours, theirs = (worker.log for worker in workers)
    expected = await fill(ours, 0)
    started = _noted(monkeypatch, lambda process: process.send_signal(how))
    assert alike(await theirs.ready(0, generation=3), expected)
    assert [each.returncode for each in started] == [-signal.SIGKILL]


async def test_a_process_that_cannot_be_started_leaves_all_to_the_worker(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = (worker.log for worker in workers)
    expected = await fill(ours, 0)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert alike(await theirs.ready(0, generation=3), expected)
    assert "no process can be started to read the log" in caplog.text


@pytest.mark.parametrize("says", ["print('hello')", "print('7' * 100_000)", "raise SystemExit(3)"])
async def test_a_process_that_talks_nonsense_leaves_all_to_the_worker(
    says: str, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (worker.log for worker in workers)
    expected = await fill(ours, 0)
    start = asyncio.create_subprocess_exec

    async def another(program: str, *_: str, **kwargs: Any) -> Process:
        return await start(program, "-c", says, **kwargs)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", another)
    assert alike(await theirs.ready(0, generation=3), expected)


async def test_a_short_read_does_not_wait_for_long_ones(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (worker.log for worker in workers)
    expected = [await fill(ours, each, many) for each, many in enumerate((MANY, MANY, 300))]
    started = _noted(monkeypatch, lambda process: process.send_signal(signal.SIGSTOP))
    long = [asyncio.create_task(theirs.ready(each, generation=3)) for each in range(2)]
    await eventually(lambda: len(started) == 2)
    assert alike(await theirs.ready(2, generation=3), expected[2])
    for process in started:
        process.send_signal(signal.SIGCONT)
    for one, other in zip(await asyncio.gather(*long), expected, strict=False):
        assert alike(one, other)
    assert len(started) == 2


async def test_a_process_adds_nothing_to_an_index_of_another_log(
    workers: list[Worker], tmp_path: Path
) -> None:
    """The log was cut while it waited for its turn, and has gone on with others."""
    await fill(workers[0].log, 0)
    lost = [decision(id_in_partition(0, MANY + number, 4)) for number in range(9)]
    identity = LogIdentity("fraud", "decisions", 0)
    with closing(DecisionIndex(tmp_path / "index", identity)) as index:
        index.extend(Batch(lost))
    settings = workers[1].settings
    work = Work({}, tmp_path / "index", identity, MANY, logging.INFO, os.getpid())
    await index_process.read(work, settings, io.StringIO())
    with closing(DecisionIndex(tmp_path / "index", identity)) as index:
        assert index.next_offset == len(lost)


async def test_damage_seen_before_a_process_begins_ends_no_worker(
    workers: list[Worker], started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (worker.log for worker in workers)
    expected = await fill(ours, 0)
    end = theirs._end

    async def damaged(partition: int, index: DecisionIndex) -> int:
        monkeypatch.setattr(theirs, "_end", end)
        found = await end(partition, index)
        theirs.repair(IndexDamaged(index, "as if by a look at idle ones"))
        return found

    monkeypatch.setattr(theirs, "_end", damaged)
    assert alike(await theirs.ready(0, generation=3), expected)
    assert len(started) == 1


async def test_a_process_that_has_ended_may_be_killed() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    read_ahead.kill(process)


async def test_none_is_started_where_none_is_wanted(
    workers: list[Worker], started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (worker.log for worker in workers)
    expected = await fill(ours, 0)
    none = theirs._ahead._settings.model_copy(update={"index_processes": 0})
    monkeypatch.setattr(theirs._ahead, "_settings", none)
    assert alike(await theirs.ready(0, generation=3), expected)
    assert not started


async def test_whoever_waits_is_told_how_much_is_left_and_may_stop_waiting(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has ended then: nobody else has the index open."""
    monkeypatch.setattr(read_ahead, "END_SECONDS", 0.1)
    ours, theirs = (worker.log for worker in workers)
    expected = await fill(ours, 0)
    started = _noted(monkeypatch, lambda process: process.send_signal(signal.SIGSTOP))
    waiting = asyncio.create_task(theirs.ready(0, generation=3))
    await eventually(lambda: bool(started))
    unread = theirs.unread(0)
    assert unread is not None
    assert unread.records == expected.next_offset
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert started[0].returncode == -signal.SIGKILL
    monkeypatch.setattr(read_ahead, "MANY_RECORDS", 10**9)
    assert alike(await theirs.ready(0, generation=3), expected)


_WORKER = f"""
import subprocess, sys
command = [sys.executable, "-m", "{index_process.__name__}"]
process = subprocess.Popen(command, stdin=subprocess.PIPE)
process.stdin.write(sys.stdin.buffer.read())
process.stdin.flush()
print(process.pid, flush=True)
process.wait()
"""


def of_broker(server: socket.socket) -> Settings:
    return load({"FRAUD_BROKER_URL": f"kafka://127.0.0.1:{server.getsockname()[1]}"})


def work_in(folder: Path, settings: Settings, worker: int) -> Work:
    identity = LogIdentity("fraud", "decisions", 0)
    return Work(settings.model_dump(by_alias=True), folder, identity, 1, logging.INFO, worker)


async def test_one_that_waits_for_the_broker_goes_on_telling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_process, "TELL_SECONDS", 0.01)
    told = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as broker:
        settings = of_broker(broker)
        reading = asyncio.create_task(
            index_process.read(work_in(tmp_path, settings, 0), settings, told)
        )
        await eventually(lambda: told.getvalue().startswith("0\n0\n0\n"))
    await eventually(lambda: len(told.getvalue()) > 100)  # nobody listens any more
    assert not reading.done()
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading


def test_one_whose_worker_has_gone_before_opens_no_index(tmp_path: Path) -> None:
    settings = load({"FRAUD_BROKER_URL": "kafka://127.0.0.1:9"})
    with subprocess.Popen(
        [sys.executable, "-m", index_process.__name__], stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(work_in(tmp_path / "index", settings, process.pid)))
        process.stdin.flush()
        assert process.wait(60) == 1
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("how", ["closes its input", "is killed"])
def test_a_process_ends_with_its_worker(how: str, tmp_path: Path) -> None:
    """A broker that never answers would keep it for ever."""
    with socket.create_server(("127.0.0.1", 0)) as broker:
        command = ["-c", _WORKER] if how == "is killed" else ["-m", index_process.__name__]
        with subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            worker = process.pid if how == "is killed" else os.getpid()
            process.stdin.write(pickle.dumps(work_in(tmp_path, of_broker(broker), worker)))
            process.stdin.flush()
            if how == "is killed":
                process.stdin.close()
                reader = psutil.Process(int(process.stdout.readline()))
            asked, _ = broker.accept()
            with asked:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(1.0)
                if how == "is killed":
                    process.kill()
                    reader.wait(30)
                else:
                    process.stdin.close()
                    assert process.wait(30) == 1
    with closing(DecisionIndex(tmp_path, LogIdentity("fraud", "decisions", 0))) as index:
        assert not index.made_anew
