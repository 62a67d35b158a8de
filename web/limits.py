"""Limits on connections: how many there may be, and how long each may keep the server waiting.

aiohttp itself has a time limit only for the pause between two requests. It also accepts connections
until the process has no file descriptors left. RocksDB would then lack one, which ends the worker.
"""

from __future__ import annotations

from typing import Final, NamedTuple

LINGERING_SECONDS: Final = 2.0
"""How long a client may go on sending a body that is discarded, so that it gets to the answer."""
MAX_DISCARDED_BYTES: Final = 8 << 20
"""How much of such a body is discarded before the connection is aborted."""
PIECE_BYTES: Final = 16 << 10
"""How much is parsed at once; the requests found in it are answered before more is parsed."""
MAX_URL_BYTES: Final = 8_000
MAX_LINE_BYTES: Final = 8_190
MAX_HEADERS: Final = 128
STREAM_BUFFER_BYTES: Final = 16 << 10
"""Size of the write buffers of a stream. With small ones, a reader that has stopped shows sooner.
"""


class Limits(NamedTuple):
    """The limits of one server; times are in seconds."""

    connections: int
    """Connections that may be open at the same time."""
    held: int = 64 << 20
    """Bytes of all request bodies that are not answered yet, and of all pipelined requests."""
    head_size: int = 32 << 10
    """Bytes of a request's head; browsers and proxies stay below 16 KiB."""
    body_size: int = 4 << 20
    """Bytes of a body on the wire, including the framing of its chunks."""
    head: float = 15.0
    """Time for a request's head, from its first byte, or from the accept of a new connection."""
    idle: float = 75.0
    """Time between two requests; most load balancers close a connection after 60 seconds."""
    body: float = 20.0
    """Time for a request's body, plus one second for each `rate` bytes received."""
    answer: float = 15.0
    """Time for the client to take an answer, plus one second for each `rate` bytes taken."""
    rate: float = 10_000.0
    """Bytes a second which a slow client has to reach in a body or an answer."""
    stream: float = 240.0
    """Lifetime of a stream. A client that has stopped reading is seen only once all buffers are
    full, so no stream may go on for ever."""
    tick: float = 1.0
    """Time between two checks of all connections."""
