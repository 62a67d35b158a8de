"""A policy file is read, or everything that is wrong with it is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from models.policies.definition import PolicyFile
from models.policies.reading import PolicyError, read
from models.policies.values import PATTERNS
from models.schema import presets
from models.schema.reading import read as read_schema
from models.schema.schema import PAYSIM, Schema, preset

POLICY = """\
flag_at = 0.4
block_at = 0.9

[[rules]]
id = "large_at_night"
when = "amount > 10_000 and step % 24 < 5"
then = "flag"
reason = "{amount:,.2f} at night."
owner = "fraud"

[[rules]]
id = "salaries"
when = '''
type == 'TRANSFER'
and nameOrig in @employers'''
then = "approve"
mode = "test"
reason = "Salaries."
owner = "fraud"
expires_at = 2027-01-01T00:00:00Z
up_to = 5_000

[lists.mules]
field = "nameDest"
then = "block"
reason = "{nameDest} is a mule."
owner = "fraud"
"""


def refused(content: bytes) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        read(content, PAYSIM)
    return caught.value


def problems(text: str) -> list[str]:
    return refused(text.encode()).problems


def test_a_whole_policy_is_read() -> None:
    policy = read(POLICY.encode(), PAYSIM)
    assert (policy.flag_at, policy.block_at) == (0.4, 0.9)
    assert [(each.id, each.then, each.mode) for each in policy.rules] == [
        ("large_at_night", "flag", "active"),
        ("salaries", "approve", "test"),
    ]
    assert policy.lists["mules"].field == "nameDest"


@pytest.mark.parametrize("text", ["", "\n", "# flag_at = 0.5\n"])
def test_a_file_that_says_nothing_is_refused(text: str) -> None:
    (told,) = problems(text)
    assert told.startswith("line 1, column 1: the file says nothing: a policy has at least its")
    assert "flag_at = 0.5 and block_at = 0.8" in told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("amount > 10", "amout > 10", "line 6, column 9: rule large_at_night: there is no field"),
        ("step % 24 < 5", "step % < 5", "line 6, column 36: rule large_at_night: "),
        ("and nameOrig in", "and nameOrg in", "line 15, column 5: rule salaries: there is no"),
        ("type == 'TRANSFER'", "amount == 'x'", "line 14, column 1: rule salaries: "),
        ("flag_at = 0.4", "flag_at = 0.95", "line 1, column 1: flag_at 0.95 is above block_at 0.9"),
        (
            "flag_at = 0.4\nblock_at = 0.9",
            "\nflag_at = 0.9",
            "line 2, column 1: flag_at 0.9 is above block_at 0.8 (by default)",
        ),
        (
            "flag_at = 0.4",
            "flag_at = 4",
            "line 1, column 1: flag_at is 4, and has to be a number from 0 to 1",
        ),
        (
            "flag_at = 0.4",
            "flag_at = nan",
            "line 1, column 1: flag_at is nan, and has to be a number from 0 to 1",
        ),
        (
            "flag_at = 0.4",
            "flg_at = 0.4",
            "line 1, column 1: there is no key flg_at; did you mean flag_at?",
        ),
        (
            "flag_at = 0.4",
            "colour = 0.4",
            "line 1, column 1: there is no key colour: there are flag_at, block_at, rules, lists",
        ),
        ("flag_at = 0.4", "flag_at = ", "line 1, column 11: the file is not TOML: Invalid value"),
        ("flag_at = 0.4", "\ufeffflag_at = 0.4", "line 1, column 1: the file begins with a byte"),
        (
            'then = "flag"',
            'then = "flog"',
            "line 7, column 1: rule large_at_night: then is 'flog', and has to be approve, block "
            "or flag; did you mean flag?",
        ),
        (
            'then = "flag"\n',
            "",
            "line 4, column 1: rule large_at_night: then is missing, and has to be approve, block",
        ),
        (
            'then = "flag"\n',
            'then = "flag"\nmodel = "m"\n',
            "line 8, column 1: rule large_at_night: there is no key model here: it stands at the "
            "top of the file, above all tables",
        ),
        (
            'then = "flag"\n',
            'then = "flag"\nmax_share = 0.1\n',
            "line 8, column 1: rule large_at_night: max_share is for what blocks",
        ),
        (
            'id = "salaries"',
            'id = "large_at_night"',
            "line 12, column 1: rule large_at_night: rule number 1 has the same id",
        ),
        (
            'id = "salaries"',
            'id = "Salaries"',
            "line 12, column 1: rule Salaries: id is 'Salaries', and has to be a text of "
            "lower-case letters, digits and _, beginning with a letter, 63 at most",
        ),
        ('id = "salaries"\n', "", "line 11, column 1: rule 2: id is missing"),
        (
            "expires_at = 2027-01-01T00:00:00Z\n",
            "",
            "line 11, column 1: rule salaries: what approves needs expires_at, a time with an "
            "offset, such as 2027-01-31T00:00:00Z",
        ),
        (
            "2027-01-01T00:00:00Z",
            "2027-01-01",
            "line 20, column 1: rule salaries: expires_at is 2027-01-01, and has to be a time with",
        ),
        ("up_to = 5_000\n", "", "line 11, column 1: rule salaries: what approves needs up_to"),
        ("{amount:,.2f} at", "{amout} at", "line 8, column 1: rule large_at_night: reason: '{amou"),
        ("{amount:,.2f} at", "{isFraud} at", "is not known when a decision is made"),
        (
            "[lists.mules]\n",
            "[lists.Mules]\n",
            "line 23, column 1: list Mules: its name has to be a text of lower-case letters",
        ),
        (
            'field = "nameDest"',
            'field = "amount"',
            "line 24, column 1: list mules: field 'amount' is no text of the schema",
        ),
        (
            'then = "block"',
            'then = "approve"',
            "line 23, column 1: list mules: what approves needs",
        ),
        (
            'then = "block"\n',
            'then = "block"\nup_to = 5\n',
            "line 26, column 1: list mules: up_to is for what approves",
        ),
        ("[lists.mules]", "[lists]", "line 24, column 1: list field: it is 'nameDest', and has to"),
        (
            '[[rules]]\nid = "salaries"',
            "[[rules]]\n[[rules",
            "line 12, column 8: the file is not TOML",
        ),
        (
            "[lists.mules]",
            "[caps]\nwindow_seconds = 0.5\n[lists.mules]",
            "line 24, column 1: caps: window_seconds is 0.5, and has to be a whole number",
        ),
        (
            "[lists.mules]",
            "[[caps]]\n[lists.mules]",
            "line 23, column 1: caps is an array, and has to be a table: write [caps]",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, told: str) -> None:
    assert old in POLICY
    found = problems(POLICY.replace(old, new))
    assert any(told in each for each in found), found


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('"m2"', "line 2, column 1: shadow is 'm2', and has to be an array of 3 at most, each a"),
        ('["m2", "m 3"]', "line 2, column 1: shadow is an array, and has to be an array of 3"),
        ('["a", "b", "c", "d"]', "line 2, column 1: shadow is an array, and has to be an array of"),
        ('["m2", "m3", "m2"]', "line 2, column 23: shadow names m2 twice"),
        ('["m2", "m1"]', "line 2, column 17: shadow names m1, which is the model that decides"),
    ],
)
def test_a_shadow_is_of_few_models_that_differ(given: str, told: str) -> None:
    (problem,) = problems(f'model = "m1"\nshadow = {given}\n')
    assert problem.startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("canary = 0.1\n", "line 1, column 1: canary needs one model in shadow"),
        ("shadow = []\ncanary = 0.1\n", "line 2, column 1: canary needs one model in shadow"),
        (
            'shadow = ["m1", "m2"]\ncanary = 0.1\n',
            "line 2, column 1: canary needs one model in shadow, and no other",
        ),
        ('shadow = ["m1"]\ncanary = 1.5\n', "line 2, column 1: canary is 1.5, and has to be"),
        ('shadow = ["m1"]\ncanary = "5 %"\n', "line 2, column 1: canary is '5 %', and has to be"),
    ],
)
def test_a_canary_is_a_share_with_a_model_in_shadow(text: str, told: str) -> None:
    (problem,) = problems(text)
    assert told in problem


def test_a_canary_needs_a_sender() -> None:
    text = presets.content("paysim").replace(b'role = "sender"\n', b"")
    schema = Schema(read_schema(text, "paysim"))
    with pytest.raises(PolicyError, match="schema paysim has no field with that role"):
        read(b'shadow = ["m1"]\ncanary = 0.1', schema)


def test_models_in_shadow_are_read() -> None:
    assert read(b'shadow = ["m1", "m2", "m3"]', PAYSIM).shadow == ["m1", "m2", "m3"]
    assert read(b"flag_at = 0.5", PAYSIM).shadow == ()


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    wrong = POLICY
    for old, new in (
        ("flag_at = 0.4", "flg_at = 0.4"),
        ("step % 24", "stp % 24"),
        ('then = "flag"', "then = 5"),
        ("and nameOrig", "and nameOrg"),
        ("expires_at", "expire_at"),
        ("{nameDest}", "{nameDst}"),
    ):
        wrong = wrong.replace(old, new)
    places = [(each.line, each.column, each.rule) for each in refused(wrong.encode()).faults]
    assert places == [
        (1, 1, None),
        (6, 29, "large_at_night"),
        (7, 1, "large_at_night"),
        (15, 5, "salaries"),
        (20, 1, "salaries"),
        (26, 1, None),
    ]


def test_no_more_than_fifty_are_told_and_the_others_counted() -> None:
    wrong = refused(("[[rules]]\n" * 20).encode())
    assert len(wrong.problems) == 100
    assert str(wrong).split("\n") == wrong.told == [*wrong.problems[:50], "and 50 more"]


def test_a_rule_on_one_line_is_told_with_its_columns() -> None:
    inline = 'rules = [{id = "a", when = "amout > 1", thn = "flag", reason = "x", owner = "y"}, 5]'
    assert problems(inline) == [
        "line 1, column 29: rule a: there is no field or feature amout; did you mean amount?",
        "line 1, column 41: rule a: there is no key thn; did you mean then?",
        "line 1, column 83: rule 2: it is 5, and has to be a table: write [[rules]] above each "
        "rule",
    ]


def test_more_rules_or_lists_than_a_policy_has_are_told_at_the_first_that_is_too_much() -> None:
    (told,) = problems("[[rules]]\n" * 501)
    assert told == "line 501, column 1: rule 501: a policy has 500 rules at most, this one 501"
    (told,) = problems("".join(f"[lists.l{n}]\n" for n in range(101)))
    assert told == "line 101, column 1: list l100: a policy has 100 lists at most, this one 101"


def test_windows_lines_count_as_others() -> None:
    wrong = POLICY.replace("amount > 10_000", "amout > 10_000").replace("up_to", "upto")
    assert problems(wrong.replace("\n", "\r\n")) == problems(wrong)


def test_bytes_that_are_no_text_have_a_place() -> None:
    (told,) = refused("# é\n# é".encode() + b"\xff").problems
    assert told == "line 2, column 4: the file is not UTF-8: invalid start byte"


def test_every_pattern_of_a_policy_is_told_in_words() -> None:
    def patterns(kind: Any) -> Iterator[str]:
        if isinstance(kind, inspect.StrType) and kind.pattern:
            yield kind.pattern
        for name in ("fields", "types"):
            for each in getattr(kind, name, ()):
                yield from patterns(getattr(each, "type", each))
        for name in ("item_type", "key_type", "value_type"):
            if hasattr(kind, name):
                yield from patterns(getattr(kind, name))

    assert {*patterns(inspect.type_info(PolicyFile))} == {*PATTERNS}


def test_a_policy_is_for_a_schema() -> None:
    assert any("amount" not in each for each in problems(POLICY.replace("step", "stp")))
    with pytest.raises(PolicyError, match="there is no field or feature step"):
        read(POLICY.encode(), preset("cards"))


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_a_policy_or_refused(content: bytes) -> None:
    with suppress(PolicyError):
        read(content, PAYSIM)


@given(st.data())
def test_a_damaged_policy_is_a_policy_or_refused_with_places_in_it(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(POLICY)))
    to = data.draw(st.integers(at, len(POLICY)))
    text = POLICY[:at] + data.draw(st.text(max_size=9)) + POLICY[to:]
    try:
        read(text.encode(), PAYSIM)
    except PolicyError as exc:
        lines = text.replace("\r\n", "\n").split("\n")
        for each in exc.faults:
            assert each.line is not None
            assert each.column is not None
            assert 1 <= each.column <= len(lines[each.line - 1]) + 1


SAID = "reason = 'It is so.'\nowner = 'o'\n"
BRACKETS = "(" * 30 + "1" + ")" * 30
RULE = "[[rules]]\nid = 'r{}'\nwhen = '{}'\nthen = 'flag'\n" + SAID


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 50_000 + " = 1",
        "[" + " " * 50_000,
        "[[" + "rules " * 20_000,
        ("[[rules]]\n" * 20_000),
        "".join(f'[[rules]]\nid = "r"\nwhen = "amount > {n}"\n' for n in range(8_000)),
        "x = " + "[" * 100_000,
        "x = " + "{a=" * 50_000,
        '"' * 500_000,
        ".".join(['"\\""'] * 40_000) + "=1",
        "[" + ".".join(['"\\""'] * 40_000) + "]",
        "[[rules]]\nwhen='''" + '[[rules]]\nwhen="\n' * 60_000 + "'''",
        "".join(RULE.format(n, f"{BRACKETS} < " * 31 + "1") for n in range(500)),
        "".join(RULE.format(n, "amount" + " + 1" * 200 + " > 1") for n in range(500)),
        "".join(f"[lists.l{n}]\nfield = 'nameOrig'\nthen = 'block'\n{SAID}" for n in range(9_000)),
        '" - at `$.rules[99]"=1\nrules=[]',
        f'" - at `$.rules[{"9" * 5_000}]"=1\nrules=[]',
        "[[rules]]\nid=0x" + "f" * 5_000,
        'flag_at = """' + '\\"\\n' * 250_000 + '"""',
        "".join(f"key{n} = 1\n" for n in range(80_000)),
        "".join("[[rules]]\n" + "".join(f"eky{n} = 1\n" for n in range(150)) for _ in range(500)),
        "x = [" + ("[" * 80 + "]" * 80 + ",") * 6_000 + "]",
        '[[rules]]\nwhen = """' + "\\ \n" * 250_000 + 'amout > 1"""',
    ],
    ids=range(22),
)
def test_a_file_that_is_made_to_take_long_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        read(text.encode(), PAYSIM)
