"""A dead letter is escaped on a terminal, and whole in a pipe."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from fraudapp.commands.dead_letters import command
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import client_options
from fraudapp.local.server import Server
from fraudapp.settings import load

NASTY = "\x1b[2J\r\x9b31m\u202e\x7f王小明\x00"
RAW = NASTY.encode() + b"\xff\x9b\nsecond line" + b"x" * 2_000


@pytest.fixture
async def name(kafka: Server, topics: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a dead letter with hostile content."""
    for variable, value in {**topics, "FRAUD_BROKER_URL": kafka.url}.items():
        monkeypatch.setenv(variable, value)
    settings = load()
    await kafka_topics.ensure(settings)
    fields = ("reason", "topic", "detail", "partition", "raw-bytes")
    headers = [(field, NASTY.encode() * 100) for field in fields]
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        sent = await producer.send_and_wait(settings.dead_letters_topic, RAW, RAW, headers=headers)
    return f"{sent.partition}:{sent.offset}"


def on_a_terminal(*arguments: str) -> bytes:
    """What the command writes to a terminal that knows Latin-1 only."""
    ours, theirs = pty.openpty()
    written = b""
    with subprocess.Popen(
        [sys.executable, "-m", "fraudapp", "dead-letters", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        with suppress(OSError):  # EIO: the other end is closed
            while part := os.read(ours, 1 << 16):
                written += part
        os.close(ours)
    assert process.returncode == 0, written
    return written


async def test_a_dead_letter_is_one_line_of_the_list(name: str) -> None:
    listed = await asyncio.to_thread(CliRunner().invoke, command, ["list"])
    line, total = listed.stdout.splitlines()
    assert line.split()[0] == name
    assert line.isprintable()
    assert "王小明" in line
    assert total == "1 dead letters"


async def test_programs_get_every_byte_in_ascii(name: str) -> None:
    listed = await asyncio.to_thread(CliRunner().invoke, command, ["list", "--json"])
    line = listed.stdout.rstrip("\n")
    assert line.isascii()
    assert line.isprintable()
    dead_letter = json.loads(line)
    assert (dead_letter["name"], dead_letter["detail"]) == (name, NASTY * 100)
    assert base64.b64decode(dead_letter["raw"]) == base64.b64decode(dead_letter["key"]) == RAW


async def test_a_pipe_gets_every_byte_and_a_terminal_what_is_safe(name: str) -> None:
    piped = await asyncio.to_thread(CliRunner().invoke, command, ["show", name])
    assert piped.stdout_bytes == RAW
    assert piped.stderr.rstrip("\n").isprintable()
    first, second, told = (await asyncio.to_thread(on_a_terminal, "show", name)).split(b"\r\n", 2)
    for each in (first, second, told.rstrip()):
        assert each.isascii()
        assert each.decode().isprintable()
    assert first.startswith(b"\\x1b[2J\\r\\x9b31m\\u202e\\x7f\\u738b")
    assert second == b"second line" + b"x" * 2_000
    assert told.startswith(b"of what was sent, raw-bytes: ")
