"""Environment variables that look like settings and are none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

PREFIX: Final = "FRAUD_"
TEST_PREFIX: Final = "FRAUD_TEST_"
_SECURITY: Final = re.compile(
    "ADDR|ALLOW|AUTH|BIND|BODY|CERT|CONNECTION|CORS|CREDENTIAL|FORWARD|HOST|KEY|LIMIT|MAX_|OPEN|"
    "ORIGIN|PASS|PROTO|PROX|READ_?ONLY|SASL|SECRET|SECUR|SSL|THROTTL|TLS|TOKEN|USER|_CA_|_UR[IL]"
)
_OF_KUBERNETES: Final = re.compile(r"_(SERVICE_(HOST|PORT)|PORT)(_\w+)?$")
"""What it tells each container of the services beside it, whatever they are called."""
_OF_AIRFLOW: Final = ("FRAUD_REPORT_COMMAND", "FRAUD_REPORT_CONNECTION")
"""What the DAG of the daily report is told; the command that it runs sees it too."""


def misspelt(environ: Iterable[str], known: Iterable[str]) -> Mapping[str, str]:
    """Return each variable that was most likely meant as a setting, with the name it is close to.

    Empty is the name if none is close.
    """
    names = {_letters(each): each for each in known}
    return {
        name: names.get(_letters(name)) or _closest(_spelt(name), names.values())
        for name in sorted(set(environ).difference(names.values()))
        if _letters(name) in names or _spelt(name).startswith(PREFIX)
        if name not in _OF_AIRFLOW and not _OF_KUBERNETES.search(name)
        if not name.startswith(TEST_PREFIX) or _SECURITY.search(name)
    }


def about_security(name: str, meant: str) -> bool:
    """Whether to go on without such a setting could leave open what was meant to be shut.

    Or send what is secret, or ought to be kept, to where the default leads.
    """
    return bool(_SECURITY.search(f"{_spelt(name)} {meant}"))


def _letters(name: str) -> str:
    """Leave out what separates words."""
    return re.sub("[_.-]", "", name.upper())


def _spelt(name: str) -> str:
    """Put a prefix right that was misspelt or written small."""
    name = re.sub("[.-]", "_", name.upper())
    if name.startswith(PREFIX):
        return name
    first, _, rest = name.partition("_")
    near = difflib.SequenceMatcher(None, first, PREFIX.rstrip("_")).ratio() >= 0.75
    return PREFIX + rest if near and _SECURITY.search(rest) else name


def _closest(name: str, names: Iterable[str]) -> str:
    rests = [each.removeprefix(PREFIX) for each in names]
    found = difflib.get_close_matches(name.removeprefix(PREFIX), rests, n=1)
    return PREFIX + found[0] if found else ""
