"""A station in a cluster: streams from outside, and no sources of its own.

A source, a microphone say, is one. Of several replicas each would listen to it, and each be asked about it.
"""

from __future__ import annotations

from stream.errors import UsageError
from stream.inference.session import Model
from stream.server.cluster.plan import ClusterPlan
from stream.server.station.source_spec import SourceSpec
from stream.server.station.station import Station

WHY = (
    "a cluster has no sources: run stream-classify serve without --ray where the source is, "
    "or send its sound to /v1/stream"
)


def cluster_station(plan: ClusterPlan) -> Station:
    """The station of one replica."""
    return _Sourceless(models=plan.models, load=_no_model, max_streams=plan.limits.streams)


class _Sourceless(Station):
    def add_source(self, spec: SourceSpec) -> None:
        """Refused.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"source {spec.name}: {WHY}")


def _no_model(name: str, provider: str) -> Model:
    raise UsageError(f"model {name}: {WHY}")
