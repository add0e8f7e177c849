"""A machine of a cluster is lost in the middle of a scan: its recordings are listened to by others, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.archive.crew import Done, Progress
from stream.archive.inventory import find_recordings
from stream.archive.ray_crew import on_ray
from stream.archive.scan import scan
from stream.archive.workers import processes
from stream.cli import ENVIRONMENT
from tests.support.archives import setup
from tests.support.extras import needs

needs("ray")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two machines, as far as Ray can tell: the head has no core for tasks at first."""
    for name, value in ENVIRONMENT.items():
        if name.startswith("RAY_"):
            monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()


@pytest.mark.long
def test_recordings_of_a_lost_machine_are_heard_elsewhere(
    cluster: Any, archive: Path, model: Path, tmp_path: Path
) -> None:
    recordings = find_recordings([str(archive)])
    undisturbed, out = tmp_path / "undisturbed.jsonl", tmp_path / "out.jsonl"
    entries = scan(recordings, setup(model), [str(undisturbed)], crew=processes(2))
    lost = cluster.add_node(num_cpus=2)
    seen: list[Progress | Done] = []

    def crew(*given: Any) -> Iterator[Progress | Done]:
        for message in on_ray(cluster.address)(*given):
            seen.append(message)
            if len(seen) == 3:
                cluster.remove_node(lost, allow_graceful=False)
                cluster.add_node(num_cpus=2)
            yield message

    assert scan(recordings, setup(model), [str(out)], crew=crew) == entries
    assert out.read_bytes() == undisturbed.read_bytes()
    done = [message.recording.name for message in seen if isinstance(message, Done)]
    assert sorted(done) == [each.name for each in recordings]
