"""A decision is found wherever it is; that there is none is said only where that is certain."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from fraudapp import queries
from fraudapp.decisions.index import IndexDamaged
from fraudapp.decisions.recent import RecentDecisions, Unknowable
from fraudapp.kafka.offsets import End
from fraudapp.queries import await_decision, find
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.worker import LOOKUPS
from models.records import Decision
from tests.support.decisions import decision, id_in_partition
from tests.support.views import PARTITIONS, PATIENCE, Bench, bench

PARTITION = 2
ID = id_in_partition(PARTITION, 0, PARTITIONS)
OTHER = id_in_partition(PARTITION, 1, PARTITIONS)
FOUND = decision(ID)


@pytest.fixture
def here() -> Bench:
    """A worker that owns all partitions."""
    return bench()


@pytest.fixture
def elsewhere() -> Bench:
    """A worker that does not own the partition of the id, and has no index of it."""
    made = bench()
    made.own(*(each for each in range(PARTITIONS) if each != PARTITION))
    del made.parts.log.indexes[PARTITION]
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes is given up at once."""
    for name in ("LOOK_UP_TIMEOUT", "SHORT_TIMEOUT"):
        monkeypatch.setattr(queries, name, 0.01)


async def found(of: Bench, transaction_id: str = ID, wait: float = 0.0) -> Decision | None:
    return await asyncio.wait_for(find(of.worker, transaction_id, wait=wait), PATIENCE)


def hear(of: Bench, *ids: str, start: int = 0, stored: int = 0) -> RecentDecisions:
    """Let a worker have heard of these, from an offset on, and where the history is."""
    heard = of.parts.listener.partitions[PARTITION] = RecentDecisions(start, 100)
    heard.add([each.encode() for each in ids], range(start, start + len(ids)))
    heard.stored = stored
    of.parts.queries.ends[PARTITION] = End(heard.end, heard.end)
    return heard


def nobody_was_asked(of: Bench) -> bool:
    return not of.parts.redis.asked and not of.parts.postgres.asked


async def test_a_decision_of_this_worker_is_found_in_the_index(here: Bench) -> None:
    here.decide(FOUND)
    assert await found(here) == FOUND
    assert nobody_was_asked(here)


async def test_a_recent_decision_of_another_worker_is_read_from_the_log(elsewhere: Bench) -> None:
    hear(elsewhere, OTHER, ID)
    elsewhere.parts.queries.records = {
        (PARTITION, 0): decision(OTHER),
        (PARTITION, 1): FOUND,
    }
    assert await found(elsewhere) == FOUND
    assert nobody_was_asked(elsewhere)


async def test_a_record_under_another_id_is_not_taken_for_it(elsewhere: Bench) -> None:
    hear(elsewhere, ID)  # as one that has the same hash
    elsewhere.parts.queries.records[PARTITION, 0] = decision(OTHER)
    assert await found(elsewhere) is None


async def test_of_two_in_the_log_the_first_counts(elsewhere: Bench) -> None:
    hear(elsewhere, ID, ID)
    elsewhere.parts.queries.records = {
        (PARTITION, 0): FOUND,
        (PARTITION, 1): decision(ID, score=0.1),
    }
    assert await found(elsewhere) == FOUND


async def test_an_earlier_decision_that_was_forgotten_here_counts(elsewhere: Bench) -> None:
    hear(elsewhere, ID, start=5)
    elsewhere.parts.queries.records[PARTITION, 5] = decision(ID, score=0.1)
    elsewhere.parts.postgres.decisions[ID] = FOUND
    assert await found(elsewhere) == FOUND


async def test_a_recent_decision_is_returned_if_the_sinks_do_not_answer(
    elsewhere: Bench, impatient: None
) -> None:
    hear(elsewhere, ID, start=5)
    elsewhere.parts.queries.records[PARTITION, 5] = FOUND
    elsewhere.parts.redis.gate.clear()
    assert await found(elsewhere) == FOUND
    elsewhere.parts.redis.gate.set()


async def test_older_decisions_are_looked_up_in_redis(elsewhere: Bench) -> None:
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.redis.decisions[ID] = FOUND
    assert await found(elsewhere) == FOUND
    assert elsewhere.parts.redis.asked == [ID]
    assert not elsewhere.parts.postgres.asked


@pytest.mark.parametrize("failure", [None, SinkUnavailable("redis: away")])
async def test_decisions_that_redis_lacks_are_looked_up_in_postgres(
    elsewhere: Bench, failure: Exception | None
) -> None:
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.redis.failure = failure
    elsewhere.parts.postgres.decisions[ID] = FOUND
    assert await found(elsewhere) == FOUND


async def test_nothing_is_looked_up_where_memory_has_all(here: Bench, elsewhere: Bench) -> None:
    assert await found(here) is None
    hear(elsewhere, OTHER)
    assert await found(elsewhere) is None
    assert nobody_was_asked(here)
    assert nobody_was_asked(elsewhere)


async def test_decisions_not_in_the_index_yet_are_looked_up_in_sinks(here: Bench) -> None:
    del here.parts.log.indexes[PARTITION]  # assigned to this worker, and not read in
    here.parts.redis.decisions[ID] = FOUND
    assert await found(here) == FOUND


async def test_an_id_in_neither_memory_nor_a_complete_postgres_was_never_decided(
    elsewhere: Bench,
) -> None:
    hear(elsewhere, OTHER, start=5, stored=5)
    assert await found(elsewhere) is None
    assert elsewhere.parts.postgres.asked == [ID]


async def test_while_postgres_lags_behind_memory_the_answer_is_unknown(elsewhere: Bench) -> None:
    hear(elsewhere, OTHER, start=5, stored=4)
    with pytest.raises(Unknowable, match="are not in Postgres yet"):
        await found(elsewhere)


async def test_sinks_that_do_not_answer_are_an_error(elsewhere: Bench) -> None:
    hear(elsewhere, OTHER, start=5, stored=5)
    elsewhere.parts.postgres.failure = SinkUnavailable("postgres: away")
    with pytest.raises(SinkUnavailable, match="postgres: away"):
        await found(elsewhere)


async def test_sinks_that_time_out_are_an_error(elsewhere: Bench, impatient: None) -> None:
    hear(elsewhere, OTHER, start=5, stored=5)
    elsewhere.parts.redis.gate.clear()
    with pytest.raises(SinkUnavailable, match="no answer in time"):
        await found(elsewhere)


async def test_a_decision_that_arrives_while_sinks_are_down_is_returned(elsewhere: Bench) -> None:
    heard = hear(elsewhere, OTHER, start=5, stored=5)
    elsewhere.parts.postgres.failure = SinkUnavailable("postgres: away")
    elsewhere.parts.queries.ends[PARTITION] = End(7, 7)
    elsewhere.parts.queries.records[PARTITION, 6] = FOUND
    asking = asyncio.create_task(found(elsewhere))
    await asyncio.sleep(0.01)
    heard.add([ID.encode()], [6])
    elsewhere.parts.listener.notify()
    assert await asking == FOUND


async def test_memory_that_forgets_meanwhile_is_looked_through_again(
    elsewhere: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = hear(elsewhere, OTHER, ID, OTHER)
    end = elsewhere.parts.queries.end

    async def forgotten_meanwhile(partition: int) -> End:
        if heard.start == 0:  # the history has all of it by now, and Postgres is asked for it
            heard.forget_stored(3)
            elsewhere.parts.postgres.decisions[ID] = FOUND
        return await end(partition)

    monkeypatch.setattr(elsewhere.parts.queries, "end", forgotten_meanwhile)
    assert await found(elsewhere) == FOUND


async def test_memory_is_read_to_the_end_that_the_log_has_now(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SHORT_TIMEOUT", 0.01)
    here.parts.queries.ends[PARTITION] = End(1, 1)
    asking = asyncio.create_task(found(here))
    while PARTITION not in here.parts.log.doubts:  # others have written there
        await asyncio.sleep(0.001)
    assert not asking.done()
    here.decide(FOUND)
    here.parts.listener.notify()
    assert await asking == FOUND


async def test_of_a_partition_of_another_worker_no_index_is_doubted(
    elsewhere: Bench, impatient: None
) -> None:
    elsewhere.parts.queries.ends[PARTITION] = End(1, 1)
    with pytest.raises(Unknowable, match="the latest decisions are not known here yet"):
        await found(elsewhere)
    assert not elsewhere.parts.log.doubts


async def test_a_transaction_that_stays_open_is_told(here: Bench, impatient: None) -> None:
    here.parts.queries.ends[PARTITION] = End(high_water=3, stable=0)
    with pytest.raises(Unknowable, match="an open transaction of another producer"):
        await found(here)


async def test_a_log_that_has_lost_its_end_is_told(elsewhere: Bench) -> None:
    hear(elsewhere, OTHER, OTHER)
    elsewhere.parts.queries.ends[PARTITION] = End(1, 1)
    with pytest.raises(Unknowable, match="shorter than before"):
        await found(elsewhere)


async def test_a_broker_that_fails_is_told(here: Bench) -> None:
    here.parts.queries.failure = KafkaConnectionError("away")
    with pytest.raises(KafkaConnectionError):
        await found(here)


async def test_a_broker_that_is_silent_is_told(here: Bench, impatient: None) -> None:
    here.parts.queries.gate.clear()
    with pytest.raises(Unknowable, match="the broker does not answer in time"):
        await found(here)


async def test_all_of_it_together_has_its_time(
    elsewhere: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "FIND_TIMEOUT", 0.01)
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.redis.gate.clear()
    with pytest.raises(Unknowable, match="take too long to answer"):
        await found(elsewhere)
    elsewhere.parts.redis.gate.set()


async def test_a_partition_without_leader_is_told(elsewhere: Bench) -> None:
    del elsewhere.parts.listener.partitions[PARTITION]
    with pytest.raises(Unknowable, match="cannot be read"):
        await found(elsewhere)


async def test_a_damaged_index_is_reported_and_skipped(here: Bench) -> None:
    index: Any = here.parts.log.indexes[PARTITION]
    index.folder = "the folder"
    index.failure = IndexDamaged(index, "bits")
    hear(here, ID)
    here.parts.queries.records[PARTITION, 0] = FOUND
    assert await found(here) == FOUND
    assert here.parts.log.failures == [index.failure]


async def test_so_many_are_looked_up_at_a_time_and_the_others_have_their_turn(
    elsewhere: Bench,
) -> None:
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.redis.gate.clear()
    ids = [id_in_partition(PARTITION, each, PARTITIONS) for each in range(LOOKUPS + 2)]
    asking = [asyncio.create_task(found(elsewhere, each)) for each in ids]
    await asyncio.sleep(0.05)
    assert elsewhere.parts.redis.asked == ids[:LOOKUPS]
    elsewhere.parts.redis.gate.set()
    assert await asyncio.gather(*asking) == [None] * len(ids)
    assert elsewhere.parts.redis.asked == ids


async def test_who_goes_away_interrupts_no_look_up(elsewhere: Bench) -> None:
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.redis.gate.clear()
    asking = [asyncio.create_task(found(elsewhere)) for _ in range(LOOKUPS)]
    await asyncio.sleep(0.01)
    for each in asking:
        each.cancel()
    await asyncio.wait(asking)
    assert elsewhere.worker.lookups.locked()  # their look-ups are still asked for
    elsewhere.parts.redis.gate.set()
    assert await found(elsewhere) is None
    assert elsewhere.parts.postgres.asked == [ID] * (LOOKUPS + 1)


@pytest.fixture(params=["here", "elsewhere"])
def either(request: pytest.FixtureRequest) -> Bench:
    """A worker that owns the partition of the id, and one that does not."""
    return cast(Bench, request.getfixturevalue(request.param))


async def asking_for(of: Bench, wait: float = PATIENCE) -> asyncio.Task[Decision | None]:
    """Ask, and return once that waits."""
    asking = asyncio.create_task(found(of, wait=wait))
    while not of.worker.waiters.is_awaited(ID):
        await asyncio.sleep(0.001)
    return asking


async def test_who_waits_is_told_as_soon_as_it_is_decided(either: Bench) -> None:
    asking = await asking_for(either)
    either.worker.waiters.notify([decision(OTHER), FOUND])
    assert await asking == FOUND
    assert not either.worker.waiters.has_waiters()


async def test_who_waits_for_what_was_decided_is_told_at_once(here: Bench) -> None:
    here.decide(FOUND)
    assert await found(here, wait=10 * PATIENCE) == FOUND


async def test_who_waits_for_what_was_decided_elsewhere_before_is_told(elsewhere: Bench) -> None:
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.postgres.decisions[ID] = FOUND
    assert await found(elsewhere, wait=10 * PATIENCE) == FOUND


async def test_who_waits_here_needs_no_sink(here: Bench) -> None:
    hear(here, start=5, stored=0)
    asking = await asking_for(here)
    await asyncio.sleep(0.01)
    assert nobody_was_asked(here)
    here.worker.waiters.notify([FOUND])
    assert await asking == FOUND


@pytest.mark.parametrize(
    "failure", [SinkUnavailable("redis: away"), SinkUnavailable("postgres: away")]
)
async def test_who_waits_goes_on_waiting_whatever_does_not_answer(
    elsewhere: Bench, failure: Exception
) -> None:
    hear(elsewhere, start=5, stored=5)
    elsewhere.parts.redis.failure = elsewhere.parts.postgres.failure = failure
    asking = await asking_for(elsewhere)
    while not elsewhere.parts.postgres.asked:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert not asking.done()
    elsewhere.worker.waiters.notify([FOUND])
    assert await asking == FOUND


async def test_a_caller_whose_wait_ends_gets_none(here: Bench) -> None:
    assert await await_decision(here.worker, ID, 0.01) is None
    assert not here.worker.waiters.has_waiters()


async def test_who_waits_when_the_worker_stops_is_sent_to_another(either: Bench) -> None:
    asking = await asking_for(either)
    either.worker.waiters.close()
    with pytest.raises(Unknowable, match="about to stop"):
        await asking
