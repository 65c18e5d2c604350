"""A real cluster that goes away under a film: a line, soon, a job that goes on, and nothing left."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from flashvsr_client import JobOptions, LocalOptions, SessionLostError
from flashvsr_client.cluster.connecting import connect
from flashvsr_client.cluster.fleet import RayFleet
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.local_workers import MakeTransport
from flashvsr_client.pipeline import Order, upscale_file
from flashvsr_client.testing import MockTransport

from tests.cluster.clusters import two_nodes
from tests.cluster.test_cluster import CUT, Killing
from tests.cluster.waiting import until
from tests.unit.client.clips import encoded, numbered

pytest.importorskip("ray", reason="ray is not installed: pip install 'flashvsr-client[ray]'")
SILENCE = 3.0
SOON = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
FRAMES = 360


def slow(options: LocalOptions) -> MakeTransport:
    """So slow that no film is finished before the loss is known."""
    return partial(MockTransport, delay=0.5)


@pytest.mark.faults
def test_a_driver_whose_node_or_head_dies_ends_with_a_line(tmp_path: Path) -> None:
    """First its own node, of a cluster that is there for others, then the head."""
    source, target = encoded(tmp_path / "in.mp4", numbered(FRAMES, 32, 24)), tmp_path / "out.mp4"
    with two_nodes(**SOON) as cluster:
        for kill, reason in (
            (cluster.kill_own_raylet, r"this machine's node of the Ray cluster at .* died"),
            (cluster.kill_head, r"the head of the Ray cluster at .* has not answered for 3 s"),
        ):
            options = ClusterOptions(cluster.address, cpus=1, files="sent", scratch=str(tmp_path))
            fleet = RayFleet(LocalOptions(), options, engine=slow, connecting=partial(connect, silence=SILENCE))
            order = Order(2, segmentation=CUT, progress=Killing(100, kill), job=JobOptions(resume=True))
            try:
                with pytest.raises(
                    SessionLostError, match=f"{reason}.* with --resume; .* of 12 segments are kept: go on with `"
                ):
                    upscale_file(fleet, source, target, order)
            finally:
                fleet.close()
        assert until(10, lambda: not cluster.engines())
