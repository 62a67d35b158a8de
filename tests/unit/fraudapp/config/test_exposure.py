"""An address that other machines reach is refused unless there are keys or it is meant."""

from __future__ import annotations

import pytest

from fraudapp.config.exposure import is_loopback, refusal


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"]
)
def test_loopback_is_known_by_whatever_name(address: str) -> None:
    assert is_loopback(address)
    assert refusal(address, has_keys=False, open_to_all=False) is None


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.168.1.5", "::ffff:10.0.0.1", "no.such.name.invalid", "a b"]
)
def test_any_other_address_needs_keys_or_an_explicit_setting(address: str) -> None:
    problem = refusal(address, has_keys=False, open_to_all=False)
    assert problem is not None
    assert address in problem
    assert "FRAUD_API_KEYS" in problem
    assert "FRAUD_API_OPEN=true" in problem
    assert refusal(address, has_keys=True, open_to_all=False) is None
    assert refusal(address, has_keys=False, open_to_all=True) is None
