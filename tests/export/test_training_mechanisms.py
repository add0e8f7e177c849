"""Each mechanism of training by itself: what a batch, a step or an epoch does, on numbers checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.data.cache import FeatureStore  # noqa: E402
from export.models import build, preset  # noqa: E402
from export.training import Batch, FitConfig, StreamConfig, fit  # noqa: E402
from export.training.batching import RowReader, collate  # noqa: E402
from export.training.loss import frame_loss  # noqa: E402
from export.training.sampler import Sampler  # noqa: E402
from export.training.targets import LabelledFrames, RecordingTargets  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402

pytestmark = pytest.mark.torch

ROWS, FRAMES = 4, 5


class Counter(torch.nn.Module):
    """Its state is the sum of everything a row has heard; it remembers the states it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 2)
        self.given: list[torch.Tensor | None] = []

    def forward(
        self, x: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.given.append(state)
        total = (0 if state is None else state) + x.sum(1) * self.head.weight.sum().exp()
        return self.head(x + total[:, None]), total


def batch(reset: list[bool] | None, seed: int = 0, features: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        torch.rand(ROWS, FRAMES, features, generator=generator) + 0.5,
        torch.randint(0, 2, (ROWS, FRAMES), generator=generator),
        torch.ones(ROWS, FRAMES),
        None if reset is None else torch.tensor(reset),
    )


def gru() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(preset("gru", features=1, classes=2, hidden=4, layers=1))


class Recorder:
    """A report that keeps a copy of the weights after every step."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model, self.weights = model, []

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        pass

    def step(self, loss: float) -> None:
        self.weights.append({name: value.clone() for name, value in self.model.state_dict().items()})

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        pass


def test_rows_keep_their_state_from_batch_to_batch_unless_reset() -> None:
    model = Counter()
    resets = [[True] * 4, [False, False, True, False], [False, True, False, False]]
    given = [batch(reset, seed) for seed, reset in enumerate(resets)]
    fit(model, lambda epoch: given, FitConfig(epochs=1, learning_rate=1e-9, device="cpu"))
    first, second, third = model.given
    assert first is None
    scale = float(model.head.weight.detach().sum().exp())
    heard = [each.features.sum(1) * scale for each in given]
    kept = heard[0] * torch.tensor([1.0, 1, 0, 1])[:, None]
    torch.testing.assert_close(second, kept)
    torch.testing.assert_close(third, (kept + heard[1]) * torch.tensor([1.0, 0, 1, 1])[:, None])
    assert not second.requires_grad, "gradients are cut between batches"


def test_an_epoch_begins_without_the_state_of_the_last() -> None:
    model = Counter()
    fit(model, lambda epoch: [batch([False] * 4)], FitConfig(epochs=3, device="cpu"))
    assert model.given == [None, None, None]


def test_the_gradient_is_clipped() -> None:
    def gradient_norm(clip_norm: float) -> float:
        model = gru()
        with torch.no_grad():
            model.head.weight.mul_(30)
        fit(model, lambda epoch: [batch(None)], FitConfig(epochs=1, clip_norm=clip_norm, device="cpu"))
        return math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters()))

    assert gradient_norm(0) > 1
    assert gradient_norm(0.01) == pytest.approx(0.01, rel=1e-3)


def test_the_rate_follows_a_cosine_to_a_hundredth() -> None:
    """Two epochs of four steps: the rate of step k of 8 is a point of the cosine, whatever epoch it is in."""

    class Rates(Recorder):
        def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
            assert steps == 4

    settings = FitConfig(epochs=2, learning_rate=0.1, warmup=0, device="cpu")
    model = gru()
    found = fit(model, lambda epoch: [batch(None)] * 4, settings, report=Rates(model)).history
    expected = [0.1 * (0.01 + 0.99 * (1 + math.cos(math.pi * step / 8)) / 2) for step in (3, 7)]
    assert [each["learning_rate"] for each in found] == pytest.approx(expected)
    constant = fit(
        gru(),
        lambda epoch: [batch(None)] * 4,
        FitConfig(epochs=2, learning_rate=0.1, warmup=0, schedule="constant", device="cpu"),
    )
    assert [each["learning_rate"] for each in constant.history] == [0.1, 0.1]


def test_the_rate_rises_over_the_first_epoch() -> None:
    settings = FitConfig(epochs=2, learning_rate=0.1, warmup=2.0, schedule="constant", device="cpu")
    found = fit(gru(), lambda epoch: [batch(None)] * 4, settings).history
    assert [each["learning_rate"] for each in found] == pytest.approx([0.1 * (0.75 + 0.02) / 2, 0.1])


def test_averaged_weights_are_validated_and_kept() -> None:
    model = gru()
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    report, validated = Recorder(model), []

    def validate(given: torch.nn.Module) -> dict[str, float]:
        validated.append({name: value.clone() for name, value in given.state_dict().items()})
        return {"accuracy": float(len(validated))}  # the last is the best

    settings = FitConfig(epochs=2, average=0.5, learning_rate=0.05, monitor="accuracy", device="cpu")
    fit(
        model,
        lambda epoch: [batch(None, seed) for seed in range(3)],
        settings,
        validate=validate,
        report=report,
    )
    mean = initial
    for step, weights in enumerate(report.weights, 1):
        decay = min(0.5, (1 + step) / (10 + step))
        mean = {name: decay * mean[name] + (1 - decay) * weights[name] for name in mean}
        if step in (3, 6):
            torch.testing.assert_close(validated[step // 3 - 1], mean)
    torch.testing.assert_close(dict(model.state_dict()), mean)
    assert not torch.allclose(mean["head.weight"], report.weights[-1]["head.weight"])


def test_training_goes_on_from_the_weights_it_had_not_from_their_mean() -> None:
    def last(average: float) -> dict[str, torch.Tensor]:
        model = gru()
        report = Recorder(model)
        settings = FitConfig(epochs=3, average=average, learning_rate=0.05, device="cpu")
        fit(model, lambda epoch: [batch(None, seed) for seed in range(3)], settings, report=report)
        return report.weights[-1]

    torch.testing.assert_close(last(0.0), last(0.9), atol=0, rtol=0)


def labelled(frames: int, targets: RecordingTargets) -> LabelledFrames:
    """Frame t has the feature t and the class t."""
    numbers = np.arange(frames)
    spread = np.repeat(numbers[:, None], 13, axis=1).astype(np.float32)
    return LabelledFrames(spread, numbers.astype(np.int64), (numbers + 1).astype(np.float32))


@pytest.mark.parametrize("stride", [1, 3])
def test_a_row_of_logits_learns_the_target_of_the_newest_frame_it_has_seen(stride: int) -> None:
    spec = MfccSpec(n_mfcc=13)
    none = np.zeros((0, 13), np.float32)
    store = FeatureStore(none, none[:, 0], np.zeros(1, np.int64), (), spec)
    targets = RecordingTargets([], tuple("abcdefghijkl"), "softmax")
    sampler = Sampler([store], targets, StreamConfig(), stride=stride)
    reader = RowReader(iter([(labelled(12, targets), 7)]))
    indexed = collate([reader.read(12, 13)], sampler, None)
    newest = list(range(stride - 1, 12, stride))
    assert indexed.batch.features.shape == (1, 12, 13)
    assert indexed.batch.targets[0].tolist() == newest
    assert indexed.batch.weight[0].tolist() == [t + 1 for t in newest]
    assert (indexed.recording == 7).all()


def test_focal_loss_leaves_easy_frames_out() -> None:
    """(1 - p) ** focal times the plain loss of each frame, p the probability of what is true."""
    logits = torch.tensor([[[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    classes = torch.tensor([[0, 2]])
    right = logits.softmax(-1)[0, [0, 1], [0, 2]]
    expected = (-((1 - right) ** 2) * right.log()).mean()
    found = frame_loss(logits, classes, torch.ones(1, 2), "softmax", focal=2.0)
    torch.testing.assert_close(found, expected)
    many = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]])
    right = torch.where(many > 0.5, logits.sigmoid(), 1 - logits.sigmoid())
    expected = (-((1 - right) ** 2) * right.log()).mean()
    found = frame_loss(logits, many, torch.ones(1, 2), "sigmoid", focal=2.0)
    torch.testing.assert_close(found, expected)
