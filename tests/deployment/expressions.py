"""What dashboards and alerts ask of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from tests.deployment.composed import DOCKER

OBSERVABILITY = DOCKER / "observability"
_WORDS = {"and", "or", "unless", "by", "on", "ignoring", "without", "offset", "bool", "inf", "nan"}
_SELECTOR = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\w|\s*\()")
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")


class Asked(NamedTuple):
    """One expression, and the labels which the text beside it shows of the result."""

    expression: str
    shown: set[str]

    def selectors(self) -> dict[str, str]:
        """Each metric, with the whole text of what is selected of it."""
        plain = _GROUPING.sub(" ", self.expression)
        found = _SELECTOR.finditer(re.sub(r"\[[^]]*\]", " ", plain))
        return {each[0].strip(): each[1] for each in found if each[1] not in _WORDS}

    def labels(self) -> set[str]:
        """Labels that are grouped by, or shown."""
        groups = ",".join(_GROUPING.findall(self.expression))
        return {each.strip() for each in groups.split(",") if each.strip()} | self.shown


def asked() -> Iterator[Asked]:
    """Every expression there is."""
    for group in yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            shown = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
            yield Asked(rule["expr"], set(shown))
    for file in (OBSERVABILITY / "dashboards").glob("*.json"):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                shown = re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat") or "")
                yield Asked(target["expr"], set(shown))
        for annotation in board["annotations"]["list"]:
            yield Asked(annotation["expr"], set())
