"""Settings of any class are loaded from variables, described, and refused in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, SecretStr, model_validator

from fraudapp.config import local_session
from fraudapp.config.environment import (
    SettingsError,
    described,
    load,
    secrets,
    unknown_variables,
    variable,
)


class Example(BaseModel):
    """Some settings, each of another kind."""

    data_dir: Path = Path(".fraudapp")
    count: Annotated[int, Field(ge=1, description="How\n    many.")] = 3
    server_url: str | None = None
    password: SecretStr = SecretStr("default-password")
    api_keys: SecretStr | None = None

    @model_validator(mode="after")
    def _together(self) -> Example:
        if self.count == 13:
            raise ValueError("FRAUD_COUNT=13 does not go with anything")
        return self


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(Example, environ)
    return caught.value.message


def test_variables_are_named_after_fields() -> None:
    assert variable("count") == "FRAUD_COUNT"
    assert load(Example, {"FRAUD_COUNT": "7", "COUNT": "8"}).count == 7
    assert load(Example, {}) == Example()


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_variable_counts_as_unset_but_blank_keys_are_a_value(blank: str) -> None:
    blanks = {"FRAUD_COUNT": blank, "FRAUD_PASSWORD": blank, "FRAUD_DATA_DIR": ""}
    assert load(Example, blanks) == Example()
    keys = load(Example, {"FRAUD_API_KEYS": blank}).api_keys
    assert (keys and keys.get_secret_value()) == (blank or None)


def test_a_sentence_has_the_value_what_is_allowed_and_the_default() -> None:
    assert refused(FRAUD_COUNT="0") == (
        "FRAUD_COUNT='0': input should be greater than or equal to 1; unset it for 3"
    )
    assert refused(FRAUD_COUNT="13") == "FRAUD_COUNT=13 does not go with anything"


def test_what_may_hold_a_secret_is_hidden() -> None:
    assert refused(FRAUD_COUNT="http://u:hunter2@h").startswith("FRAUD_COUNT=(hidden): ")


def test_unsafe_names_and_unusable_secret_files_are_reported_together(folder: Path) -> None:
    lines = refused(FRAUD_PASWORD="x", FRAUD_PASSWORD_FILE=str(folder / "absent")).splitlines()
    assert lines[0] == "FRAUD_PASWORD is not a setting; did you mean FRAUD_PASSWORD?"
    assert lines[1].startswith("FRAUD_PASSWORD_FILE=")
    assert len(lines) == 2


def test_a_name_that_is_harmless_to_ignore_is_reported_by_whoever_asks() -> None:
    environ = {"FRAUD_COUNTS": "9", "FRAUD_ZZZZZZ": "1", "HOME": "/"}
    assert load(Example, environ).count == 3
    assert unknown_variables(Example, environ) == {
        "FRAUD_COUNTS": "FRAUD_COUNTS is not a setting; did you mean FRAUD_COUNT?",
        "FRAUD_ZZZZZZ": "FRAUD_ZZZZZZ is not a setting",
    }


def test_each_setting_is_described_by_variable_default_and_meaning_on_one_line() -> None:
    assert described(Example) == [
        ("FRAUD_DATA_DIR", ".fraudapp", ""),
        ("FRAUD_COUNT", "3", "How many."),
        ("FRAUD_SERVER_URL", "", ""),
        ("FRAUD_PASSWORD", "default-password", ""),
        ("FRAUD_API_KEYS", "", ""),
    ]


def test_only_secrets_may_come_from_files(folder: Path) -> None:
    (folder / "secret").write_text("9\n")
    file = str(folder / "secret")
    assert secrets(Example) == ["FRAUD_PASSWORD", "FRAUD_API_KEYS"]
    assert load(Example, {"FRAUD_PASSWORD_FILE": file}).password.get_secret_value() == "9"
    assert load(Example, {"FRAUD_COUNT_FILE": file}).count == 3


def test_the_running_stack_is_looked_for_in_the_data_folder_of_the_environment(
    folder: Path,
) -> None:
    elsewhere = folder / "elsewhere"
    with local_session.session_file(elsewhere, {"FRAUD_COUNT": "5", "FRAUD_SERVER_URL": "a"}):
        environ = {"FRAUD_DATA_DIR": str(elsewhere), "FRAUD_SERVER_URL": "b"}
        found = load(Example, environ)
        assert (found.count, found.server_url) == (5, "b")
        assert load(Example, {}).count == 3
