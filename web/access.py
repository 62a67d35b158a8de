"""Authorisation: which API key opens a request, and how often each caller may ask."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

from aiohttp import web as aiohttp_web

from fraudapp.config.api_keys import Key, Keys
from fraudapp.config.exposure import is_loopback
from fraudapp.config.key_file import KeyFile
from fraudapp.settings import Settings
from web.caller import Callers, subscriber
from web.limiter import Limiter, whole_seconds
from web.negotiation import wants_page
from web.problems import Handler, Problem, problems

log = logging.getLogger(__name__)

ALWAYS_OPEN: Final = ("/healthz", "/readyz")
STATIC: Final = "/static/{name}"
PAGES: Final = ("/", "/stats", "/policy", "/quality", "/docs")
"""Pages for a browser, open to everybody: they hold no data and ask for a key to fetch it."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SCOPES: Final[Mapping[str, str]] = {
    # Whoever sends transactions must not also say that they were no fraud.
    "/transaction/{transaction_id}/label": "label",
    "/transaction/label": "label",
    "/policy": "author",
    "/policy/check": "author",
    "/policy/backtest": "author",
    "/policy/caps": "author",
    "/policy/approvals": "approve",
    "/lists/{name}": "author",
}
"""By route: what requests need that do more than read, where that is not `write`."""
_KEY: Final = aiohttp_web.RequestKey[Key | None]("key", Key)


class Access:
    """The middleware that checks keys and rate limits, and what others ask about keys."""

    def __init__(self, settings: Settings, callers: Callers) -> None:
        self._callers = callers
        self._rate_limit = settings.rate_limit
        self._keys = settings.keys
        path = settings.api_keys_file
        self._file = KeyFile(path, settings.keys) if path else None
        self._requests = Limiter(settings.rates)
        self._guesses = Limiter(settings.rates)

    @aiohttp_web.middleware
    async def checked(
        self, request: aiohttp_web.Request, handler: Handler
    ) -> aiohttp_web.StreamResponse:
        """Let a request through if it needs no key, or if its key has the scope; raises `Problem`.

        The keys are checked again before the answer is sent, because they may change while a
        request waits for its decision.
        """
        if request.path in ALWAYS_OPEN or _is_open(request):
            return await handler(request)
        keys = self.current()
        secret = _secret(request)
        request[_KEY] = key = keys.find(secret)
        address = f"address {subscriber(self._callers.of(request))}"
        self._throttle(key, address, guess=bool(keys and secret and not key))
        if not keys:
            return await handler(request)
        _check(key, _scope_of(request))
        response = await problems(request, handler)  # an exception becomes an answer here
        if not response.prepared and (now := self.current()) is not keys:
            _check(now.find(secret), _scope_of(request))
        return response

    def current(self) -> Keys:
        """Return the keys in force; they change with the file of keys, if there is one."""
        return self._file.keys if self._file else self._keys

    def key_of(self, request: aiohttp_web.Request) -> Key | None:
        """Return the key of a request as it was when the request was checked, whatever its scopes.

        None if the request had no key, or an unknown one.
        """
        return request[_KEY] if _KEY in request else self.current().find(_secret(request))

    def may_still(self, request: aiohttp_web.Request) -> bool:
        """Whether a request that was let through still would be; streams ask after each event."""
        keys = self.current()
        key = keys.find(_secret(request))
        return not keys or (key is not None and _scope_of(request) in key.scopes)

    async def watch(self, _: aiohttp_web.Application) -> None:
        """Start to follow changes of the file of keys, if there is one."""
        if self._file:
            self._file.watch()

    def _throttle(self, key: Key | None, address: str, *, guess: bool) -> None:
        now = time.monotonic()
        if guess:
            self._guesses.hit(address, now)
        # After too many guesses a right key waits too, or the answer would tell that it is right.
        wait = self._guesses.wait(address, now) if key else 0.0
        wait = wait or self._requests.hit(f"key {key.name}" if key else address, now)
        if wait:
            seconds = whole_seconds(wait)
            raise Problem(
                429,
                f"more than {self._rate_limit} requests; try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )


def log_who_has_access(keys: Keys, bind: str, port: int) -> None:
    """Log who may use the API; called once, at the start."""
    where = f"{bind}:{port}"
    if keys:
        log.info("the API on %s asks for a key", where)
    elif is_loopback(bind):
        log.info("no FRAUD_API_KEYS are set: the API is open, on this machine only (%s)", where)
    else:
        log.warning("FRAUD_API_OPEN is set: the API on %s is open to everybody", where)


def needed_scope(method: str, route: str) -> str:
    """Return the scope that a request to a route needs, which is given without its patterns."""
    return "read" if method in READING else SCOPES.get(route, "write")


def _scope_of(request: aiohttp_web.Request) -> str:
    resource = request.match_info.route.resource
    return needed_scope(request.method, resource.canonical if resource else "")


def _secret(request: aiohttp_web.Request) -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    return request.headers.get("X-API-Key", "")


def _is_open(request: aiohttp_web.Request) -> bool:
    resource = request.match_info.route.resource
    if resource is None or request.method not in READING:
        return False  # only callers with a key learn that a path does not exist
    if resource.canonical == STATIC:
        return True
    return resource.canonical in PAGES and wants_page(request)


def _check(key: Key | None, scope: str) -> None:
    if key is None:
        raise Problem(
            401,
            "this needs an API key, as `Authorization: Bearer KEY` or as `X-API-Key: KEY`",
            headers={"WWW-Authenticate": 'Bearer realm="fraudapp"'},
        )
    if scope not in key.scopes:
        challenge = f'Bearer realm="fraudapp", error="insufficient_scope", scope="{scope}"'
        raise Problem(
            403,
            f"the key {key.name!r} lacks the scope {scope!r}",
            headers={"WWW-Authenticate": challenge},
        )
