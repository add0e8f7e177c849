"""What was written with older names still works: options and settings with a warning, files without."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from export.cli.train import train as command  # noqa: E402
from export.models import build, preset  # noqa: E402
from export.models.checkpoint import load_model, save_model  # noqa: E402
from export.training import TrainConfig  # noqa: E402
from export.training.config import RENAMED, read_config  # noqa: E402
from export.training.settings import change, setting_names  # noqa: E402
from stream.errors import SpecError  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from stream.inference.card import ModelCard  # noqa: E402
from tests.support.labelled import RATE, class_folder  # noqa: E402

pytestmark = pytest.mark.torch


def test_old_options_and_settings_work_with_a_warning(tmp_path: Path) -> None:
    words = [
        str(class_folder(tmp_path / "d")), "-o", str(tmp_path / "m.pt"), "--cache", str(tmp_path / "c"),
        "--quiet", "room", "--balance", "--quietly", "--epochs", "1", "--hidden", "4", "--layers", "1",
        "-r", str(RATE), "--n-fft", "256", "--win-length", "200", "--hop-length", "80",
        "--set", "compose=false", "--set", "streams.even=0.5", "--set", "streams.fresh=0.1",
        "--set", "augment.thin=0.2",
    ]  # fmt: skip
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    warned = [line for line in done.stderr.splitlines() if "warning: " in line]
    assert "--quiet is now called --background-class" in warned[0]
    assert len(warned) == 6
    written = json.loads((tmp_path / "m.run" / "config.json").read_text())
    assert written["streams"]["background_class"] == "room"
    assert written["streams"]["balance"] == 0.5
    assert written["streams"]["reset"] == 0.1
    assert written["augment"]["high_pass"] == 0.2
    assert written["class_weights"] is True


def test_every_old_setting_has_become_one_that_exists() -> None:
    assert set(RENAMED.values()) <= set(setting_names())
    assert not set(RENAMED) & set(setting_names())
    with pytest.warns(FutureWarning, match=r"streams\.even is now streams\.balance"):
        assert change(TrainConfig(data="x"), {"streams.even": "0.5"}).streams.balance == 0.5


def test_an_old_config_is_read() -> None:
    old = {
        "data": "x",
        "balance": True,
        "augment": {"hiss": 0.1, "thin": 0.2, "under": 0.3},
        "streams": {"even": 0.4, "fresh": 0.5, "quiet": "room"},
    }
    config = read_config(json.dumps(old).encode())
    augment, streams = config.augment, config.streams
    assert (augment.stationary_noise, augment.high_pass, augment.mix) == (0.1, 0.2, 0.3)
    assert (streams.balance, streams.reset, streams.background_class) == (0.4, 0.5, "room")
    assert config.class_weights
    assert read_config(msgspec.json.encode(config)) == config
    for wrong in (b"[]", b"\xff", b'{"data": "x", "streams": {"evn": 1}}', b'{"data": "x", "steps": -1}'):
        with pytest.raises(SpecError):
            read_config(wrong)


def test_an_old_checkpoint_is_loaded(tmp_path: Path) -> None:
    """A checkpoint from before card schema 2: the names of its weights and the fields of its card are these."""
    changes = {"axes": "time-frequency", "bands": True, "norm": False, "hidden": 4, "channels": 2}
    model = build(preset("crnn", features=8, classes=2, **changes))
    card = ModelCard(name="x", labels=("a", "b"), activation="softmax", features=MfccSpec(n_mels=8, n_mfcc=8))
    save_model(tmp_path / "m.pt", model, card)
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    assert list(content["weights"]) == [
        *("normalise.mean", "normalise.scale", "layers.0.mix.weight", "layers.0.mix.bias"),
        *(f"layers.{i}.conv.{kind}" for i in (1, 2) for kind in ("weight", "bias")),
        *(f"layers.3.rnn.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        *("head.weight", "head.bias"),
    ]
    old = json.loads(content["card"])
    old["schema"] = 1
    del old["features"]["type"]
    rule = old["detector"]["default"]
    rule["confirm"] = rule.pop("peak_threshold", None)
    torch.save({**content, "card": json.dumps(old)}, tmp_path / "old.pt")
    loaded = load_model(tmp_path / "old.pt")
    assert loaded.card == card
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], value)
