"""Every setting, with its unit and default: environment variables named `FRAUD_*`.

The class declares and validates them; `fraudapp.config` has the parsers of single values.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fraudapp.config import addresses, environment
from fraudapp.config.api_keys import Keys
from fraudapp.config.api_keys import parse as parse_keys
from fraudapp.config.environment import SettingsError
from fraudapp.config.misspelled import PREFIX
from fraudapp.config.proxies import Network
from fraudapp.config.proxies import parse as parse_proxies
from fraudapp.config.rates import Rate
from fraudapp.config.rates import parse as parse_rates
from fraudapp.config.tls import client_context
from fraudapp.config.topic_names import clash, impossible
from models.policy import Policy
from models.schema.schema import PAYSIM, Schema, named

__all__ = ["SECRETS", "Settings", "SettingsError", "described", "load", "unknown_variables"]

_HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)
_WEBHOOK_EVENTS = ("blocked", "capped", "policy")
_WEBHOOK_PREFIX = "whsec_"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _address(normalise: Callable[[str], str]) -> AfterValidator:
    """Return a validator that normalises an address, be it a secret or not."""

    def normalised(value: str | SecretStr) -> str | SecretStr:
        if isinstance(value, SecretStr):
            return SecretStr(normalise(value.get_secret_value()))
        return normalise(value)

    return AfterValidator(normalised)


def _topic(name: str) -> str:
    if problem := impossible(name):
        raise ValueError(f"{problem}; take another name")
    return name


def _keys(text: SecretStr) -> SecretStr:
    parse_keys(text.get_secret_value())
    return text


def _one_line(text: SecretStr) -> SecretStr:
    if _CONTROL.search(text.get_secret_value()):
        raise ValueError("it holds a line end or another control character; give it alone")
    return text


def _rate(text: str) -> str:
    parse_rates(text)
    return text


def _proxies(text: str) -> str:
    parse_proxies(text)
    return text


def _hosts(text: str) -> str:
    for name in text.split(","):
        if not _HOST_NAME.fullmatch(name.strip()):
            raise ValueError(
                "write names without scheme and port, separated by commas, such as "
                "fraud.example.com,*.fraud.svc"
            )
    return text


def _webhook_key(text: SecretStr) -> bytes:
    """Return the key in a secret of Standard Webhooks; raises `ValueError`."""
    given = text.get_secret_value().strip()
    encoded = given.removeprefix(_WEBHOOK_PREFIX)
    try:
        key = b64decode(encoded, validate=True) if encoded != given else b""
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(
            "write whsec_ and 24 to 64 random bytes in base64, such as the output of "
            'echo "whsec_$(openssl rand -base64 32)"'
        )
    return key


def _signing(text: SecretStr) -> SecretStr:
    _webhook_key(text)
    return text


def _events(text: str) -> str:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(_WEBHOOK_EVENTS) or len(set(names)) < len(names):
        raise ValueError(f"write any of {', '.join(_WEBHOOK_EVENTS)}, separated by commas")
    return ",".join(names)


def _readable(path: Path) -> Path:
    try:
        path.open("rb").close()
    except OSError as exc:
        raise ValueError(f"the file cannot be read ({exc.strerror}); name a PEM file") from exc
    return path


def _authorities(path: Path) -> Path:
    try:
        client_context(_readable(path))
    except OSError as exc:
        raise ValueError(f"the file holds no certificates ({exc}); name a PEM file") from exc
    return path


AuthorityFile = Annotated[Path, AfterValidator(_authorities)]
PemFile = Annotated[Path, AfterValidator(_readable)]
Secret = Annotated[SecretStr, AfterValidator(_one_line)]
Probability = Annotated[float, Field(ge=0, le=1)]
AppId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
Topic = Annotated[AppId, AfterValidator(_topic)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """The configuration of the application; frozen once loaded."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )

    # Kafka
    app_id: AppId = "fraudapp"
    """Consumer group, and prefix of the changelog topics."""
    broker_url: Annotated[str, _address(addresses.brokers)] = "kafka://127.0.0.1:9092"
    """Bootstrap servers: `kafka://HOST:PORT`, or several: `kafka://A:9092,B:9092`."""
    broker_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Security protocol: TLS with `SSL`, user and password with `SASL`."""
    broker_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How user and password are proven."""
    broker_user: str | None = None
    """User, with a `SASL` protocol."""
    broker_password: Secret | None = None
    """Password of the user."""
    broker_ca_file: AuthorityFile | None = None
    """PEM file of the authorities trusted over TLS; unset: those of the system."""
    broker_cert_file: PemFile | None = None
    """PEM file of our own certificate, if the broker asks for one."""
    broker_key_file: PemFile | None = None
    """PEM file of its key, without a password."""
    transactions_topic: Topic = "transactions"
    """Where transactions come from."""
    decisions_topic: Topic = "decisions"
    """Where decisions go, keyed by transaction id."""
    dead_letters_topic: Topic = "dead-letters"
    """Where rejected messages go, as they were."""
    control_topic: Topic = "control"
    """Where policies, lists and caps are, which every worker reads before it decides."""
    labels_topic: Topic = "labels"
    """Where labels come from: what became of transactions that were decided."""
    topic_partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Partitions of `decisions`, and of other topics which the worker creates; chosen once."""
    topic_replicas: Annotated[int, Field(ge=1, le=100)] = 1
    """Copies of each partition in topics which the worker creates."""
    max_message_bytes: Annotated[int, Field(ge=4_096, le=100_000_000)] = 4_000_000
    """Largest input message in topics which the worker creates, bytes."""
    broker_session_timeout: Annotated[float, Field(ge=1, le=300)] = 10.0
    """Seconds without a heartbeat after which a worker counts as dead."""
    broker_heartbeat_interval: Annotated[float, Field(ge=0.1, le=100)] = 3.0
    """Seconds between heartbeats; at most a third of the session timeout."""

    broker_fetch_wait: Annotated[float, Field(ge=0.001, le=30)] = 0.5
    """Seconds the broker may wait for messages before it answers that there are none."""

    # Decisions
    transaction_schema: Annotated[Schema, BeforeValidator(named)] = Field(PAYSIM, alias="schema")
    """What transactions are made of: a file, or `paysim`, `cards`, `pacs008`; see `schema list`."""
    flag_at: Probability = 0.5
    """Score from which on a transaction is flagged."""
    block_at: Probability = 0.8
    """Score from which on a transaction is blocked."""
    label_wait: Annotated[float, Field(ge=1, le=31_536_000)] = 604_800.0
    """Seconds that a label waits for the decision it is about; then it is a dead letter."""
    profile_label_delay: Annotated[float, Field(ge=1, le=3_600)] = 300.0
    """Seconds, twice at most, until a label is in profiles: then it is at every worker, too."""
    profile_lag: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    """Seconds that profiles may be behind; decisions by later ones say so."""
    profile_snapshot_hours: Annotated[float, Field(ge=0, le=720)] = 1.0
    """Hours from one snapshot of profiles in the archive to the next, at most; 0 for none.

    A worker with an empty disk begins with the last one, and reads less of the log.
    """
    profile_snapshot_decisions: Annotated[int, Field(ge=1_000, le=10**12)] = 1_000_000
    """Decisions from one snapshot of profiles to the next, about, if they come sooner."""
    index_processes: Annotated[int, Field(ge=0, le=64)] = 2
    """Processes that read decision indexes from the log at a time, if much is to be read."""
    batch_seconds: Annotated[float, Field(gt=0, le=10)] = 0.2
    """Seconds a batch may take: its size follows, and grows with the load up to that.

    A worker without time to spare waits up to a fifth of it from one fetch to the next.
    """

    policy_approval: bool = False
    """Whether a policy comes in force only once somebody else than its author has approved it."""

    # Model
    model_kind: Literal["gradient_boosting", "logistic"] = "gradient_boosting"
    """What is trained when there is no model yet; afterwards `train --kind` trains another."""
    training_file: Path | None = None
    """Labelled file for the first model; unset: the sample of the schema, if it has one."""
    model_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")] | None = None
    """Version that serves; no worker starts without it. Unset: the active one, or a first one."""
    model_record_bytes: Annotated[int, Field(ge=0, le=3_000_000)] = 1_000_000
    """Bytes of a model and its card that a record may hold; a larger model is in the archive."""

    # Sinks
    redis_url: Annotated[SecretStr, _address(addresses.redis)] = SecretStr(
        "redis://127.0.0.1:6379/0"
    )
    """Redis of the latest decisions: `redis://:PASSWORD@HOST:PORT/NUMBER`, `rediss://` with TLS.

    Of a cluster, any of its nodes.
    """
    redis_ca_file: AuthorityFile | None = None
    """PEM file of the authorities trusted with `rediss://`; unset: those of the system."""
    redis_ttl: Annotated[int, Field(ge=1)] = 7 * 24 * 3600
    """Seconds the latest decisions stay in Redis."""
    postgres_url: Annotated[SecretStr, _address(addresses.postgres)] = SecretStr(
        "postgresql+asyncpg://fraud:fraud@127.0.0.1:5432/fraud"
    )
    """SQLAlchemy URL of the history: `postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE`."""
    postgres_sslmode: Literal["disable", "require", "verify-ca", "verify-full"] | None = None
    """TLS of Postgres, in libpq's words; unset: TLS if the server offers it, unchecked."""
    postgres_ca_file: AuthorityFile | None = None
    """PEM file of the authorities trusted with `verify-…`; unset: those of the system."""
    postgres_pool: Annotated[int, Field(ge=1, le=1_000)] = 8
    """Most connections to Postgres per worker."""
    postgres_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Days for which Postgres keeps decisions, besides today; unset: for ever."""
    archive_url: Annotated[str, _address(addresses.archive)] | None = None
    """`s3://BUCKET/PREFIX` or `file:///FOLDER`; unset: the folder `archive` in the data folder."""
    archive_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Days for which the archive keeps decisions, besides today; unset: for ever."""
    s3_endpoint_url: Annotated[str, _address(addresses.endpoint)] | None = None
    """For S3 servers other than Amazon's."""
    s3_addressing: Literal["path", "virtual", "auto"] = "path"
    """Where the bucket's name is: in the path, in the host's name, or as botocore thinks best."""
    s3_ca_file: AuthorityFile | None = None
    """PEM file of the authorities trusted with `https://`; unset: those that botocore brings."""
    s3_region: str = "us-east-1"
    """Region of the bucket."""
    s3_access_key_id: Secret | None = None
    """Unset: the usual AWS chain (environment, profile, role)."""
    s3_secret_access_key: Secret | None = None
    """Goes with the access key."""

    # Webhooks
    webhook_url: Annotated[SecretStr, _address(addresses.webhook)] | None = None
    """Where blocked transactions and changes of policies are told; unset: nowhere."""
    webhook_secret: Annotated[SecretStr, AfterValidator(_signing)] | None = None
    """Signs them, as in Standard Webhooks: `whsec_` and 24 to 64 bytes in base64."""
    webhook_events: Annotated[str, AfterValidator(_events)] = ",".join(_WEBHOOK_EVENTS)
    """What is told, any of these: decisions BLOCK; caps that begin or end; policies in force."""

    # This worker
    data_dir: Path = Path(".fraudapp")
    """Folder of models, RocksDB tables and the local archive; one for each worker."""
    start_timeout: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    """Seconds the broker and the sinks may take to answer at start."""
    log_format: Literal["text", "json"] = "text"
    """Form of the worker's log: `text` for people, `json` for programs, a line for each entry."""
    web_bind: Annotated[str, _address(addresses.bind)] = "127.0.0.1"
    """Address the web server listens on."""
    web_port: Port = 8000
    """Port of the web server."""
    web_connections: Annotated[int, Field(ge=8, le=100_000)] = 1_000
    """Most HTTP connections at a time; no more than a quarter of the files that may be open."""
    max_body_bytes: Annotated[int, Field(ge=1_024, le=100_000_000)] = 2_000_000
    """Largest HTTP request body, bytes."""
    api_keys: Annotated[SecretStr, AfterValidator(_keys)] = SecretStr("")
    """Keys of the HTTP API: `NAME:SCOPES:SECRET,...`, scopes joined by `+`.

    Scopes are `read`, `write`, `label`, `author` and `approve`. Secrets have 16 characters or more.
    """
    api_keys_file: Path | None = None
    """File of the keys instead, separated by commas or line ends; read again when it changes."""
    api_open: bool = False
    """Whether it may be open, without keys, on an address that others reach."""
    web_hosts: Annotated[str, AfterValidator(_hosts)] | None = None
    """Names the API is asked by besides `localhost` and addresses: `fraud.example.com,*.svc`."""
    web_proxies: Annotated[str, AfterValidator(_proxies)] | None = None
    """Proxies believed about who calls (`X-Forwarded-For`, `Forwarded`): `10.0.0.5,fd00::/64`."""
    rate_limit: Annotated[str, AfterValidator(_rate)] | None = None
    """Most HTTP requests of each key, or address without one: `100/second`; unset: any.

    Several as `100/second;1000/hour`. Pages and their files are not counted.
    """

    @model_validator(mode="after")
    def _check_combinations(self) -> Settings:
        Policy(self.flag_at, self.block_at)
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError(
                "FRAUD_S3_ACCESS_KEY_ID and FRAUD_S3_SECRET_ACCESS_KEY go together: "
                "set both or none"
            )
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError(
                "FRAUD_WEBHOOK_URL and FRAUD_WEBHOOK_SECRET go together: set both or none"
            )
        if problem := self._conflict():
            raise ValueError(problem)
        if self.broker_heartbeat_interval * 3 > self.broker_session_timeout:
            raise ValueError(
                "FRAUD_BROKER_HEARTBEAT_INTERVAL must be at most a third of "
                "FRAUD_BROKER_SESSION_TIMEOUT"
            )
        return self

    def _conflict(self) -> str | None:
        """Return which settings of topics or connections contradict each other, if any do."""
        topics = {
            environment.variable(name): getattr(self, name)
            for name in (
                "transactions_topic",
                "decisions_topic",
                "dead_letters_topic",
                "control_topic",
                "labels_topic",
            )
        }
        if same := clash(self.app_id, topics):
            return same
        login = self.broker_user is not None, self.broker_password is not None
        if self.broker_security.startswith("SASL") != any(login) or any(login) != all(login):
            return (
                "FRAUD_BROKER_USER and FRAUD_BROKER_PASSWORD go with FRAUD_BROKER_SECURITY="
                "SASL_SSL or SASL_PLAINTEXT: set all of them or none"
            )
        files = self.broker_ca_file, self.broker_cert_file, self.broker_key_file
        if any(files) and not self.broker_tls:
            return (
                "FRAUD_BROKER_CA_FILE, FRAUD_BROKER_CERT_FILE and FRAUD_BROKER_KEY_FILE need "
                "FRAUD_BROKER_SECURITY=SSL or SASL_SSL"
            )
        if (self.broker_cert_file is None) != (self.broker_key_file is None):
            return "FRAUD_BROKER_CERT_FILE and FRAUD_BROKER_KEY_FILE go together: set both or none"
        try:
            if self.broker_cert_file:
                client_context(*files)
        except OSError as exc:
            return f"FRAUD_BROKER_CERT_FILE and FRAUD_BROKER_KEY_FILE cannot be used: {exc}"
        if self.postgres_ca_file and self.postgres_sslmode not in ("verify-ca", "verify-full"):
            return "FRAUD_POSTGRES_CA_FILE needs FRAUD_POSTGRES_SSLMODE=verify-full or verify-ca"
        if self.redis_ca_file and not self.redis_url.get_secret_value().startswith("rediss://"):
            return "FRAUD_REDIS_CA_FILE needs a FRAUD_REDIS_URL that starts with rediss://"
        if self.s3_ca_file and (self.s3_endpoint_url or "https").startswith("http://"):
            return "FRAUD_S3_CA_FILE needs a FRAUD_S3_ENDPOINT_URL that starts with https://"
        return None

    @property
    def broker_tls(self) -> bool:
        """Whether connections to Kafka use TLS."""
        return self.broker_security.endswith("SSL")

    @property
    def policy(self) -> Policy:
        """The policy with the thresholds of these settings."""
        return Policy(self.flag_at, self.block_at)

    @property
    def keys(self) -> Keys:
        """The keys of the HTTP API; false if there are none, so that the API is open."""
        return parse_keys(self.api_keys.get_secret_value())

    @property
    def proxies(self) -> list[Network]:
        """The proxies that are trusted to name the address of the caller."""
        return parse_proxies(self.web_proxies) if self.web_proxies else []

    @property
    def rates(self) -> list[Rate]:
        """The rate limits of each caller; empty for no limit."""
        return parse_rates(self.rate_limit) if self.rate_limit else []

    @property
    def hosts(self) -> list[str]:
        """The host names that are allowed besides `localhost` and addresses, in lower case."""
        return [name.strip().lower() for name in (self.web_hosts or "").split(",") if name]

    @property
    def webhook_key(self) -> bytes:
        """The key that signs webhooks; empty if there are none."""
        return _webhook_key(self.webhook_secret) if self.webhook_secret else b""

    @property
    def webhook_kinds(self) -> frozenset[str]:
        """What webhooks tell: any of `blocked`, `capped` and `policy`."""
        return frozenset(self.webhook_events.split(","))

    @property
    def web_host(self) -> str:
        """The host in URLs of the web server, as this machine reaches it."""
        if self.web_bind == "0.0.0.0":  # noqa: S104
            return "127.0.0.1"
        if ":" in self.web_bind:
            return "[::1]" if self.web_bind == "::" else f"[{self.web_bind}]"
        return self.web_bind

    @property
    def model_dir(self) -> Path:
        """Folder of the model versions."""
        return self.data_dir / "models"

    @property
    def archive(self) -> str:
        """URL of the archive, with the default filled in."""
        return self.archive_url or (self.data_dir.resolve() / "archive").as_uri()

    @property
    def progress_topic(self) -> str:
        """The topic in which sink writers keep their progress."""
        return f"{self.app_id}-progress"

    @property
    def labelled_topic(self) -> str:
        """The topic of labels together with the decisions that they are about."""
        return f"{self.app_id}-labelled"

    @property
    def bootstrap_servers(self) -> list[str]:
        """The brokers as `HOST:PORT`, as clients other than Faust take them."""
        return [part.partition("://")[2] for part in self.broker_url.split(";")]


SECRETS = environment.secrets(Settings)
"""Variables that may come from a file: its path is in the variable with `_FILE` at the end."""


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Load the settings from `environ`, by default from this process's environment.

    A running embedded stack in the data folder gives what the environment leaves open. Raises
    `SettingsError` with one line for each wrong value, and for each unknown name that seems to be
    about security.
    """
    return environment.load(Settings, os.environ if environ is None else environ)


def described() -> list[tuple[str, str, str]]:
    """Return variable, default and meaning of every setting, in their order."""
    return environment.described(Settings)


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each `FRAUD_*` variable that is no setting: most likely misspelled."""
    given = os.environ if environ is None else environ
    return list(environment.unknown_variables(Settings, given).values())
