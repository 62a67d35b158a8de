"""The aiohttp application below Faust's web server, for what Faust has no interface for."""

from __future__ import annotations

from typing import Final, cast

from aiohttp.web import Application
from faust.web.drivers.aiohttp import Web

from fraudapp.app import app, settings
from fraudapp.process import open_files
from web.caller import proxies
from web.connections import Limits, Runner

_web: Final = cast(Web, app.web)
web_app: Final[Application] = _web.web_app
runner: Final = Runner(
    web_app,
    lambda: Limits(
        open_files.connections(settings.web_connections),
        body_size=2 * settings.max_body_bytes + (64 << 10),
    ),
)
_web._runner = runner
proxies.extend(settings.proxies)
