"""What the names of values in messages tell about them, in whatever way they are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from models.schema.definition import Role

_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    return [each.lower() for each in _PART.findall(name)]


_NAMES: Final[dict[Role, str]] = {
    "id": "transaction_id|trans_num|tx_id|uetr|payment_id|end_to_end_id|id|reference|ref",
    "label": "is_fraud|fraud|fraudulent|is_fraudulent|tx_fraud|fraud_(?:flag|label)|label|class"
    "|target|chargeback|is_chargeback|(?!.*flagged)(?:.*_)?fraud(?:_.*)?",
    "upstream_flag": "is_flagged_fraud|flagged|is_flagged",
    "amount": "amount|amt|tx_amount|value|sum|total|.*_(?:amount|amt)",
    "kind": "type|kind|category|channel|transaction_type|purpose|purp",
    "time": "time|timestamp|at|ts|date|datetime|.*_dt_tm|.*_(?:time|date|datetime|timestamp|at)",
}
"""By role, names that are likely it, the likeliest first."""
_PATTERNS: Final = {
    role: [re.compile(each) for each in re.split(r"\|(?![^(]*\))", names)]
    for role, names in _NAMES.items()
}
_PARTIES: Final[dict[Role, frozenset[str]]] = {
    "sender": frozenset(
        words("sender debtor dbtr payer orig origin originator source customer client card cc")
    ),
    "receiver": frozenset(
        words("receiver recipient creditor cdtr payee dest destination merchant terminal")
    ),
}
_ACCOUNT: Final = frozenset(words("account acct iban id number num"))
_NAME: Final = frozenset(words("name nm"))
_LEADING: Final[dict[str, Role]] = {"from": "sender", "to": "receiver"}
"""Words that tell a party where a key begins with them."""
_ABOUT: Final = frozenset(
    words("agent agt bank bic category country ctry currency ccy mcc postcode sic type zip")
)
"""Words of what is said about a party, and is not the party."""
GENERIC: Final = frozenset(words("amount amt cd ccy code iban id name nm text type value"))
"""Names that say little without the key above."""
_CURRENCY: Final = frozenset(words("currency ccy cur curr"))
_CODE: Final = re.compile(r"[A-Z]{3}")
_MONEY: Final = re.compile(r".*(amount|amt|balance|price|fee|total)")
_IDENTIFIER: Final = re.compile(
    r".*(id|num|number|account|acct|iban|card|code|phone|zip|ref|mcc)|(.*_)?(sic|naics|bin|pin)"
)
_OUTCOME: Final = frozenset(words("fraud fraudulent chargeback"))
"""Words of what is likely known only after a decision."""


def named(names: Sequence[str]) -> str:
    """Return the last key in words, with that above it if it says little by itself."""
    last = words(names[-1])
    if GENERIC.issuperset(last) and len(names) > 1:
        return "_".join(words(names[-2]) or last)
    return "_".join(last)


def suits(role: Role, names: Sequence[str]) -> int:
    """Return how well the keys to a value suit a role; 0 if not at all."""
    if role in _PARTIES:
        return _suits_party(role, names)
    for name in ("_".join(words(names[-1])), named(names)):
        for place, pattern in enumerate(_PATTERNS.get(role, ())):
            if pattern.fullmatch(name):
                return 100 - place
    return 0


def _suits_party(role: Role, names: Sequence[str]) -> int:
    """The last key tells more than those above it, and an account more than a name."""
    found = [{*words(name), *_led(name)} for name in names]
    above = set().union(*found)
    known = _PARTIES[role] | {role}
    if not above & known or above & _ABOUT:
        return 0
    return 1 + 4 * bool(found[-1] & known) + (2 * bool(above & _ACCOUNT) or bool(above & _NAME))


def _led(name: str) -> list[str]:
    return [role for word in words(name)[:1] if (role := _LEADING.get(word))]


def is_money(names: Sequence[str]) -> bool:
    """Whether the name is that of a sum of money."""
    return _MONEY.match(named(names)) is not None or suits("amount", names) > 0


def is_currency(names: Sequence[str], values: Sequence[object]) -> bool:
    """Whether name and values are those of a currency: codes of ISO 4217."""
    codes = all(isinstance(each, str) and _CODE.fullmatch(each) for each in values if each)
    return codes and any(values) and not _CURRENCY.isdisjoint(words(names[-1]))


def is_identifier(names: Sequence[str]) -> bool:
    """Whether the name is that of a number with which nobody calculates."""
    return _IDENTIFIER.fullmatch(named(names)) is not None


def tells_label(names: Sequence[str]) -> bool:
    """Whether the name is that of a label, or of something that tells what it is."""
    return suits("label", names) > 0 or not _OUTCOME.isdisjoint(words(names[-1]))


def is_party(names: Sequence[str]) -> bool:
    """Whether the name is that of a transaction or of somebody in it."""
    parties: tuple[Role, ...] = ("id", "sender", "receiver")
    return any(suits(role, names) > 1 for role in parties)
