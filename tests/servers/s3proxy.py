"""An S3 server over a folder: S3Proxy, which checks the signature of each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http.client import FORBIDDEN
from pathlib import Path

from fraudapp.local.probes import http_status
from fraudapp.local.processes import HOST, Child
from fraudapp.local.server import Server
from tests.servers.jars import HERE, STARTS_SOON, java


class S3Proxy(Server):
    """S3 with one key; buckets are folders below `folder/buckets`.

    `properties` are added to its configuration, `options` are Java's.
    """

    name = "s3proxy"
    key_id = "test-key"
    secret = "test-secret"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        properties: Mapping[str, str] | None = None,
        options: Sequence[str] = STARTS_SOON,
    ) -> None:
        super().__init__(folder, port)
        self._properties = properties or {}
        quiet = f"-Dlogback.configurationFile={HERE / 'logback.xml'}"
        self._java = java("s3proxy", "-Xmx256m", quiet, *options)

    @property
    def url(self) -> str:
        """The endpoint, `http://HOST:PORT`."""
        return f"http://{HOST}:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """The application's settings for this server, but for the bucket."""
        return {
            "FRAUD_S3_ENDPOINT_URL": self.url,
            "FRAUD_S3_ACCESS_KEY_ID": self.key_id,
            "FRAUD_S3_SECRET_ACCESS_KEY": self.secret,
        }

    def prepare(self) -> None:
        self._buckets.mkdir(exist_ok=True)
        self._configuration.write_text(
            f"s3proxy.endpoint={self.url}\n"
            "s3proxy.authorization=aws-v2-or-v4\n"
            f"s3proxy.identity={self.key_id}\n"
            f"s3proxy.credential={self.secret}\n"
            "jclouds.provider=filesystem-nio2\n"
            f"jclouds.filesystem.basedir={self._buckets}\n"
            + "".join(f"{name}={value}\n" for name, value in self._properties.items())
        )

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket; `name` has 3 to 63 lower-case letters, digits and hyphens."""
        (self._buckets / name).mkdir()

    def command(self) -> Child:
        argv = [*self._java, "org.gaul.s3proxy.Main", "--properties", str(self._configuration)]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        # We did not sign, and it checks that.
        return http_status(self.port, "/") == FORBIDDEN

    @property
    def _configuration(self) -> Path:
        return self.folder / "s3proxy.properties"

    @property
    def _buckets(self) -> Path:
        return self.folder / "buckets"
