"""Known vulnerabilities in the lock of the image: `python -m docker.audit`.

Ends with 1 if one is known that `accepted-vulnerabilities.yaml` does not accept. If the service
which knows them cannot be reached, that is said, package by package, and does not fail: no network
is no vulnerability. With `FRAUD_AUDIT_REQUIRE=1` it does fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Final

import click
import msgspec

HERE: Final = Path(__file__).parent
LOCK: Final = HERE / "requirements.lock"
ACCEPTED: Final = HERE / "accepted-vulnerabilities.yaml"
TIMEOUT: Final = 300
"""Seconds the audit may take."""


class Vulnerability(msgspec.Struct):
    """What pip-audit tells of one."""

    id: str
    fix_versions: list[str] = []
    aliases: list[str] = []


class Audited(msgspec.Struct):
    """What pip-audit tells of one package."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str = ""


class Report(msgspec.Struct):
    """What pip-audit tells."""

    dependencies: list[Audited]


class Acceptance(msgspec.Struct, forbid_unknown_fields=True):
    """A vulnerability that may be there, why, and for how long."""

    id: str
    reason: str
    until: date


class Accepted(msgspec.Struct, forbid_unknown_fields=True):
    """The file of them."""

    accepted: list[Acceptance] = []


class Verdict(msgspec.Struct):
    """What the report comes to."""

    known: list[str]
    """Sentences on vulnerabilities that nobody has accepted."""
    accepted: list[str]
    unchecked: list[str]
    """Packages that nothing could be learnt about."""
    checked: int


def judge(report: Report, accepted: Sequence[Acceptance], today: date) -> Verdict:
    """Sort what was found by what is accepted; an acceptance ends with its day."""
    valid = {each.id: each for each in accepted if today < each.until}
    verdict = Verdict([], [], [], 0)
    for package in report.dependencies:
        if package.skip_reason:
            verdict.unchecked.append(package.name)
            continue
        verdict.checked += 1
        for found in package.vulns:
            fixed = ", ".join(found.fix_versions) or "no version"
            sentence = f"{package.name} {package.version}: {found.id}, fixed in {fixed}"
            reasons = [valid[name].reason for name in (found.id, *found.aliases) if name in valid]
            if reasons:
                verdict.accepted.append(f"{sentence}; accepted: {reasons[0]}")
            else:
                verdict.known.append(sentence)
    return verdict


def pip_audit(lock: Path) -> Report | str:
    """Ask pip-audit about a lock; a sentence if it could not find anything out."""
    argv = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off"]
    argv += ["--require-hashes", "--disable-pip", f"--requirement={lock}"]
    try:
        done = subprocess.run(  # noqa: S603 - no word of it comes from outside
            argv, check=False, capture_output=True, text=True, timeout=TIMEOUT
        )
        return msgspec.json.decode(done.stdout, type=Report)
    except subprocess.TimeoutExpired:
        return f"no answer within {TIMEOUT} s"
    except msgspec.DecodeError:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else f"pip-audit ended with {done.returncode}"


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Audit the lock, say what was found, and return the exit code."""
    accepted = msgspec.yaml.decode(ACCEPTED.read_bytes(), type=Accepted).accepted
    required = environ.get("FRAUD_AUDIT_REQUIRE") == "1"
    report = pip_audit(LOCK)
    if isinstance(report, str):
        click.echo(f"audit: NOT CHECKED, {LOCK.name} as a whole: {report}", err=True)
        return int(required)
    verdict = judge(report, accepted, datetime.now(timezone.utc).date())
    for sentence in verdict.accepted:
        click.echo(f"audit: {sentence}")
    for sentence in verdict.known:
        click.echo(f"audit: VULNERABLE: {sentence}", err=True)
    if verdict.unchecked:
        names = ", ".join(verdict.unchecked)
        click.echo(
            f"audit: NOT CHECKED, {len(verdict.unchecked)} packages, the service of "
            f"vulnerabilities did not answer for them: {names}",
            err=True,
        )
    click.echo(f"audit: {verdict.checked} packages checked, {len(verdict.known)} to be dealt with")
    return int(bool(verdict.known) or (required and bool(verdict.unchecked)))


if __name__ == "__main__":
    sys.exit(main())
