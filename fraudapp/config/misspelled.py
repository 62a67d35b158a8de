"""Environment variables that were most likely meant as settings, and are none."""

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
"""Variables that Kubernetes gives to each container, named after the services beside it."""
_OF_AIRFLOW: Final = ("FRAUD_REPORT_COMMAND", "FRAUD_REPORT_CONNECTION")
"""Variables of the DAG of the daily report, which the command that it runs inherits."""


def misspelled(environ: Iterable[str], known: Iterable[str]) -> Mapping[str, str]:
    """Return each variable that was most likely meant as a setting, with the closest known name.

    The name is empty if none is close.
    """
    names = {_without_separators(each): each for each in known}
    return {
        name: names.get(_without_separators(name)) or _closest(_prefixed(name), names.values())
        for name in sorted(set(environ).difference(names.values()))
        if _without_separators(name) in names or _prefixed(name).startswith(PREFIX)
        if _without_separators(name) in names or not _OF_KUBERNETES.search(name)
        if name not in _OF_AIRFLOW
        if not name.startswith(TEST_PREFIX) or _SECURITY.search(name)
    }


def about_security(name: str, sentence: str) -> bool:
    """Return whether it could be unsafe to ignore a misspelled variable.

    Without the setting, something could stay open that was meant to be closed. Secrets and data
    could also go to the server of the default. `sentence` names the setting that may be meant.
    """
    return bool(_SECURITY.search(f"{_prefixed(name)} {sentence}"))


def _without_separators(name: str) -> str:
    return re.sub("[_.-]", "", name.upper())


def _prefixed(name: str) -> str:
    """Correct a prefix that is misspelled or in lower case."""
    name = re.sub("[.-]", "_", name.upper())
    if name.startswith(PREFIX):
        return name
    first, _, rest = name.partition("_")
    near = difflib.SequenceMatcher(None, first, PREFIX.rstrip("_")).ratio() >= 0.75
    return PREFIX + rest if near and _SECURITY.search(rest) else name


def _closest(name: str, names: Iterable[str]) -> str:
    suffixes = [each.removeprefix(PREFIX) for each in names]
    closest = difflib.get_close_matches(name.removeprefix(PREFIX), suffixes, n=1)
    return PREFIX + closest[0] if closest else ""
