"""Names may hold all characters that names are written with, and none that disguise them."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import characters
from models.parsing import InvalidTransaction, valid_id
from models.schema.schema import PAYSIM
from tests.support.names import REAL, WRONG
from tests.support.transactions import FIELDS, JOINERS, texts

pytestmark = pytest.mark.slow

EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
OF_TEXT = ("transaction_id", "nameOrig", "nameDest")


def test_the_quick_way_lets_nothing_pass_that_the_rule_forbids() -> None:
    for character in EVERY:
        forbidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        expected = not forbidden or character in JOINERS
        assert characters.allowed(character) is expected, hex(ord(character))
        assert (characters.problem(character) is None) is expected, hex(ord(character))


def test_a_problem_is_one_line_without_anything_that_a_terminal_obeys() -> None:
    told = characters.legible("".join(EVERY))
    assert told.isprintable()
    assert characters.legible("\x1b[31m\r\n\x9b\u202e") == "\\x1b[31m\\r\\n\\x9b\\u202e"
    assert characters.legible("Zoë 王小明 🙂") == "Zoë 王小明 🙂"


def test_nothing_that_turns_the_direction_of_writing_passes() -> None:
    turning = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert not any(map(characters.allowed, turning))


@pytest.mark.parametrize("name", REAL)
def test_names_that_people_have_are_read_in_every_field(name: str) -> None:
    assert valid_id(name)
    for field in OF_TEXT:
        assert getattr(PAYSIM.parser.from_mapping({**FIELDS, field: name}), field) == name


@pytest.mark.parametrize(("text", "told"), WRONG.items())
@pytest.mark.parametrize("field", OF_TEXT)
def test_a_refused_character_is_named_with_its_position(text: str, told: str, field: str) -> None:
    with pytest.raises(InvalidTransaction) as caught:
        PAYSIM.parser.from_mapping({**FIELDS, field: text})
    assert str(caught.value) == f"{field}: must not hold {told}"
    assert str(caught.value).isprintable()
    assert not valid_id(text)


def test_each_field_is_reported_and_each_character_once() -> None:
    with pytest.raises(InvalidTransaction) as caught:
        PAYSIM.parser.from_mapping(
            {**FIELDS, "transaction_id": "\x00\x00\x00", "nameDest": "\u202e"}
        )
    assert [error.field for error in caught.value.errors] == ["transaction_id", "nameDest"]
    assert caught.value.errors[0].problem.count("U+0000") == 1


@given(texts, st.characters(), texts)
def test_a_text_is_allowed_if_and_only_if_each_of_its_characters_is(
    before: str, character: str, after: str
) -> None:
    text = before + character + after
    assert characters.allowed(text) is characters.allowed(character)
    problem = characters.problem(text)
    if characters.allowed(character):
        assert problem is None
    else:
        assert problem is not None
        assert f"U+{ord(character):04X}" in problem
        assert f"at position {len(before) + 1})" in problem
