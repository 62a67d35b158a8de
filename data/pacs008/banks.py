"""The banks, all invented, and the numbers of accounts there."""

from __future__ import annotations

from typing import Final, NamedTuple


class Bank(NamedTuple):
    """One bank."""

    name: str
    bic: str
    """Its eighth character is 0, which marks a BIC for tests (ISO 9362): no bank can have it."""
    prefix: str
    """What its account numbers begin with: the bank's own number, made up."""
    digits: int
    """Digits of an account number after the prefix."""
    customers: float
    """Its share of the customers, relative to the other banks."""
    mules: float
    """Its share of the accounts that frauds are paid to, likewise."""

    @property
    def country(self) -> str:
        """ISO 3166, as in the BIC."""
        return self.bic[4:6]

    @property
    def currency(self) -> str:
        """Of its accounts, ISO 4217."""
        return CURRENCIES.get(self.country, "EUR")

    @property
    def has_ibans(self) -> bool:
        """Whether its accounts have IBANs."""
        return self.country not in WITHOUT_IBANS

    def account(self, number: int) -> dict[str, object]:
        """Return the identification of an account as pacs.008 has it."""
        own = f"{self.prefix}{number:0{self.digits}d}"
        return {"IBAN": iban(self.country, own)} if self.has_ibans else {"Othr": {"Id": own}}


CURRENCIES: Final = {"CH": "CHF", "GB": "GBP", "US": "USD"}
"""By country; the others have the euro."""
WITHOUT_IBANS: Final = ("US",)

BANKS: Final = (
    Bank("Nordhafen Bank", "QNHBDEH0", "99990001", 10, 0.20, 0.03),
    Bank("Lindental Sparbank", "QLTSDEF0", "99990002", 10, 0.16, 0.03),
    Bank("Bank aan de Vaart", "QBAVNL20", "QBAV", 10, 0.13, 0.03),
    Bank("Donauufer Bank", "QDUBATW0", "99901", 11, 0.09, 0.02),
    Bank("Banque des Collines", "QBDCLUL0", "991", 13, 0.06, 0.03),
    Bank("Harbour Lane Bank", "QHLBIE20", "QHLB999901", 8, 0.06, 0.03),
    Bank("Meridian Row Bank", "QMRBGB20", "QMRB999901", 8, 0.07, 0.06),
    Bank("Bergsee Bank", "QBSBCHZ0", "99901", 12, 0.05, 0.02),
    Bank("Prairie Street Bank", "QPSBUS30", "99990001", 8, 0.06, 0.10),
    Bank("Amberlane Pay", "QALPLT20", "99911", 11, 0.05, 0.30),
    Bank("Kitewing Money", "QKWMLT20", "99912", 11, 0.04, 0.22),
    Bank("Pebble Cove Pay", "QPCPMTM0", "QPCP99901", 18, 0.03, 0.13),
)
"""Account numbers have the lengths of their countries in the register of IBANs (ISO 13616)."""


def iban(country: str, account: str) -> str:
    """Return the IBAN of a national account number, with its check digits (ISO 7064, 97-10)."""
    return f"{country}{98 - remainder(f'{account}{country}00'):02d}{account}"


def remainder(text: str) -> int:
    """Return the remainder by 97 that check digits are made of; letters count from 10 to 35."""
    return int("".join(str(int(character, 36)) for character in text)) % 97
