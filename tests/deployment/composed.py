"""The compose file as Docker Compose understands it, as far as it is used here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
FILE = DOCKER / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^{}]*))?\}")  # one that has no other in it


def services(environ: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """The services, with `${NAME:-default}` filled in from `environ`."""
    loaded = yaml.safe_load(FILE.read_text())
    return cast(dict[str, dict[str, Any]], filled(loaded["services"], environ or {}))


def filled(value: Any, environ: Mapping[str, str]) -> Any:
    """The same value with its variables filled in; one that is set but empty counts as unset."""
    if isinstance(value, str):
        while found := _VARIABLE.search(value):
            inner = environ.get(found[1]) or found[2] or ""
            value = value[: found.start()] + inner + value[found.end() :]
        return value
    if isinstance(value, dict):
        return {name: filled(each, environ) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, environ) for each in value]
    return value


def instruction(name: str) -> Any:
    """The argument of the Dockerfile's last instruction of that name, which is in exec form."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    found = re.findall(rf"^{name}\b.*?(\[.*\])$", text, re.MULTILINE)
    return json.loads(found[-1])


def settings_of_image() -> dict[str, str]:
    """The `FRAUD_*` variables which the Dockerfile sets."""
    return dict(re.findall(r"\b(FRAUD_\w+)=(\S+)", (DOCKER / "Dockerfile").read_text()))
