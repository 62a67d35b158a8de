"""Only an answer 2xx counts, and nothing that a receiver does harms the sender."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial

import pytest
import trustme
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from fraudapp import __version__
from fraudapp.metrics import registry
from fraudapp.webhooks.events import blocked
from fraudapp.webhooks.receiver import (
    MAX_RETRY_AFTER,
    NotDelivered,
    Receiver,
    described,
    retry_after,
)
from fraudapp.webhooks.signing import signed
from tests.support.decisions import decision
from tests.unit.fraudapp.webhooks.receiving import KEY, Receiving

NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)
EVENT = blocked(0, decision("t1"))


@pytest.fixture
async def receiving() -> AsyncIterator[Receiving]:
    receiving = Receiving()
    await receiving.start()
    yield receiving
    await receiving.stop()


@pytest.fixture
async def receiver(receiving: Receiving) -> AsyncIterator[Receiver]:
    receiver = Receiver(receiving.url, KEY)
    yield receiver
    await receiver.close()


def attempts(outcome: str) -> float:
    labels = {"type": "decision.blocked", "outcome": outcome}
    return registry.get_sample_value("fraud_webhook_deliveries_total", labels) or 0.0


async def failure(receiver: Receiver) -> str:
    with pytest.raises(NotDelivered) as caught:
        await receiver.tell(EVENT)
    assert "token" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


async def test_an_event_is_sent_with_the_headers_of_its_attempt(
    receiver: Receiver, receiving: Receiving
) -> None:
    delivered = attempts("delivered")
    begun = int(time.time())
    await receiver.tell(EVENT)
    (request, body), sent = receiving.requests[0], receiving.requests[0][0].headers
    at = int(sent["webhook-timestamp"])
    assert begun <= at <= int(time.time())
    assert signed(KEY, EVENT.id, at, body).items() <= sent.items()
    assert request.method == "POST"
    assert request.path_qs == "/hooks/token?of=mine"
    assert sent["Content-Type"] == "application/json"
    assert sent["User-Agent"] == f"fraudapp/{__version__}"
    assert json.loads(body)["data"]["transaction_id"] == "t1"
    assert attempts("delivered") == delivered + 1


@pytest.mark.parametrize("status", [300, 302, 400, 404, 410, 429, 500, 503, 799])
async def test_another_answer_than_2xx_is_a_failure(
    receiver: Receiver, receiving: Receiving, status: int
) -> None:
    failed = attempts("failed")
    headers = {"Location": "/elsewhere", "Set-Cookie": "a=b"}
    receiving.answer = partial(web.Response, status=status, headers=headers)
    assert f"answered {status}" in await failure(receiver)
    receiving.answer = partial(web.Response, status=204)
    await receiver.tell(EVENT)
    (first, _), (second, _) = receiving.requests
    assert first.path == second.path == "/hooks/token"
    assert "Cookie" not in second.headers
    assert attempts("failed") == failed + 1


async def test_a_receiver_that_hangs_or_is_away_is_told_apart(
    receiver: Receiver, receiving: Receiving
) -> None:
    receiving.hangs.set()
    impatient = Receiver(receiving.url, KEY, timeout=0.5)
    assert "has not answered within 0.5 s" in await failure(impatient)
    await impatient.close()
    await receiving.stop()
    assert "cannot be reached" in await failure(receiver)


async def test_an_answer_counts_before_its_body_has_come(
    receiver: Receiver, receiving: Receiving
) -> None:
    receiving.answer = lambda: web.Response(body=b"x" * 5_000_000)
    await receiver.tell(EVENT)
    assert receiving.ids == [EVENT.id]


async def test_a_certificate_that_is_not_trusted_ends_the_attempt() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    receiving = Receiving(context=context)
    await receiving.start()
    receiver = Receiver(receiving.url, KEY)
    assert "has a certificate that is not trusted" in await failure(receiver)
    assert not receiving.requests
    await receiver.close()
    await receiving.stop()


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    receiver: Receiver, receiving: Receiving
) -> None:
    receiving.answer = partial(web.Response, status=429, headers={"Retry-After": "1"})
    begun = time.monotonic()
    await failure(receiver)
    receiving.answer = web.Response
    await receiver.tell(EVENT)
    assert time.monotonic() - begun >= 1


@given(st.text())
def test_what_a_receiver_asks_for_is_bounded(text: str) -> None:
    assert 0 <= retry_after(text, NOW) <= MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("-5", 0),
        ("1e9", MAX_RETRY_AFTER),
        ("inf", 0),
        ("nan", 0),
        ("", 0),
        ("soon", 0),
        (format_datetime(NOW + timedelta(seconds=40), usegmt=True), 40),
        (format_datetime(NOW - timedelta(seconds=40), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=40), usegmt=True), MAX_RETRY_AFTER),
        ("Wed, 04 Mar 2026 00:00:07 -0000", 7),
    ],
)
def test_retry_after_is_in_seconds_or_a_date(text: str, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


def test_a_redirect_says_what_to_do() -> None:
    assert described(302).startswith("302 Found; redirects are not followed: set FRAUD_WEBHOOK_URL")
    assert described(410) == "410 Gone"
    assert described(799) == "799"
