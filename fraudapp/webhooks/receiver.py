"""The receiver of webhooks, and one attempt to tell it an event."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from fraudapp import __version__
from fraudapp.webhooks.events import Event
from fraudapp.webhooks.metrics import deliveries
from fraudapp.webhooks.signing import signed

TIMEOUT: Final = 10.0
"""Seconds that the receiver may take to answer."""
CONCURRENT: Final = 8
"""Requests at once."""
MAX_RETRY_AFTER: Final = 300.0
"""Seconds for which a receiver can ask to be left alone, at most."""


class NotDelivered(Exception):
    """The receiver has not answered 2xx; the message says what it did, and holds no secret."""


class Receiver:
    """Takes events over HTTP; whatever it answers but 2xx is a failure."""

    def __init__(self, url: str, key: bytes, timeout: float = TIMEOUT) -> None:
        """`key` signs; `timeout` is in seconds."""
        self._url = URL(url)
        self._key = key
        self._timeout = timeout
        self._turns = asyncio.Semaphore(CONCURRENT)
        self._left_alone_until = 0.0

    @property
    def name(self) -> str:
        """Its host and port; path and query of its URL may be secrets."""
        return f"{self._url.host}:{self._url.port}"

    async def close(self) -> None:
        """Disconnect, for good."""
        await self._session.close()

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            auto_decompress=False,
            headers={"User-Agent": f"fraudapp/{__version__}"},
        )

    async def tell(self, event: Event) -> None:
        """Tell an event once; raises `NotDelivered`.

        Waits first for as long as the receiver has asked to be left alone.
        """
        await asyncio.sleep(self._left_alone_until - time.monotonic())
        try:
            async with self._turns:
                await self._post(event)
        except NotDelivered:
            deliveries.labels(event.type, "failed").inc()
            raise
        deliveries.labels(event.type, "delivered").inc()

    async def _post(self, event: Event) -> None:
        body = event.body
        headers = signed(self._key, event.id, int(time.time()), body)
        headers["Content-Type"] = "application/json"
        try:
            # The answer counts by its status, and nothing of its body is waited for.
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                status, asked = response.status, response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as exc:
            # Not as its cause: the messages of the client may repeat the URL.
            raise NotDelivered(f"{self.name} {self._why(exc)}") from None
        if not 200 <= status < 300:
            wait = retry_after(asked, datetime.now(timezone.utc))
            self._left_alone_until = max(self._left_alone_until, time.monotonic() + wait)
            raise NotDelivered(f"{self.name} answered {described(status)}")

    def _why(self, exc: Exception) -> str:
        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            distrust = exc.certificate_error
            message = getattr(distrust, "verify_message", type(distrust).__name__)
            return f"has a certificate that is not trusted ({message})"
        if isinstance(exc, asyncio.TimeoutError):
            return f"has not answered within {self._timeout:g} s"
        if isinstance(exc, aiohttp.ClientConnectorError):
            return f"cannot be reached ({exc.strerror or type(exc.os_error).__name__})"
        return f"has not answered ({type(exc).__name__})"


def described(status: int) -> str:
    """Return a status of HTTP in words, and what to do about a redirect."""
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    advice = "; redirects are not followed: set FRAUD_WEBHOOK_URL to where it leads"
    return f"{status}{phrase}{advice if 300 <= status < 400 else ''}"


def retry_after(text: str, now: datetime) -> float:
    """Return the seconds that `Retry-After` asks for: 0 to `MAX_RETRY_AFTER`, 0 if it is none."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
            seconds = (at.replace(tzinfo=at.tzinfo or timezone.utc) - now).total_seconds()
        except (ValueError, TypeError, OverflowError, IndexError):
            return 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER) if math.isfinite(seconds) else 0.0
