"""What the station's models are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from stream.decisions.spec import DetectorSpec
from stream.inference.session import Model
from stream.server.http.answers import json_answer
from stream.server.http.operation import Answer, Operation
from stream.server.refusals import Refused

ModelName = Annotated[str, Meta(max_length=200, description="One of the served models; default: the first.")]


class ModelQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model."""

    model: ModelName = ""


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A model, as its card says it.

    Attributes:
        served: names of all models of this station, for the parameter ``model``; the first is the default.
        model: the name of this one among them.
        id: name and the beginning of the file's digest, as results carry it.
        name, version, description, author, licence: from the card.
        sample_rate: Hz; sound of any other rate is resampled.
        hop: samples between rows of scores.
        detector: the rules that turn scores into events.
    """

    served: list[str]
    model: str
    id: str
    sha256: str
    name: str
    version: str
    description: str
    author: str
    licence: str
    labels: list[str]
    activation: Literal["softmax", "sigmoid"]
    sample_rate: Annotated[int, Meta(gt=0)]
    hop: Annotated[int, Meta(gt=0)]
    detector: DetectorSpec


def find_model(request: Request, name: str) -> tuple[str, Model]:
    """A served model by its name; "" is the first.

    Raises:
        Refused: there is none of this name.
    """
    pools = request.app.state.station.pools
    name = name or next(iter(pools))
    if name not in pools:
        raise Refused(
            "unknown_model", f"model {name}: is not served; served are {', '.join(pools)}", status=404
        )
    return name, pools[name].model


async def get_model(request: Request, query: ModelQuery) -> Response:
    """Describe a model."""
    name, model = find_model(request, query.model)
    card = model.card
    answer = ModelAnswer(
        served=list(request.app.state.station.pools),
        model=name,
        id=model.id,
        sha256=model.sha256,
        name=card.name,
        version=card.version,
        description=card.description,
        author=card.author,
        licence=card.licence,
        labels=list(card.labels),
        activation=card.activation,
        sample_rate=card.features.sample_rate,
        hop=card.features.hop_length * card.stride,
        detector=card.detector,
    )
    return json_answer(answer)


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/model",
        name="get_model",
        summary="What a model is: classes, rate, rules",
        handler=get_model,
        scope="any",
        query=ModelQuery,
        answers={200: Answer("the model", ModelAnswer)},
        refusals={404: "no model of this name is served"},
    ),
)
