"""The embedded stack as a user runs it: one command, one Ctrl-C, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from data.pacs008.generator import write_json_lines
from data.pacs008.plan import Plan
from fraudapp.config.local_session import FILE_NAME, running_settings
from fraudapp.local.processes import HOST, Child, free_port
from fraudapp.local.wheel_postgres import root_home
from models.schema import presets
from models.schema.schema import load as load_schema
from tests.support import readback
from tests.support.messages import send, send_transactions, transaction
from tests.support.worker import Worker

pytestmark = pytest.mark.timeout(600)  # a start takes its time on a busy machine

DEMO = {
    "transaction_id": "demo1",
    "step": 1,
    "type": "TRANSFER",
    "amount": 250000,
    "nameOrig": "C1",
    "oldbalanceOrg": 0,
    "newbalanceOrig": 0,
    "nameDest": "C2",
    "oldbalanceDest": 0,
    "newbalanceDest": 0,
    "isFlaggedFraud": 1,
}


class Stack:
    """`fraudapp local` in a folder of its own."""

    def __init__(self, folder: Path, rate: int = 0, *options: str, **settings: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.data_dir = folder / ".fraudapp"
        self.port = free_port()
        self.broker_port = free_port()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("FRAUD_")}
        self.environment |= settings
        argv = [sys.executable, "-m", "fraudapp", "local", "--rate", str(rate), *options]
        argv += ["--web-port", str(self.port), "--broker-port", str(self.broker_port)]
        self.child = Child("stack", argv, log=folder / "output", env=self.environment, cwd=folder)
        self.family: list[psutil.Process] = []

    def start(self) -> None:
        """Return when it says it is ready."""
        (self.folder / "output").unlink(missing_ok=True)
        self.child.start()
        self.child.wait_until(lambda: "Ready after" in self.child.tail(99), 90)
        self.family = psutil.Process(self.child.pid).children(recursive=True)

    def member(self, word: str) -> psutil.Process:
        """The process directly below it whose command line has this word."""
        below = psutil.Process(self.child.pid).children()
        (found,) = [process for process in below if word in " ".join(process.cmdline())]
        return found

    def nothing_is_left(self) -> bool:
        """Wait for all its processes to be gone; the ports must be free again."""
        _, alive = psutil.wait_procs(self.family, timeout=20)
        zombies = [p for p in alive if p.status() == psutil.STATUS_ZOMBIE]
        return len(alive) == len(zombies)

    def get(self, path: str) -> Any:
        """JSON answered by the worker."""
        with urllib.request.urlopen(f"http://localhost:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def new_stack(tmp_path: Path, trained_models: Path) -> Iterator[Callable[..., Stack]]:
    stacks: list[Stack] = []

    def make(name: str = "here", rate: int = 0, *options: str, **settings: str) -> Stack:
        stack = Stack(tmp_path / name, rate, *options, **settings)
        if not stack.data_dir.exists():
            shutil.copytree(trained_models, stack.data_dir / "models")
        stacks.append(stack)
        return stack

    yield make
    for stack in stacks:
        stack.child.kill()
        shutil.rmtree(root_home(stack.data_dir / "local" / "postgres"), ignore_errors=True)


def test_a_second_terminal_finds_the_stack_and_ctrl_c_ends_it_twice_in_a_row(
    new_stack: Callable[..., Stack],
) -> None:
    for _ in range(2):
        stack = new_stack(rate=100)
        stack.start()
        # As in a second terminal: nothing but the folder tells where the broker is.
        send = [sys.executable, "-m", "faust", "-A", "fraudapp.app", "send", "transactions"]
        subprocess.run(
            [*send, json.dumps(DEMO)],
            check=True,
            capture_output=True,
            env=stack.environment,
            cwd=stack.folder,
            timeout=60,
        )
        decided = stack.get("/transaction/demo1/status?wait_seconds=20")
        assert decided["decision"] == "BLOCK"
        assert stack.get("/stats")["decisions"]["total"] > 1, "and the sample, too"
        os.kill(stack.child.pid, signal.SIGINT)
        assert stack.child.wait(30)
        assert stack.child.returncode == 0, stack.child.tail()
        assert stack.nothing_is_left()
        assert running_settings(stack.data_dir) == {}


def test_a_stack_of_ones_own_schema_is_sent_ones_own_file_and_what_it_says_to_send(
    new_stack: Callable[..., Stack],
) -> None:
    given = {"FRAUD_MODEL_KIND": "logistic", "FRAUD_TRAINING_FILE": "own.jsonl"}
    stack = new_stack("here", 200, "--schema", "own.toml", **given)
    schema = stack.folder / "own.toml"
    schema.write_bytes(presets.content("pacs008").replace(b'"pacs008"', b'"transfers"'))
    write_json_lines(Plan(rows=3_000, days=20), stack.folder / "own.jsonl")
    stack.start()
    said = stack.child.tail(99)
    assert "own.jsonl goes in at 200/s" in said
    (told,) = re.findall(r"faust -A fraudapp.app (send .*)", said)
    # As in a second terminal: nothing but the folder tells what a transaction is.
    subprocess.run(
        [sys.executable, "-m", "faust", "-A", "fraudapp.app", *shlex.split(told)],
        check=True,
        capture_output=True,
        env={name: value for name, value in stack.environment.items() if name not in given},
        cwd=stack.folder,
        timeout=60,
    )
    decided = stack.get("/transaction/demo1/status?wait_seconds=20")
    assert decided["transaction"].keys() == load_schema(schema).definition.fields.keys()
    asyncio.run(readback.eventually(lambda: stack.get("/stats")["decisions"]["total"] > 1))
    assert stack.get("/stats")["dead_letters"]["total"] == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_stack_that_is_terminated_or_killed_and_it_starts_again(
    new_stack: Callable[..., Stack], end: signal.Signals
) -> None:
    stack = new_stack()
    stack.start()
    os.kill(stack.child.pid, end)
    assert stack.child.wait(30)
    assert stack.nothing_is_left()
    assert running_settings(stack.data_dir) == {}
    stack.start()
    assert stack.get("/stats")["decisions"]["total"] == 0


ASK = """
import json, os, sys
import asyncio, asyncpg, redis
port, redis_port, folder = sys.argv[1:]

async def postgres(password):
    connection = await asyncpg.connect(
        f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", timeout=10
    )
    await connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")

def told(action):
    try:
        return repr(action())
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"

for password in ("", "postgres", "fraud"):
    print(told(lambda: asyncio.run(postgres(password))))
    for name in ("", "default", "fraud"):
        for options in ("", "?protocol=2"):
            url = f"redis://{name}:{password}@127.0.0.1:{redis_port}/0{options}"
            print(told(lambda: redis.Redis.from_url(url).config_set("dir", "/tmp")))
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(told(lambda: os.listdir(folder)))
print(told(lambda: os.listdir(f"{folder}/local/archive")))
print(told(lambda: open(f"{folder}/local.json").read()))
print(told(lambda: open(f"{folder}/passwords.json").read()))
"""
"""What somebody else on this machine may try: without a password, and with those one guesses."""


def test_nobody_else_on_this_machine_gets_at_what_the_stack_holds(
    new_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack = new_stack(rate=100)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o011)
    # As an earlier version has left it.
    for folder in (stack.data_dir, stack.data_dir / "local", stack.data_dir / "local" / "archive"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    note = stack.data_dir / FILE_NAME
    note.touch(0o644)
    passwords = []
    for _ in range(2):
        stack.start()
        settings = running_settings(stack.data_dir)
        urls = [urlsplit(settings[f"FRAUD_{each}_URL"]) for each in ("POSTGRES", "REDIS")]
        argv = [sys.executable, "-c", ASK, *(str(url.port) for url in urls), str(stack.data_dir)]
        answers = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        lines = answers.splitlines()[: None if os.geteuid() == 0 else -4]
        for line in lines:
            assert re.match(r"InvalidPassword|Authentication|NoPermission|PermissionError", line)

        passwords.append([url.password for url in urls])
        shown = [" ".join(process.cmdline()) for process in stack.family]
        shown += [file.read_text(errors="replace") for file in logs(stack)]
        for password in passwords[-1]:
            assert password
            assert len(password) >= 32
            assert not any(password in each for each in shown)
        asyncio.run(readback.eventually(lambda: any(stack.data_dir.rglob("*.jsonl.gz"))))
        for path in (stack.data_dir, *stack.data_dir.rglob("*")):
            if path.is_relative_to(stack.data_dir / "models") or path.is_symlink():
                continue  # was there before, and nobody gets to it
            with suppress(FileNotFoundError):  # files of the archive come and go
                assert not path.stat().st_mode & 0o077, path
        os.kill(stack.child.pid, signal.SIGINT)
        assert stack.child.wait(30)
    assert passwords[0] == passwords[1]
    assert passwords[0][0] != passwords[0][1]


def logs(stack: Stack) -> Iterator[Path]:
    yield stack.folder / "output"
    yield from stack.data_dir.rglob("*.log")
    yield from root_home(stack.data_dir / "local" / "postgres").rglob("*.log")


def test_a_worker_that_dies_takes_the_stack_with_it(new_stack: Callable[..., Stack]) -> None:
    stack = new_stack()
    stack.start()
    stack.member(" worker ").kill()
    assert stack.child.wait(30)
    assert stack.child.returncode == 128 + signal.SIGKILL
    assert "The worker has ended with -9" in stack.child.tail()
    assert stack.nothing_is_left()


def test_a_server_that_dies_takes_the_stack_with_it(new_stack: Callable[..., Stack]) -> None:
    stack = new_stack()
    stack.start()
    stack.member("redis").kill()
    assert stack.child.wait(30)
    assert stack.child.returncode == 1
    assert "Error: the redis has ended" in stack.child.tail(99)
    assert stack.nothing_is_left()


@pytest.mark.parametrize(("attribute", "option"), [("port", "web"), ("broker_port", "broker")])
def test_a_port_in_use_is_named_with_the_option_that_changes_it(
    new_stack: Callable[..., Stack], attribute: str, option: str
) -> None:
    stack = new_stack()
    with socket.create_server((HOST, getattr(stack, attribute))):
        stack.child.start()
        assert stack.child.wait(30)
    assert stack.child.returncode == 1
    assert f"Error: port {getattr(stack, attribute)}, for the {option}" in stack.child.tail()
    assert f"--{option}-port" in stack.child.tail()
    assert not (stack.data_dir / FILE_NAME).exists()


def test_a_folder_has_one_stack(new_stack: Callable[..., Stack]) -> None:
    first, second = new_stack(), new_stack()
    first.start()
    second.child.start()
    assert second.child.wait(30)
    assert second.child.returncode == 1
    assert "a stack runs in" in second.child.tail()
    assert first.get("/stats")["decisions"]["total"] == 0


def test_the_embedded_broker_ends_where_the_last_record_ends(
    new_stack: Callable[..., Stack], trained_models: Path, tmp_path: Path
) -> None:
    stack = new_stack()
    stack.start()
    environment = stack.environment | running_settings(stack.data_dir)
    bad = [(b"k", f"bad {number}".encode()) for number in range(8)]
    topics = {"FRAUD_TRANSACTIONS_TOPIC": "transactions"}
    asyncio.run(send(environment | topics, bad))  # in one batch
    other = Worker(
        environment
        | {"FRAUD_DATA_DIR": str(tmp_path / "other"), "FRAUD_WEB_PORT": str(free_port())},
        tmp_path,
    )
    shutil.copytree(trained_models, other.data_dir / "models")
    asyncio.run(
        readback.eventually(lambda: stack.get("/stats")["dead_letters"]["total"] == len(bad))
    )
    assert "8 dead letters" in other.run("dead-letters", "list")
    rows = [transaction(f"t{number}") for number in range(200)]
    try:
        asyncio.run(send_transactions(environment | topics, rows))
        asyncio.run(
            readback.eventually(lambda: stack.get("/stats")["decisions"]["total"] == len(rows))
        )
        other.start()  # joins, and takes over some of the partitions
        again = [transaction(f"again{number}") for number in range(200)]
        asyncio.run(send_transactions(environment | topics, again))
        asyncio.run(readback.eventually(lambda: other.stats()["decisions"]["total"] == 400))
        assert other.terminate() == 0
        more = [transaction(f"more{number}") for number in range(200)]
        asyncio.run(send_transactions(environment | topics, more))
        asyncio.run(readback.eventually(lambda: stack.get("/stats")["decisions"]["total"] == 600))
    finally:
        other.kill()
    for log in (stack.folder / "output", other.log):
        assert "made anew" not in log.read_text()
