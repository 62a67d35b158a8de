"""What the schema costs: parsing, features, profiles, and the worker's rate beside PaySim's.

    python -m tests.benchmarks --only schemas

Each preset has a backlog of its own sample, and a model trained on it. `cards of 12` is the preset
`cards` with as many features as PaySim has, since features cost as much as fields do. The raw loop
works off the same backlogs of two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

import data
from fraudapp.cli.transaction_files import read_file
from fraudapp.model_registry import ModelRegistry
from models.records import Transaction
from models.schema import presets
from models.schema.schema import Schema, named
from models.training.train import train
from tests.benchmarks import profile_costs
from tests.benchmarks.backlog import DISTINCT_ROWS, drop_topic, fill, make_topic
from tests.benchmarks.contenders import OURS, RAW
from tests.benchmarks.plan import Plan
from tests.benchmarks.rounds import Rates, Say, median_ratio, tried
from tests.benchmarks.stack import Stack
from tests.benchmarks.timing import BATCH_ROWS, microseconds

PAYSIM: Final = "paysim"
CARDS_OF_12: Final = "cards of 12"
OF_RAW: Final = (PAYSIM, "cards")
"""What the raw loop does too."""
_MORE_FEATURES: Final = """[features]
amount = { number = "amount" }
amount_zero = { zero = "amount" }
customer_share = { frequency = "customer_id" }
terminal_share = { frequency = "terminal_id" }
currency_share = { frequency = "currency" }
currency_unknown = { missing = "currency" }
"""
_THEIR_REASON: Final = """
[[reasons]]
features = [
    "amount", "amount_zero", "customer_share", "terminal_share", "currency_share",
    "currency_unknown",
]
says = [{ code = "MORE", text = "The amount is {amount:,.2f}, at {terminal_id}." }]
"""
_ID: Final = "@id@"


class Subject(NamedTuple):
    """A schema with all that a worker needs to decide its transactions."""

    name: str
    schema: Schema
    setting: str
    """For FRAUD_SCHEMA."""
    models: Path
    transactions: list[Transaction]

    def messages(self, count: int, prefix: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of so many different transactions."""
        parts = [
            self.schema.encode(replace(each, transaction_id=_ID)).split(_ID.encode())
            for each in self.transactions
        ]
        for number in range(count):
            key = b"%s-%d" % (prefix.encode(), number)
            yield key, key.join(parts[number % len(parts)])


def subjects(folder: Path, say: Say, kind: Any = "gradient_boosting") -> list[Subject]:
    """Make the sample of each preset, and train a model on it."""
    settings = {name: name for name in (PAYSIM, "cards", "pacs008")}
    cards = folder / "cards_of_12.toml"
    text = presets.content("cards").decode()
    more = text.replace("[features]\n", _MORE_FEATURES).replace('"cards"', '"cards12"')
    cards.write_text(more + _THEIR_REASON)
    settings[CARDS_OF_12] = str(cards)
    return [trained_subject(*each, folder, say, kind) for each in settings.items()]


def trained_subject(
    name: str, setting: str, folder: Path, say: Say, kind: Any = "gradient_boosting"
) -> Subject:
    """Make the sample of a preset, whose name `name` begins with, and train a model on it."""
    say(f"schemas: training a model of {name}")
    schema, models = named(setting), folder / name / "models"
    sample = data.sample(name.partition(" ")[0], folder)
    assert sample is not None
    registry = ModelRegistry(models, schema)
    registry.activate(registry.add(train(sample, kind, schema=schema)))
    rows = [row for row in read_file(sample, "t", schema) if isinstance(row, Transaction)]
    return Subject(name, schema, setting, models, rows[:DISTINCT_ROWS])


def measure(stack: Stack, plan: Plan, say: Say) -> dict[str, Any]:
    """Microseconds of each stage, rates in turns, and ratios to the rate with PaySim's schema."""
    folder = stack.folder / "schemas"
    folder.mkdir()
    made = subjects(folder, say)
    return {"stages": {each.name: stages(each) for each in made}} | _rates(stack, plan, made, say)


def stages(subject: Subject) -> dict[str, float]:
    """Microseconds an event of parsing, features, scoring and profiles, in a batch and alone."""
    schema = subject.schema
    scorer = ModelRegistry(subject.models, schema).load_active()
    raws = [value for _, value in subject.messages(BATCH_ROWS, "t")]
    parsed = [schema.parser.parse(raw) for raw in raws]
    batch = schema.with_profiles(parsed, [{}] * len(parsed))
    matrix = scorer.features.matrix

    def each(call: Callable[[], object]) -> float:
        return microseconds(call, 20) / BATCH_ROWS

    return {
        "bytes": sum(map(len, raws)) / len(raws),
        "parse": each(lambda: [schema.parser.parse(raw) for raw in raws]),
        "features": each(lambda: matrix(batch)),
        "features, one row": microseconds(lambda: matrix(batch[:1]), 200),
        "features and score": each(lambda: scorer.score(batch)),
        "features and score, one row": microseconds(lambda: scorer.score(batch[:1]), 200),
        "profiles": profile_costs.microseconds_of(schema, subject.transactions),
    }


def _rates(stack: Stack, plan: Plan, made: list[Subject], say: Say) -> dict[str, Any]:
    rates: Rates = {each.name: [] for each in made}
    raw: Rates = {name: [] for name in OF_RAW}
    topics: dict[str, str] = {}
    try:
        for subject in made:
            topics[subject.name] = make_topic(stack.broker, plan.partitions)
            fill(stack.broker, topics[subject.name], plan.events, messages=subject.messages)
        if plan.thorough:
            # A broker that has just started compiles its code: of our worker, which also writes to
            # it, that took half of the rate of its first two runs, and nothing of the raw loop's.
            say("schemas: warming up")
            for subject in [each for each in made if each.name in OF_RAW] * 2:
                own = (subject.models, {"FRAUD_SCHEMA": subject.setting})
                tried(stack, OURS, topics[subject.name], plan, say, *own)
        for number in range(plan.rounds):
            say(f"schemas: round {number + 1} of {plan.rounds}")
            for subject in made if number % 2 == 0 else made[::-1]:
                for contender, found in ((OURS, rates), (RAW, raw)):
                    if subject.name in found:
                        named_so = contender._replace(name=f"{contender.name}, {subject.name}")
                        own = (subject.models, {"FRAUD_SCHEMA": subject.setting})
                        topic = topics[subject.name]
                        rate = tried(stack, named_so, topic, plan, say, *own)
                        found[subject.name].append(rate)
    finally:
        for topic in topics.values():
            drop_topic(stack.broker, topic)
    against = {name: median_ratio(rates[name], rates[PAYSIM]) for name in rates if name != PAYSIM}
    of_raw = {name: median_ratio(rates[name], raw[name]) for name in raw}
    return {"rates": rates, "ratios": against, "raw": raw, "of_raw": of_raw}
