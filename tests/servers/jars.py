"""The Java servers' libraries: fetched by Maven into a folder outside git, once per `pom.xml`."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
JAVA = 17  # the oldest that Kafka 4 runs on
STARTS_SOON: Final = ("-XX:TieredStopAtLevel=1",)
"""Options of Java for servers that live for minutes: what would pay off in hours is left out.

With these and the archive of classes, a start of Kafka takes 2 s of processor instead of 7
(measured).
"""


class Missing(Exception):
    """Something is not installed; the message says what, and how to get it."""


def cache() -> Path:
    """Folder of downloaded servers: `FRAUD_TEST_CACHE`, or `.cache/servers` in the project."""
    folder = os.environ.get("FRAUD_TEST_CACHE") or HERE.parents[1] / ".cache" / "servers"
    return Path(folder).resolve()  # Java takes an archive for this one path only


def java(profile: str, *options: str) -> list[str]:
    """Java with the libraries of the server which `profile` of the pom describes; or `Missing`."""
    java_version()
    if not _folder(profile).exists():
        raise Missing(f"{profile} is not downloaded; run `python -m tests.servers.install`")
    if (archive := archive_of(profile)).exists():
        options = (f"-XX:SharedArchiveFile={archive}", *options)
    return ["java", *options, "-cp", str(_folder(profile) / "*")]


def archive_of(profile: str) -> Path:
    """File with the classes of a server as Java has them in memory (AppCDS); it may not exist."""
    return _folder(profile).with_suffix(".jsa")


def fetch(profile: str) -> bool:
    """Download the profile's libraries; false if they were there. Or `Missing`."""
    java_version()
    folder = _folder(profile)
    if folder.exists():
        return False
    if shutil.which("mvn") is None:
        raise Missing(f"{profile} needs Maven (`mvn`) to be downloaded; on Debian: install `maven`")
    cache().mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{profile}-", dir=cache()))
    argv = ["mvn", "--quiet", "--batch-mode", "--file", str(POM), "--activate-profiles", profile]
    argv += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run(
        [*argv, f"-DoutputDirectory={part}"], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Missing(f"Maven cannot download {profile}:\n{done.stdout[-3000:]}{done.stderr}")
    part.rename(folder)  # whole or not at all
    return True


@functools.cache
def java_version() -> int:
    """Major version of `java`; `Missing` if there is none or it is too old."""
    try:
        answer = subprocess.run(["java", "-version"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise Missing(f"Java {JAVA} or newer is not installed: {exc}") from exc
    found = re.search(r'version "(\d+)', answer.stderr)
    version = int(found[1]) if found else 0
    if version < JAVA:
        raise Missing(f"Java {JAVA} or newer is needed, `java -version` says {answer.stderr!r}")
    return version


def _folder(profile: str) -> Path:
    # Named by the pom's content: a changed pom is another folder.
    return cache() / f"{profile}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
