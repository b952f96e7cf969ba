"""The manifests in deploy/kubernetes/: right by Kubernetes' own schemas, and for what no schema knows."""

from itertools import pairwise
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from diamonds.store.partitions import MONTHS_AHEAD
from project import ROOT

FOLDER = ROOT / "deploy/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
#: The oldest and the newest release that the manifests are held to.
RELEASES = ("1.30", "1.37")
#: What is done by the clock.
CRON = ("retrain", "months", "prune")


def _manifests(paths):
    return [each for path in paths for each in yaml.safe_load_all(path.read_text())]


ALL = _manifests(path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml")
BY_NAME = {(each["kind"], each["metadata"]["name"]): each for each in ALL}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", ALL, ids=[f"{kind} {name}" for kind, name in BY_NAME])
def test_each_manifest_holds_by_the_schemas_of_kubernetes(manifest, release):
    kubernetes_validate.validate(manifest, release, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found():
    wrong = BY_NAME["Service", "service"] | {"spec": {"port": 80}}

    with pytest.raises(kubernetes_validate.ValidationError, match="port"):
        kubernetes_validate.validate(wrong, RELEASES[0], strict=True)


def test_all_but_the_examples_are_applied_together():
    files = {path.name for path in FOLDER.glob("*.yaml")}

    assert set(KUSTOMIZATION["resources"]) == files - {
        "kustomization.yaml", "secret.example.yaml", "ingress.example.yaml",
    }  # fmt: skip


def _pods():
    """What each kind of pod is made of."""
    return {
        "service": BY_NAME["StatefulSet", "service"]["spec"]["template"],
        "migrate": BY_NAME["Job", "migrate"]["spec"]["template"],
        **{name: BY_NAME["CronJob", name]["spec"]["jobTemplate"]["spec"]["template"] for name in CRON},
    }


@pytest.mark.parametrize("name", ["service", "migrate", *CRON])
def test_each_pod_may_little(name):
    pod = _pods()[name]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {pod["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {1034}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


def test_no_exchange_goes_with_a_pod():
    service = BY_NAME["StatefulSet", "service"]["spec"]
    (container,) = service["template"]["spec"]["containers"]
    places = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    (claim,) = service["volumeClaimTemplates"]
    mib = int(BY_NAME["ConfigMap", "diamonds"]["data"]["DIAMONDS_OUTBOX_MIB"])

    assert places[BY_NAME["ConfigMap", "diamonds"]["data"]["DIAMONDS_OUTBOX"]] == claim["metadata"]["name"]
    assert service["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert claim["spec"]["resources"]["requests"]["storage"] == f"{2 * mib // 1024}Gi"


def test_the_service_reads_the_store_that_retraining_writes():
    mounts = {
        name: {mount["name"]: mount for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        for name, pod in _pods().items()
    }

    assert mounts["service"]["store"] == {
        "name": "store", "mountPath": "/run/bentoml/models", "subPath": "models", "readOnly": True,
    }  # fmt: skip
    assert mounts["retrain"]["store"] == {"name": "store", "mountPath": "/var/lib/diamonds/store"}
    assert BY_NAME["PersistentVolumeClaim", "store"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_a_container_is_called_as_docker_compose_calls_it():
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    for name, pod in _pods().items():
        assert pod["spec"]["containers"][0]["args"] == composed["migrate" if name == "months" else name]["command"]


def test_what_is_done_by_the_clock_is_done_one_at_a_time_and_the_coming_months_long_before_they_begin():
    for name in CRON:
        assert BY_NAME["CronJob", name]["spec"]["concurrencyPolicy"] == "Forbid"
    days = [int(day) for day in BY_NAME["CronJob", "months"]["spec"]["schedule"].split()[2].split(",")]
    assert max(late - early for early, late in pairwise([*days, days[0] + 31])) < 28 * MONTHS_AHEAD / 2


def test_pods_are_asked_only_when_they_can_answer_and_are_taken_away_one_by_one():
    (container,) = _pods()["service"]["spec"]["containers"]
    probes = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert probes == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert BY_NAME["PodDisruptionBudget", "service"]["spec"]["maxUnavailable"] == 1
    assert BY_NAME["HorizontalPodAutoscaler", "service"]["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"


def test_every_selector_finds_its_pods():
    labels = {name: pod["metadata"]["labels"] for name, pod in _pods().items()}
    component = {"app.kubernetes.io/component": "service"}

    assert labels == {name: {"app.kubernetes.io/component": name} for name in labels}
    assert BY_NAME["StatefulSet", "service"]["spec"]["selector"]["matchLabels"] == component
    for name in ("service", "service-pods"):
        assert BY_NAME["Service", name]["spec"]["selector"] == component
    (expression,) = BY_NAME["NetworkPolicy", "database"]["spec"]["podSelector"]["matchExpressions"]
    assert set(expression["values"]) == set(labels)


def test_the_template_of_the_secret_names_values_and_gives_none():
    secret = BY_NAME["Secret", "diamonds"]["stringData"]

    assert secret == dict.fromkeys(("DIAMONDS_DATABASE_URL", "DIAMONDS_ADMIN_TOKEN", "DIAMONDS_SIGNING_KEY"), "")
    assert [kind for kind, _ in BY_NAME if kind == "Secret"] == ["Secret"]
    assert not any("Secret" in Path(FOLDER / name).read_text() for name in KUSTOMIZATION["resources"])
