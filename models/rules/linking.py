"""All rules of a set as one function.

Each field is loaded once for a transaction. Each rule has a `try` of its own, which costs nothing
until the rule raises: so a single transaction and thousands take the same path.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

from models.rules.compiling import Compiler
from models.rules.fitting import fitting
from models.rules.functions import CALLED
from models.rules.rule import Rule
from models.rules.scope import SCORE, Scope, kind

Failed = Callable[[int], None]
"""Is called with the place of a rule that has raised, while its exception is handled."""

# Parsed once: while CPython makes a tree, the garbage collector may run code that makes another, as
# formatting a traceback does, and CPython then fails with a `SystemError`.
_FUNCTION: Final = ast.parse("""
def hits(transactions, scores, columns, lists):
    found = []
    append = found.append
    for t, score in zip(transactions, scores, *columns, strict=True):
        if t.__class__ is not known:
            t = fitted(t)
        h = ()
        append(h)
    return found
""")
"""Gets local variables for lists, features and fields, and the rules before the call of append."""
_RULE: Final = ast.parse("""
try:
    if condition:
        h += places
except Exception:
    failed(place)
""").body[0]


class Locals(NamedTuple):
    """The names that rules use, in the order of their local variables."""

    fields: Sequence[str]
    features: Sequence[str]
    lists: Sequence[str]

    def all(self) -> dict[str, str]:
        """Return the local variable of each name; lists go by `@name`."""
        return {
            SCORE: "score",
            **{name: f"v{place}" for place, name in enumerate(self.fields)},
            **{name: f"x{place}" for place, name in enumerate(self.features)},
            **{f"@{name}": f"l{place}" for place, name in enumerate(self.lists)},
        }


def linked(
    rules: Sequence[Rule], names: Locals, known: type, scope: Scope, failed: Failed
) -> Callable[..., list[tuple[int, ...]]]:
    """Return a function of transactions, scores, columns of features, and lists.

    `known` is the class of transactions whose fields need no look at their types.
    """
    module = built(rules, names, scope)
    kinds = {name: kind(scope.fields[name]) for name in names.fields}
    reachable: dict[str, Any] = {
        "__builtins__": {},
        "Exception": Exception,
        "zip": zip,
        "known": known,
        "fitted": fitting(kinds),
        "failed": failed,
        **CALLED,
    }
    # Of the rules, the tree has constants and names that are made here.
    exec(compile(module, "<rules>", "exec"), reachable)  # noqa: S102
    made: Callable[..., list[tuple[int, ...]]] = reachable["hits"]
    return made


def built(rules: Sequence[Rule], names: Locals, scope: Scope) -> ast.Module:
    """Return the syntax tree of the function."""
    module = deepcopy(_FUNCTION)
    function: Any = module.body[0]
    loop = function.body[2]
    local = names.all()
    loop.target.elts += [_stored(local[each]) for each in names.features]
    if names.lists:
        lists = [_stored(local[f"@{each}"]) for each in names.lists]
        unpacked = ast.Assign([ast.Tuple(lists, ast.Store())], ast.Name("lists", ast.Load()))
        function.body.insert(0, unpacked)
    loop.body[-1:-1] = [
        *(_loaded(name, local[name]) for name in names.fields),
        *(_tried(place, each, scope, local) for place, each in enumerate(rules)),
    ]
    return ast.fix_missing_locations(module)


def _stored(local: str) -> ast.expr:
    return ast.Name(local, ast.Store())


def _loaded(field: str, local: str) -> ast.stmt:
    value = ast.Attribute(ast.Name("t", ast.Load()), field, ast.Load())
    return ast.Assign([_stored(local)], value)


def _tried(place: int, rule: Rule, scope: Scope, local: dict[str, str]) -> ast.stmt:
    tried: Any = deepcopy(_RULE)
    hit: Any = (place,)
    branch, handled = tried.body[0], tried.handlers[0].body[0]
    branch.test = Compiler(scope, local).condition(rule.tree)
    branch.body[0].value = ast.Constant(hit)
    handled.value.args = [ast.Constant(place)]
    found: ast.stmt = tried
    return found
