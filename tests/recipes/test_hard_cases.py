"""What the recipe of the bundled models makes of the cases that are hard to hear: sound, labels, sources and rows."""

from __future__ import annotations

import csv
import os
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

import torch

from export.conversion.onnx_export import to_onnx
from export.models import build, preset
from export.recipes.speech_music_noise.recipe_settings import FEATURES, RecipeSettings
from export.recipes.speech_music_noise.release.hard_cases import figures_of, rows_of
from export.recipes.speech_music_noise.release.tables import case_table
from export.recipes.speech_music_noise.scenes import creatures, rooms, sparse, sung, tones
from export.recipes.speech_music_noise.scenes.cases import CASES, TURNS, training_mixes
from export.recipes.speech_music_noise.scenes.compose import QUIETER, compose
from export.recipes.speech_music_noise.scenes.labels import cell_power
from export.recipes.speech_music_noise.scenes.mix import TRAIN, Mix
from export.recipes.speech_music_noise.sources import packs
from export.recipes.speech_music_noise.sources.bank import Clip
from export.recipes.speech_music_noise.sources.case_sounds import CASE_FOLDERS, CASE_PACKAGES
from export.recipes.speech_music_noise.sources.rules import SPLITS
from export.recipes.speech_music_noise.training.bundled import network_of, normalised_by
from export.recipes.speech_music_noise.training.further import with_level
from export.recipes.speech_music_noise.training.streams import ComposedStreams, frame_labels
from export.training.tensors import detach
from stream.errors import ExportError, SpecError
from stream.features.frontend import extract
from stream.inference.session import Model

pytestmark = pytest.mark.torch

RATE = 16000
DATA = Path(os.environ.get("STREAM_CLASSIFY_DATA", "../shared/data"))


class Shelf:
    """A source of steady sounds, one pitch a stock; speech comes in words of 0.4 s."""

    def draw(self, kind, rng):
        return Clip(kind, "60", f"{kind}:{int(rng.integers(3))}", 0, RATE * 10)

    def more(self, clip, kind, rng):
        return clip

    def clips(self, kind, group=None):
        return [self.draw(kind, np.random.default_rng(n)) for n in range(4)]

    def read(self, clip, start, length):
        time = np.arange(start, min(start + length, clip.length)) / RATE
        if clip.corpus in ("noise", "bangs"):
            fading = np.exp(-time / 0.05) if clip.corpus == "bangs" else 1.0
            return (np.random.default_rng(1).standard_normal(len(time)) * fading * 0.1).astype(np.float32)
        pitch = {"speech": 180.0, "music": 440.0}.get(clip.corpus, 330.0)
        on = time % 0.6 < 0.4 if clip.corpus == "speech" else 1.0
        voiced = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 8))
        return (0.2 * voiced * on).astype(np.float32)


def test_made_sounds_are_finite_of_the_length_asked_and_the_same_again():
    for length in (160, 1600, 24000):
        makers = [
            creatures.creatures,
            sparse.bass_music,
            sparse.opening,
            tones.tones,
            *(lambda n, rng, method=method: sung.sung(Shelf(), n, (method,), rng) for method in sung.METHODS),
            lambda n, rng: sparse.solo(Shelf(), n, rng),
            lambda n, rng: sparse.bangs(Shelf(), n, rng),
        ]
        for number, make in enumerate(makers):
            for seed in range(2):
                one, two = (make(length, np.random.default_rng(seed)) for _ in range(2))
                assert one.shape == (length,), number
                assert np.isfinite(one).all(), number
                np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("maker", [*creatures.MAKERS[1:], *tones.MAKERS[1:]])
def test_every_creature_and_tone_sounds(maker):
    rng = np.random.default_rng(0)
    sound = maker(rng)() if maker in creatures.MAKERS else maker(RATE * 3, rng)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 0.01


def test_overlap_add_holds_the_pitch_of_a_melody(monkeypatch):
    """A voice that glides from 150 to 250 Hz, sung on one note: half of the energy is at that note's harmonics."""
    time = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(np.linspace(150, 250, len(time))) / RATE
    spoken = sum(np.sin(k * phase) / k for k in range(1, 9)).astype(np.float32) * 0.2
    monkeypatch.setattr(sung.singing, "melody", lambda frames, rng: np.full(frames, 200.0))

    def at_harmonics(samples):
        power = np.abs(np.fft.rfft(samples[RATE // 2 :] * np.hanning(len(samples) - RATE // 2))) ** 2
        pitch = np.fft.rfftfreq(len(samples) - RATE // 2, 1 / RATE)
        near = np.abs(pitch / 200 - np.round(pitch / 200)) < 0.02
        return power[near & (pitch > 150)].sum() / power.sum()

    assert at_harmonics(sung.by_overlap_add(spoken, 2 * RATE, np.random.default_rng(0))) > 0.5
    assert at_harmonics(spoken) < 0.2


def test_every_case_is_a_scene_with_labels():
    for case in CASES.values():
        for mix in filter(None, (case.train, case.validation)):
            scene = compose(Shelf(), 30.0, mix, np.random.default_rng(1))
            assert np.isfinite(scene.samples).all()
            assert scene.active.any()
            silent = [index for index, kind in enumerate(("speech", "music", "noise")) if
                      not any(kind in kinds for kinds in mix.weights)]  # fmt: skip
            assert not scene.active[:, silent].any()


def test_animals_and_singing_are_no_speech_to_the_labels():
    for name in ("animals", "horns", "singing", "sparse", "bangs"):
        assert not any("speech" in kinds for kinds in CASES[name].validation.weights), name


def _steady(ratio: float, heard: float) -> Mix:
    return Mix(
        weights={("music", "noise"): 1.0}, segment_seconds=(10.0, 10.0), level_dbfs=(-12.0, -12.0),
        ratio_db={("music", "noise"): (ratio, ratio)}, self_noise_dbfs=(-120.0, -120.0), synthetic_noise=0.0,
        sung=0.0, drummed=0.0, played=0.0, vary_clips=False, noise_heard_db=heard,
    )  # fmt: skip


def test_noise_is_labelled_down_to_the_ratio_from_which_it_is_meant_to_be_heard():
    for ratio, heard in ((15.0, True), (25.0, False)):
        scene = compose(Shelf(), 10.0, _steady(ratio, 20.0), np.random.default_rng(3))
        music, noise = scene.active[:, 1], scene.active[:, 2]
        assert noise[music].mean() > 0.9 if heard else not noise[music].any()
        assert noise[~music].any(), "where nothing else sounds it is heard"
    deeper = compose(Shelf(), 10.0, _steady(25.0, 30.0), np.random.default_rng(3))
    assert deeper.active[deeper.active[:, 1], 2].mean() > 0.9


def test_a_case_that_is_left_out_leaves_the_other_streams_as_they_are():
    whole, fewer = (training_mixes(frozenset(names), 20.0) for names in ((), ("singing",)))
    assert len(whole) == len(fewer) == len(TURNS)
    for turn, one, two in zip(TURNS, whole, fewer, strict=True):
        assert (one == two) == (turn != "singing")
        if turn in (None, "singing"):
            assert two == replace(TRAIN, noise_heard_db=20.0)
    assert {turn for turn in TURNS if turn} == {name for name, case in CASES.items() if case.train}
    assert RecipeSettings(without=("singing", "bangs")).variant == "without-bangs-without-singing"
    assert RecipeSettings().variant == ""


def test_far_talkers_are_quieter_and_last_longer():
    room = rooms.Room(volume=60.0, reverberation=0.6)
    near, far = (rooms.response(room, distance, np.random.default_rng(0)) for distance in (0.5, 3.0))
    assert 20 * np.log10(near[0] / far[0]) == pytest.approx(20 * np.log10(6), abs=0.01)
    for response, distance in ((near, 0.5), (far, 3.0)):
        ratio = response[0] ** 2 / np.sum(response[1:] ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(
            20 * np.log10(room.critical_distance / distance), abs=0.1
        )


def test_who_talks_far_away_is_labelled_though_a_near_one_is_louder():
    """A talker 25 dB under the other would lie outside the range of the whole."""
    mix = replace(CASES["rooms"].validation, weights={("speech",): 1.0}, degradations={})
    found = [compose(Shelf(), 20.0, mix, np.random.default_rng(seed)) for seed in range(6)]
    power = [10 * np.log10(cell_power(each.stems[0])[each.active[:, 0]] + 1e-12) for each in found]
    assert max(np.percentile(each, 95) - np.percentile(each, 25) for each in power) > 15


def test_gain_control_raises_the_quiet_and_the_whole_may_be_quieter():
    rng = np.random.default_rng(0)
    loud = rng.standard_normal(RATE * 4).astype(np.float32) * 0.3
    quiet = rng.standard_normal(RATE * 8).astype(np.float32) * 0.003
    out = rooms.gain_control(np.concatenate([loud, quiet]), rng)
    before, after = 20 * np.log10(0.3 / 0.003), 20 * np.log10(out[: RATE * 4].std() / out[-RATE:].std())
    assert after < before - 8
    mix = replace(_steady(5.0, 20.0), degradations={})
    plain = compose(Shelf(), 5.0, mix, np.random.default_rng(1)).samples
    down = compose(Shelf(), 5.0, replace(mix, degradations={"quiet": 1.0}), np.random.default_rng(1)).samples
    assert down.std() == pytest.approx(plain.std() * QUIETER, rel=0.02)


def test_bangs_end_between():
    scene = compose(Shelf(), 60.0, replace(CASES["bangs"].validation, weights={("noise",): 1.0}, degradations={}),
                    np.random.default_rng(0))  # fmt: skip
    assert 0.05 < scene.active[:, 2].mean() < 0.7


def test_the_files_of_things_are_split_by_author_and_all_on_one_side():
    manifest = DATA / "things" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("no shared recordings")
    (things,) = CASE_FOLDERS
    sides: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {}
    used = 0
    with manifest.open(newline="") as text:
        for row in csv.DictReader(text):
            found = things.rule_for(row["filename"])
            if found is not None:
                used += 1
                sides.setdefault(row["author"], set()).add(found[0].split)
                groups.setdefault(row["group"], set()).add(found[0].split)
                assert re.match(r"CC0$|CC BY( \d\.0)?$", row["licence"]), row
    assert used > 150
    assert [author for author, split in sides.items() if len(split) > 1] == []
    assert [group for group, split in groups.items() if len(split) > 1] == []


def test_every_stock_of_the_cases_has_both_sides_or_is_for_validation_alone():
    rules = [rule for corpus in (*CASE_FOLDERS, *CASE_PACKAGES) for rule in corpus.rules if rule.kind]
    by_stock = {
        kind: {rule.split for rule in rules if rule.kind == kind} for kind in {rule.kind for rule in rules}
    }
    for stock in ("creatures", "tones", "bangs"):
        assert by_stock[stock] == set(SPLITS)
    for stock in ("songs", "solos", "notes"):  # real singing is too rare to be learnt from
        assert by_stock[stock] == {"validation"}
    for corpus in CASE_PACKAGES:  # a package is on one side
        assert len({rule.split for rule in corpus.rules if rule.kind}) == 1, corpus.name


def test_sounds_are_read_out_of_qt_resources(tmp_path):
    """One as it is, one compressed, and one with another suffix, in a folder."""
    names = [("", 0), ("a.ogg", 0), ("deep", 0), ("b.wav", 0), ("c.txt", 0)]
    table, places = b"", []
    for name, _ in names:
        places.append(len(table))
        table += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    plain, packed = b"ogg sound", struct.pack(">I", 9) + zlib.compress(b"wav sound")
    data = struct.pack(">I", len(plain)) + plain
    second = len(data)
    data += struct.pack(">I", len(packed)) + packed

    def folder(name: int, count: int, first: int) -> bytes:
        return struct.pack(">IHIIQ", places[name], packs.DIRECTORY, count, first, 0)

    def file(name: int, flags: int, at: int) -> bytes:
        return struct.pack(">IHIIQ", places[name], flags, 0, at, 0)

    tree = (
        folder(0, 2, 1) + file(1, 0, 0) + folder(2, 2, 3) + file(3, packs.COMPRESSED, second) + file(4, 0, 0)
    )
    head = 20
    start = struct.pack(">4sIIII", b"qres", 3, head, head + len(tree), head + len(tree) + len(data))
    (tmp_path / "x.rcc").write_bytes(start + tree + data + table)
    packs.unpack_resources(tmp_path / "x.rcc", tmp_path / "out", {".ogg", ".wav"})
    found = {
        str(each.relative_to(tmp_path / "out")): each.read_bytes() for each in (tmp_path / "out").rglob("*.*")
    }
    assert found == {"a.ogg": b"ogg sound", "deep/b.wav": b"wav sound"}


def test_sounds_are_read_out_of_a_table_of_sounds_and_other_files_are_left(tmp_path):
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(800) * 0.3).astype(np.float32), 8000)
    riff = (tmp_path / "tone.wav").read_bytes()
    entry = bytes([7]) + b"A horn\0" + riff
    head = struct.pack("<II", 8, len(entry))
    (tmp_path / "x.cat").write_bytes(head + entry)
    packs.unpack_sounds(tmp_path / "x.cat", tmp_path / "out")
    assert soundfile.read(tmp_path / "out" / "00-A-horn.wav")[0].shape == (800,)
    (tmp_path / "y.cat").write_bytes(b"\xff\xd8 a catalogue of something else")
    packs.unpack_sounds(tmp_path / "y.cat", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def _example() -> np.ndarray:
    samples, _ = soundfile.read("assets/demo.ogg", dtype="float32")
    frames = extract(samples, FEATURES)
    return np.stack([frames[200:400], frames[1500:1700]]).astype(np.float32)


def test_the_weights_of_a_bundled_file_are_found_in_it_and_go_on_behind_a_level(tmp_path):
    example = _example()
    network = network_of(Path("assets/small.onnx"), example)
    with torch.no_grad():
        before = network(torch.from_numpy(example))[0]
        normalised_by(network, example.mean((0, 1)), example.std((0, 1)))
        scaled = network.normalise(torch.from_numpy(example))
        after = network(torch.from_numpy(example))[0]
        behind = with_level(network, 500).eval()(torch.from_numpy(example))[0]
    assert scaled.std() == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(after, before, rtol=0, atol=2e-3)  # the same network, by other statistics
    torch.testing.assert_close(behind, after, rtol=0, atol=0)  # at first it changes nothing
    card = Model.bundled("small", provider="cpu").card
    to_onnx(network, tmp_path / "other.onnx", msgspec.structs.replace(card, provenance={}), example)
    with pytest.raises(ExportError, match="does not say which network"):
        network_of(tmp_path / "other.onnx", example)


def test_a_network_that_adapts_to_the_level_is_exported_exactly_and_forgets_the_level(tmp_path):
    """A learnt share of 1 takes off the whole level in the end, and the file carries it."""
    torch.manual_seed(0)
    net = build(
        preset("gru", features=FEATURES.width, classes=3, hidden=8, layers=1, bands=True, level_memory=50)
    )
    with torch.no_grad():
        net.layers[0].share[0] = 1.0
    example = _example()
    net.fit(torch.from_numpy(example.mean((0, 1))), torch.from_numpy(example.std((0, 1))))
    louder = torch.from_numpy(np.tile(example, (1, 3, 1)))
    with torch.no_grad():
        one, _ = net.layers[0](net.normalise(louder))
        louder[..., 0] += 40.0
        two, _ = net.layers[0](net.normalise(louder))
        first, state = net(louder[:, :77])
        rest, _ = net(louder[:, 77:], detach(state))
        torch.testing.assert_close(torch.cat((first, rest), 1), net(louder)[0], rtol=0, atol=1e-5)
    apart = (two - one)[..., 0].abs()
    assert apart[:, -1].max() < 0.01 * apart[:, 0].max()
    card = Model.bundled("small", provider="cpu").card
    done = to_onnx(net.eval(), tmp_path / "level.onnx", card, example)
    assert done.exact
    assert any(state.shape == (-1, 1) for state in done.states)
    with pytest.raises(SpecError, match="level_memory 3"):
        preset("gru", features=4, classes=2, level_memory=3)


def test_rows_say_what_matters_in_each_case():
    """The demo as a case: its figures are those of its labels, and a table has a row for each of a case's figures."""
    samples, _ = soundfile.read("assets/demo.ogg", dtype="float32")
    active = np.zeros((1, len(samples) // 160, 3), bool)
    with Path("assets/demo.tsv").open(newline="") as text:
        for row in csv.DictReader(text, delimiter="\t"):
            span = slice(round(100 * float(row["onset"])), round(100 * float(row["offset"])))
            active[0, span, ("speech", "music", "noise").index(row["event_label"])] = True
    features = extract(samples, FEATURES)
    labels = frame_labels(active[0], len(features), FEATURES)
    demo = ComposedStreams(features[None], labels[None], active.astype(np.uint8), [[]])
    found = figures_of(Model.bundled("small", provider="cpu"), demo)
    assert found["music recall"] > 0.7
    assert 0 <= found["speech false"] < 0.2
    assert 0 < found["speech delay, s"] < 1
    empty = replace(demo, labels=labels[None] * 0, active=active.astype(np.uint8) * 0)
    assert np.isnan(figures_of(Model.bundled("small", provider="cpu"), empty)["speech recall"])
    rows = rows_of({"animals": found, "rooms": {**found, "speech AUC": float("nan")}})
    assert set(rows) == {"animals", "rooms"}
    assert rows["animals"]["speech false"] == found["speech false"]
    assert rows["rooms"]["speech AUC"] is None
    shown = case_table({"small": {"animals": found}})
    assert shown.count("| animals | ") == len(CASES["animals"].figures)
    assert f"| speech false | {found['speech false']:.3f} |" in shown
