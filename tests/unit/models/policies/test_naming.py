"""The models that a policy names are found by the beginning of its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policies.naming import NamedModels, named_models
from models.policies.reading import read
from models.schema.schema import PAYSIM

RULE = '[[rules]]\nid = "a"\nwhen = "amount > 1"\nthen = "flag"\nreason = "[r]"\nowner = "o"\n'
VERSIONS = st.sampled_from(["first", "second", "third-1"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("flag_at = 0.5\n", NamedModels()),
        (RULE, NamedModels()),
        (f'model = "m"\n{RULE}', NamedModels("m")),
        (f'shadow = [\n  "a",\n  "b",\n]\nmodel = "m"\n  {RULE}', NamedModels("m", ("a", "b"))),
        ('model = "m"\r\n# [no table]\r\nshadow = ["a"]\r\n', NamedModels("m", ("a",))),
        ('note = """\n[text]\n"""\nmodel = "m"\n', NamedModels("m")),
        ('a = [\n[1],\n[2]]\nmodel = "m"\n', NamedModels("m")),
        (f'model = "m"\n{RULE}model = "of the rule"\n', NamedModels("m")),
        ("model = 7\n", None),
        ('shadow = "a"\n', None),
        ("model = \n[caps]\n", None),
        (f"model = {'[' * 3_000}", None),
        (".".join("a" * 40_000) + " = 1\n", None),
    ],
)
def test_what_is_above_the_first_table_names_them(text: str, named: NamedModels | None) -> None:
    assert named_models(text) == named


@given(
    model=st.none() | VERSIONS,
    shadow=st.lists(VERSIONS, max_size=3, unique=True),
    end=st.sampled_from(["\n", "\r\n"]),
    lines=st.permutations(["flag_at = 0.25", "# [comment]", "", "explore = 0.001"]),
    rules=st.booleans(),
)
def test_it_says_of_a_policy_what_reading_all_of_it_says(
    model: str | None, shadow: list[str], end: str, lines: list[str], rules: bool
) -> None:
    shadow = [each for each in shadow if each != model]
    lines = [*lines, f"shadow = {shadow!r}", *([f'model = "{model}"'] if model else [])]
    text = end.join([*lines, RULE if rules else ""])
    policy = read(text.encode(), PAYSIM)
    assert named_models(text) == NamedModels(policy.model, tuple(policy.shadow))
