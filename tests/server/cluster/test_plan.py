"""What is deployed, and what Ray's processes find in their environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stream.cli.cluster import check_ray
from stream.errors import UsageError
from stream.server.access.access import Access
from stream.server.cluster.environment import cluster_environment, has_haproxy, local_environment
from stream.server.cluster.plan import ClusterPlan, Replicas
from stream.server.limits import Limits
from tests.support.command import stream_classify


@pytest.mark.parametrize(("text", "low", "high"), [("1", 1, 1), ("2..20", 2, 20), (" 7..7 ", 7, 7)])
def test_replicas_are_a_number_or_a_range(text: str, low: int, high: int) -> None:
    found = Replicas.parse(text)
    assert (found.low, found.high) == (low, high)
    assert Replicas.parse(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "2..", "..3", "3..2", "2...3", "2-3", "many", "1..99999999", "٣"]
)
def test_other_replicas_are_refused_with_the_rule(text: str) -> None:
    with pytest.raises(UsageError, match=r"replicas .*want .*2\.\.20"):
        Replicas.parse(text)


def test_another_replica_is_wanted_before_one_is_full() -> None:
    for streams in (1, 2, 10, 1000):
        plan = ClusterPlan(models={}, access=Access(), limits=Limits(streams=streams))
        assert 1 <= plan.target_streams <= streams < plan.most_connections


def test_there_are_as_many_places_to_wait_as_streams_need() -> None:
    def shelves(streams: int, replicas: str) -> int:
        limits = Limits(streams=streams)
        return ClusterPlan(
            models={}, access=Access(), limits=limits, replicas=Replicas.parse(replicas)
        ).shelves_wanted

    assert [shelves(10, "1"), shelves(1000, "2..4"), shelves(1000, "2..20")] == [1, 1, 5]


def test_streams_get_as_long_to_leave_as_the_limits_say() -> None:
    found = cluster_environment(Limits(drain_seconds=12.5), {"RAY_SERVE_ENABLE_HA_PROXY": "1"})
    if has_haproxy():
        assert found["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] == "13"
    assert found["RAY_USAGE_STATS_ENABLED"] == "0"
    assert cluster_environment(Limits(), {}) == cluster_environment(Limits(), {"PATH": "/bin"})


def test_what_the_user_has_set_stays() -> None:
    mine = {"RAY_SERVE_ENABLE_HA_PROXY": "0", "RAY_AUTH_TOKEN": "mine", "RAY_USAGE_STATS_ENABLED": "1"}
    found = local_environment(Limits(), mine, folder=Path("/f"), ports=(1, 2), streams=3, token="other")
    assert not set(mine) & set(found)
    assert not [name for name in found if "HAPROXY" in name]


def test_a_ray_of_our_own_shares_no_file_and_no_port_with_others() -> None:
    if not has_haproxy():
        pytest.skip("no HAProxy for Ray on this platform")
    found = local_environment(Limits(), {}, folder=Path("/f"), ports=(1, 2), streams=100_000, token="t")
    for name in ("CONFIG_FILE_LOC", "SOCKET_PATH", "SERVER_STATE_FILE", "METRICS_SOCKET_PATH"):
        assert found[f"RAY_SERVE_HAPROXY_{name}"].startswith("/f/")
    assert (found["RAY_SERVE_HAPROXY_STATS_PORT"], found["RAY_SERVE_HAPROXY_METRICS_PORT"]) == ("1", "2")
    assert int(found["RAY_SERVE_HAPROXY_MAXCONN"]) > 100_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replicas": "3"}, "--replicas: give --ray"),
        ({"ray_remove": True}, "--ray-remove: give --ray"),
        ({"ray": "local", "ray_remove": True}, "--ray-remove: a local Ray ends with its command"),
        (
            {"ray": "local", "tls_cert": "x"},
            "--tls-cert with --ray: .* in front of the cluster has the certificate",
        ),
        ({"ray": "local", "access_log": True}, "--access-log with --ray: .* leave it out"),
        ({"ray": "local", "workers": 2}, "--workers with --ray: the replicas are processes already"),
    ],
)
def test_options_that_contradict_one_another_are_refused(options: dict[str, Any], said: str) -> None:
    nothing = dict.fromkeys(("ray", "replicas", "ray_remove", "tls_cert", "tls_key", "access_log", "workers"))
    with pytest.raises(UsageError, match=said):
        check_ray(nothing | options)


def test_what_cannot_be_is_said_in_one_line_before_anything_is_started() -> None:
    done = stream_classify("serve", "--ray", "somewhere", "--replicas", "2..1")
    assert done.returncode == 2
    assert "replicas '2..1'" in done.stderr
    assert done.stderr.count("\n") == 1
