"""Install the servers of the tests: `python -m tests.servers.install`. Does nothing twice.

Redis, PostgreSQL, PgBouncer and Chromium come from Debian's packages, which takes root; Kafka and
S3Proxy from Maven Central. Ends with 1 if a server is missing and `FRAUD_TEST_REQUIRE_SERVERS` is
1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import click

from tests.deployment.programs import fetch_kustomize
from tests.servers.archiving import archive
from tests.servers.jars import Missing, fetch
from tests.servers.kafka import Kafka
from tests.servers.pgbouncer import find_program
from tests.servers.postgres import find_programs
from tests.servers.s3proxy import S3Proxy


def main() -> int:
    """Install what is missing, say so, and return the exit code."""
    missing = [
        *_install("redis-server", partial(_package, "redis-server", _redis_there)),
        *_install("PostgreSQL", partial(_package, "postgresql", _postgres_there)),
        *_install("PgBouncer", partial(_package, "pgbouncer", _pgbouncer_there)),
        *_install("Chromium", partial(_package, "chromium", _chromium_there)),
        *_install("Apache Kafka", partial(fetch, "kafka")),
        *_install("S3Proxy", partial(fetch, "s3proxy")),
        *_install("archive of Kafka's classes", partial(archive, "kafka", Kafka)),
        *_install("archive of S3Proxy's classes", partial(archive, "s3proxy", S3Proxy)),
        *_install("libfaketime", _debian("faketime", "faketime")),
        # What runs or judges parts of the deployment.
        *_install("HAProxy", _debian("haproxy", "haproxy")),
        *_install("promtool", _debian("prometheus", "promtool")),
        *_install("kustomize", fetch_kustomize),
    ]
    if missing and os.environ.get("FRAUD_TEST_REQUIRE_SERVERS") == "1":
        click.echo(f"missing: {', '.join(missing)}", err=True)
        return 1
    return 0


def _debian(package: str, program: str) -> Callable[[], bool]:
    return partial(_package, package, lambda: shutil.which(program) is not None)


def _install(what: str, step: Callable[[], bool]) -> list[str]:
    try:
        click.echo(f"{what}: {'installed' if step() else 'there already'}")
    except Missing as exc:
        click.echo(f"{what}: {exc}", err=True)
        return [what]
    return []


def _package(name: str, there: Callable[[], bool]) -> bool:
    if there():
        return False
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Missing(f"not installed; as root on Debian: apt-get install {name}")
    # A service that the package would start is of no use here, and may hold a port.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for argv in (["update"], ["install", "--yes", "--no-install-recommends", name]):
        done = subprocess.run(
            ["apt-get", "-qq", *argv], check=False, capture_output=True, text=True, env=environment
        )
        if done.returncode != 0:
            raise Missing(f"apt-get {' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
    if not there():
        raise Missing(f"the package {name} was installed, but its programs are not found")
    return True


def _redis_there() -> bool:
    return shutil.which("redis-server") is not None


def _pgbouncer_there() -> bool:
    return find_program() is not None


def _chromium_there() -> bool:
    return shutil.which("chromium") is not None


def _postgres_there() -> bool:
    try:
        find_programs()
    except Missing:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
