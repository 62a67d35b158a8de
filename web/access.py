"""Who may do what: API keys with scopes, and how often."""

from __future__ import annotations

import logging
import time
from typing import Final

from aiohttp import web as aiohttp_web

from fraudapp.app import app, settings
from fraudapp.config.api_keys import Key, Keys
from fraudapp.config.exposure import is_loopback
from fraudapp.config.key_file import KeyFile
from web.caller import caller, subscriber
from web.limiter import Limiter, whole_seconds
from web.negotiation import wants_page
from web.problems import Handler, Problem, problems
from web.server import web_app

log = logging.getLogger(__name__)

ALWAYS_OPEN: Final = ("/healthz", "/readyz")
STATIC: Final = "/static/{name}"
PAGES: Final = ("/", "/stats", "/docs")
"""As pages for a browser they are open: they hold no data, and ask for the key to fetch it."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_KEY: Final = aiohttp_web.RequestKey[Key | None]("key", Key)

_keys: Final = settings.keys
_file: Final = KeyFile(settings.api_keys_file, _keys) if settings.api_keys_file else None
_requests: Final = Limiter(settings.rates)
_guesses: Final = Limiter(settings.rates)


@aiohttp_web.middleware
async def access(request: aiohttp_web.Request, handler: Handler) -> aiohttp_web.StreamResponse:
    """Let a request through if its key, where one is needed, opens what it asks for."""
    if request.path in ALWAYS_OPEN or _is_open(request):
        return await handler(request)
    keys = current()
    secret = _secret(request)
    request[_KEY] = key = keys.find(secret)
    address = f"address {subscriber(caller(request))}"
    _throttle(key, address, guess=bool(keys and secret and not key))
    if not keys:
        return await handler(request)
    _check(key, _scope(request))
    response = await problems(request, handler)  # what it raises is an answer as well
    if not response.prepared and (now := current()) is not keys:
        _check(now.find(secret), _scope(request))
    return response


def current() -> Keys:
    """Return the keys that there are now."""
    return _file.keys if _file else _keys


def key_of(request: aiohttp_web.Request) -> Key | None:
    """Return the key that a request had when it was let in or refused, whatever it opens.

    None if it had none that there was.
    """
    return request[_KEY] if _KEY in request else current().find(_secret(request))


def may_still(request: aiohttp_web.Request) -> bool:
    """Whether a request that was let through would be now, for one whose answer does not end."""
    keys = current()
    key = keys.find(_secret(request))
    return not keys or (key is not None and _scope(request) in key.scopes)


def _scope(request: aiohttp_web.Request) -> str:
    return "read" if request.method in READING else "write"


def _secret(request: aiohttp_web.Request) -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    return request.headers.get("X-API-Key", "")


def _is_open(request: aiohttp_web.Request) -> bool:
    resource = request.match_info.route.resource
    if resource is None or request.method not in READING:
        return False  # what does not exist is told only to those who have a key
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
            f"the key {key.name!r} has not the scope {scope!r}",
            headers={"WWW-Authenticate": challenge},
        )


def _throttle(key: Key | None, address: str, *, guess: bool) -> None:
    now = time.monotonic()
    if guess:
        _guesses.hit(address, now)
    # Who has guessed too often is not told by the answer that a guess was right.
    wait = _guesses.wait(address, now) if key else 0.0
    wait = wait or _requests.hit(f"key {key.name}" if key else address, now)
    if wait:
        seconds = whole_seconds(wait)
        raise Problem(
            429,
            f"more than {settings.rate_limit} requests; try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )


async def _watch(_: aiohttp_web.Application) -> None:
    if _file:
        _file.watch()


async def say_who_may(_: aiohttp_web.Application) -> None:
    """Say in the log who may use the API."""
    where = f"{app.conf.web_bind}:{app.conf.web_port}"
    if current():
        log.info("the API on %s asks for a key", where)
    elif is_loopback(app.conf.web_bind):
        log.info("no FRAUD_API_KEYS are set: the API is open, on this machine only (%s)", where)
    else:
        log.warning("FRAUD_API_OPEN is set: the API on %s is open to everybody", where)


web_app.on_startup.extend([_watch, say_who_may])
