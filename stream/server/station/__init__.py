"""The station: sources of its own, supervised, changed without a restart, and told about through a hub."""

from stream.server.station.hub_sink import HubSink
from stream.server.station.listened import AttachedRun, Listened
from stream.server.station.source_glance import SourceGlance
from stream.server.station.source_run import SourceRun
from stream.server.station.source_spec import SourceSpec
from stream.server.station.station import Reloaded, Station

__all__ = [
    "AttachedRun",
    "HubSink",
    "Listened",
    "Reloaded",
    "SourceGlance",
    "SourceRun",
    "SourceSpec",
    "Station",
]
