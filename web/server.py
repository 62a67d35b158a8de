"""Configures the aiohttp application inside Faust's web server where Faust has no option."""

from __future__ import annotations

import logging
from typing import Any, cast

from aiohttp.web import Application
from faust.web.drivers.aiohttp import Web

from fraudapp.faust_app import FraudApp
from fraudapp.process import open_files
from fraudapp.settings import Settings
from web.access import log_who_has_access
from web.limits import Limits
from web.middlewares import AccessControl, install
from web.runner import Runner

log = logging.getLogger(__name__)


def set_up(app: FraudApp, settings: Settings) -> AccessControl:
    """Install connection limits and middlewares in Faust's web server; returns the latter."""
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
    control = AccessControl(settings)
    install(application, runner, control)

    async def tell(_: Any) -> None:
        keys = control.access.current()
        log_who_has_access(keys, app.conf.web_bind, app.conf.web_port)
        if settings.policy_approval and not keys:
            log.warning(
                "FRAUD_POLICY_APPROVAL is set and no FRAUD_API_KEYS are: over HTTP everybody is "
                "the same author, so nobody can approve a policy; set keys with the scopes author "
                "and approve"
            )

    application.on_startup.append(tell)
    return control
