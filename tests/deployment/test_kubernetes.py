"""The manifests agree with one another, and with the settings of the application."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fraudapp.config.api_keys import parse
from fraudapp.settings import Settings, load
from tests.deployment.manifests import KUBERNETES, Objects, kustomized, one, overlay

COMPONENTS = ("keda", "sasl/scram-512", "prometheus")
MECHANISMS = {  # as KEDA calls them
    "PLAIN": "plaintext",
    "SCRAM-SHA-256": "scram_sha256",
    "SCRAM-SHA-512": "scram_sha512",
}


def settings_of(objects: Objects) -> Settings:
    """The settings of the workers, but for the secrets."""
    given = dict(one(objects, "ConfigMap")["data"])
    if given.get("FRAUD_BROKER_SECURITY", "").startswith("SASL"):
        given |= {"FRAUD_BROKER_USER": "u", "FRAUD_BROKER_PASSWORD": "p"}
    return load(given)


def egress(objects: Objects) -> set[int]:
    """Ports that workers may reach wherever they are."""
    rules = one(objects, "NetworkPolicy")["spec"]["egress"]
    return {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}


def agrees(objects: Objects) -> None:
    """Whether all of it is about the same workers; see the assertions."""
    workers, settings = one(objects, "StatefulSet"), settings_of(objects)
    for each in objects:
        if each["kind"] != "Namespace":
            assert each["metadata"].get("namespace") == "fraud", each["metadata"]["name"]

    replicas = workers["spec"].get("replicas", 1)
    assert replicas >= 2
    budget = one(objects, "PodDisruptionBudget")["spec"]
    assert 0 < budget["maxUnavailable"] < replicas

    for scaled in (each["spec"] for each in objects if each["kind"] == "ScaledObject"):
        target = scaled["scaleTargetRef"]
        assert {name: target[name] for name in ("apiVersion", "kind")} == {
            name: workers[name] for name in ("apiVersion", "kind")
        }
        assert target["name"] == workers["metadata"]["name"]
        assert scaled["minReplicaCount"] == replicas
        assert scaled["maxReplicaCount"] == settings.topic_partitions
        (trigger,) = scaled["triggers"]
        asked = trigger["metadata"]
        assert asked["consumerGroup"] == settings.app_id
        assert asked["topic"] == settings.transactions_topic
        assert all(isinstance(each, str) for each in asked.values())
        assert asked["bootstrapServers"].split(",") == settings.bootstrap_servers
        assert asked.get("tls", "disable") == ("enable" if settings.broker_tls else "disable")
        secured = settings.broker_security.startswith("SASL")
        mechanism = MECHANISMS[settings.broker_sasl_mechanism]
        assert asked.get("sasl", "none") == (mechanism if secured else "none")
        assert ("authenticationRef" in trigger) == secured
        if secured:
            authentication = one(
                objects, "TriggerAuthentication", trigger["authenticationRef"]["name"]
            )
            referred = authentication["spec"]["secretTargetRef"]
            assert {each["parameter"] for each in referred} == {"username", "password"}
            for each in referred:
                assert each["key"] in one(objects, "Secret", each["name"])["stringData"]

    allowed = egress(objects)
    assert {urlsplit(f"//{server}").port for server in settings.bootstrap_servers} <= allowed


@pytest.mark.parametrize("folder", ["base", "overlays/example"])
def test_what_is_here_agrees(folder: str) -> None:
    agrees(kustomized(KUBERNETES / folder))


@pytest.mark.parametrize("components", [(), ("keda",), ("keda", "tls"), COMPONENTS])
@pytest.mark.parametrize("port", [9092, 9093, 9094, 9096])
def test_an_overlay_agrees_whatever_its_settings(
    tmp_path: Path, components: tuple[str, ...], port: int
) -> None:
    for url in (f"kafka://other:{port}", f"kafka://a:{port},b:{port},c:{port}"):
        agrees(
            overlay(
                tmp_path,
                *components,
                FRAUD_BROKER_URL=url,
                FRAUD_APP_ID="other",
                FRAUD_TRANSACTIONS_TOPIC="payments",
                FRAUD_TOPIC_PARTITIONS="12",
            )
        )


@pytest.mark.parametrize(
    ("component", "security", "mechanism"),
    [
        ("tls", "SSL", None),
        ("sasl/plain", "SASL_SSL", "PLAIN"),
        ("sasl/scram-256", "SASL_SSL", "SCRAM-SHA-256"),
        ("sasl/scram-512", "SASL_SSL", "SCRAM-SHA-512"),
    ],
)
def test_a_component_tells_workers_and_keda_alike_whatever_the_overlay_says(
    tmp_path: Path, component: str, security: str, mechanism: str | None
) -> None:
    for own in ({}, {"FRAUD_BROKER_SECURITY": "PLAINTEXT", "FRAUD_BROKER_SASL_MECHANISM": "PLAIN"}):
        objects = overlay(tmp_path, "keda", component, **own)
        agrees(objects)
        settings = settings_of(objects)
        assert settings.broker_security == security
        assert mechanism in (None, settings.broker_sasl_mechanism)


def test_another_number_of_workers_is_the_least_of_keda(tmp_path: Path) -> None:
    agrees(overlay(tmp_path, "keda", more="replicas: [{name: fraudapp, count: 6}]"))


def test_workers_listen_where_all_else_looks_for_them(tmp_path: Path) -> None:
    objects = overlay(tmp_path, FRAUD_WEB_PORT="9000")
    (worker,) = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    told = one(objects, "ConfigMap")["data"] | {
        each["name"]: each["value"] for each in worker["env"]
    }
    assert [each["containerPort"] for each in worker["ports"]] == [load(told).web_port]


def test_workers_are_asked_by_their_names_in_any_namespace(tmp_path: Path) -> None:
    hosts = settings_of(overlay(tmp_path, more="namespace: other")).hosts
    for name in ("fraudapp", "fraudapp.other.svc", "fraudapp-workers.other.svc.cluster.local"):
        assert any(fnmatch(name, each) for each in hosts), name


def test_names_and_servers_are_reached_at_their_usual_ports() -> None:
    names, servers = {53, 5353}, {5432, 6432, 6379, 6380, 80, 443, 8333, 9000}
    assert names | servers <= egress(kustomized(KUBERNETES / "base"))


def test_a_job_that_names_the_settings_is_gone_before_they_change() -> None:
    job = one(kustomized(KUBERNETES / "base"), "Job", "fraudapp-init")["spec"]
    assert job["ttlSecondsAfterFinished"] <= 60


def test_prometheus_may_read_metrics_with_a_key(tmp_path: Path) -> None:
    objects = overlay(tmp_path, *COMPONENTS)
    monitor = one(objects, "ServiceMonitor")["spec"]
    selector = monitor["selector"]["matchLabels"].items()
    (service,) = (
        each
        for each in objects
        if each["kind"] == "Service" and selector <= each["metadata"]["labels"].items()
    )
    assert service["spec"]["clusterIP"] == "None"  # each worker by itself
    # As the alerts have it: job="fraudapp".
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "fraudapp"
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    given = endpoint["authorization"]
    assert given["type"] == "Bearer"
    form = one(objects, "Secret", given["credentials"]["name"])["stringData"]
    assert given["credentials"]["key"] in form
    # No worker gets it as if it were a setting.
    workers = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    secrets = [each["secretRef"]["name"] for each in workers["envFrom"] if "secretRef" in each]
    assert secrets == ["fraudapp"]
    for value in form.values():
        assert not parse(f"prometheus:read:{value.split()[-1]}{'x' * 16}").find(value)


def test_a_schema_of_ones_own_is_where_everything_reads_it() -> None:
    objects = kustomized(KUBERNETES / "base")
    report = one(objects, "CronJob", "fraudapp-daily-report")["spec"]["jobTemplate"]
    for each in (one(objects, "StatefulSet"), one(objects, "Job", "fraudapp-init"), report):
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "schema"]
        assert (mount["mountPath"], mount["readOnly"]) == ("/schema", True)
        (volume,) = [each for each in pod["volumes"] if each["name"] == "schema"]
        assert volume["configMap"] == {"name": "fraudapp-schema", "optional": True}
