"""What is in a policy file is found where it is written, however it is written."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policies.places import Lines, inside
from models.policies.structure import Path, Structure

FILE = '''\
# [[rules]]
flag_at = 0.4 # block_at = 1
caps.block_share = 0.1
"mod\\u0065l" = 'x'

[[rules]]
id = "a"
when = """
[[rules]]
id = 'decoy' \\"""
[lists.decoy]
"""
  [[rules]]
  'id' = 'b'
  when = \'\'\'[[rules]]\'\'\'
then = "flag" # "
[ lists . "mules" ]
field = "nameDest"
[lists]
others = {field = 'a}', then = ["]", {x = 1}], reason = """}"""}
last = 2027-01-01 00:00:00Z
[[deep.er]]
[deep.er.est]
key = 1
[[deep.er]]
key = 2
'''


def at(path: Path) -> tuple[str, int]:
    """The line of a value's key, and the column."""
    line, column = Lines(FILE).place(Structure(FILE).find(path).at)
    return FILE.split("\n")[line - 1], column


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("flag_at",), "flag_at = 0.4 # block_at = 1", 1),
        (("caps", "block_share"), "caps.block_share = 0.1", 1),
        (("model",), "\"mod\\u0065l\" = 'x'", 1),
        (("rules", 0), "[[rules]]", 1),
        (("rules", 0, "when"), 'when = """', 1),
        (("rules", 0, "owner"), "[[rules]]", 1),
        (("rules", 1), "  [[rules]]", 3),
        (("rules", 1, "id"), "  'id' = 'b'", 3),
        (("rules", 1, "then"), 'then = "flag" # "', 1),
        (("rules", 1, "owner"), "  [[rules]]", 3),
        (("lists", "mules"), '[ lists . "mules" ]', 1),
        (("lists", "mules", "field"), 'field = "nameDest"', 1),
        (("lists", "last"), "last = 2027-01-01 00:00:00Z", 1),
        (("deep", "er", 0, "est"), "[deep.er.est]", 1),
        (("deep", "er", 1, "key"), "key = 2", 1),
        (("block_at",), "# [[rules]]", 1),
        (("lists", "decoy", "field"), '[ lists . "mules" ]', 1),
    ],
)
def test_a_key_is_found_or_else_its_table(path: Path, line: str, column: int) -> None:
    assert at(path) == (line, column)


def test_keys_of_tables_on_one_line_are_found() -> None:
    for path, what in (
        (("lists", "others", "then"), "then = ["),
        (("lists", "others", "then", 1), "{x = 1}"),
        (("lists", "others", "then", 1, "x", "deeper"), "{x = 1}"),
        (("lists", "others", "reason"), 'reason = """}'),
    ):
        line, column = at(path)
        assert line[column - 1 :].startswith(what), path
    key = Structure(FILE).find(("lists", "others", "then"))
    assert FILE[key.value :].startswith('["]", {')


WAYS = {
    '"': [lambda c: c, lambda c: f"\\u{ord(c):04x}", lambda c: f"\\U{ord(c):08X}"],
    '"""\n': [lambda c: c, lambda c: f"\\u{ord(c):04x}", lambda c: f"\\\n  \n {c}"],
    "'''": [lambda c: c],
}
CHARACTERS = st.characters(
    min_codepoint=33,
    max_codepoint=0xFFFF,
    exclude_categories=["Cs"],
    exclude_characters="\"'\\\x7f",
)


@given(st.data())
def test_a_character_of_a_text_is_found_however_the_text_is_written(data: st.DataObject) -> None:
    quote = data.draw(st.sampled_from([*WAYS]))
    value = data.draw(st.text(CHARACTERS, min_size=1))
    if quote != '"':
        value = "\n".join(value)
    written, begins = "", []
    for each in value:
        begins.append(len(written))
        way = data.draw(st.sampled_from(WAYS[quote]))
        written += each if each == "\n" else way(each)
    text = f"a = 1\nkey = {quote}{written}{quote.strip()}\n"
    assert msgspec.toml.decode(text)["key"] == value
    number = data.draw(st.integers(0, len(value) - 1))
    line, column = value.count("\n", 0, number) + 1, number - value.rfind("\n", 0, number)
    found = inside(text, text.index(quote), value, line, column) - text.index(quote) - len(quote)
    # What is between two lines of the file and stands for nothing belongs to either character.
    assert written[found:].removeprefix("\\\n  \n ") == written[begins[number] :].removeprefix(
        "\\\n  \n "
    )


@given(st.text("[]{}=.,\"'\\\n# ab1") | st.text())
def test_of_any_text_places_are_within_it(text: str) -> None:
    structure, lines = Structure(text), Lines(text)
    for path in ((), ("a",), ("a", 0, "b"), ("rules", 1, "when")):
        key = structure.find(path)
        assert 0 <= key.at <= len(text)
        line, column = lines.place(key.at)
        assert column - 1 <= len(text.split("\n")[line - 1])
