"""A network converted by one exporter, and compared with torch at the sounds and chunkings that tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from export.conversion.equivalence import Reference, difference_from_whole
from export.conversion.input_layout import InputLayout
from export.conversion.operators import check_operators
from export.conversion.step_runner import StreamRunner
from export.conversion.torch_export import Whole, offline_graph
from export.streaming import Streaming, streamify
from tests.support.export_networks import F

TOLERANCE = 5e-6  # of the largest score


def converted(
    build: Callable[[], nn.Module], exporter: str = "tracing", width: int = F, **options: object
) -> tuple[Streaming, Reference]:
    """The streaming form of a network (N, T, width) with random weights and statistics, and the network."""
    torch.set_num_threads(1)  # more only wait for each other on networks this small
    torch.manual_seed(0)
    network = build()
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.track_running_stats:
            nn.init.normal_(module.running_mean, 0.0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    example = torch.randn(2, 96, width, generator=torch.Generator().manual_seed(1)) * 2 + 1
    whole = Whole(network, InputLayout.of(tuple(example.shape), 0, 1))
    made = streamify(offline_graph(exporter, whole, example), example.numpy(), **options)
    check_operators(made.model, from_torch=True)
    return made, Reference(lambda x: whole(torch.from_numpy(x)).detach().numpy())


def compared(made: Streaming, reference: Reference, width: int = F, steps: int = 120) -> None:
    """Assert equality on noise, silence, full scale and a step between them, one stream and three, in any chunks; and
    that a stream goes on the same among others as alone."""
    runner, rng = StreamRunner(made.model, made.states), np.random.default_rng(0)
    frames = steps * made.stride
    for streams, kind in ((1, "noise"), (3, "noise"), (1, "silence"), (3, "full scale"), (2, "step")):
        x = rng.standard_normal((streams, frames, width)).astype(np.float32) * 2 + 1
        x *= {"silence": 0.0, "full scale": 20.0}.get(kind, 1.0)
        x[:, : frames // 2] *= kind != "step"
        chunkings = [(made.stride * rng.integers(1, 30, 50)).tolist()]
        chunkings += [[made.stride], [frames]] if (streams, kind) == (3, "noise") else []
        for sizes in chunkings:
            rows, _ = runner.run(x, sizes)
            difference = difference_from_whole(made, reference, x, rows)
            assert difference <= TOLERANCE * max(1.0, float(np.abs(rows).max())), (kind, streams)
    half, sizes = frames // 2, [4 * made.stride]
    whole, _ = runner.run(x[:, :half], sizes)
    _, alone = runner.run(x[1:, :half], [half])
    _, beside = runner.run(x[:1, :half], [half])
    joined = tuple(
        np.concatenate([a, b], axis=s.batch_axis) for s, a, b in zip(made.states, alone, beside, strict=True)
    )
    rows, _ = runner.run(x[::-1, half:], sizes, joined)
    both, _ = runner.run(x, [half, *sizes])
    np.testing.assert_allclose(rows[::-1], both[:, whole.shape[1] :], rtol=1e-5, atol=1e-5)
