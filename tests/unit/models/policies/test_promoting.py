"""A promoted model decides, is in shadow no more, and nothing else of a policy changes."""

from __future__ import annotations

import pytest

from models.policies.promoting import promoted
from models.policies.reading import PolicyError, read
from models.schema.schema import PAYSIM

REST = """
[[rules]]
id = "large"
when = "amount > 100"   # shadow = ["x"]
then = "block"
reason = "model = {type}"
owner = "o"
"""


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ('shadow = ["m2"]\n', 'model = "m2"\n'),
        ('model = "m1"\nshadow = ["m2"]\n', 'model = "m2"\n'),
        ('shadow = ["m2"]\nmodel = "m1"  # ours\n', 'model = "m2"\n'),
        (
            'flag_at = 0.4\nshadow = [ # all\n  "m2",\n  "m3",\n]  # tried\nblock_at = 0.9\n',
            'flag_at = 0.4\nmodel = "m2"\nshadow = ["m3"]\nblock_at = 0.9\n',
        ),
        ("flag_at = 0.4\n", 'model = "m2"\nflag_at = 0.4\n'),
        ('# why\nshadow = ["m3", "m4"]\n', '# why\nmodel = "m2"\nshadow = ["m3", "m4"]\n'),
        ('shadow = ["m2"]', 'model = "m2"\n'),
        ('flag_at = 0.4\r\nshadow = ["m2"]\r\n', 'flag_at = 0.4\r\nmodel = "m2"\n'),
        ('shadow = ["m2"]\ncanary = 0.05  # begin\n', 'model = "m2"\n'),
        ('canary = 0.05\nmodel = "m1"\nshadow = ["m2"]\n', 'model = "m2"\n'),
        (
            'shadow = ["m3"]\ncanary = 0.05\n',
            'model = "m2"\nshadow = ["m3"]\ncanary = 0.05\n',
        ),
    ],
)
@pytest.mark.parametrize("rest", [REST, ""])
def test_only_the_lines_of_models_change(top: str, expected: str, rest: str) -> None:
    rest = rest if top.endswith("\n") else ""  # a table begins on a line of its own
    made = promoted(top + rest, "m2", PAYSIM)
    assert made == expected + rest
    assert read(made.encode(), PAYSIM).model == "m2"
    assert promoted(made, "m2", PAYSIM) == made


def test_what_only_a_person_can_change_is_left_to_one() -> None:
    text = 'shadow = ["m2", # ]\n"m3"]\n'
    assert read(text.encode(), PAYSIM).shadow == ["m2", "m3"]
    with pytest.raises(PolicyError, match='write model = "m2" yourself'):
        promoted(text, "m2", PAYSIM)


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(PolicyError, match="flag_at"):
        promoted("flag_at = 2\n", "m2", PAYSIM)
