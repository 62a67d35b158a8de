"""Kafka, PostgreSQL and Redis as a careful operator runs them: TLS only, with passwords."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import redis
import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fraudapp.local.probes import kafka_answers
from fraudapp.local.processes import HOST, Child, free_port
from tests.servers.kafka import Kafka
from tests.servers.postgres import SystemPostgres
from tests.servers.redis import SystemRedis

PASSWORD = "only-for-tests"
Rule = TypeVar("Rule", AclBinding, AclBindingFilter)


class Certificates:
    """An authority, and a certificate for this machine which it issued, as PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        authority = trustme.CA()
        issued = authority.issue_cert(HOST, "localhost")
        self.ca, self.cert, self.key = (folder / f"{name}.pem" for name in ("ca", "cert", "key"))
        self.both = folder / "both.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
        # PKCS#8 is the one form that Kafka reads.
        key = load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self.cert.write_bytes(chain)
        self.key.write_bytes(key)
        self.both.write_bytes(key + chain)


class SecuredKafka(Kafka):
    """SASL_SSL for clients; the broker itself and the health check use a port in the clear."""

    user = "fraud"
    formatting = (
        "--standalone",
        f"--add-scram=SCRAM-SHA-512=[name={user},password={PASSWORD}]",
    )
    guards: ClassVar[Mapping[str, str]] = {}  # properties of an authorizer

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self._inside = free_port()
        port = free_port()
        login = "org.apache.kafka.common.security"
        listeners = f"INSIDE://{HOST}:{self._inside},CLIENTS://{HOST}:{port}"
        clients: Mapping[str, str] = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates.ca),
            "ssl.client.auth": "requested",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_{self.user}="{PASSWORD}";'
            ),
        }
        controller = free_port()
        properties = {
            "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": (
                "INSIDE:PLAINTEXT,CLIENTS:SASL_SSL,CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "INSIDE",
            **{f"listener.name.clients.{name}": value for name, value in clients.items()},
            **self.guards,
        }
        super().__init__(folder, port, properties=properties)

    def answers(self) -> bool:
        return kafka_answers(self._inside)


class GuardedKafka(SecuredKafka):
    """The same, with an authorizer: the user may do all that is not denied here."""

    # Who comes by the port in the clear, the broker itself for one, is not asked.
    guards: ClassVar[Mapping[str, str]] = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }

    @property
    def inside_url(self) -> str:
        """`kafka://HOST:PORT` of the port in the clear."""
        return f"kafka://{HOST}:{self._inside}"

    def allow_all(self) -> None:
        """Let the user do all; to be called once."""
        everything = [(kind, "*") for kind in (ResourceType.TOPIC, ResourceType.GROUP)]
        self._create(
            _rule(AclBinding, *each, AclOperation.ALL, AclPermissionType.ALLOW)
            for each in [*everything, (ResourceType.BROKER, "kafka-cluster")]
        )

    def deny(self, kind: str, name: str, operation: str = "ALL") -> None:
        """Deny it to the user, on a `topic` or `group`."""
        self._create([self._denied(AclBinding, kind, name, operation)])

    def allow(self, kind: str, name: str, operation: str = "ALL") -> None:
        """Undo `deny`."""
        rule = self._denied(AclBindingFilter, kind, name, operation)
        admin = self._admin()  # ends what it was asked for when it is forgotten
        for done in admin.delete_acls([rule]).values():
            assert len(done.result()) == 1

    def _denied(self, rule: type[Rule], kind: str, name: str, operation: str) -> Rule:
        on = ResourceType[kind.upper()], name
        return _rule(rule, *on, AclOperation[operation], AclPermissionType.DENY)

    def _create(self, rules: Iterable[AclBinding]) -> None:
        admin = self._admin()
        for done in admin.create_acls(list(rules)).values():
            done.result()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.inside_url.removeprefix("kafka://")})


def _rule(
    rule: type[Rule],
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    permission: AclPermissionType,
) -> Rule:
    who = f"User:{SecuredKafka.user}", "*"
    return rule(kind, name, ResourcePatternType.LITERAL, *who, operation, permission)


class SecuredPostgres(SystemPostgres):
    """User `fraud` gets in over TLS with its password; the superuser as ever."""

    user = "fraud"

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self._certificates = certificates
        self._options |= {
            "ssl": "on",
            "ssl_cert_file": str(certificates.cert),
            "ssl_key_file": str(self.folder / "server.key"),
        }

    def prepare(self) -> None:
        super().prepare()
        key = self.folder / "server.key"  # PostgreSQL insists on being its owner
        shutil.copyfile(self._certificates.key, key)
        key.chmod(0o600)
        if self._user is not None:
            shutil.chown(key, self._user)
        (self.folder / "pg_hba.conf").write_text(
            f"host all postgres {HOST}/32 trust\nhostssl all {self.user} {HOST}/32 scram-sha-256\n"
        )

    def url_for(self, database: str, password: str = PASSWORD) -> str:
        """URL of a database for the user."""
        return f"postgresql+asyncpg://{self.user}:{password}@{HOST}:{self.port}/{database}"


class SecuredRedis(SystemRedis):
    """A Redis that listens with TLS only."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self._certificates = certificates

    def url_for(self, password: str = PASSWORD) -> str:
        """URL of its first database."""
        return f"rediss://:{password}@{HOST}:{self.port}/0"

    def command(self) -> Child:
        files = self._certificates
        options: dict[str, Any] = {
            "bind": HOST,
            "port": 0,
            "tls-port": self.port,
            "tls-cert-file": files.cert,
            "tls-key-file": files.key,
            "tls-ca-cert-file": files.ca,
            "tls-auth-clients": "no",
            "requirepass": PASSWORD,
            "save": "",
        }
        argv = [str(self._binary)]
        for name, value in options.items():
            argv += [f"--{name}", str(value)]
        return Child(self.name, argv, log=self.log, cwd=self.folder)

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(
                self.url_for(), ssl_ca_certs=str(self._certificates.ca)
            ) as it:
                return bool(it.ping())
        except (redis.RedisError, OSError):
            return False
