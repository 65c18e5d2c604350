"""The manifests: valid by Kubernetes' own schemas, and consistent with one another and with the server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from flashvsr_handler.serve.options import parse
from flashvsr_handler.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    found
    for name in KUSTOMIZATION["resources"]
    for found in yaml.safe_load_all((DEPLOY / name).read_text())
    if found is not None
]
STOP_S = 10
"""What the supervisor gives Java after the drain."""


def named(item: dict[str, Any]) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


BY_NAME = {named(item): item for item in OBJECTS}
WORKLOADS = [BY_NAME["StatefulSet/flashvsr"], BY_NAME["Deployment/flashvsr-proxy"]]
NODES = BY_NAME["StatefulSet/flashvsr"]
POD = NODES["spec"]["template"]["spec"]
(SERVER,) = POD["containers"]


def containers(workload: dict[str, Any]) -> list[dict[str, Any]]:
    pod = workload["spec"]["template"]["spec"]
    return [*pod["containers"], *pod.get("initContainers", [])]


@pytest.mark.parametrize("item", OBJECTS, ids=named)
def test_the_schema_holds(item: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    validate.validate(item, validate.latest_version(), strict=True)


def test_the_list_is_whole() -> None:
    assert {f"kubernetes/{path.name}" for path in (DEPLOY / "kubernetes").iterdir()} == set(KUSTOMIZATION["resources"])
    for generator in KUSTOMIZATION["configMapGenerator"]:
        assert all((DEPLOY / name).exists() for name in generator["files"])
    assert len(BY_NAME) == len(OBJECTS)


@pytest.mark.parametrize("workload", WORKLOADS, ids=named)
def test_selectors_select(workload: dict[str, Any]) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    budgets = [item for item in OBJECTS if item["kind"] == "PodDisruptionBudget"]
    assert any(budget["spec"]["selector"]["matchLabels"] == labels for budget in budgets)


@pytest.mark.parametrize("workload", WORKLOADS, ids=named)
def test_pods_are_confined(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["automountServiceAccountToken"] is False
    for container in containers(workload):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_the_user_is_the_images() -> None:
    image = (DEPLOY.parent / "Dockerfile").read_text()
    assert f"\nUSER {POD['securityContext']['runAsUser']}\n" in image


def test_a_node_has_one_gpu_and_the_ports_of_the_server() -> None:
    assert SERVER["resources"]["limits"]["nvidia.com/gpu"] == SERVER["resources"]["requests"]["nvidia.com/gpu"] == 1
    options = parse(SERVER["args"], {})
    ports = {port["name"]: port["containerPort"] for port in SERVER["ports"]}
    assert ports == {"grpc": options.grpc_port, "direct": options.grpc_port + 2, "metrics": options.http_port + 2}
    for variable in SERVER["env"]:
        assert variable["name"].removeprefix(PREFIX).lower() in Settings.__dataclass_fields__


def test_there_is_time_to_drain() -> None:
    before = int(SERVER["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = parse(SERVER["args"], {}).drain_timeout_s
    assert POD["terminationGracePeriodSeconds"] > before + drain + STOP_S
    assert WORKLOADS[1]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= drain


def test_probes_are_real_calls_and_liveness_is_patient() -> None:
    for probe in ("startupProbe", "readinessProbe"):
        command = SERVER[probe]["exec"]["command"]
        assert command[0] == "flashvsr-serve"
        assert parse(command[1:], {}).check
        assert SERVER[probe]["timeoutSeconds"] > 10  # what --check itself waits
    liveness = SERVER["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60
    assert SERVER["startupProbe"]["periodSeconds"] * SERVER["startupProbe"]["failureThreshold"] >= 600


def test_the_proxy_knows_every_node_by_a_service_that_answers_while_it_drains() -> None:
    listed = re.findall(r"^server ([\w-]+):(\d+) ", (DEPLOY / "nginx" / "nodes.conf").read_text(), re.MULTILINE)
    assert [name for name, _ in listed] == [f"flashvsr-{index}" for index in range(NODES["spec"]["replicas"])]
    for name, port in listed:
        service = BY_NAME[f"Service/{name}"]["spec"]
        assert service["publishNotReadyAddresses"] is True
        assert service["selector"]["statefulset.kubernetes.io/pod-name"] == name
        assert [each["port"] for each in service["ports"]] == [int(port)]


def test_the_network_lets_the_proxy_in_and_nobody_to_management() -> None:
    (policy,) = (item for item in OBJECTS if item["kind"] == "NetworkPolicy")
    allowed = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert allowed == ["grpc", "metrics"]
    assert all(rule["from"] for rule in policy["spec"]["ingress"])
