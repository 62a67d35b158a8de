"""A variable that was meant as a setting is found, and one that was not is left alone."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fraudapp.config.misspelled import about_security, misspelled
from fraudapp.settings import described

KNOWN = [name for name, _, _ in described()]
names = st.sampled_from(KNOWN)


@given(st.lists(names), st.sampled_from(["HOME", "PATH", "PYTHONPATH", "KAFKA_HEAP_OPTS"]))
def test_settings_and_variables_of_others_are_no_mistakes(settings: list[str], other: str) -> None:
    assert not misspelled([*settings, other], KNOWN)


@st.composite
def otherwise_written(draw: st.DrawFn) -> tuple[str, str]:
    name = draw(names)
    written = "".join(
        draw(st.sampled_from(["_", "-", ".", "", "__"]))
        if character == "_"
        else draw(st.sampled_from([character, character.lower()]))
        for character in name
    )
    return name, written


@given(otherwise_written())
@example(("FRAUD_WEB_PORT", "FRAUD_WEB__PORT"))  # no name of Kubernetes has two hyphens there
def test_a_name_with_other_separators_and_letter_case_is_known_for_what_it_means(
    each: tuple[str, str],
) -> None:
    name, written = each
    assert misspelled([written], KNOWN) == ({} if written == name else {written: name})


# What ends with _PORT may be a variable of Kubernetes: one of a service named FRAUD_….
@given(names.filter(lambda name: not name.endswith("_PORT")), st.integers(0, 100))
def test_a_name_that_lacks_a_letter_gets_a_name_that_there_is(name: str, place: int) -> None:
    place = len("FRAUD_") + place % (len(name) - len("FRAUD_"))
    written = name[:place] + name[place + 1 :]
    found = misspelled([written], KNOWN)
    assert written in KNOWN or set(found) == {written}
    assert set(found.values()) <= {*KNOWN, ""}


def test_the_closest_name_is_reported_and_none_if_none_is_close() -> None:
    found = misspelled(["FRAUD_ZZZZZZ", "FRAUD_BLOK_AT", "FRAUD_BROKER_URLS"], KNOWN)
    assert found == {
        "FRAUD_BLOK_AT": "FRAUD_BLOCK_AT",
        "FRAUD_BROKER_URLS": "FRAUD_BROKER_URL",
        "FRAUD_ZZZZZZ": "",
    }
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("FRAUD_TEST_SERVERS", False),
        ("FRAUD_TEST_API_KEYS", True),
        ("FRAUD_REPORT_COMMAND", False),
        ("FRAUD_REPORT_COMMANDS", True),
        ("FRAUD_WEB_SERVICE_HOST", False),
        ("FRAUD_WEB_SERVICE_HOSTS", True),
        ("FRAUDS_API_KEYS", True),
        ("FRAUDS_BLOCK_AT", False),
        ("FRED_API_KEYS", False),
    ],
)
def test_what_belongs_to_others_is_told_from_what_only_seems_to(name: str, found: bool) -> None:
    assert (name in misspelled([name], KNOWN)) == found


@pytest.mark.parametrize(
    ("name", "sentence", "unsafe"),
    [
        ("FRAUD_BLOK_AT", "FRAUD_BLOK_AT is not a setting; did you mean FRAUD_BLOCK_AT?", False),
        ("FRAUD_ZZZ", "FRAUD_ZZZ is not a setting; did you mean FRAUD_API_KEYS?", True),
        ("fraud.api.keys", "it is not a setting", True),
        ("FRAUD_TOKENS", "it is not a setting", True),
    ],
)
def test_it_is_about_security_if_the_name_or_the_setting_that_may_be_meant_is(
    name: str, sentence: str, unsafe: bool
) -> None:
    assert about_security(name, sentence) == unsafe
