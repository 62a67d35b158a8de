"""A wrong setting stops the start with a sentence that names it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import trustme

from fraudapp.config import local_session
from fraudapp.settings import SECRETS, SettingsError, described, load, unknown_variables

PROTECTING = (
    "_SECURITY|_SASL_|_USER|_CA_|_CERT_|_KEY|_SSL|_BIND|_CONNECTIONS|MAX_|_OPEN|_HOSTS|_PROXIES|"
    "_LIMIT|_URL"
)


def test_defaults_are_valid_and_settings_are_frozen() -> None:
    settings = load({})
    assert settings.policy.version == "flag-0.5-block-0.8"
    with pytest.raises(ValueError, match="frozen"):
        settings.block_at = 0.1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BLOCK_AT", "2"),
        ("BLOCK_AT", "nan"),
        ("FLAG_AT", "high"),
        ("WEB_PORT", "0"),
        ("WEB_PORT", "eighty"),
        ("BROKER_URL", "127.0.0.1:9092"),
        ("BROKER_URL", "kafka://"),
        ("BROKER_URL", "kafka://a:9092;http://b"),
        ("BROKER_URL", "kafka://a:9092,"),
        ("BROKER_URL", "kafka://a:9092,http://b"),
        ("MODEL_VERSION", "../active"),
        ("BROKER_URL", "kafka://a:port"),
        ("ARCHIVE_URL", "gs://bucket"),
        ("ARCHIVE_URL", "file://archive"),
        ("ARCHIVE_URL", "file://archive/sub"),
        ("ARCHIVE_URL", "s3://"),
        ("TOPIC_PARTITIONS", "0"),
        ("TRANSACTIONS_TOPIC", "a b"),
        ("TRANSACTIONS_TOPIC", "."),
        ("DECISIONS_TOPIC", ".."),
        ("DEAD_LETTERS_TOPIC", "__consumer_offsets"),
        ("DEAD_LETTERS_TOPIC", "..consumer.offsets"),
        ("TRANSACTIONS_TOPIC", "__transaction_state"),
        ("TRANSACTIONS_TOPIC", "__cluster_metadata"),
        ("MODEL_KIND", "magic"),
        ("BATCH_SECONDS", "-1"),
        ("RATE_LIMIT", "100"),
        ("RATE_LIMIT", "many/second"),
        ("RATE_LIMIT", "0/second"),
        ("RATE_LIMIT", "00/hour"),
        ("RATE_LIMIT", "100/second;0/hour"),
        ("RATE_LIMIT", "1/0 second"),
        ("RATE_LIMIT", "1 per 00 minutes"),
        ("RATE_LIMIT", "-1/second"),
        ("RATE_LIMIT", "1.5/second"),
        ("RATE_LIMIT", "1/-1 second"),
        ("RATE_LIMIT", "1/second;"),
        ("RATE_LIMIT", "1/2 days"),
        ("RATE_LIMIT", "1/month"),
        ("RATE_LIMIT", f"1{'0' * 5_000}/second"),
        ("RATE_LIMIT", "10000000000/second"),
        ("RATE_LIMIT", f"1/1{'0' * 5_000} seconds"),
        ("WEB_HOSTS", "https://fraud.example.com"),
        ("WEB_HOSTS", "fraud.example.com:8000"),
        ("WEB_HOSTS", "*"),
        ("WEB_HOSTS", "a.example.com,"),
        ("WEB_HOSTS", "a*.example.com"),
        ("WEB_PROXIES", "proxy"),
        ("WEB_PROXIES", "localhost,10.0.0.1"),
        ("WEB_PROXIES", "10.0.0.1,"),
        ("WEB_PROXIES", "10.0.0.1:80"),
        ("WEB_PROXIES", "[::1]"),
        ("WEB_PROXIES", "10.0.0.1/8"),
        ("WEB_PROXIES", "10.0.0.0/33"),
        ("WEB_PROXIES", "0.0.0.0/0"),
        ("WEB_PROXIES", "10.0.0.1, ::/0"),
        ("WEB_PROXIES", "::ffff:0:0/96"),
        ("WEB_PROXIES", "::ffff:10.0.0.1/64"),
        ("WEB_PROXIES", "*"),
        ("API_OPEN", "perhaps"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({f"FRAUD_{name}": value})
    assert caught.value.message.startswith(f"FRAUD_{name}={value!r}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAUD_POSTGRES_URL", "mysql://user:hunter2@host/db"),
        ("FRAUD_POSTGRES_URL", "postgresql+asyncpg://user:hunter2@host:hunter2/db"),
        ("FRAUD_REDIS_URL", "redis://:hunter2/ss@host"),
    ],
)
def test_a_wrong_secret_is_never_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({name: value})
    assert caught.value.message.startswith(f"{name}=(hidden)")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAUD_POSTGRES_URL", "postgresql+asyncpg://postgres@/postgres?host=/folder"),
        ("FRAUD_REDIS_URL", "unix:///run/redis.sock"),
        ("FRAUD_BROKER_URL", "kafka://a:9092;kafka://b"),
        ("FRAUD_BROKER_URL", "kafka://a:9092,b:9093"),
        ("FRAUD_ARCHIVE_URL", "file:///folder/with%20space"),
    ],
)
def test_unusual_but_valid_urls_are_accepted(name: str, value: str) -> None:
    load({name: value})


def test_one_s3_key_without_the_other_is_refused() -> None:
    with pytest.raises(SettingsError, match="FRAUD_S3_SECRET_ACCESS_KEY"):
        load({"FRAUD_S3_ACCESS_KEY_ID": "id"})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"BROKER_USER": "u", "BROKER_PASSWORD": "p"}, "FRAUD_BROKER_SECURITY=SASL_SSL"),
        ({"BROKER_SECURITY": "SASL_SSL"}, "FRAUD_BROKER_PASSWORD"),
        ({"BROKER_SECURITY": "SASL_PLAINTEXT", "BROKER_USER": "u"}, "FRAUD_BROKER_PASSWORD"),
        ({"BROKER_CA_FILE": "ca.pem"}, "FRAUD_BROKER_SECURITY=SSL"),
        ({"BROKER_SECURITY": "SSL", "BROKER_CERT_FILE": "ca.pem"}, "FRAUD_BROKER_KEY_FILE"),
        (
            {
                "BROKER_SECURITY": "SSL",
                "BROKER_CERT_FILE": "ca.pem",
                "BROKER_KEY_FILE": "ca.pem",
            },
            "FRAUD_BROKER_KEY_FILE cannot be used",
        ),
        ({"POSTGRES_CA_FILE": "ca.pem"}, "FRAUD_POSTGRES_SSLMODE=verify-full"),
        ({"REDIS_CA_FILE": "ca.pem"}, "rediss://"),
        ({"S3_CA_FILE": "ca.pem", "S3_ENDPOINT_URL": "http://s3"}, "https://"),
    ],
)
def test_connection_settings_that_do_not_go_together_are_refused(
    wrong: dict[str, str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trustme.CA().cert_pem.write_to_path("ca.pem")
    with pytest.raises(SettingsError, match=re.escape(named)):
        load({f"FRAUD_{name}": value for name, value in wrong.items()})


@pytest.mark.parametrize(
    "name", ["BROKER_CA_FILE", "BROKER_KEY_FILE", "POSTGRES_CA_FILE", "REDIS_CA_FILE", "S3_CA_FILE"]
)
def test_a_file_that_is_not_there_or_holds_something_else_is_named(
    name: str, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(SettingsError, match=f"^FRAUD_{name}=.*missing.pem.*cannot be read"):
        load({f"FRAUD_{name}": str(missing)})
    if "CA" in name:
        missing.write_text("no certificate")
        with pytest.raises(SettingsError, match=f"^FRAUD_{name}=.*holds no certificates"):
            load({f"FRAUD_{name}": str(missing)})


def test_a_secret_is_never_shown() -> None:
    secret = "postgresql+asyncpg://user:hunter2@host/db"
    settings = load({"FRAUD_POSTGRES_URL": secret, "FRAUD_REDIS_URL": "redis://:hunter2@host/0"})
    assert "hunter2" not in repr(settings) + str(settings)


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"FRAUD_BLOCK_AT": "2", "FRAUD_WEB_PORT": "x"})
    assert len(caught.value.message.splitlines()) == 2


def test_values_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"flag_at=0\.9"):
        load({"FRAUD_FLAG_AT": "0.9"})
    with pytest.raises(SettingsError, match="FRAUD_BROKER_HEARTBEAT_INTERVAL"):
        load({"FRAUD_BROKER_SESSION_TIMEOUT": "5"})


def test_an_empty_variable_counts_as_unset() -> None:
    assert load({"FRAUD_BLOCK_AT": ""}) == load({})


def test_a_misspelled_variable_is_named_with_the_likely_setting() -> None:
    (sentence,) = unknown_variables({"FRAUD_BLOK_AT": "1", "FRAUD_TEST_X": "1", "HOME": "/"})
    assert "FRAUD_BLOK_AT" in sentence
    assert "did you mean FRAUD_BLOCK_AT?" in sentence
    assert load({"FRAUD_BLOK_AT": "1"}) == load({})


@pytest.mark.parametrize(
    "name",
    [
        "FRAUD_API_KEY",
        "FRAUD_APIKEYS",
        "FRAUD_API_KEYS_FILES",
        "fraud_api_keys",
        "FRAUDAPP_API_KEYS",
        "FRUAD_API_KEYS",
        "FRAUD_TOKEN",
        "FRAUD_RATE_LIMITS",
        "FRAUD_BROKER_SECURTY",
        "FRAUD_BROKER_SASL_MECHANISMS",
        "FRAUD_POSTGRES_SSL_MODE",
        "FRAUD_REDIS_CAFILE",
        "FRAUD_WEB_HOST",
        "FRAUD_WEB_OPEN",
        "FRAUD_MAX_BODY",
        "FRAUD_MAX_BODY_SIZE",
        "FRAUD_BODY_BYTES",
        "FRAUD_WEB_CONNECTION",
        "FRAUD_CONNECTIONS",
        "FRAUD_WEB_BIND_HOST",
        "FRAUD_BIND",
        "FRAUD_WEB_ADDRESS",
        "FRAUD_POSTGRES_URL_FIEL",
        "FRAUD_POSTGRES_URI",
        "FRAUD_REDIS_URI",
        "FRAUD_REDISURL",
        "FRAUD_BROKER_PROTOCOL",
        "FRAUD_CORS_ORIGIN",
        "FRAUD_ORIGINS",
        "FRAUD_FORWARDED_ALLOW_IPS",
        "FRAUD_THROTTLE",
        "FRAUD_READONLY",
        "FRAUD_TEST_API_KEYS",
        "FRAUDAPIKEYS",
        "FRAUDPOSTGRES_URL",
        "FRAUD-API-KEYS",
        "FRAUD.API.KEYS",
        "fraud.api-key",
    ],
)
def test_a_misspelled_name_that_is_about_security_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(name)} is not a setting"):
        load({name: "1"})


@pytest.mark.parametrize(
    "name",
    [name for name, _, _ in described() if re.search(PROTECTING, name)] + SECRETS,
)
def test_a_protecting_setting_with_a_letter_more_or_less_is_refused(name: str) -> None:
    for wrong in (f"{name}X", name[:-1], f"{name}_FIL"):
        with pytest.raises(SettingsError, match=f"^{wrong} is not a setting"):
            load({wrong: "1"})


@pytest.mark.parametrize(
    "name",
    [
        "FRAUD_AUTH_SERVICE_HOST",
        "FRAUD_AUTH_PORT_80_TCP_ADDR",
        "FRAUD_API_KEYS_SERVICE_PORT_HTTPS",
        "FRAUD_REPORT_CONNECTION",
        "FRAUD_TEST_REQUIRE_SERVERS",
        "FRED_API_KEY",
        "OTHER_API_KEYS",
        "API_KEYS",
    ],
)
def test_a_variable_of_another_program_is_no_misspelled_setting(name: str) -> None:
    assert load({name: "1"}) == load({})
    assert not unknown_variables({name: "1"})


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    values = {
        "FRAUD_API_KEYS": "a:read:hunter2-and-so-on",
        "FRAUD_POSTGRES_URL": "postgresql+asyncpg://u:hunter2@h/d",
        "FRAUD_REDIS_URL": "redis://:hunter2@h/0",
        "FRAUD_WEBHOOK_URL": "https://h/hunter2",
        "FRAUD_WEBHOOK_SECRET": f"whsec_{'hunter2+' * 4}",
    }
    rest = {
        "FRAUD_BROKER_PASSWORD": {"FRAUD_BROKER_USER": "u", "FRAUD_BROKER_SECURITY": "SASL_SSL"},
        "FRAUD_S3_ACCESS_KEY_ID": {"FRAUD_S3_SECRET_ACCESS_KEY": "s"},
        "FRAUD_S3_SECRET_ACCESS_KEY": {"FRAUD_S3_ACCESS_KEY_ID": "k"},
        "FRAUD_WEBHOOK_URL": {"FRAUD_WEBHOOK_SECRET": f"whsec_{'A' * 32}"},
        "FRAUD_WEBHOOK_SECRET": {"FRAUD_WEBHOOK_URL": "https://h"},
    }.get(name, {})
    value = values.get(name, "hunter2")
    path = tmp_path / "secret"
    field = name.removeprefix("FRAUD_").lower()
    for end in (b"", b"\n", b"\r\n", b"\r", b"\n\r\n"):
        path.write_bytes(b"\xef\xbb\xbf" + value.encode() + end)
        loaded = load({f"{name}_FILE": str(path), **rest})
        assert getattr(loaded, field) == getattr(load({name: value, **rest}), field)

    with pytest.raises(SettingsError, match=f"^{name} and {name}_FILE are both set"):
        load({name: value, f"{name}_FILE": str(path), **rest})
    for content, problem in (
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hunter2\xff", "no text in UTF-8"),
        (b"hunter2\0", "no text in UTF-8"),
        (b"hunter2" * 10_000, "too large"),
    ):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=f"^{name}_FILE=.*{problem}") as caught:
            load({f"{name}_FILE": str(path), **rest})
        assert "hunter2" not in caught.value.message
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SettingsError, match=f"^{name}_FILE=.*no regular file"):
        load({f"{name}_FILE": str(path), **rest})
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match=f"^{name}_FILE=.*cannot be read"):
            load({f"{name}_FILE": str(path), **rest})


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("inner", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85"])
def test_a_secret_is_on_one_line(name: str, inner: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with path.open("w", newline="") as file:
        file.write(f"hunter2{inner}second\n")
    for given in ({f"{name}_FILE": str(path)}, {name: f"hunter2{inner}second"}):
        with pytest.raises(SettingsError, match=rf"^{name}=\(hidden\): ") as caught:
            load(given)
        assert "hunter2" not in caught.value.message


def test_the_wrong_content_of_a_secret_file_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("http://u:hunter2@h")
    with pytest.raises(SettingsError, match=r"^FRAUD_REDIS_URL=\(hidden\)") as caught:
        load({"FRAUD_REDIS_URL_FILE": str(path)})
    assert "hunter2" not in caught.value.message


def test_every_setting_is_documented_in_the_readme_as_it_is() -> None:
    readme = (Path(__file__).parents[3] / "fraudapp/README.md").read_text()
    for name, default, meaning in described():
        assert meaning
        assert f"| `{name}` | {default and f'`{default}`'} | {meaning} |" in readme, name


def test_a_running_embedded_stack_is_found_and_the_environment_wins(tmp_path: Path) -> None:
    with local_session.session_file(tmp_path, {"FRAUD_WEB_PORT": "8123", "FRAUD_BLOCK_AT": "0.9"}):
        settings = load({"FRAUD_DATA_DIR": str(tmp_path), "FRAUD_BLOCK_AT": "0.7"})
        assert (settings.web_port, settings.block_at) == (8123, 0.7)
    assert load({"FRAUD_DATA_DIR": str(tmp_path)}).web_port == 8000


def test_a_data_folder_of_another_user_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")  # patched, since root may enter any folder

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(SettingsError, match=r"FRAUD_DATA_DIR=.*another user only"):
        load({"FRAUD_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("name", ["file", "x" * 300, "\0"])
def test_a_path_that_can_be_no_data_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"FRAUD_DATA_DIR=.*; name a folder"):
        load({"FRAUD_DATA_DIR": str(tmp_path / name)})


def test_variables_of_the_process_that_are_empty_count_as_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = load()
    for variable, _, _ in described():
        monkeypatch.setenv(variable, "")
    assert load() == before
