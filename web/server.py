"""The aiohttp application below Faust's web server, for what Faust has no interface for."""

from __future__ import annotations

from typing import Final, cast

from aiohttp.web import Application
from faust.web.drivers.aiohttp import Web

from fraudapp.app import app

web_app: Final[Application] = cast(Web, app.web).web_app
