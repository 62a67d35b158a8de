"""The names that rules may use, and the type of each: fields, features and the score."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, Literal

from models.schema.definition import Definition, Field
from models.schema.fields import is_whole

Kind = Literal["number", "text", "flag", "time"]

SCORE: Final = "score"
"""The model's probability of fraud."""
_KINDS: Final[Mapping[str, Kind]] = {
    "number": "number",
    "amount": "number",
    "text": "text",
    "category": "text",
    "flag": "flag",
}
_LATE: Final = ("label", "weight")
"""Roles whose fields are not known when a decision is made."""


class Scope:
    """The names of a schema. A field is meant where a feature has the same name."""

    def __init__(self, definition: Definition) -> None:
        self.fields = {
            name: field
            for name, field in definition.known().items()
            if field.role not in _LATE and name != SCORE
        }
        """Those that rules may use, and the values of profiles."""
        self.features = [
            name for name in definition.features if name not in (*definition.known(), SCORE)
        ]
        """Those that rules may use."""
        self._all = definition

    def kind(self, name: str) -> Kind:
        """Return the type of a name; raises `ValueError`, with a close one, if there is none."""
        if name == SCORE:
            self._check_score()
            return "number"
        if (field := self.fields.get(name)) is not None:
            return kind(field)
        if name in self.features:
            return "number"
        if name in self._all.fields:
            raise ValueError(f"{name} is not known when a decision is made")
        close = get_close_matches(name, [*self.fields, *self.features, SCORE], 1)
        instead = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"there is no field or feature {name:.63}{instead}")

    def is_whole(self, name: str) -> bool:
        """Whether a name stands for whole numbers."""
        field = self.fields.get(name)
        return field is not None and is_whole(field)

    def _check_score(self) -> None:
        for what, names in (("field", self._all.fields), ("feature", self._all.features)):
            if SCORE in names:
                raise ValueError(
                    f"score is the model's score, and a {what} of the schema: "
                    f"give the {what} another name to use either"
                )


def kind(field: Field) -> Kind:
    """Return the type of a field in rules; times that are numbers are numbers."""
    if field.type == "time":
        return "time" if field.format == "iso8601" else "number"
    return _KINDS[field.type]
