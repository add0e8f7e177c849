"""Plan: sizes, tables and scratch of the compiled kernel, laid out as ``mfcc.c`` has them."""

from __future__ import annotations

import ctypes
import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix, hann, mel_bank

LANES, COLUMNS = 8, 16  # as in mfcc.c
TABLES = ("window", "row_turns", "column_turns", "cross", "last", "bands", "weights", "dct")
SCRATCH = ("a", "b", "power", "mel")


class Plan(ctypes.Structure):
    """``Plan`` of mfcc.c. ``arrays`` keeps alive what its pointers point to."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("n_fft", "n_mels", "width", "rows", "columns", "padded")),
        ("floor", ctypes.c_float),
        ("scale", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in (*TABLES, *SCRATCH)),
    )
    arrays: dict[str, NDArray[Any]]


class FrameCall(ctypes.Structure):
    """``FrameCall`` of mfcc.c: a plan, where a frame is, and where its features go."""

    _fields_ = (("plan", ctypes.c_void_p), ("x", ctypes.c_void_p), ("out", ctypes.c_void_p))


def make_plan(spec: MfccSpec) -> Plan:
    """Tables, which all plans of a specification share, and fresh scratch for one caller at a time.

    Args:
        spec: n_fft a power of two, at least 32.
    """
    sizes, tables = _tables(spec)
    arrays = tables | {
        "a": np.zeros(spec.n_fft + 4),
        "b": np.zeros(spec.n_fft + 4),
        "power": np.zeros(spec.n_fft // 2 + 1 + LANES, np.float32),
        "mel": np.zeros(spec.n_mels, np.float32),
    }
    plan = Plan(*sizes, *(arrays[name].ctypes.data for name in (*TABLES, *SCRATCH)))
    plan.arrays = arrays
    return plan


@cache
def shared_plan(spec: MfccSpec) -> Plan:
    """The plan for all who hold the interpreter lock while they use it: a thousand streams share its memory."""
    return make_plan(spec)


@cache
def _tables(spec: MfccSpec) -> tuple[tuple[float, ...], dict[str, NDArray[Any]]]:
    half = spec.n_fft // 2
    rows = 1 << (half.bit_length() - 1) // 2
    columns = half // rows
    window = np.zeros(spec.n_fft)
    left = (spec.n_fft - spec.win_length) // 2  # librosa centres a short window in n_fft
    window[left : left + spec.win_length] = hann(spec.win_length)
    cross = -2 * np.pi * np.outer(np.arange(rows), np.arange(columns)) / half
    last = -2 * np.pi * np.arange(half // 2) / spec.n_fft
    decibel = 10.0 / math.log(
        10.0
    )  # power_to_db from natural logarithms; folded into the DCT where there is one
    bands, weights = _bands(spec)
    width = padded = 0
    dct = np.zeros((1, 1), np.float32)
    if spec.n_mfcc is None:
        width = spec.n_mels
    else:
        width, padded = spec.n_mfcc, -(-spec.n_mfcc // COLUMNS) * COLUMNS
        dct = np.zeros((spec.n_mels, padded), np.float32)
        dct[:, :width] = (decibel * dct_matrix(width, spec.n_mels, spec.dct_norm)).T
    tables: dict[str, NDArray[Any]] = {
        "window": np.stack([window[0::2], window[1::2]]),
        "row_turns": _turns(rows),
        "column_turns": _turns(columns),
        "cross": np.stack([np.cos(cross), np.sin(cross)]),
        "last": np.stack([np.cos(last), np.sin(last)]),
        "bands": bands,
        "weights": weights,
        "dct": dct,
    }
    return (spec.n_fft, spec.n_mels, width, rows, columns, padded, spec.log_floor, decibel), tables


def _turns(length: int) -> NDArray[np.float64]:
    """(stages * p, 3, 2) unit vectors by which the outputs 1, 2 and 3 of a butterfly of radix 4 are turned.

    In the order in which a transform of ``length`` uses them: stage by stage, p from 1 (p = 0 turns nothing).
    """
    parts = [np.zeros((0, 3, 2))]
    while length >= 4:
        angle = -2 * np.pi * np.outer(np.arange(1, length // 4), (1, 2, 3)) / length
        parts.append(np.stack([np.cos(angle), np.sin(angle)], axis=-1))
        length //= 4
    return np.concatenate(parts)


def _bands(spec: MfccSpec) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(n_mels, 3) int32: first bin, blocks of LANES, offset; and the weights, zero behind each band's end."""
    rows: list[tuple[int, int, int]] = []
    weights: list[NDArray[np.float32]] = [np.zeros(LANES, np.float32)]
    offset = LANES
    for band in mel_bank(spec).astype(np.float32):
        used = np.flatnonzero(band)
        first, end = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        blocks = -(-(end - first) // LANES)
        padded = np.zeros(blocks * LANES, np.float32)
        padded[: end - first] = band[first:end]
        rows.append((first, blocks, offset))
        weights.append(padded)
        offset += len(padded)
    return np.asarray(rows, np.int32), np.concatenate(weights)
