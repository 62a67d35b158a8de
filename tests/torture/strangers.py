"""Strangers who write what they like to the topics of the workers."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.torture.accounts import payment
from tests.torture.gate import Gate
from tests.torture.load import PARTITIONS, Load
from tests.torture.written import Written

INTERVAL_SECONDS: Final = (1.0, 5.0)
"""Seconds between two visits: from, to."""
MAX_RECORDS: Final = 5_000
"""Records in a run: workers remember 10,000 that they have logged."""
TOPICS: Final = {
    "decisions": PARTITIONS,
    "dead-letters": PARTITIONS,
    "torture-decision-counts-changelog": PARTITIONS,
    "torture-partition-reports-changelog": PARTITIONS,
    "torture-quality-changelog": PARTITIONS,
    "torture-watch-changelog": PARTITIONS,
    "torture-labelled": PARTITIONS,
    "torture-progress": 1,
    "control": 1,
}
"""With their numbers of partitions."""
PROGRESS: Final = (
    (b"postgres/purged", b'{"before":"2999-01-01"}'),
    (b"redis/purged", b"junk"),
    (b"archive/0", b'{"offset":-1}'),
    (b"archive/99", b"null"),
    (b"nobody/purged", None),
)
TIMES: Final = (-1, 0, 1, 2**62, 1_700_000_000_000)


class Strangers:
    """Writes junk and forgeries; no worker can have written any of it."""

    def __init__(
        self, broker: str, gate: Gate, load: Load, written: Written, random_: random.Random
    ) -> None:
        self._broker = broker
        self._load = load
        self._gate = gate
        self._written = written
        self._random = random_
        self.count = 0

    async def write(self) -> None:
        """Write until cancelled, or until it is enough."""
        async with AIOKafkaProducer(
            bootstrap_servers=self._broker, compression_type="gzip", request_timeout_ms=10_000
        ) as producer:
            while self.count < MAX_RECORDS:
                await asyncio.sleep(self._random.uniform(*INTERVAL_SECONDS))
                async with self._gate.passed():
                    for topic in TOPICS:
                        await self._append(producer, topic)

    async def _append(self, producer: AIOKafkaProducer, topic: str) -> None:
        partition = self._random.randrange(TOPICS[topic])
        builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 10_000_000)
        count = self._random.randint(1, 10)
        for number in range(count):
            key, value = self._record(topic)
            # Noted first: what is not confirmed may be there as well.
            self._written.foreign.add((topic, partition, key, value))
            headers = self._random.choice(
                [[], [("reason", None)], [("origin", b"transactions/1/5")], [("topic", b"\xff")]]
            )
            builder.append(number, self._random.choice(TIMES), key, value, headers)
        batch = producer.create_batch()
        batch._builder, batch._relative_offset = builder, count
        batch.close()
        self.count += count
        try:
            await (await producer.send_batch(batch, topic, partition=partition))
        except KafkaError:
            return

    def _record(self, topic: str) -> tuple[bytes | None, bytes | None]:
        junk = [None, b"", b"null", b"\xff\xfe\x00", b"[" * 3_000, self._random.randbytes(60)]
        value = self._random.choice(junk)
        if topic == "decisions":
            if self._random.random() < 0.5 and self._load.recent:
                return self._forged(*self._random.choice(self._load.recent))
            return self._random.choice([None, b"", b"\xff", b"t"]), value
        if topic == "torture-labelled":
            return self._random.choice([None, b"", b"\xff", b"t"]), self._labelled()
        if topic == "dead-letters":  # like none that rejected inputs have
            unlike = b"\xff" + self._random.randbytes(20)
            return self._random.choice([(None, unlike), (unlike, value)])
        if topic == "control":
            return self._random.choice([b"policy/1", b"list//x", b"cap/", b"\xff", None]), value
        if topic == "torture-progress":
            return self._random.choice([*PROGRESS, (b"\xff", value)])
        # A changelog that is compacted takes no record without a key.
        return self._random.choice([b"", b"\xff", b"0", b'"0"', b"-1", b"1"]), value

    def _labelled(self) -> bytes | None:
        """What is no labelled decision: junk, or one whose effective label is another."""
        if self._random.random() < 0.5:
            return self._random.choice([None, b"", b"null", b"{}", self._random.randbytes(60)])
        said = {"label": 1, "at": "2026-01-01T00:00:00Z", "by": "forged", "offset": 7}
        right: dict[str, Any] = {"version": 7, "label": 1, "source": "analyst"}
        wrong: list[dict[str, Any]] = [
            {"version": 2**62},
            {"label": 0},
            {"source": "confirmed"},
            {"labels": {}},
            {"labels": {"nobody": said}},
            {},  # the decision is none
        ]
        forged = right | {"labels": {"analyst": said}, "decision": {"transaction_id": "t"}}
        return json.dumps(forged | self._random.choice(wrong)).encode()

    def _forged(self, id_: str, seed: int) -> tuple[bytes | None, bytes | None]:
        """A decision as a worker writes it, on a transaction that there is, but for one thing."""
        decision: dict[str, Any] = {
            "transaction_id": id_,
            "decision": "BLOCK",
            "score": 0.99,
            "reasons": [],
            "model_version": "forged",
            "policy_version": f"forged-{self._random.random()}",
            "decided_at": "2026-01-01T00:00:00Z",
            "topic": "transactions",
            "partition": 0,
            "offset": 0,
            "transaction": payment(id_, seed),
        }
        wrong: list[dict[str, Any]] = [
            {"score": 1.0000001},
            {"score": -1},
            {"decided_at": "2026-01-01T00:00:00"},
            {"decided_at": "2026-01-01T00:00:00+14:00"},
            {"decided_at": "9999-12-31T23:59:59Z"},
            {"offset": 2**70},
            {"partition": -1},
            {"decision": "MAYBE"},
            {"model_version": "\0"},
            {"transaction_id": "another"},
            {"transaction": payment("another")},
            {"transaction": payment(id_) | {"amount": -1}},
        ]
        if self._random.random() < 0.2:
            return b"another key", json.dumps(decision).encode()
        return id_.encode(), json.dumps(decision | self._random.choice(wrong)).encode()
