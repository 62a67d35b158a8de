"""Rules of a fraud policy: expressions in a subset of Python's grammar, compiled for whole batches.

`README.md` describes the language to those who write rules. A value may be missing: an optional
field that a message lacks, a field that another schema's transaction does not have, or a feature
that the model sees as NaN.

| where a value is missing | result |
| --- | --- |
| a comparison, also `!=`, `in` and `not in`; of a chain, any part | false |
| arithmetic; `abs`, `min`, `max`, `len`, `lower`, `hour` | missing |
| a flag by itself | false |
| `missing(x)` | true |

Every flag is true or false in the end: where the amount is missing, `not amount > 5` holds, and
`amount <= 5` does not. What is no number, such as infinity less infinity, is missing too. Where a
part of a comparison is missing, nothing is computed of the others, so that they cannot fail.

| module | what |
| --- | --- |
| `tokens`, `literals`, `parser`, `tree` | the text to a tree; Python's own parser never sees it |
| `scope`, `checking`, `rule` | names and types of a schema; everything a rule uses |
| `compiling`, `linking`, `ruleset` | all rules to one function, built as a syntax tree of Python |
| `functions`, `fitting` | what that function calls |
| `errors` | what is wrong with a rule, and where |
"""
