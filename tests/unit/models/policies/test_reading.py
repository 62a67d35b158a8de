"""A policy file is read, or everything that is wrong with it is told with its place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policies.reading import PolicyError, read
from models.schema.schema import PAYSIM, preset

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


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read(text.encode(), PAYSIM)
    return caught.value.problems


def test_a_whole_policy_is_read() -> None:
    policy = read(POLICY.encode(), PAYSIM)
    assert (policy.flag_at, policy.block_at) == (0.4, 0.9)
    assert [(each.id, each.then, each.mode) for each in policy.rules] == [
        ("large_at_night", "flag", "active"),
        ("salaries", "approve", "test"),
    ]
    assert policy.lists["mules"].field == "nameDest"
    assert read(b"", PAYSIM) == read(b"flag_at = 0.5\nblock_at = 0.8\n", PAYSIM)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("amount > 10_000", "amout > 10_000", "rule large_at_night, line 6, column 9: there is no"),
        ("step % 24 < 5", "step % < 5", "rule large_at_night, line 6, column "),
        ("and nameOrig in", "and nameOrg in", "rule salaries, line 15, column 5: there is no"),
        ("type == 'TRANSFER'", "amount == 'x'", "rule salaries, line 14, column "),
        ("flag_at = 0.4", "flag_at = 0.95", "flag_at 0.95 is above block_at 0.9"),
        ("flag_at = 0.4", "flag_at = 4", "flag_at: expected `float` <= 1.0"),
        ("flag_at = 0.4", "flg_at = 0.4", "object contains unknown field `flg_at`"),
        ("flag_at = 0.4", "flag_at = ", "the file is not TOML: "),
        ('then = "flag"', 'then = "hold"', "rule large_at_night: then: invalid enum value 'hold'"),
        ('then = "flag"\n', "", "rule large_at_night: object missing required field `then`"),
        ('id = "salaries"', 'id = "large_at_night"', "rules: 2 have the id large_at_night"),
        ('id = "salaries"', 'id = "Salaries"', "rule Salaries: id: expected `str` matching"),
        (
            "expires_at = 2027-01-01T00:00:00Z\n",
            "",
            "rule salaries: what approves needs expires_at",
        ),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00", "rule salaries: expires_at: expected `dat"),
        ("up_to = 5_000\n", "", "rule salaries: what approves needs up_to"),
        ("{amount:,.2f} at", "{amout} at", "rule large_at_night: reason: '{amout} at night.'"),
        ("{amount:,.2f} at", "{isFraud} at", "is not known when a decision is made"),
        ("[lists.mules]\n", "[lists.Mules]\n", "matching regex"),
        ('field = "nameDest"', 'field = "amount"', "list mules: field 'amount' is no text"),
        ('then = "block"', 'then = "approve"', "list mules: what approves needs expires_at"),
        (
            'then = "block"\n',
            'then = "block"\nup_to = 5\n',
            "list mules: up_to is for what approves",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, told: str) -> None:
    assert old in POLICY
    found = problems(POLICY.replace(old, new))
    assert any(told in each for each in found), found


def test_a_condition_whose_line_is_not_to_be_seen_names_its_rule() -> None:
    inline = 'rules = [{id = "a", when = "amout > 1", then = "flag", reason = "x", owner = "y"}]'
    assert problems(inline)[0].startswith("rule a, line 1, column 1 of when: there is no field")


def test_windows_lines_count_as_others() -> None:
    wrong = POLICY.replace("amount > 10_000", "amout > 10_000").replace("\n", "\r\n")
    assert any("line 6, column 9" in each for each in problems(wrong))


def test_a_policy_is_for_a_schema() -> None:
    assert any("amount" not in each for each in problems(POLICY.replace("step", "stp")))
    with pytest.raises(PolicyError, match="there is no field or feature step"):
        read(POLICY.encode(), preset("cards"))


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_a_policy_or_refused(content: bytes) -> None:
    with suppress(PolicyError):
        read(content, PAYSIM)


@given(st.data())
def test_a_damaged_policy_is_a_policy_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(POLICY)))
    to = data.draw(st.integers(at, len(POLICY)))
    with suppress(PolicyError):
        read((POLICY[:at] + data.draw(st.text(max_size=9)) + POLICY[to:]).encode(), PAYSIM)


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
    ],
    ids=range(17),
)
def test_a_file_that_is_made_to_take_long_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        read(text.encode(), PAYSIM)
