"""Settings from environment variables: how they are loaded and described.

`fraudapp.settings` imports this package, so the functions take its settings class as an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from fraudapp.config import addresses, secret_files
from fraudapp.config.local_session import running_settings
from fraudapp.config.misspelled import PREFIX, about_security, misspelled

SettingsT = TypeVar("SettingsT", bound=BaseModel)


class SettingsError(click.ClickException):
    """A setting is wrong; the message names the variable, the value and what is allowed."""


def load(model: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
    """Return the settings of a running embedded stack, overridden by those in `environ`.

    The stack is looked for in the data folder. Raises `SettingsError` with one line for each wrong
    value, and for each unknown name that seems to be about security.
    """
    given = _with_secrets(model, environ)
    data_dir = Path(given.get(variable("data_dir")) or model.model_fields["data_dir"].default)
    merged = {**_of_running_stack(data_dir), **given}
    values = {
        name: text
        for name in _fields(model)
        # Compose files leave a variable empty to unset it. Keys of blanks alone are a mistake.
        if (text := merged.get(variable(name))) and (name == "api_keys" or text.strip())
    }
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        sentences = [_sentence(model, error) for error in exc.errors()]
        raise SettingsError("\n".join(sentences)) from None


def described(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    """Return variable, default and meaning of every setting, in the order of the class."""
    rows = []
    for name, field in _fields(model).items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        meaning = " ".join((field.description or "").split())
        rows.append((variable(name), "" if default is None else str(default), meaning))
    return rows


def secrets(model: type[BaseModel]) -> list[str]:
    """Return the variables of the settings that hold secrets."""
    return [variable(name) for name, field in _fields(model).items() if _is_secret(field)]


def variables(model: type[BaseModel]) -> list[str]:
    """Return the variables of all settings, in the order of the class."""
    return [variable(name) for name in _fields(model)]


def unknown_variables(model: type[BaseModel], environ: Iterable[str]) -> dict[str, str]:
    """Return each `FRAUD_*` variable that is no setting, with a sentence about it."""
    known = variables(model)
    known += [name + secret_files.SUFFIX for name in secrets(model)]
    return {
        name: f"{name} is not a setting" + (f"; did you mean {close}?" if close else "")
        for name, close in misspelled(environ, known).items()
    }


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings by their name in the environment; some have another in the class."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _with_secrets(model: type[BaseModel], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the secrets of files filled in, unless a name seems unsafe."""
    problems = [
        sentence
        for name, sentence in unknown_variables(model, environ).items()
        if about_security(name, sentence)
    ]
    filled: dict[str, str] = {}
    try:
        filled = secret_files.filled_in(environ, secrets(model))
    except ValueError as exc:
        problems.append(str(exc))
    if problems:
        raise SettingsError("\n".join(problems))
    return filled


def _of_running_stack(data_dir: Path) -> dict[str, str]:
    try:
        return running_settings(data_dir)
    except PermissionError as exc:
        raise SettingsError(
            f"FRAUD_DATA_DIR={str(data_dir)!r}: it is for another user only ({exc.strerror}); "
            "be that user, or name another folder"
        ) from exc
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise SettingsError(f"FRAUD_DATA_DIR={str(data_dir)!r}: {why}; name a folder") from exc


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def _sentence(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """Return what is wrong and what is allowed; values that may hold a secret are hidden."""
    problem = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return problem
    name = str(error["loc"][0])
    field = _fields(model)[name]
    secret = _is_secret(field)
    hidden = secret or addresses.may_hold_a_secret(str(error["input"]))
    shown = "(hidden)" if hidden else repr(error["input"])
    allowed = problem[0].lower() + problem[1:]
    default = "" if secret or field.default is None else f"; unset it for {field.default}"
    return f"{variable(name)}={shown}: {allowed}{default}"
