"""fakeredis as a server process: `python -m fraudapp.local.fake_redis PORT USERS`."""

from __future__ import annotations

import sys
from pathlib import Path

from fakeredis import FakeRedis, TcpFakeServer

from fraudapp.local.processes import HOST


def main() -> None:
    """Serve until the process is stopped; the file `USERS` has the lines of Redis' `aclfile`."""
    server = TcpFakeServer((HOST, int(sys.argv[1])))
    with FakeRedis(server=server.fake_server) as client:
        for line in Path(sys.argv[2]).read_text(encoding="utf-8").splitlines():
            _, *rule = line.split() or [""]
            if rule:
                client.execute_command("ACL SETUSER", *rule)
    server.serve_forever()


if __name__ == "__main__":
    main()
