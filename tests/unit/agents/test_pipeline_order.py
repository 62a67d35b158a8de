"""Nothing is acknowledged before Kafka has it, and the first decision under an id counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import ProducerClosed

from fraudapp.kafka.record_batch import record_batch_of
from fraudapp.process.disk import DiskFull
from models.counts import Counts
from tests.support.transactions import transaction
from tests.unit.agents.bench import SOON, A, B, Bench, C, K


@pytest.mark.parametrize("held", ["decisions", "dead letters", "transactions"])
async def test_nothing_is_acknowledged_nor_counted_before_kafka_has_it(
    bench: Bench, held: str
) -> None:
    place = {
        "decisions": (bench.log_topic, 0),
        "dead letters": (bench.dead_letters_topic, 0),
        "transactions": (bench.inputs, 1),
    }[held]
    bench.put_transactions(A, K)
    bench.put(b"no JSON")
    events = bench.delivered()
    bench.broker.hold(*place)
    (part,) = await bench.pipeline.begin([events])
    finishing = asyncio.create_task(bench.pipeline.finish(part))
    await bench.broker.held(*place)
    await asyncio.sleep(0.01)
    assert not finishing.done()
    assert not bench.is_done(events)
    assert bench.counts.added == []
    bench.broker.go_on(*place)
    await finishing
    await bench.completed(events)
    assert bench.is_acknowledged(events)


async def test_nothing_is_acknowledged_before_the_changelog_has_its_counts(bench: Bench) -> None:
    bench.put_transactions(A)
    await bench.decide(bench.delivered())
    bench.put_transactions(A, B)
    events = bench.delivered()
    bench.table.hold(0)
    (part,) = await bench.pipeline.begin([events])
    await asyncio.wait_for(bench.pipeline.finish(part), SOON)  # which does not wait for them
    await bench.table.held(0)
    assert list(bench.decided()) == [A, B]
    assert not bench.is_done(events)
    assert not record_batch_of(events[0].message).records  # which need not be in memory any more
    bench.table.go_on(0)
    await bench.completed(events)
    assert bench.is_acknowledged(events)
    assert bench.fates() == {"APPROVE": 2, "duplicate": 1}


async def test_nothing_is_decided_before_the_changelog_knows_the_topic(bench: Bench) -> None:
    bench.table.hold(0)
    bench.put_transactions(A)
    beginning = asyncio.create_task(bench.pipeline.begin([bench.delivered()]))
    await bench.table.held(0)
    assert bench.scorer.asked == []
    assert bench.table.values[0] == Counts(topic_id="id-1")
    bench.table.go_on(0)
    assert len(await beginning) == 1


async def test_a_partition_that_the_broker_does_not_take_holds_up_no_other(bench: Bench) -> None:
    bench.put_transactions(A, partition=0)
    bench.put_transactions(K, partition=1)
    batch = bench.delivered(0), bench.delivered(1)
    bench.broker.hold(bench.log_topic, 0)
    parts = await bench.pipeline.begin(batch)
    finishing = [asyncio.create_task(bench.pipeline.finish(part)) for part in parts]
    await bench.broker.held(bench.log_topic, 0)
    await bench.completed(batch[1])
    assert not bench.is_done(batch[0])
    bench.broker.go_on(bench.log_topic, 0)
    await asyncio.gather(*finishing)
    await bench.completed(*batch)


@pytest.mark.parametrize("topic", ["log_topic", "dead_letters_topic"])
async def test_a_final_kafka_error_is_raised_and_nothing_is_acknowledged(
    bench: Bench, topic: str
) -> None:
    bench.put_transactions(A)
    bench.put(b"no JSON")
    bench.broker.fail(getattr(bench, topic), 0, ProducerClosed())
    with pytest.raises(ProducerClosed):
        await bench.decide(bench.delivered())
    await asyncio.sleep(0.01)
    assert not bench.consumption.acknowledged
    assert bench.counts.added == []


async def test_a_failure_to_count_ends_the_worker_and_acknowledges_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(bench.counts, "add", broken)
    bench.put_transactions(A)
    await bench.decide(bench.delivered())
    assert [str(each) for each in bench.failures] == ["broken"]
    assert not bench.consumption.acknowledged
    bench.failures.clear()


async def test_a_decision_of_another_writer_in_between_counts(
    bench: Bench,
) -> None:
    bench.put_transactions(A, B)
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    await bench.another_writer_decides(A, score=0.3)
    with bench.waiters.subscribe(A) as waiting:
        await bench.pipeline.finish(part)
        assert (await asyncio.wait_for(waiting, SOON)) == bench.decided()[A]
    await bench.completed(events)
    assert bench.is_acknowledged(events)
    assert bench.decided()[A].score == 0.3
    assert bench.decided()[B].offset == 1
    # Ours were appended too, once: whoever reads the log takes the first one under each id.
    assert len(bench.broker.topics[bench.log_topic][0]) == 3
    assert bench.table.values[0].fates["duplicate"] == 1


async def test_a_conflict_with_another_writer_in_between_is_a_dead_letter(
    bench: Bench,
) -> None:
    bench.put_transactions(A, amount=1.0)
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    await bench.another_writer_decides(A, transaction=transaction(A, amount=2.0))
    await bench.pipeline.finish(part)
    await bench.completed(events)
    assert bench.reasons() == ["conflict"]
    assert bench.fates() == {"BLOCK": 1, "conflict": 1}


async def test_ids_are_looked_up_again_after_the_index_has_moved(
    bench: Bench,
) -> None:
    bench.put_transactions(A, B, C)
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    await bench.another_writer_decides(A, C, score=0.3)
    index = bench.log.index(0)
    assert index
    bench.log.repair(DiskFull(index.folder, "No space left on device"))
    await bench.log.ready(0, 1)
    await bench.pipeline.finish(part)
    await bench.completed(events)
    assert len(bench.broker.topics[bench.log_topic][0]) == 3
    assert {each: bench.decided()[each].score for each in (A, B, C)} == {A: 0.3, B: 0.1, C: 0.3}
    assert bench.fates()["duplicate"] == 2


async def test_a_damaged_index_is_made_anew_before_anything_is_decided(bench: Bench) -> None:
    bench.put_transactions(A)
    await bench.decide(bench.delivered())
    damaged = bench.log.index(0)
    assert damaged
    damaged._db.close()
    bench.put_transactions(A, B)
    events = bench.delivered()
    await bench.decide(events)
    assert bench.log.index(0) is not damaged
    assert list(bench.decided()) == [A, B]
    assert bench.fates() == {"APPROVE": 2, "duplicate": 1}


async def test_an_index_that_is_damaged_before_the_append_is_made_anew_and_asked_again(
    bench: Bench,
) -> None:
    bench.put_transactions(A)
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    damaged = bench.log.index(0)
    assert damaged
    damaged._db.close()
    await bench.pipeline.finish(part)
    await bench.completed(events)
    assert bench.is_acknowledged(events)
    assert len(bench.broker.topics[bench.log_topic][0]) == 1
    assert bench.fates() == {"APPROVE": 1}


async def test_an_index_that_is_damaged_after_another_writer_is_made_anew_and_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put_transactions(A, B)
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    await bench.another_writer_decides(A, score=0.3)
    append = bench.log.append

    async def append_and_damage(*args: Any) -> bool:
        monkeypatch.undo()
        undisturbed = await append(*args)
        index = bench.log.index(0)
        assert index
        index._db.close()
        return undisturbed

    monkeypatch.setattr(bench.log, "append", append_and_damage)
    await bench.pipeline.finish(part)
    await bench.completed(events)
    assert bench.is_acknowledged(events)
    assert len(bench.broker.topics[bench.log_topic][0]) == 3
    assert bench.fates()["duplicate"] == 1
