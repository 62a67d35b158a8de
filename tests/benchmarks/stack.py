"""The servers under every measurement, and a fresh namespace of each for every run.

Apache Kafka, PostgreSQL, Redis and S3Proxy: the same real processes as in the tests. Each namespace
has a database, an empty Redis, a bucket, a data folder and a consumer group of its own; all of it
is dropped at the end, so that no run pays for the one before it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import joblib
import redis
from confluent_kafka.admin import AdminClient
from sqlalchemy.ext.asyncio import create_async_engine

import data
from data.generator import write_csv
from data.plan import Plan as Rows
from fraudapp.local.processes import free_port
from fraudapp.model_registry import ModelRegistry
from fraudapp.sinks.postgres.migrate import migrate
from models.training.train import TrainedModel, train
from tests.benchmarks.plan import Plan
from tests.servers.kafka import Kafka
from tests.servers.postgres import SystemPostgres
from tests.servers.redis import SystemRedis
from tests.servers.s3proxy import S3Proxy

Environment = Mapping[str, str]


@dataclass
class Stack:
    """Running servers, and a trained model, which every contender scores with."""

    folder: Path
    kafka: Kafka
    postgres: SystemPostgres
    redis: SystemRedis
    s3: S3Proxy
    trained: TrainedModel

    @property
    def broker(self) -> str:
        """`HOST:PORT` of the broker."""
        return f"127.0.0.1:{self.kafka.port}"

    @property
    def pipeline(self) -> Path:
        """File of the scikit-learn original of the model, for the loop that knows nothing else."""
        return self.folder / "pipeline.joblib"


@contextmanager
def running(say: Callable[[str], None], plan: Plan) -> Iterator[Stack]:
    """Train the model and start the servers; stop them and remove their folders at the end.

    The model is trained on the packaged sample, or on as many generated rows as the plan says.
    """
    folder = Path(tempfile.mkdtemp(prefix="fraudapp-bench-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        say("training the model")
        sample = data.sample_path()
        if plan.training_rows:
            sample = folder / "sample.csv"
            write_csv(Rows(rows=plan.training_rows, seed=3), sample)
        trained = train(sample)
        registry = ModelRegistry(folder / "models")
        registry.activate(registry.add(trained))
        stack = Stack(
            folder,
            Kafka(folder / "kafka", options=plan.java_options),
            SystemPostgres(folder / "postgres"),
            SystemRedis(folder / "redis"),
            S3Proxy(folder / "s3", options=plan.java_options),
            trained,
        )
        joblib.dump(trained.pipeline, stack.pipeline)
        for server in (stack.kafka, stack.postgres, stack.redis, stack.s3):
            say(f"starting {server.name}")
            server.start()
            cleanup.callback(server.stop)
        yield stack


@dataclass
class Namespace:
    """What one run has to itself."""

    stack: Stack
    name: str
    environment: dict[str, str]
    models: Path
    """Folder of the model versions of its workers."""

    @property
    def folder(self) -> Path:
        """Folder of its logs and of its workers' data."""
        return self.stack.folder / self.name

    @property
    def bucket(self) -> Path:
        """Folder in which S3Proxy keeps the objects of its bucket."""
        return self.stack.s3.folder / "buckets" / self.name

    @property
    def decisions_topic(self) -> str:
        """Topic in which only this run decides."""
        return self.environment["FRAUD_DECISIONS_TOPIC"]

    def with_data_folder(self, number: int = 0) -> dict[str, str]:
        """Environment of one of its workers: a data folder with the model, and a free port."""
        folder = self.folder / f"data-{number}"
        if not folder.exists():
            shutil.copytree(self.models, folder / "models")
        port = str(free_port())
        return self.environment | {"FRAUD_DATA_DIR": str(folder), "FRAUD_WEB_PORT": port}


@contextmanager
def namespace(stack: Stack, transactions: str, partitions: int) -> Iterator[Namespace]:
    """Make an empty namespace whose input topic may be full already; drop it at the end."""
    name = f"b-{uuid.uuid4().hex[:10]}"
    asyncio.run(_create_database(stack, name))
    with redis.Redis(port=stack.redis.port) as client:
        client.flushall()
    stack.s3.make_bucket(name)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("FRAUD_")}
    settings = {
        **stack.s3.settings,
        "FRAUD_APP_ID": name,
        "FRAUD_BROKER_URL": stack.kafka.url,
        "FRAUD_TRANSACTIONS_TOPIC": transactions,
        "FRAUD_DECISIONS_TOPIC": f"{name}-decisions",
        "FRAUD_DEAD_LETTERS_TOPIC": f"{name}-dead-letters",
        "FRAUD_CONTROL_TOPIC": f"{name}-control",
        "FRAUD_LABELS_TOPIC": f"{name}-labels",
        "FRAUD_TOPIC_PARTITIONS": str(partitions),
        "FRAUD_POSTGRES_URL": stack.postgres.url_of(name),
        "FRAUD_REDIS_URL": stack.redis.url,
        "FRAUD_ARCHIVE_URL": f"s3://{name}",
        "BENCH_PIPELINE": str(stack.pipeline),
    }
    made = Namespace(stack, name, inherited | settings, stack.folder / "models")
    made.folder.mkdir()
    try:
        yield made
    finally:
        asyncio.run(_execute(stack, f'DROP DATABASE "{name}" WITH (FORCE)'))
        with redis.Redis(port=stack.redis.port) as client:
            client.flushall()
        admin = AdminClient({"bootstrap.servers": stack.broker})
        topics = [each for each in admin.list_topics(timeout=30).topics if each.startswith(name)]
        if topics:
            for done in admin.delete_topics(topics).values():
                done.result()
        shutil.rmtree(made.bucket, ignore_errors=True)
        shutil.rmtree(made.folder, ignore_errors=True)


async def _create_database(stack: Stack, name: str) -> None:
    await _execute(stack, f'CREATE DATABASE "{name}"')
    engine = create_async_engine(stack.postgres.url_of(name))
    try:
        await migrate(engine)
    finally:
        await engine.dispose()


async def _execute(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.postgres.url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
