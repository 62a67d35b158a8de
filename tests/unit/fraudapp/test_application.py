"""An application is put together without a connection, and two of them are apart."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, cast

import pytest
from faust.tables.manager import TableManager
from faust.web.drivers.aiohttp import Web

from fraudapp import metrics
from fraudapp.application import Application, build
from tests.support.views import settings_of
from web.register import VIEWS


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("building opens no connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(metrics.worker, "source", metrics.worker.source)  # which `build` sets


@pytest.fixture
def built(tmp_path: Path) -> Application:
    return build(settings_of(tmp_path / "data", FRAUD_TRANSACTIONS_TOPIC="in"))


def test_the_worker_is_the_first_to_be_started(built: Application) -> None:
    assert built.app.first == [built.worker]
    services = list(cast(Any, built.app.boot_strategy).server())
    assert services[0] is built.worker
    assert len(services) > 1


def test_every_view_is_served_and_nothing_of_fausts_own(built: Application) -> None:
    driver = cast(Web, built.app.web)
    driver.init_server()
    served = {each.canonical for each in driver.web_app.router.resources()}
    expected = {each.view_path.replace(":[^/]+}", "}").replace(":.+}", "}") for each in VIEWS}
    assert served == expected


def test_the_agent_reads_the_topic_of_transactions(built: Application) -> None:
    (agent,) = built.app.agents.values()
    assert agent.channel.get_topic_name() == "in"


def test_the_tables_are_registered(built: Application) -> None:
    expected = {"decision-counts", "partition-reports", "quality", "watch"}
    assert set(cast(TableManager, built.app.tables)) == expected


def test_building_makes_no_folder_and_starts_nothing(built: Application, tmp_path: Path) -> None:
    assert not (tmp_path / "data").exists()
    assert not built.worker.has_started
    assert not built.app.started


def test_two_applications_share_nothing(built: Application, tmp_path: Path) -> None:
    other = build(settings_of(tmp_path / "other"))
    assert other.app is not built.app
    first, second = (cast(Web, each.app.web) for each in (built, other))
    assert first.web_app is not second.web_app
    contexts = {cast(Any, each.views["/stats"]).context.worker for each in (first, second)}
    assert contexts == {built.worker, other.worker}
