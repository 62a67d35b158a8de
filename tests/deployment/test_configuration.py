"""Whether what is in `docker/` is valid, and says of the application what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fraudapp import __version__
from fraudapp.config.environment import variables
from fraudapp.settings import Settings, SettingsError, load
from tests.deployment.composed import (
    DOCKER,
    FILE,
    ROOT,
    instruction,
    services,
    settings_of_image,
)
from tests.deployment.environments import environment
from tests.deployment.programs import program, said

OBSERVABILITY = DOCKER / "observability"
KUBERNETES = DOCKER / "kubernetes"
SETTINGS = set(variables(Settings))
SECRET_FILES = {"FRAUD_BROKER_PASSWORD_FILE"}
"""Secrets without a demo's value, which would stand against their files."""


def test_the_compose_file_follows_the_specification() -> None:
    # In an environment of its own: it wants another click than Faust.
    folder = environment("check-jsonschema", ["check-jsonschema==0.39.0"])
    said([folder / "bin" / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE])


@pytest.mark.parametrize("file", [DOCKER / "Dockerfile", DOCKER / "airflow" / "Dockerfile"])
def test_a_dockerfile_passes_its_critic(file: Path) -> None:
    said([Path(sys.executable).parent / "hadolint", file])


def test_every_service_is_hardened_limited_and_watched() -> None:
    for name, service in services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert "healthcheck" in service or name == "worker", name  # the worker's is the image's
        assert name in ("kafka", "airflow") or service["read_only"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        image = service.get("image", "of our own:local")
        assert ":" in image, f"{name}: {image} has no version"
        assert not image.endswith(":latest"), name


def test_nothing_starts_before_what_it_needs_is_well() -> None:
    known = services()
    for service in known.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in known
            assert how["condition"] in ("service_healthy", "service_completed_successfully")
    assert known["worker"]["depends_on"]["init"]["condition"] == "service_completed_successfully"


def test_the_broker_is_the_version_that_is_tested() -> None:
    pom = (ROOT / "tests" / "servers" / "pom.xml").read_text()
    tested = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.*?)</version>", pom)
    assert tested
    assert services()["kafka"]["image"] == f"apache/kafka:{tested[1]}"


def test_the_image_runs_the_program_as_nobody_special() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "10001:10001"
    assert instruction("ENTRYPOINT") == ["fraudapp"]
    assert instruction("CMD")[0] == "worker"
    assert instruction("HEALTHCHECK")[0] == "python"


def locked(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", file.read_text(), re.MULTILINE))


OF_THE_IMAGE = {"python_version": "3.11", "sys_platform": "linux"}
"""For which `make lock` pins."""


def test_the_lock_has_what_the_project_asks_for() -> None:
    import configparser

    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    versions = locked(DOCKER / "requirements.lock")
    lines = parser["options"]["install_requires"].splitlines()
    for line in filter(None, (each.partition("#")[0].strip() for each in lines)):
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate(OF_THE_IMAGE):
            continue
        name = canonicalize_name(wanted.name)
        assert name in versions, f"{name} is not in the lock; run `make lock`"
        assert wanted.specifier.contains(versions[name]), f"{line}: run `make lock`"


def test_each_locked_version_has_its_hashes() -> None:
    for name in ("requirements.lock", "build.lock"):
        text = (DOCKER / name).read_text()
        assert locked(DOCKER / name)
        for entry in re.split(r"\n(?=\S)", text)[2:]:
            assert "--hash=sha256:" in entry, entry


def test_only_settings_that_exist_are_set() -> None:
    names = {name for service in services().values() for name in service.get("environment", {})}
    base = (KUBERNETES / "base" / "settings.env").read_text()
    names |= {line.partition("=")[0] for line in base.split()}
    names |= set(documents(KUBERNETES / "base" / "secret.yaml")[0]["stringData"])
    assert {name for name in names if name.startswith("FRAUD_")} <= SETTINGS | SECRET_FILES


@pytest.mark.parametrize("name", ["init", "worker", "airflow"])
def test_each_setting_of_the_environment_file_reaches_our_own_containers(name: str) -> None:
    plain = services()[name]["environment"]
    for setting in sorted(SETTINGS | SECRET_FILES):
        if (name, setting) == ("airflow", "FRAUD_DATA_DIR"):
            continue  # it has no volume of a worker
        given = services({setting: "as given"})[name]["environment"]
        assert given == plain | {setting: "as given"}, setting
    # What is not set leaves the image's own, and is otherwise as if it were not there.
    of_image = settings_of_image()
    if name != "airflow":
        assert {setting: plain[setting] for setting in of_image} == of_image
    load(plain)


@pytest.mark.parametrize("name", ["init", "worker", "airflow"])
def test_files_of_ones_own_are_where_each_of_our_containers_reads_them(name: str) -> None:
    assert "./own:/own:ro" in services()[name]["volumes"]
    assert (DOCKER / "own" / "README.md").exists()  # or Docker would make a folder of root's


def test_containers_meet_at_the_port_that_is_set() -> None:
    assert services({"FRAUD_WEB_PORT": "9000"})["proxy"]["environment"]["WORKERS"] == "worker:9000"


def test_alerts_are_valid_and_fire_when_they_should() -> None:
    promtool = program("promtool")
    said([promtool, "check", "rules", OBSERVABILITY / "alerts.yaml"])
    said([promtool, "check", "config", "--syntax-only", OBSERVABILITY / "prometheus.yaml"])
    said([promtool, "test", "rules", "alerts_test.yaml"], cwd=OBSERVABILITY)


def test_each_alert_names_a_chapter_that_there_is() -> None:
    headings = re.findall(r"^##+ (.*)$", (DOCKER / "RUNBOOK.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    for rule in documents(OBSERVABILITY / "alerts.yaml")[0]["groups"][0]["rules"]:
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert file == "docker/RUNBOOK.md"
        assert anchor in anchors, rule["alert"]


def test_dashboards_have_panels_that_do_not_overlap() -> None:
    files = list((OBSERVABILITY / "dashboards").glob("*.json"))
    assert files
    for file in files:
        taken: set[tuple[int, int]] = set()
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


@pytest.fixture(scope="module", params=["base", "overlays/example"])
def built(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """The objects which kustomize makes."""
    text = said([program("kustomize"), "build", KUBERNETES / request.param])
    return list(yaml.safe_load_all(text))


def judged(objects: list[dict[str, Any]], file: Path) -> tuple[int, int]:
    """The exit code of Kubernetes' schemas, strictly taken, and how many objects passed."""
    file.write_text(yaml.safe_dump_all(objects))
    validator = Path(sys.executable).parent / "kubernetes-validate"
    argv = [str(validator), "--strict", str(file)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).count(" passed for resource ")


def test_kubernetes_takes_every_object(built: list[dict[str, Any]], tmp_path: Path) -> None:
    # KEDA's schema is not with Kubernetes'.
    own = [each for each in built if not each["apiVersion"].startswith("keda.sh/")]
    assert judged(own, tmp_path / "built.yaml") == (0, len(own))
    own[0]["misspelt"] = {}
    code, passed = judged(own, tmp_path / "misspelt.yaml")
    assert code != 0
    assert passed < len(own)


def test_kubernetes_runs_what_the_image_has(built: list[dict[str, Any]]) -> None:
    for each in built:
        template = each.get("spec", {}).get("jobTemplate", each).get("spec", {}).get("template")
        if template is None:
            continue
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"{pod['securityContext']['runAsUser']}:10001" == "10001:10001"
        for container in pod["containers"]:
            assert container["image"].endswith(f"/fraudapp:{__version__}")
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", "/tmp"}
            config = container["envFrom"][0]["configMapRef"]["name"]
            assert config in {
                one["metadata"]["name"] for one in built if one["kind"] == "ConfigMap"
            }


def test_services_and_budget_select_the_workers(built: list[dict[str, Any]]) -> None:
    (workers,) = [each for each in built if each["kind"] == "StatefulSet"]
    labels = workers["spec"]["template"]["metadata"]["labels"].items()
    for each in built:
        if each["kind"] in ("Service", "PodDisruptionBudget"):
            selector = each["spec"]["selector"]
            assert selector.get("matchLabels", selector).items() <= labels, each["metadata"]["name"]


def test_no_worker_starts_with_a_secret_that_was_not_filled_in() -> None:
    form = documents(KUBERNETES / "base" / "secret.yaml")[0]["stringData"]
    for name in ("FRAUD_POSTGRES_URL", "FRAUD_REDIS_URL"):
        with pytest.raises(SettingsError, match=name):
            load({name: form[name]})
