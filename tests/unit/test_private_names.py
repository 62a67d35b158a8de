"""Every private name of a library that this leans on is known, and there in the pinned version."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("agents", "data", "fraudapp", "models", "tables", "web")
FOREIGN: Final = ("aiohttp", "aiokafka", "click", "faust", "mode")
"""Libraries from whose classes ours are derived."""
NOT_PRIVATE: Final = {"_asdict", "_exit", "_fields", "_make", "_replace"}
"""Of named tuples and of `os`: documented, whatever they look like."""

NOT_PINNED: Final = {"sklearn"}
"""Only training needs it, in the newest version for each Python; these tests tell of a change."""
LEANED_ON: Final[Mapping[str, Sequence[str]]] = {
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": [
        "_baseline_prediction",
        "_predictors",
    ],
    "aiohttp.base_protocol": [
        *("_buffer_paused", "_pause_transport_reading", "_paused", "_reading_paused"),
        "_resume_transport_reading",
    ],
    "aiohttp.web_protocol": ["_request_count"],
    "aiohttp.web_runner": ["_kwargs", "_make_server"],
    "aiohttp.web_server": ["_loop"],
    "aiokafka.client": ["_wait_on_metadata"],
    "aiokafka.consumer.consumer": [
        *("_client", "_coordinator", "_fetch_max_wait_ms", "_fetcher", "_isolation_level"),
        "_subscription",
    ],
    "aiokafka.consumer.fetcher": [
        *("_fetch_waiters", "_proc_fetch_request", "_proc_offset_requests", "_records", "_tp"),
        "_unpack_records",
    ],
    "aiokafka.producer.message_accumulator": ["_set_producer_state"],
    "aiokafka.protocol.fetch": [
        *("_isolation_level", "_max_bytes", "_max_wait_ms", "_min_bytes", "_rack_id"),
    ],
    "faust.app.base": ["_assignment"],
    "faust.assignor.partition_assignor": [
        *("_assignment", "_compress", "_decompress", "_global_table_standby_assignments"),
        *("_perform_assignment", "_standby_tps", "_table_manager"),
    ],
    "faust.stores.base": [
        *("_contains", "_get", "_iteritems", "_iterkeys"),
        *("_itervalues", "_set", "_size"),
    ],
    "faust.stores.rocksdb": ["_db_for_partition", "_dbs"],
    "faust.tables.base": [
        *("_new_changelog_topic", "_new_store_by_url", "_verify_source_topic_partitions"),
    ],
    "faust.transport.consumer": [
        *("_acked", "_acked_index", "_add_gap", "_commit", "_n_acked", "_new_consumer_thread"),
        *("_new_offset", "_thread", "_to_message", "_unacked_messages", "_wait_next_records"),
        "_waiting_for_ack",
    ],
    "faust.transport.drivers.aiokafka": [
        *("_consumer", "_create_worker_consumer", "_ensure_consumer"),
    ],
    "faust.web.drivers.aiohttp": ["_runner"],
    "mode.services": [
        *("_crashed", "_stop_children", "_stop_exit_stacks", "_stop_futures", "_stopped"),
        "_stopped_set",
    ],
    "mode.utils.queues": ["_suspend"],
}
"""By the module that has them; what Faust does with those of its consumer, test_transport knows."""

DISTRIBUTIONS: Final = {
    "aiohttp": "aiohttp",
    "aiokafka": "aiokafka",
    "faust": "faust-streaming",
    "mode": "mode-streaming",
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NOT_PRIVATE


def used_on_others() -> Iterator[tuple[str, str]]:
    """Private attributes of anything but the object itself, and where."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Attribute) or not is_private(node.attr):
                    continue
                if not isinstance(node.value, ast.Name) or node.value.id not in OWN:
                    yield node.attr, f"{path.relative_to(ROOT)}:{node.lineno}"


OWN: Final = ("self", "cls", "other")


def inherited() -> Iterator[tuple[str, str]]:
    """Private names of foreign bases that our classes use, set or override."""
    for kind in our_classes():
        made, used = names_in([each for each in kind.__mro__ if is_of(each, PACKAGES)])
        foreign = [each for each in kind.__mro__ if is_of(each, FOREIGN)]
        theirs = {name for base in foreign for name in vars(base)} & made
        for name in (used - made) | theirs if foreign else ():
            if is_private(name):
                yield name, f"{kind.__module__}.{kind.__name__}"


def names_in(kinds: Sequence[type[Any]]) -> tuple[set[str], set[str]]:
    """Names that classes make, and attributes of their own that they use."""
    made, used = set[str](), set[str]()
    for kind in kinds:
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                made.add(node.name)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in OWN
            ):
                (made if isinstance(node.ctx, ast.Store) else used).add(node.attr)
    return made, used


def our_classes() -> Iterator[type[Any]]:
    for package in PACKAGES:
        for info in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if "__main__" in info.name or ".migrations" in info.name:
                continue
            for kind in vars(importlib.import_module(info.name)).values():
                if inspect.isclass(kind) and kind.__module__ == info.name:
                    yield kind


def is_of(kind: type[Any], packages: Sequence[str]) -> bool:
    return kind.__module__.partition(".")[0] in packages


def test_every_private_name_that_is_leaned_on_is_listed() -> None:
    found: dict[str, list[str]] = {}
    for name, where in (*used_on_others(), *inherited()):
        found.setdefault(name, []).append(where)
    listed = {name for names in LEANED_ON.values() for name in names}
    assert {name: where for name, where in found.items() if name not in listed} == {}
    assert listed - found.keys() == set()


@pytest.mark.parametrize("module", LEANED_ON)
def test_the_pinned_versions_have_them(module: str) -> None:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    for name in LEANED_ON[module]:
        has = re.search(rf"(\bdef |\bself\.|^    ){name}\b *(\(|=|:)", source, re.MULTILINE)
        assert has, f"{module} has {name} no longer"


def test_libraries_with_such_names_are_pinned() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    for package in {module.partition(".")[0] for module in LEANED_ON} - NOT_PINNED:
        name = re.escape(DISTRIBUTIONS[package])
        assert any(
            re.match(rf"{name}(\[[a-z0-9,]+\])?(==|~=)\d+\.\d+\.\d+$", line) for line in lines
        ), package
