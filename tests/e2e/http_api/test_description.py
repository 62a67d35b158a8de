"""The API does what its OpenAPI and AsyncAPI documents say, for requests of every kind."""

from __future__ import annotations

import http.client
import json
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.support.routes import routes
from tests.support.worker import Worker

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "LINK", "X" * 40)
HEADERS = (
    "Accept",
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "Range",
    "If-None-Match",
    "Cookie",
)


@pytest.fixture
def openapi(worker: Worker) -> dict[str, Any]:
    status, document = worker.get("/openapi.json")
    assert status == 200
    return dict(document)


def test_the_description_is_valid_and_names_every_route(
    worker: Worker, openapi: dict[str, Any]
) -> None:
    validate(openapi)
    described = {
        (method.upper(), path)
        for path, operations in openapi["paths"].items()
        for method in operations
    }
    described_nowhere = ("HEAD", "OPTIONS")
    registered = {each for each in routes(worker.environment) if each[0] not in described_nowhere}
    assert described == registered - {("GET", "/static/{name}")}


def test_its_examples_are_what_happens(worker: Worker, openapi: dict[str, Any]) -> None:
    operation = openapi["paths"]["/transactions"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    body = json.dumps(examples["one"]["value"]).encode()
    status, accepted = worker.post("/transactions", body)
    answers = openapi["paths"]["/transaction/{transaction_id}/status"]["get"]["responses"]
    assert (status, accepted) == (202, answers["202"]["content"]["application/json"]["example"])
    status, decision = worker.get(accepted["status_url"] + "?wait_seconds=20")
    expected = answers["200"]["content"]["application/json"]["example"]
    same = ("transaction_id", "decision", "transaction", "policy_version")
    assert status == 200
    assert {name: decision[name] for name in same} == {name: expected[name] for name in same}
    assert decision["reasons"][0] == expected["reasons"][0]
    assert decision.keys() == expected.keys()
    many = json.dumps(examples["many"]["value"]).encode()
    assert worker.post("/transactions?wait_seconds=20", many) == (200, [decision])


def test_the_topics_are_described_by_the_same_types(
    worker: Worker, openapi: dict[str, Any]
) -> None:
    status, document = worker.get("/asyncapi.json")
    assert (status, document["asyncapi"]) == (200, "3.0.0")
    addresses = {name: channel["address"] for name, channel in document["channels"].items()}
    assert addresses["transactions"] == worker.environment["FRAUD_TRANSACTIONS_TOPIC"]
    for name in ("Transaction", "Decision"):
        assert document["components"]["schemas"][name] == openapi["components"]["schemas"][name]
        message = document["components"]["messages"][name]
        schema = {**message["payload"], "components": document["components"]}
        for example in message["examples"]:
            Draft202012Validator(schema).validate(example["payload"])
    references = [
        part["$ref"]
        for channel in document["channels"].values()
        for part in channel["messages"].values()
    ]
    references += [each["channel"]["$ref"] for each in document["operations"].values()]
    for reference in references:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_no_request_made_up_from_it_is_answered_otherwise_than_described(
    worker: Worker, openapi: dict[str, Any], tmp_path: Path
) -> None:
    # Longer waits are as described, and would take the whole day; the stream never ends.
    for operations in openapi["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "wait_seconds":
                    parameter["schema"]["maximum"] = 0.1
            # It makes up no TOML; the same policies go as JSON and as text.
            operation.get("requestBody", {"content": {}})["content"].pop("application/toml", None)
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(openapi))
    program = str(Path(sys.executable).with_name("schemathesis"))
    argv = [program, "run", str(described), "--url", worker.url, "--checks", ",".join(CHECKS)]
    argv += ["--exclude-path", "/stats/stream", "--max-examples", "15", "--seed", "1"]
    # A backtest is paced, which takes more than ten seconds on a busy machine.
    argv += ["--request-timeout", "60"]
    argv += ["--phases", "examples,coverage,fuzzing", "--no-color"]
    done = subprocess.run(
        argv, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr


def test_headers_methods_and_paths_of_any_kind_do_no_harm(
    worker: Worker, openapi: dict[str, Any]
) -> None:
    chance = random.Random(1)
    address = urlsplit(worker.url).netloc

    def text(most: int) -> str:
        return "".join(chr(chance.randint(0x21, 0xFF)) for _ in range(chance.randint(0, most)))

    for _ in range(300):
        connection = http.client.HTTPConnection(address, timeout=30)
        path = chance.choice(["/", "/stats", "/static/../web", "/transactions", *openapi["paths"]])
        if path == "/stats/stream":
            continue
        connection.putrequest(
            chance.choice(METHODS),
            path + "".join(chance.choice(["/", "%00", "%ff", "..", "?", "&a="]) for _ in range(3)),
        )
        for _ in range(chance.randint(0, 4)):
            connection.putheader(chance.choice(HEADERS), text(60).encode("latin-1"))
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        assert answer.status < 500, (answer.status, path)
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
        connection.close()
    assert worker.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST /transactions HTTP/1.1\r\nHost: x\r\nContent-Length: a\r\n\r\n",
        b"POST /transactions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_too(worker: Worker, raw: bytes) -> None:
    address = urlsplit(worker.url)
    with socket.create_connection((str(address.hostname), address.port or 80), 30) as connection:
        connection.sendall(raw)
        if not raw.strip():
            connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    if raw.strip():
        assert b"application/problem+json" in answer
        assert b"X-Request-ID: " in answer


def test_metrics_tell_what_has_happened(worker: Worker) -> None:
    status, text, headers = worker.text("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }
    stats = worker.stats()
    for outcome in ("APPROVE", "FLAG", "BLOCK"):
        told = [
            value
            for name, value in samples.items()
            if name.startswith(f'fraud_decisions_total{{outcome="{outcome}"')
        ]
        assert len(told) == 4
        assert sum(told) == stats["decisions"][outcome]
    policy = stats["policy_version"].partition("+")[0]
    for name in (
        "fraud_decision_latency_seconds_count",
        'fraud_stage_seconds_count{stage="score"}',
        "fraud_batch_messages_count",
        'fraud_store_save_seconds_count{store="redis"}',
        f'fraud_model_info{{policy="{policy}",version="{stats["model_version"]}"}}',
        'fraud_http_requests_total{method="POST",route="/transactions",status="202"}',
    ):
        assert samples[name] > 0, name
    assert samples['fraud_store_up{store="postgres"}'] == 1
    assert 'fraud_consumer_lag_messages{partition="0"}' in samples
