"""The manifest of a film on KubeRay: its pods by Kubernetes' schemas, its command by our own parser."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from flashvsr_client.cli.main import flashvsr

MANIFEST = Path(__file__).parents[3] / "deploy" / "kuberay" / "film.yaml"
JOB, CLAIM = yaml.safe_load_all(MANIFEST.read_text())
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
PODS = [group["template"] for group in GROUPS]
FIELDS = {
    "RayJob": {
        "entrypoint",
        "submissionMode",
        "backoffLimit",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "rayClusterSpec",
    },
    "cluster": {"rayVersion", "headGroupSpec", "workerGroupSpecs"},
    "group": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}
"""Of ray.io/v1, those that are used here: a field that is misspelt is not among them."""


def command() -> dict[str, Any]:
    words = shlex.split(JOB["spec"]["entrypoint"])
    subcommand = flashvsr.get_command(click.Context(flashvsr), words[1])
    assert words[0] == "flashvsr"
    assert subcommand is not None
    return subcommand.make_context(words[1], words[2:]).params


def test_the_job_has_the_fields_that_it_may_have() -> None:
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    assert set(JOB["spec"]) <= FIELDS["RayJob"]
    assert set(CLUSTER) <= FIELDS["cluster"]
    for group in GROUPS:
        assert set(group) <= FIELDS["group"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@pytest.mark.parametrize("pod", PODS, ids=["head", "gpu"])
def test_the_pods_hold_by_kubernetes_schema(pod: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **pod}
    validate.validate(whole, validate.latest_version(), strict=True)
    validate.validate(CLAIM, validate.latest_version(), strict=True)


@pytest.mark.parametrize("pod", PODS, ids=["head", "gpu"])
def test_pods_are_confined_and_share_the_films(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in spec["volumes"]}
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"] if volume["name"] == "films"]
    assert claims == [CLAIM["metadata"]["name"]]


def test_the_command_is_resumed_on_the_shared_volume() -> None:
    given = command()
    assert given["resume"]
    assert (given["ray"], given["ray_files"]) == ("auto", "shared")
    (mount,) = [one for one in PODS[0]["spec"]["containers"][0]["volumeMounts"] if one["name"] == "films"]
    paths = [*map(str, given["sources"]), given["output"]]
    assert all(path.startswith(f"{mount['mountPath']}/") for path in paths)
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]


def test_only_workers_have_engines_each_with_a_gpu() -> None:
    head, workers = GROUPS
    assert head["rayStartParams"]["num-cpus"] == "0"
    resources = workers["template"]["spec"]["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == 1
