"""The audit: what is known fails, what is accepted passes for a while, what is unknown is said."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docker import audit
from docker.audit import Acceptance, Audited, Report, Vulnerability, judge

TODAY = date(2026, 11, 25)
FOUND = Vulnerability("PYSEC-1", ["2.0"], ["CVE-1", "GHSA-1"])
VULNERABLE = Report([Audited("urllib3", "1.26.0", [FOUND])])
CLEAN = Report([Audited("idna", "3.20")])
UNKNOWN = Report([Audited("idna", "3.20"), Audited("yarl", skip_reason="not found")])


def accepted(id_: str, until: date = TODAY + timedelta(days=1)) -> list[Acceptance]:
    return [Acceptance(id_, "not reachable", until)]


def test_a_known_vulnerability_is_named_with_its_remedy() -> None:
    assert judge(VULNERABLE, [], TODAY).known == ["urllib3 1.26.0: PYSEC-1, fixed in 2.0"]


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1", "GHSA-1"])
def test_one_that_is_accepted_by_any_of_its_names_passes(name: str) -> None:
    verdict = judge(VULNERABLE, accepted(name), TODAY)
    assert not verdict.known
    assert "not reachable" in verdict.accepted[0]


@given(st.integers(0, 10_000))
def test_an_acceptance_ends_with_its_day(days: int) -> None:
    ended = accepted("PYSEC-1", TODAY - timedelta(days=days))
    assert judge(VULNERABLE, ended, TODAY).known


@pytest.mark.parametrize(
    ("report", "required", "code", "words"),
    [
        (VULNERABLE, False, 1, "VULNERABLE: urllib3 1.26.0"),
        (CLEAN, True, 0, "1 packages checked, 0 to be dealt with"),
        (UNKNOWN, False, 0, "NOT CHECKED, 1 packages"),
        (UNKNOWN, True, 1, "NOT CHECKED, 1 packages"),
        ("no network", False, 0, "NOT CHECKED, requirements.lock as a whole: no network"),
        ("no network", True, 1, "NOT CHECKED"),
    ],
)
def test_the_exit_code_follows_from_what_is_known(
    report: Report | str,
    required: bool,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(audit, "pip_audit", lambda lock: report)
    assert audit.main({"FRAUD_AUDIT_REQUIRE": "1"} if required else {}) == code
    said = capsys.readouterr()
    assert words in said.out + said.err


def test_pip_audit_is_asked_about_every_package_of_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"idna==3.20 --hash=sha256:{'0' * 64}\nyarl==1.25.1 --hash=sha256:{'1' * 64}\n")
    report = audit.pip_audit(lock)
    if isinstance(report, str):  # the service cannot be reached at all
        assert report
    else:
        assert [each.name for each in report.dependencies] == ["idna", "yarl"]


def test_a_lock_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    report = audit.pip_audit(tmp_path / "missing.lock")
    assert isinstance(report, str)
    assert "missing.lock" in report
