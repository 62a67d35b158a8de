"""fakeredis as a process: `python -m fraudapp.local.fake_redis PORT`."""

from __future__ import annotations

import sys

from fakeredis import TcpFakeServer

from fraudapp.local.processes import HOST


def main() -> None:
    """Serve until the process is stopped."""
    TcpFakeServer((HOST, int(sys.argv[1]))).serve_forever()


if __name__ == "__main__":
    main()
