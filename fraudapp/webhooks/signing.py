"""The headers by which a receiver knows the sender, as in Standard Webhooks."""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha256


def signed(key: bytes, id_: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of an attempt at a time, in Unix seconds.

    A receiver recomputes the signature with its copy of the key, compares it in constant time, and
    refuses what is older than some minutes.
    """
    content = f"{id_}.{at}.".encode() + body
    signature = b64encode(hmac.new(key, content, sha256).digest()).decode()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }
