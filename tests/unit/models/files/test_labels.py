"""Labels of files are read as they are there, or told with line and reason."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.files.labels import labels
from models.files.rows import BadRow, UnreadableFile
from models.labels.records import Label, Source, encode

NOW: Final = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
HEADER: Final = "transaction_id,label,source,at,by"
ROW: Final = "a,1,chargeback,2026-04-01T08:00:00Z,network"
LABEL: Final = Label(
    transaction_id="a",
    label=1,
    source=Source.CHARGEBACK,
    at=datetime(2026, 4, 1, 8, tzinfo=timezone.utc),
    by="network",
)
texts = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
all_labels = st.lists(
    st.builds(
        Label,
        transaction_id=texts,
        label=st.sampled_from([0, 1]),
        source=st.sampled_from(Source),
        at=st.datetimes(
            datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc)
        ),
        by=texts,
    )
)


def read(folder: Path, text: str, name: str = "labels.csv", **options: Any) -> list[Any]:
    path = folder / name
    path.write_text(text)
    return list(labels(path, NOW, **options))


def wrong(found: Any) -> list[tuple[int, str]]:
    assert isinstance(found, BadRow), found
    return [(found.line, each.field) for each in found.errors]


@given(all_labels)
def test_lines_of_json_are_read_as_the_topic_has_them(
    tmp_path_factory: pytest.TempPathFactory, given_labels: list[Label]
) -> None:
    text = "".join(f"{encode(each).decode()}\n" for each in given_labels)
    assert read(tmp_path_factory.mktemp("a"), text, "labels.jsonl") == given_labels


@given(all_labels)
def test_cells_are_read_as_lines_of_json_are(
    tmp_path_factory: pytest.TempPathFactory, given_labels: list[Label]
) -> None:
    rows = [
        [each.transaction_id, str(each.label), each.source.value, each.at.isoformat(), each.by]
        for each in given_labels
    ]
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    text = "\n".join([HEADER, *quoted]) + "\n"
    assert read(tmp_path_factory.mktemp("a"), text) == given_labels


@pytest.mark.parametrize("label", ["1", "true", "yes", "1.0"])
def test_a_label_may_be_written_as_any_flag(tmp_path: Path, label: str) -> None:
    text = f"{HEADER}\n{ROW.replace(',1,', f',{label},')}\n"
    assert read(tmp_path, text) == [LABEL]


def test_what_a_file_does_not_say_is_taken_from_the_defaults(tmp_path: Path) -> None:
    options = {"of": Source.ANALYST, "by": "ann"}
    expected = msgspec.structs.replace(LABEL, source=Source.ANALYST, at=NOW, by="ann")
    assert read(tmp_path, "label,transaction_id\n1,a\n", **options) == [expected]
    assert read(tmp_path, f"{HEADER}\na,1,,,\n", **options) == [expected]
    assert read(tmp_path, f"{HEADER}\n{ROW}\n", **options) == [LABEL]
    line = '{"transaction_id": "a", "label": true, "at": null, "more": {}}\n'
    assert read(tmp_path, line, "labels.jsonl", **options) == [expected]


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("a,2,chargeback,,x", ["label"]),
        ("a,,chargeback,,x", ["label"]),
        (",1,me,now,", ["transaction_id", "source", "at", "by"]),
        ("a,1,analyst,2026-04-01T08:00:00,x", ["at"]),
        ("a,1,analyst,0001-04-01T08:00:00Z,x", ["at"]),
        ("a,1,analyst,,\x07", ["by"]),
        ("a,1,analyst", [""]),
    ],
)
def test_each_wrong_cell_is_told_with_its_line_and_the_rest_is_read(
    tmp_path: Path, row: str, fields: list[str]
) -> None:
    bad, good = read(tmp_path, f"{HEADER}\n\n{row}\n{ROW}\n")
    assert wrong(bad) == [(3, field) for field in fields]
    assert good == LABEL


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"transaction_id": "a", "label": "1", "source": "analyst", "by": "x"}', "label"),
        ('{"transaction_id": 1, "label": 1, "source": "analyst", "by": "x"}', "transaction_id"),
        ('{"transaction_id": "a", "label": 1, "source": "analyst"}', "by"),
        ('{"transaction_id": "a", "label": 1, "label": 0, "source": "analyst"}', "label"),
        ("[1]", ""),
        ("{", ""),
    ],
)
def test_each_wrong_line_is_told(tmp_path: Path, line: str, field: str) -> None:
    text = f"{encode(LABEL).decode()}\n{line}\n"
    good, bad = read(tmp_path, text, "labels.jsonl")
    assert (good, wrong(bad)) == (LABEL, [(2, field)])


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("transaction_id,label", "column source, by is missing"),
        ("transaction_id,Label,source,by", "'Label' is no column of a label: write label"),
        (f"{HEADER},by", "column by is there twice"),
    ],
)
def test_columns_that_are_missing_or_nearly_right_are_told(
    tmp_path: Path, header: str, said: str
) -> None:
    with pytest.raises(UnreadableFile, match=said):
        read(tmp_path, f"{header}\n{ROW}\n")


def test_a_moment_is_that_of_its_own_offset(tmp_path: Path) -> None:
    (found,) = read(tmp_path, f"{HEADER}\n{ROW.replace('Z', '+05:00')}\n")
    assert found.at == LABEL.at - timedelta(hours=5)
