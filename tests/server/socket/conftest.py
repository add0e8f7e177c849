"""One station for the tests of a file, and a peer of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from stream.inference.session import Model
from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.limits import Limits
from tests.support.bare_station import BareStation
from tests.support.served import ServedApp, served
from tests.support.stream_peer import lively_rules
from tests.support.toy_models import toy_bytes, toy_card

LENIENT = Limits(lead_seconds=86_400, backlog_seconds=3600)


@pytest.fixture(scope="package")
def model() -> Model:
    """A model whose rules find many events in `noise`."""
    return Model(toy_bytes(toy_card(detector=lively_rules())))


@pytest.fixture(scope="module")
def station(model: Model) -> Iterator[ServedApp]:
    """A station that takes sound as fast as it comes."""
    with served(make_app(BareStation(model), Access(), LENIENT)) as app:
        yield app


@pytest.fixture
def serve(model: Model) -> Iterator[Callable[..., ServedApp]]:
    """A function that serves another station, with limits and whatever `make_app` takes."""
    with ExitStack() as stack:

        def start(limits: Limits = LENIENT, access: Access | None = None, **options: Any) -> ServedApp:
            station = BareStation(model)
            app: ServedApp = stack.enter_context(
                served(make_app(station, access or Access(), limits, **options))
            )
            return app

        yield start
