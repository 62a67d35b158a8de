"""Labels that are not in their key partition are sent there, and bad ones are rejected."""

from __future__ import annotations

from models.inputs import Input, Position
from models.labels.records import Source
from models.labels.routing import route
from tests.support.decisions import id_in_partition
from tests.support.labels import told

PARTITIONS = 4
HERE, THERE = (id_in_partition(each, 0, PARTITIONS) for each in (1, 2))


def source(offset: int, raw: bytes | None, origin: Position | None = None) -> Input:
    position = Position("labels", 1, offset)
    return Input(b"key", raw, position, origin or position)


def test_ids_decide_and_not_keys() -> None:
    forged = Position("labels", 3, 9)
    inputs = [
        source(0, told(HERE)),
        source(1, told(THERE), forged),
        source(2, b"{}", forged),
        source(3, told(HERE, 0, "customer"), forged),
    ]
    routed = route([(each, 1_000 + each.position.offset) for each in inputs], PARTITIONS)
    assert [each.input for each in routed.told] == [inputs[0], inputs[3]]
    assert [each.label.source for each in routed.told] == [Source.ANALYST, Source.CUSTOMER]
    assert [each.written_at for each in routed.told] == [1_000, 1_003]
    assert routed.misrouted == [(source(1, told(THERE)), 2)]
    (rejected,) = routed.rejected
    assert (rejected.input, rejected.reason) == (source(2, b"{}"), "invalid")
    assert rejected.detail.startswith("transaction_id: is missing; label: is missing")
