"""The aiohttp application below Faust's web server, for what Faust has no interface for."""

from __future__ import annotations

from typing import Any, cast

from aiohttp.web import Application
from faust.web.drivers.aiohttp import Web

from fraudapp.faust_app import FraudApp
from fraudapp.process import open_files
from fraudapp.settings import Settings
from web.access import say_who_may
from web.connections import Limits, Runner
from web.middlewares import Door, install


def set_up(app: FraudApp, settings: Settings) -> Door:
    """Give Faust's web server our limits and middlewares, and return who may come in."""
    web = cast(Web, app.web)
    application: Application = web.web_app
    runner = Runner(
        application,
        lambda: Limits(
            open_files.connections(settings.web_connections),
            body_size=2 * settings.max_body_bytes + (64 << 10),
        ),
    )
    web._runner = runner
    door = Door(settings)
    install(application, runner, door)

    async def tell(_: Any) -> None:
        say_who_may(door.access.current(), app.conf.web_bind, app.conf.web_port)

    application.on_startup.append(tell)
    return door
