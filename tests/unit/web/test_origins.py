"""Only our own pages may send requests; they are known by name and port."""

from __future__ import annotations

import pytest

from web.origins import Origins

HOST = "127.0.0.1:8000"


ORIGINS = Origins("127.0.0.1", ["fraud.example.com", "*.fraud.svc"])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (f"http://{HOST}", HOST),
        ("http://localhost", "localhost"),
        ("https://localhost", "LocalHost"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://fraud.example.com", "fraud.example.com"),
        ("https://fraud.example.com", "fraud.example.com"),
        ("https://fraud.example.com", HOST),
        ("http://fraud.example.com:80", "fraud.example.com:8000"),
        ("http://fraud.example.com:8000", "fraud.example.com:8000"),
        ("https://fraud.example.com:8443", "fraud.example.com:8443"),
        ("https://fraud.example.com:8000", HOST),
        ("http://a.fraud.svc", "a.fraud.svc"),
        ("https://a.fraud.svc", "a.fraud.svc:8000"),
        ("http://a.fraud.svc:8000", "A.fraud.svc:8000"),
    ],
)
def test_a_page_of_ours_may_send_requests(origin: str, host: str) -> None:
    assert ORIGINS.is_own(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:3000", HOST),
        ("http://127.0.0.1", HOST),
        ("http://localhost:8000", HOST),
        ("https://localhost:1", "localhost"),
        ("http://fraud.example.com:3000", "fraud.example.com:8000"),
        ("https://fraud.example.com:1", "fraud.example.com"),
        ("https://fraud.example.com:0", "fraud.example.com"),
        ("http://fraud.example.com:3000", HOST),
        ("http://b.fraud.svc", "a.fraud.svc"),
        ("http://a.fraud.svc", HOST),
        ("http://a.fraud.svc:3000", "a.fraud.svc:8000"),
        ("http://evil.example", "evil.example:8000"),
        ("ftp://fraud.example.com", "fraud.example.com"),
        ("http://fraud.example.com:x", "fraud.example.com"),
        ("http://fraud.example.com", "["),
        ("http://", ""),
        ("null", HOST),
    ],
)
def test_others_may_not(origin: str, host: str) -> None:
    assert not ORIGINS.is_own(origin, host)
