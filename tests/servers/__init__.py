"""Real servers for the tests, each a process on 127.0.0.1 with its own port and folder.

`python -m tests.servers.install` fetches what they need. Where one cannot be had, the wheels of the
embedded stack stand in, and where there is none either, the tests that need it are skipped. With
`FRAUD_TEST_REQUIRE_SERVERS=1` anything but the real server is a failure.
"""
