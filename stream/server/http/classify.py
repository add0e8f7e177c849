"""A whole recording in, its events out, line by line while it is heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from stream.capture.channels import parse_channel
from stream.capture.files import FileSource
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.errors import BackendMissing, SpecError, StreamClassifyError, UnreadableAudio, UsageError
from stream.messages import Chunk, Result, Status
from stream.outputs.line_encoder import LineEncoder
from stream.outputs.records import Origin
from stream.outputs.schema import Record
from stream.outputs.wall_time import CaptureTimes
from stream.printable import printable, unicode_text
from stream.quantities import level_dbfs
from stream.runner import arun
from stream.server.http.held import HeldAnswer
from stream.server.http.model import ModelName, find_model
from stream.server.http.operation import Answer, Operation
from stream.server.http.uploads import uploaded
from stream.server.limits import Limits
from stream.server.refusals import ErrorAnswer, Refused, error_json
from stream.settings.keys import RULE_KEYS
from stream.settings.layered_rules import lay_over
from stream.settings.rule_texts import groups_of, rule_settings

log = logging.getLogger(__name__)
NDJSON = "application/x-ndjson"
_RULE = Meta(max_length=300, description="VALUE for every class, or LABEL=VALUE for one.")
RuleTexts = Annotated[list[Annotated[str, _RULE]], Meta(max_length=100)]


class ClassifyQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to hear a recording.

    Attributes:
        model: one of the served ones.
        scores, onsets: also a line for each row of scores; for each beginning of an event.
        channel: to listen to, from 1, or "mix".
        name: of the source in the lines.
        threshold, peak_threshold, min_on, min_off, refractory, smoothing: of the detector.
        group: a class of its own for several, NAME=A,B.
        loud: a class of its own for what is as loud as this level, dBFS.
    """

    model: ModelName = ""
    scores: bool = False
    onsets: bool = False
    channel: Annotated[str, Meta(pattern=r"^(mix|[1-9][0-9]{0,3})$")] = "mix"
    name: Annotated[str, Meta(max_length=200)] = "upload"
    threshold: RuleTexts = []
    peak_threshold: RuleTexts = []
    min_on: RuleTexts = []
    min_off: RuleTexts = []
    refractory: RuleTexts = []
    smoothing: RuleTexts = []
    group: Annotated[list[Annotated[str, Meta(max_length=2000)]], Meta(max_length=100)] = []
    loud: Annotated[str, Meta(max_length=20)] = ""


class _Lines:
    """A sink that keeps the lines of one step."""

    def __init__(self, encoder: LineEncoder) -> None:
        self._encoder = encoder
        self._lines: list[bytes] = []

    def take(self) -> bytes:
        lines, self._lines = self._lines, []
        return b"".join(lines)

    def chunk(self, chunk: Chunk) -> None:
        pass

    def result(self, result: Result) -> None:
        self._lines += self._encoder.result(result)

    def status(self, status: Status) -> None:
        self._lines.append(self._encoder.status(status))

    def close(self) -> None:
        pass


class Turns:
    """Recordings that are heard at one time, and those that wait for it."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.files + limits.files_waiting
        self._turns = asyncio.Semaphore(limits.files)
        self.admitted = 0

    @asynccontextmanager
    async def admission(self) -> AsyncGenerator[None]:
        """A place, for a block.

        Raises:
            Refused: too many wait already.
        """
        if self.admitted >= self._most:
            raise Refused(
                "busy", "too many recordings at one time; try again", status=503, headers={"Retry-After": "5"}
            )
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """One's turn to be heard, for a block."""
        async with self._turns:
            yield


async def classify(request: Request, query: ClassifyQuery) -> Response:
    """Hear a recording."""
    if request.app.state.draining.begun:
        raise Refused("draining", "the station is about to end; try another one, or later", status=503)
    name, model = find_model(request, query.model)
    classifier, origin_name = _classifier(model, query), unicode_text(printable(query.name))
    origin = Origin(origin_name, model.card.name, model.sha256)
    async with AsyncExitStack() as stack:
        turns: Turns = request.app.state.turns
        await stack.enter_async_context(turns.admission())
        path = await stack.enter_async_context(uploaded(request))
        await stack.enter_async_context(turns.turn())
        source = await _opened(path, query, origin_name)
        stack.callback(source.close)
        sink = _Lines(
            LineEncoder(origin, CaptureTimes(), live=False, onsets=query.onsets, scores=query.scores)
        )
        pieces = _heard(source, classifier, sink, path, origin_name)
        request.app.state.metrics.files.inc()
        log.info("hearing %s with model %s", origin_name, name)
        return HeldAnswer(pieces, stack.pop_all(), NDJSON)


def _classifier(model: Any, query: ClassifyQuery) -> StreamClassifier:
    try:
        loud = level_dbfs(query.loud) if query.loud else None
        derived = DerivedSpec(groups=groups_of(query.group, "group"), loud=loud)
        texts = {field.replace("-", "_"): getattr(query, field.replace("-", "_")) for field in RULE_KEYS}
        settings = rule_settings(texts, dashes=False)
        rules, _ = lay_over(derived.detector(model.card.detector), derived.labels(model.labels), settings)
        return StreamClassifier(model, rules, derived=derived)
    except (SpecError, UsageError, ValueError) as error:
        raise Refused("invalid_parameter", str(error)) from None


async def _opened(path: Path, query: ClassifyQuery, name: str) -> FileSource:
    try:
        return await asyncio.to_thread(FileSource, path, channel=parse_channel(query.channel))
    except (UnreadableAudio, BackendMissing) as error:
        raise Refused("unreadable_audio", _told(error, path, name), status=422) from None
    except UsageError as error:
        raise Refused("invalid_parameter", _told(error, path, name)) from None


async def _heard(
    source: FileSource, classifier: StreamClassifier, sink: _Lines, path: Path, name: str
) -> AsyncGenerator[bytes]:
    """Lines as they come. What goes wrong on the way is told in a line of its own, behind all that was heard."""
    try:
        async with aclosing(arun(source, classifier, [sink], history_seconds=None)) as results:
            async for _ in results:
                if lines := sink.take():
                    yield lines
    except StreamClassifyError as error:
        yield sink.take() + error_json("failed", _told(error, path, name)) + b"\n"
        return
    if lines := sink.take():
        yield lines
    if problem := source.report().truncated:
        yield error_json("truncated", _told(problem, path, name)) + b"\n"


def _told(error: Exception | str, path: Path, name: str) -> str:
    """What went wrong, without where the file lies here."""
    return printable(str(error).replace(str(path), name))


OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/classify",
        name="classify",
        summary="Classify a whole recording; answers line by line, as JSON lines of the command line",
        handler=classify,
        scope="listen",
        query=ClassifyQuery,
        body_media="application/octet-stream",
        answers={
            200: Answer(
                "one JSON object a line; a line with `error` as the last tells what went wrong on the way",
                (Record, ErrorAnswer),
                (NDJSON,),
            )
        },
        refusals={
            404: "no model of this name is served",
            408: "the recording came too slowly",
            413: "larger than the limit",
            415: "a form or an encoded body",
            422: "no audio that can be decoded",
            507: "no room for it",
        },
    ),
)
