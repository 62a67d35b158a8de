"""Texts that are no rules, or nearly none."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.unit.models.rules.making import Expression

NEVER: Final = (
    "().__class__.__bases__[0].__subclasses__()",
    "amount.__class__ == 1",
    "(lambda: True)()",
    "[amount for amount in (1, 2)] == 1",
    "any(x for x in (1,))",
    "f'{amount}' == card",
    "f'{().__class__}' == card",
    "(x := 1) == amount",
    "10**10**10 > amount",
    "amount // 1 > 0",
    "card == 'a\0b'",
    "\0",
    "amount > 1\0",
    "card == '\ud800'",
    "\ud800 > amount",
    "(" * 990 + "amount" + ")" * 990 + " > 1",
    "(" * 1_999,
    "[" * 1_999,
    "amount in " + "[" * 1_900,
    "9" * 1_900 + " > amount",
    "9" * 5_000,
    "1" + "_0" * 900 + " > amount",
    "__import__('os').system('true')",
    "__import__('os')",
    "exec('x')",
    "open('/etc/passwd')",
    "1e400 > amount",
    "-1e400 < amount",
    "nan == amount",
    "inf > amount",
    "amount > 1j",
    "amount > 9007199254740993",
    "-" * 1_990 + "1 > amount",
    "not " * 400 + "online",
    "abs(" * 300 + "amount" + ")" * 300 + " > 1",
    "amount" + " + 1" * 400 + " > 1",
    "card * 1000000 == card",
    "'x' * 1000000000 == card",
    "card % 5 == card",
    "'%999999999d' % amount == card",
    "card + 1 > 2",
    "amount > card",
    "amount == True",
    "online > False",
    "at > 5",
    "card in @1",
    "card @ amount",
    "@mules",
    "card == @mules",
    "@mules in @mules",
    "card in mules",
    "'x' in card",
    "amount if online else amount",
    "amount > 1 if online else False",
    "amount is None",
    "amount == None",
    "amount > 1 # why",
    "amount > 1; amount",
    "amount > \\\n 1",
    "amount > 1 \\",
    "\uff41mount > 1",
    "am\u1d0funt > 1",
    "amount\u00a0> 1",
    "\ufeffamount > 1",
    "amount > \u0661",
    "amount > 0x10",
    "amount > 0b1",
    "amount > 010",
    "amount > 1__0",
    "amount > 1_",
    "amount > 1if online",
    "amount > 1and online",
    "amount > 1or online",
    "b'x' == card",
    "r'x' == card",
    "u'x' == card",
    "'x' 'y' == card",
    "'''x''' == card",
    "'x",
    "'a\nb' == card",
    "'\\x41' == card",
    "'\\N{BULLET}' == card",
    "card == '\u202e'",
    "...",
    "amount.real > 1",
    "card[0] == 'x'",
    "{'x': 1} == 1",
    "*amount",
    "**amount",
    "amount, amount",
    "()",
    "yield",
    "await amount",
    "print",
    "abs > 1",
    "amount(1) > 1",
    "abs(amount)(1) > 1",
    "'x'(1) == 1",
    "min(*amount) > 1",
    "min(amount, key=amount) > 1",
    "min(amount) > 1",
    "min(amount, card) > 1",
    "hour(amount) > 1",
    "hour(1) > 1",
    "missing(1)",
    "missing(score)",
    "missing(amount + 1)",
    "fraud",
    "heavy > 0",
    "fraude",
    "amount not 5",
    "amount < > 5",
    "amount <> 5",
    "amount = 5",
    "amount && online",
    "amount == not online",
    "+amount > 1",
    "-True == -1",
    "-online == 1",
    "amount in (-True,)",
    "~amount > 1",
    "amount | 1 > 1",
    "card in 'xyz'",
    "card in ('x')",
    "card in ()",
    "card in ('x' 'y')",
    "card in (card,)",
    "card in ('x', 1)",
    "card in {'x'}",
    "card in ('x',) == True",
    "kind == 'D'",
    "kind in ('A', 'D')",
    "",
    " ",
    "\n\n",
    "(",
    ")",
    "'",
    "@",
    "not",
    "in",
    "not in",
)
"""None of them is a rule."""
_CHARACTERS: Final = (
    "abcxyzAB0159 ()[]{}<>=!+-*/%.,:;@#\\'\"_&|^~`?$\n\t\r\0\x7f\u00a0\u00e9\uff41\u0661\u2028"
    "\ud800\udfff\U0001d41a"
)
_TOKENS: Final = (
    *(
        "amount",
        "card",
        "kind",
        "online",
        "at",
        "score",
        "is_a",
        "fraud",
        "mules",
        "x",
        "__class__",
    ),
    *("@mules", "@", "in", "not", "and", "or", "is", "None", "True", "if", "else", "lambda", "for"),
    *("1", "1.5", ".5", "1e400", "0x1", "'x'", '"A"', "f'x'", "''", "(", ")", "[", "]", ",", "."),
    *("<", "<=", "==", "!=", "=", "+", "-", "*", "/", "%", "**", "//", ":=", ":", "abs", "min"),
    *("len", "lower", "hour", "missing", "print", "eval", "__import__", "\n", "\\\n", "#", ";"),
)


def hostile(random: Random) -> str:
    """Noise, soups of tokens, deep nestings, and valid expressions with something changed."""
    kind = random.randrange(10)
    if kind == 0:
        return "".join(random.choices(_CHARACTERS, k=random.randrange(60)))
    if kind == 1:
        return "".join(chr(random.randrange(0x110000)) for _ in range(random.randrange(20)))
    if kind == 2:
        return " ".join(random.choices(_TOKENS, k=random.randrange(1, 30)))
    if kind == 3:
        opening = random.choice(("(", "-", "not ", "abs(", "[", "not(", "-(", "amount+(", "1<("))
        times = random.choice((1, 5, 31, 32, 33, 100, 1_000))
        closing = ")" * (times * opening.count("("))
        return opening * times + random.choice(("amount", "online")) + closing
    made = Expression(random).text(random.randrange(1, 6))
    for _ in range(random.randrange(1, 4)):
        made = _changed(random, made)
    return made


def _changed(random: Random, text: str) -> str:
    place, other = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    kind = random.randrange(6)
    if kind == 0:
        return text[:place] + text[place + 1 :]
    if kind == 1:
        return text[:place] + random.choice(_CHARACTERS) + text[place:]
    if kind == 2:
        return text[:place] + " " + random.choice(_TOKENS) + " " + text[place:]
    if kind == 3:
        return text[:place] + text[other:]
    if kind == 4:
        return text[:other] + text[place:]
    words = text.split(" ")
    words[random.randrange(len(words))] = random.choice(_TOKENS)
    return " ".join(words)
