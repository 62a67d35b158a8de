"""Environment variables that look like settings and are none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

PREFIX: Final = "FRAUD_"
TEST_PREFIX: Final = "FRAUD_TEST_"
_SECURITY: Final = re.compile(
    "AUTH|CERT|CREDENTIAL|HOSTS|KEY|LIMIT|OPEN|PASS|PROX|SASL|SECRET|SECUR|SSL|TLS|TOKEN|USER|_CA_"
)
_OF_KUBERNETES: Final = re.compile(r"_(SERVICE_(HOST|PORT)|PORT)(_\w+)?$")
"""What it tells each container of the services beside it, whatever they are called."""


def misspelt(environ: Iterable[str], known: Iterable[str]) -> Mapping[str, str]:
    """Return each variable that was most likely meant as a setting, with the name it is close to.

    Empty is the name if none is close.
    """
    names = set(known)
    return {
        name: next(iter(difflib.get_close_matches(_spelt(name), names, n=1)), "")
        for name in sorted(environ)
        if name not in names and _spelt(name).startswith(PREFIX)
        if not name.startswith(TEST_PREFIX) and not _OF_KUBERNETES.search(name)
    }


def about_security(name: str, meant: str) -> bool:
    """Whether to go on without such a setting could leave open what was meant to be shut."""
    return bool(_SECURITY.search(f"{_spelt(name)} {meant}"))


def _spelt(name: str) -> str:
    """Put a prefix right that was misspelt or written small."""
    if name.upper().startswith(PREFIX):
        return name.upper()
    first, _, rest = name.upper().partition("_")
    near = difflib.SequenceMatcher(None, first, PREFIX.rstrip("_")).ratio() >= 0.75
    return PREFIX + rest if near and _SECURITY.search(rest) else name
