"""``stream-classify serve --ray``: the same application from many processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from stream.cli.say import say, set_up_log
from stream.errors import StreamClassifyError, UsageError

if TYPE_CHECKING:
    from stream.server.cluster.plan import ClusterPlan, Replicas
    from stream.server.station.source_spec import SourceSpec

LOOK_SECONDS = 2.0
_ALONE = {  # option -> why it does not go with --ray
    "tls_cert": "what stands in front of the cluster has the certificate",
    "tls_key": "what stands in front of the cluster has the key",
    "workers": "the replicas are processes already; give more --replicas",
    "access_log": "what stands in front of the cluster logs requests",
}


def check_ray(options: dict[str, Any], sources: Sequence[SourceSpec] = ()) -> None:
    """Refuse options that contradict one another.

    Args:
        options: of the command.
        sources: of the settings file.

    Raises:
        UsageError: they do, or Ray is not installed.
    """
    if options["ray"] is None:
        for name in ("replicas", "ray_remove"):
            if options[name]:
                raise UsageError(f"--{name.replace('_', '-')}: give --ray ADDRESS or --ray local as well")
        return
    for name, reason in _ALONE.items():
        if options[name]:
            raise UsageError(f"--{name.replace('_', '-')} with --ray: {reason}; leave it out")
    if sources:
        raise UsageError(
            f"source {sources[0].name!r} with --ray: every replica would listen to it; run another stream-classify "
            "serve for the sources, without --ray, on the machine where they are"
        )
    if find_spec("ray") is None:
        from stream.installation import install_command

        raise UsageError(f"--ray needs ray, which is not installed; run: {install_command('ray')}")
    if options["ray"] == "local" and options["ray_remove"]:
        raise UsageError("--ray-remove: a local Ray ends with its command; give --ray ADDRESS")


def serve_on_ray(read: Callable[[], ClusterPlan], options: dict[str, Any]) -> None:
    """Serve until a signal ends it, with a Ray of our own; deploy and return, with another.

    Args:
        read: reads models and tokens, and says what is to be deployed; called again for SIGHUP.
        options: of the command.
    """
    set_up_log(options["verbose"])
    if options["ray"] == "local":
        _serve_here(read, options["host"], options["port"])
    else:
        _deploy_there(read, options["ray"], options)


def replicas_of(options: dict[str, Any]) -> Replicas:
    """As ``--replicas`` says."""
    from stream.server.cluster.plan import Replicas

    return Replicas.parse(options["replicas"] or "2")


def _serve_here(read: Callable[[], ClusterPlan], host: str, port: int) -> None:
    from stream.server.cluster import deployment
    from stream.server.cluster.local_ray import own_ray
    from stream.server.serving import bind

    plan = read()
    with bind(host, port) as listener:  # what can be wrong with the address is said before Ray is started
        host, port = listener.getsockname()[:2]
    say("stream-classify: starting Ray; this takes some ten seconds")
    with _interruptible(), own_ray(plan), _interruptible():  # Ray sets a handler of its own meanwhile
        deployment.start_serve(host, port)
        say(f"stream-classify: starting {plan.replicas.low} replicas")
        deployment.deploy(plan)
        with _Signals() as signals:
            shown = f"[{host}]" if ":" in host else host
            say(
                f"stream-classify: serving on http://{shown}:{port}/ with {plan.replicas} replicas; Ctrl-C ends it"
            )
            _look_after(read, plan.replicas.low, signals)
            say("stream-classify: streams are told to leave")
            deployment.remove()


def _look_after(read: Callable[[], ClusterPlan], running: int, signals: _Signals) -> None:
    """Say how many replicas run, whenever that changes, and replace them when asked to; until the end."""
    from stream.server.cluster import deployment

    while not signals.ended.wait(LOOK_SECONDS):
        if signals.reload.is_set():
            signals.reload.clear()
            say("stream-classify: replacing replicas one after another")
            try:
                deployment.deploy(read())
            except StreamClassifyError as error:
                say(f"stream-classify: {error}")
            else:
                say("stream-classify: replaced")
        states = deployment.replica_states()
        found = states.get("RUNNING", 0)
        if found != running:
            say(f"stream-classify: {found} replicas run")
            running = found


def _deploy_there(read: Callable[[], ClusterPlan], address: str, options: dict[str, Any]) -> None:
    from stream.server.cluster import deployment
    from stream.server.cluster.local_ray import ray_at

    plan = read()
    with _interruptible(), ray_at(address, plan.limits), _interruptible():
        if options["ray_remove"]:
            if not deployment.replica_states():
                raise UsageError(f"--ray {address}: nothing of stream-classify serves there")
            deployment.remove()
            say("stream-classify: removed")
            return
        if not deployment.start_serve(options["host"], options["port"]):
            say("stream-classify: Ray Serve runs there already, where it was told to listen then")
        say(f"stream-classify: deploying {plan.replicas} replicas")
        deployment.deploy(plan)
    say(
        "stream-classify: it serves, and goes on without this command; run it again to change it, "
        "and with --ray-remove to end it"
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM is as Ctrl-C, so that what was started ends."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Signals:
    """SIGINT and SIGTERM end, a second one at once; SIGHUP asks for another reading of files. For a block."""

    def __init__(self) -> None:
        self.ended, self.reload = threading.Event(), threading.Event()

    def __enter__(self) -> _Signals:
        wanted: dict[int, Any] = {signal.SIGINT: self._end, signal.SIGTERM: self._end}
        if hasattr(signal, "SIGHUP"):
            wanted[signal.SIGHUP] = lambda number, frame: self.reload.set()
        self._before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: Any) -> None:
        if self.ended.is_set():
            raise KeyboardInterrupt
        self.ended.set()
