"""The manifests of deploy/, offline: against Kubernetes' published schemas, and its own Pod Security Standard."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from scaled import rendered
from webui_fork.core.settings import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
OVERLAYS = DEPLOY / "kubernetes/overlays"
VERSIONS = ("1.30", kubernetes_validate.latest_version())


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] == kind]


@pytest.fixture(scope="module", params=["single", "scaled"])
def overlay(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(OVERLAYS / request.param)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_its_schema(overlay: list[dict[str, Any]], version: str) -> None:
    for item in overlay:
        kubernetes_validate.validate(item, version, strict=True)


def test_a_wrong_field_is_seen(overlay: list[dict[str, Any]]) -> None:
    (deployment,) = of_kind(overlay, "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    try:
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)
    finally:
        del deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"]


def test_the_pods_are_restricted(overlay: list[dict[str, Any]]) -> None:
    """The profile `restricted` (kubernetes.io/docs/concepts/security/pod-security-standards), and a read-only root."""
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (deployment,) = of_kind(overlay, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_every_selector_finds_what_it_should(overlay: list[dict[str, Any]]) -> None:
    """A transformer that adds labels to selectors would make name servers unreachable."""
    (deployment,), (service,) = of_kind(overlay, "Deployment"), of_kind(overlay, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    policy = next(item for item in of_kind(overlay, "NetworkPolicy") if item["metadata"]["name"] == "open-webui")
    assert policy["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items()
    (names,) = (rule for rule in policy["spec"]["egress"] if any(port["port"] == 53 for port in rule["ports"]))
    assert names["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}


def test_secrets_are_files(overlay: list[dict[str, Any]]) -> None:
    (deployment,) = of_kind(overlay, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        assert all(item["value"].startswith("/run/secrets/open-webui/") for item in container["env"])
    assert not of_kind(overlay, "Secret")
    for item in of_kind(overlay, "ConfigMap"):
        assert not any(re.search(r"KEY$|PASSWORD|SECRET|TOKEN|DATABASE_URL", key) for key in item["data"])


def test_every_image_is_named_by_digest(overlay: list[dict[str, Any]]) -> None:
    (deployment,) = of_kind(overlay, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    names = {container["image"] for container in [*spec["containers"], *spec.get("initContainers", ())]}
    assert len(names) == 1
    assert re.fullmatch(r"\S+/open-webui@sha256:[0-9a-f]{64}", names.pop())


def test_single_has_one_writer_and_scaled_many() -> None:
    single, scaled = (rendered(OVERLAYS / name) for name in ("single", "scaled"))
    (one,), (many,) = (of_kind(objects, "Deployment") for objects in (single, scaled))
    assert one["spec"]["strategy"] == {"type": "Recreate"}
    assert "replicas" not in many["spec"]  # the autoscaler's
    assert many["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert len(of_kind(single, "PersistentVolumeClaim")) == 1
    kinds = {item["kind"] for item in scaled}
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"} <= kinds
    assert "PersistentVolumeClaim" not in kinds
    (budget,) = of_kind(scaled, "PodDisruptionBudget")
    selected = budget["spec"]["selector"]["matchLabels"].items()
    assert selected <= many["spec"]["template"]["metadata"]["labels"].items()


def test_all_deployments_name_the_same_image() -> None:
    env = (DEPLOY / ".env.example").read_text()
    (named,) = re.findall(r"^WEBUI_IMAGE=(\S+)@(sha256:[0-9a-f]{64}) # (\S+)$", env, re.MULTILINE)
    for file in sorted(OVERLAYS.glob("*/kustomization.yaml")):
        (image,) = yaml.safe_load(file.read_text())["images"]
        assert (image["newName"], image["digest"]) == named[:2]
        assert file.read_text().rstrip().endswith(f"digest: {named[1]} # {named[2]}")


def test_the_values_for_upstream_s_chart_are_those_of_the_manifests() -> None:
    """The chart is no package here: its templates were read, and its keys written down, by hand."""
    values = yaml.safe_load((DEPLOY / "helm/values.yaml").read_text())
    keys = {
        "image", "copyAppData", "openaiBaseApiUrl", "extraEnvVars", "ollama", "pipelines", "websocket", "resources",
        "podSecurityContext", "containerSecurityContext", "volumes", "volumeMounts", "startupProbe", "livenessProbe",
        "readinessProbe",
    }  # fmt: skip
    assert values.keys() == keys
    (named,) = re.findall(
        r"^WEBUI_IMAGE=(\S+)@(sha256:[0-9a-f]{64}) # (\S+)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE
    )
    assert values["image"] == {"repository": named[0], "tag": f"{named[2]}@{named[1]}"}
    (deployment,) = of_kind(rendered(OVERLAYS / "single"), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert values["podSecurityContext"] == pod["securityContext"]
    assert values["containerSecurityContext"] == container["securityContext"]
    for name in ("startupProbe", "livenessProbe", "readinessProbe", "resources"):
        assert values[name] == container[name], name


@pytest.mark.parametrize("name", ["policy-controller.yaml", "kyverno.yaml"])
def test_a_policy_is_about_our_image(name: str) -> None:
    """Their schemas are no packages here: field by field they were held against them once, by hand."""
    policy = yaml.safe_load((DEPLOY / "kubernetes/policies" / name).read_text())
    spec = policy["spec"]
    if policy["kind"] == "ClusterImagePolicy":
        globs = [item["glob"] for item in spec["images"]]
        key = spec["authorities"][0]["key"]["data"]
    else:
        globs = [item["glob"] for item in spec["matchImageReferences"]]
        (attestor,) = spec["attestors"]
        key = attestor["cosign"]["key"]["data"]
        (validation,) = spec["validations"]
        assert f"attestors.{attestor['name']}]" in validation["expression"]
        assert f'startsWith("{globs[0].rstrip("*")}")' in validation["expression"]
        assert spec["validationActions"] == ["Deny"]
        assert spec["validationConfigurations"]["required"]
    assert all(item.startswith("fork.invalid/open-webui") for item in globs)
    assert key.strip().startswith("-----BEGIN PUBLIC KEY-----")


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `scaled` renders with its line for metrics uncommented."""
    folder = tmp_path_factory.mktemp("deploy") / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", folder)
    file = folder / "overlays/scaled/kustomization.yaml"
    file.write_text(file.read_text().replace("# components:", "components:"))
    return rendered(file.parent)


def test_prometheus_reaches_the_pods_and_what_it_asks_for(metered: list[dict[str, Any]]) -> None:
    """PodMonitor's schema is no package here: these fields were held against it by hand."""
    (monitor,), (deployment,) = of_kind(metered, "PodMonitor"), of_kind(metered, "Deployment")
    template = deployment["spec"]["template"]
    assert monitor["metadata"]["namespace"] == "open-webui"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    ports = [port["name"] for container in template["spec"]["containers"] for port in container["ports"]]
    policies = [item for item in of_kind(metered, "NetworkPolicy") if item["metadata"]["name"] == "open-webui-metrics"]
    assert ports == [endpoint["port"]] == [policies[0]["spec"]["ingress"][0]["ports"][0]["port"]]
    assert f"@router.get('{endpoint['path']}')" in (CHECKOUT / "patches/report-connections.patch").read_text()
    for policy in policies:
        kubernetes_validate.validate(policy, VERSIONS[-1], strict=True)


def test_the_dashboard_shows_each_metric() -> None:
    patch = (CHECKOUT / "patches/report-connections.patch").read_text()
    names = set(re.findall(r"^\+    '(\w+)': '", patch.partition("_METRICS = {")[2].partition("}")[0], re.MULTILINE))
    board = json.loads((DEPLOY / "grafana/connections.json").read_text())
    shown = {target["expr"] for panel in board["panels"] for target in panel["targets"]}
    assert shown == {f"webui_connection_{name}" for name in names}
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len({panel["id"] for panel in board["panels"]}) == len(set(places)) == len(places)


def test_scripts_compile() -> None:
    for file in sorted(Path(DEPLOY).rglob("*.py")):
        compile(file.read_text(), str(file), "exec")
