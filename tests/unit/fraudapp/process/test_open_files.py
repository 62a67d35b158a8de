"""HTTP, the indexes and the rest share the files that the process may open."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest

from fraudapp.process import open_files
from fraudapp.process.open_files import MAX_FILES

NONE = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, int]]:
    """A function that sets the limits of a pretended process, and returns them."""
    now = (0, 0)

    def given(kind: int, to: tuple[int, int]) -> None:
        nonlocal now
        if to[0] > most:
            raise ValueError("current limit exceeds maximum limit")
        now = to

    most = 2**40

    def set_to(soft: int | None = None, hard: int = 0, system: int = 2**40) -> tuple[int, int]:
        nonlocal now, most
        most = system
        if soft is not None:
            now = soft, hard
        return now

    monkeypatch.setattr(resource, "getrlimit", lambda kind: now)
    monkeypatch.setattr(resource, "setrlimit", given)
    return set_to


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1_024, 4_096, 4_096),
        (1_024, 1_024, 1_024),
        (256, NONE, MAX_FILES),
        (1_024, 2**30, MAX_FILES),
        (2**20, 2**20, 2**20),
        (NONE, NONE, NONE),
    ],
)
def test_the_soft_limit_is_raised_and_never_lowered(
    limits: Callable[..., tuple[int, int]], soft: int, hard: int, raised: int
) -> None:
    limits(soft, hard)
    open_files.raise_limit()
    assert limits() == (raised, hard)
    assert open_files.limit() == (min(raised, MAX_FILES) if raised != NONE else MAX_FILES)


def test_a_system_that_allows_less_than_it_says_gives_what_it_allows(
    limits: Callable[..., tuple[int, int]],
) -> None:
    limits(256, NONE, system=10_240)
    open_files.raise_limit()
    assert open_files.limit() == 10_240


@pytest.mark.parametrize("files", [256, 1_024, 4_096, MAX_FILES])
@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_half_of_the_files_are_left_to_all_but_http_and_indexes(
    limits: Callable[..., tuple[int, int]], files: int, partitions: int
) -> None:
    limits(files, files)
    of_http, of_index = open_files.connections(100_000), open_files.of_index(partitions)
    assert 0 < of_http <= files / 4
    assert of_index >= open_files.MIN_DATABASE_FILES or of_index == -1 < files / 4 / partitions
    if not open_files.too_few(partitions):
        assert of_http + of_index * partitions <= files / 2


def test_too_few_files_are_reported(limits: Callable[..., tuple[int, int]]) -> None:
    limits(1_024, 1_024)
    assert open_files.too_few(4) is None
    assert "ulimit" in str(open_files.too_few(100))
