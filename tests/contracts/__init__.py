"""Tests of an interface, which every implementation of it has to pass: the real one and a fake.

Each contract is a class of tests. A module of tests derives a class from it whose name begins with
`Test`, and provides the fixture that the contract asks for.
"""

from __future__ import annotations

import pytest

# Or their assertions would not tell what they have found: no module here is named like a test.
pytest.register_assert_rewrite(
    "tests.contracts.decision_log", "tests.contracts.producer", "tests.contracts.sinks"
)
