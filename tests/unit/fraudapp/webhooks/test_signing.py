"""A receiver knows the sender by the signature of Standard Webhooks."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.webhooks.signing import signed


def test_the_signature_is_that_of_the_published_example() -> None:
    headers = signed(
        b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(
    key=st.binary(min_size=24, max_size=64),
    body=st.binary(),
    at=st.integers(0, 2**40),
    id_=st.text(),
)
def test_the_signature_is_of_id_time_and_body(key: bytes, body: bytes, at: int, id_: str) -> None:
    version, _, encoded = signed(key, id_, at, body)["webhook-signature"].partition(",")
    content = b".".join([id_.encode(), str(at).encode(), body])
    assert version == "v1"
    assert b64decode(encoded) == hmac.digest(key, content, hashlib.sha256)
