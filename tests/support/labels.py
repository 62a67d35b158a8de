"""Labels for tests, and a recount of what they come to by other means than the application's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord

from fraudapp.kafka.last_records import LastRecord
from models.key_hash import partition_of
from tests.support import readback

AT = datetime(2026, 3, 5, 6, 7, 8, tzinfo=timezone.utc)
STRENGTH = ("confirmed", "chargeback", "analyst", "customer")


def told(transaction_id: str, label: object = 1, source: str = "analyst", **more: Any) -> bytes:
    """A label as its message."""
    fields = {"transaction_id": transaction_id, "label": label, "source": source}
    return json.dumps({**fields, "at": AT.isoformat(), "by": "ann", **more}).encode()


def recounted(
    decisions: Iterable[ConsumerRecord],
    labels: Iterable[ConsumerRecord],
    partitions: int,
    dead: Iterable[ConsumerRecord] = (),
) -> dict[str, dict[str, Any]]:
    """What the labelled topic has to come to by id: version, label, source, labels and decision.

    Labels that are in the topic of dead letters do not count.
    """
    decided: dict[str, Any] = {}
    for each in sorted(decisions, key=lambda each: each.offset):
        decided.setdefault(each.key.decode(), json.loads(each.value))
    buried = {tuple(dict(each.headers)[name] for name in ("partition", "offset")) for each in dead}
    origins = set()
    found: dict[str, dict[str, Any]] = {}
    for each in sorted(labels, key=lambda each: each.offset):
        try:
            label = json.loads(each.value)
            id_ = label["transaction_id"]
        except (ValueError, TypeError, KeyError):
            continue
        origin = dict(each.headers).get("origin")
        place = (str(each.partition).encode(), str(each.offset).encode())
        original = tuple(origin.split(b"/")[1:]) if origin else place
        if partition_of(id_.encode(), partitions) != each.partition or original in buried:
            continue
        if origin is not None and origin in origins:
            continue
        origins.add(origin)
        if id_ in decided:
            known = found.setdefault(id_, {"labels": {}, "decision": decided[id_]})
            known["labels"][label["source"]] = {
                "label": int(label["label"]),
                "at": datetime.fromisoformat(label["at"]),
                "by": label["by"],
                "offset": each.offset,
            }
    for known in found.values():
        source = next(each for each in STRENGTH if each in known["labels"])
        known["source"], known["label"] = source, known["labels"][source]["label"]
        known["version"] = max(said["offset"] for said in known["labels"].values())
    return found


def folded(labelled: Sequence[ConsumerRecord]) -> dict[str, dict[str, Any]]:
    """What the records of the labelled topic come to by id; those of one version have to agree."""
    found: dict[str, dict[str, Any]] = {}
    for each in labelled:
        record = json.loads(each.value)
        for said in record["labels"].values():
            said["at"] = datetime.fromisoformat(said["at"].replace("Z", "+00:00"))
        id_ = each.key.decode()
        assert record["decision"]["transaction_id"] == id_
        known = found.get(id_)
        if known and known["version"] == record["version"]:
            assert known == record
        if known is None or known["version"] < record["version"]:
            found[id_] = record
    return found


async def in_labelled(environment: Mapping[str, str]) -> list[ConsumerRecord]:
    """Every record of the labelled topic."""
    topic = f"{environment['FRAUD_APP_ID']}-labelled"
    return await readback.in_topic({**environment, "FRAUD_LABELLED_TOPIC": topic}, "labelled")


async def is_exact(environment: Mapping[str, str], partitions: int = 4) -> bool:
    """Whether the labelled topic comes to what the topics that it is made of come to."""
    decisions = await readback.in_topic(environment, "decisions")
    labels = await readback.in_topic(environment, "labels")
    dead = await readback.in_topic(environment, "dead_letters")
    return folded(await in_labelled(environment)) == recounted(decisions, labels, partitions, dead)


async def send_labels(
    environment: Mapping[str, str],
    messages: Iterable[tuple[bytes | None, bytes | None]],
    partition: int | None = None,
) -> None:
    """Send (key, value) pairs to the topic of labels, in order."""
    async with AIOKafkaProducer(
        bootstrap_servers=environment["FRAUD_BROKER_URL"].removeprefix("kafka://"),
    ) as producer:
        topic = environment["FRAUD_LABELS_TOPIC"]
        sent = [
            await producer.send(topic, value, key=key, partition=partition)
            for key, value in messages
        ]
        for each in sent:
            await each


def read_to(next_offset: int) -> LastRecord:
    """The last record that was read of a partition."""
    return LastRecord(next_offset - 1, b"digest")
