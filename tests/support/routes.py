"""The routes there are, from the router itself."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.worker import run

_PROGRAM = """
from fraudapp.app import app
app.web.init_server()
for route in app.web.web_app.router.routes():
    print(route.method, route.resource.canonical)
"""


def routes(environment: Mapping[str, str]) -> set[tuple[str, str]]:
    """Method and path of every route that a worker serves, a new one included."""
    done = run(["-c", _PROGRAM], environment)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {(method, path) for method, path in lines}
