"""The packages beside fraudapp are its own, or it does not start."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from fraudapp.process import own_packages
from fraudapp.process.own_packages import MARK, NAMES, ROOT, ForeignPackage, OursFirst


@pytest.mark.parametrize("name", NAMES)
def test_each_package_is_found_beside_fraudapp_whatever_is_on_the_path(name: str) -> None:
    spec = OursFirst.find_spec(name, ["/somewhere/else"])
    assert spec
    assert spec.origin == str(ROOT / name / "__init__.py")


@pytest.mark.parametrize("name", ["json", "models.records", "tables.nothing", "modelsX"])
def test_other_modules_are_left_to_python(name: str) -> None:
    assert OursFirst.find_spec(name) is None


@pytest.mark.parametrize("content", [None, "", '__part_of__ = "tables"\n', f'{MARK[:-1]}-tools"\n'])
def test_a_package_that_is_gone_or_was_overwritten_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr(own_packages, "ROOT", tmp_path)
    if content is not None:
        (tmp_path / "tables").mkdir()
        (tmp_path / "tables" / "__init__.py").write_text(content)
    with pytest.raises(ForeignPackage, match="environment of its own") as raised:
        OursFirst.find_spec("tables")
    assert raised.value.message.startswith(f"{tmp_path / 'tables'} is not fraudapp's")


def test_a_package_with_the_mark_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_packages, "ROOT", tmp_path)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "__init__.py").write_text(f'"""Ours."""\n\n{MARK}\n')
    assert OursFirst.find_spec("tables")


def test_it_is_asked_first_and_installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [each for each in sys.meta_path if each is not OursFirst]
    monkeypatch.setattr(sys, "meta_path", list(others))
    for _ in range(2):
        own_packages.install()
        assert sys.meta_path == [OursFirst, *others]


def test_packages_of_ours_that_were_imported_pass() -> None:
    import tables

    assert tables.__part_of__ == "fraudapp"
    own_packages.check()


@pytest.mark.parametrize("file", ["/site-packages/tables/__init__.py", None])
def test_a_foreign_package_that_was_imported_before_is_reported(
    monkeypatch: pytest.MonkeyPatch, file: str | None
) -> None:
    foreign = ModuleType("tables")
    foreign.__file__ = file
    monkeypatch.setitem(sys.modules, "tables", foreign)
    where = file or "somewhere"
    with pytest.raises(ForeignPackage, match=f"tables was imported from {where} before"):
        own_packages.check()


def test_a_package_that_was_not_imported_yet_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    own_packages.check()
