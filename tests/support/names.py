"""Names as people write them, in many scripts; each holds what `str.isprintable` may not like."""

from __future__ import annotations

REAL = (
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, zero width non-joiner
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Ali-Reza
    "\u0915\u094d\u200d\u0937\u0947\u092e",  # Hindi, zero width joiner
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf",  # Sinhala: Sri Lanka
    "\u5c71\u7530\u3000\u592a\u90ce",  # Japanese, ideographic space
    "Jean\u00a0Dupont",  # French, no-break space
    "10\u202f000\u00a0\u20ac",  # narrow no-break space
    "\u1797\u17b6\u179f\u17b6\u200b\u1781\u17d2\u1798\u17c2\u179a",  # Khmer, zero width space
    "\u0645\u064f\u062d\u064e\u0645\u064e\u0651\u062f",  # Arabic with vowel marks
    "\u05d9\u05b0\u05d4\u05d5\u05bc\u05d3\u05b8\u05d4",  # Hebrew with points
    "Nguye\u0302\u0303n Thi\u0323",  # Vietnamese, decomposed
    "a\u2060b",  # word joiner
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",  # a family
    "\u2764\ufe0f",  # variation selector
    "O\u2019Brien \u2013 \u00ab\u0428\u00bb",
    "\u1680\u2003",  # spaces alone
)
AWKWARD = (
    "{",
    "}",
    "{transaction_id}",
    "{x:.*}",
    ".",
    "..",
    "...",
    "status",
    "a/b",
    "../../stats",
    "//",
    "%2e",
    "%2F",
    "%",
    "\\",
    "..\\..",
    "?",
    "#",
    "&a=b",
    "+",
    ";a=b",
    ":",
    "http://x",
    "~",
    " ",
    "a ",
    "'\"<b>",
    "\U0001f600",
)
"""Ids that mean something in a URL, or to a router."""
WRONG = {
    "ab\u202ec": "U+202E RIGHT-TO-LEFT OVERRIDE (at position 3)",
    "\x00": "U+0000 (a control character, at position 1)",
    "a\x9b": "U+009B (a control character, at position 2)",
    "a\nb": "U+000A (a control character, at position 2)",
    "\u2028": "U+2028 LINE SEPARATOR (at position 1)",
    "a\u2029": "U+2029 PARAGRAPH SEPARATOR (at position 2)",
    "\u061c": "U+061C ARABIC LETTER MARK (at position 1)",
    "\u200e\u200f": "U+200E LEFT-TO-RIGHT MARK (at position 1), "
    "U+200F RIGHT-TO-LEFT MARK (at position 2)",
    "\u2066": "U+2066 LEFT-TO-RIGHT ISOLATE (at position 1)",
    "\ufeff": "U+FEFF ZERO WIDTH NO-BREAK SPACE (at position 1)",
    "a\u00ada": "U+00AD SOFT HYPHEN (at position 2)",
    "\ue000": "U+E000 (a private character, at position 1)",
    "\uffff": "U+FFFF (not a character of Unicode, at position 1)",
    "\U000e0041": "U+E0041 TAG LATIN CAPITAL LETTER A (at position 1)",
    "\U0001f600\u200bx\u202a": "U+202A LEFT-TO-RIGHT EMBEDDING (at position 4)",
}
