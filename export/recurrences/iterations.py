"""What each repetition of a run of operators reads: what all read, its own frame, its own results or earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx

from export.recurrences.period import LEAST_REPEATS, Run, token
from export.recurrences.unrolled import Frame, Unrolled


@dataclass(frozen=True)
class Fixed:
    """A tensor that does not depend on the sound; ``name`` is one that holds the value."""

    name: str


@dataclass(frozen=True)
class FrameOf:
    """Frame ``t + offset`` of a tensor, in repetition t; with its axis (``width`` of them) unless ``width`` is 0."""

    source: str
    axis: int
    offset: int
    width: int


@dataclass(frozen=True)
class Made:
    """Output ``output`` of operator ``node``, of the same repetition, or of one that is ``ago`` before."""

    node: int
    output: int
    ago: int = 0


@dataclass(frozen=True)
class Outside:
    """The same tensor in every repetition, and it depends on the sound."""

    name: str


Read = Fixed | FrameOf | Made | Outside
Place = tuple[int, int, int]  # position of the first operator, period, repetitions
_FARTHEST = 4


@dataclass
class Loop:
    """A loop over frames.

    Attributes:
        nodes: the operators of its second repetition.
        reads: for each of them, what its inputs are; None for one that is left out.
        table: the operators of all repetitions. In the last one some may be missing: what would have been read by
            the next. In the first one, one may stand for two that would compute the same.
        starts: (operator, output, how many repetitions before the first) -> tensor to begin with.
    """

    nodes: list[onnx.NodeProto]
    reads: list[list[Read | None]]
    table: list[list[onnx.NodeProto | None]]
    starts: dict[tuple[int, int, int], str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Repetitions."""
        return len(self.table)

    @property
    def offsets(self) -> set[int]:
        return {r.offset for reads in self.reads for r in reads if isinstance(r, FrameOf)}

    @property
    def inside(self) -> set[int]:
        """Identities of all operators."""
        return {id(node) for row in self.table for node in row if node is not None}

    def result(self, node: int, output: int, t: int) -> str:
        """The tensor that an operator makes in one repetition; "" if it is missing there."""
        found = self.table[t][node]
        return "" if found is None else str(found.output[output])


class Mismatch(Exception):
    """The repetitions are not those of a loop over frames; says why."""


def _otherwise(node: onnx.NodeProto, a: Read | None, b: Read | None) -> str:
    """Why two repetitions differ."""
    if isinstance(a, FrameOf) and isinstance(b, FrameOf) and (a.source, a.axis) == (b.source, b.axis):
        return "it takes frames backwards, or not every one"
    if isinstance(a, Fixed) and isinstance(b, Fixed):
        return f"{node.op_type} uses the number of the frame, or other weights in every frame"
    return f"{node.op_type} reads something else in every frame"


class Reader:
    """Reads repetitions of one graph."""

    def __init__(self, graph: Unrolled) -> None:
        self.graph = graph
        self._made = {
            name: (k, o) for k, node in enumerate(graph.nodes) for o, name in enumerate(node.output)
        }
        self._keys: dict[str, tuple[object, ...]] = {}

    def loop(self, run: Run) -> Loop:
        """The loop that a run of operators is, from the operator on which makes it simplest.

        Raises:
            Mismatch: there is none.
        """
        most = (run.end - run.start) // run.period
        best: tuple[tuple[int, ...], int, int] | None = None
        problem = Mismatch("no operator repeats")
        for base in range(run.start, run.end - LEAST_REPEATS * run.period + 1):
            count = (run.end - base) // run.period
            if count < most - 1:
                break
            try:
                loop = self._read(base, run.period, count, quick=True)
            except Mismatch as mismatch:
                problem = mismatch
                continue
            loop = self._from_the_start(loop, base)
            cost = (self._sounding(loop), len(loop.offsets), len(loop.starts), -loop.count)
            if best is None or cost < best[0]:
                best = (cost, base, count)
        if best is None:
            raise problem
        _, base, count = best
        loop = self._read(base, run.period, count, quick=False)
        return extend_forwards(self, self._from_the_start(loop, base), base + count * run.period)

    def _from_the_start(self, loop: Loop, base: int) -> Loop:
        """The loop with repetitions before its first one, if with them it starts from fixed values."""
        extended: Loop | None = loop
        for _ in range(_FARTHEST):
            if extended is None or not self._sounding(extended):
                break
            extended = extend_backwards(self, extended, base)
        return loop if extended is None or self._sounding(extended) else extended

    def _sounding(self, loop: Loop) -> int:
        """How many start values depend on the sound."""
        return sum(name in self.graph.varying for name in loop.starts.values())

    def _read(self, base: int, period: int, count: int, quick: bool) -> Loop:
        rows = [self.graph.nodes[base + t * period : base + (t + 1) * period] for t in range(count)]
        loop = Loop(rows[1], [], [list(row) for row in rows])
        place = (base, period, count)
        middle = range(count - 3, count - 1) if quick else range(1, count - 1)
        for j, node in enumerate(loop.nodes):
            reads: list[Read | None] = []
            for slot in range(len(node.input)):
                read = self._at(place, j, slot, count - 1)
                for t in middle:
                    if not self._same(self._at(place, j, slot, t), read, t):
                        raise Mismatch(_otherwise(node, self._at(place, j, slot, t), read))
                if isinstance(read, Made) and read.ago:
                    if read.ago > _FARTHEST:
                        raise Mismatch("it looks back over many frames")
                    for t in range(read.ago):
                        self._begin(loop, place, read, t, rows[t][j].input[slot])
                elif not self._same(self._at(place, j, slot, 0), read, 0):
                    raise Mismatch(f"{node.op_type} reads something else in the first frame")
                reads.append(read)
            loop.reads.append(reads)
        if not loop.offsets:
            raise Mismatch("it reads no frames")
        return loop

    def _begin(self, loop: Loop, place: Place, read: Made, t: int, name: str) -> None:
        key = (read.node, read.output, read.ago - t)
        base, period, count = place
        position = self._made.get(name)
        if position is not None and base <= position[0] < base + count * period:
            raise Mismatch("its first frame reads a result of a later one")
        known = loop.starts.setdefault(key, name)
        if known != name and self.key(known) != self.key(name):
            raise Mismatch("it starts from two values at once")

    def _at(self, place: Place, j: int, slot: int, t: int) -> Read | None:
        """What operator j of repetition t reads in one of its inputs."""
        base, period, count = place
        name = self.graph.nodes[base + t * period + j].input[slot]
        if not name:
            return None
        position = self._made.get(name)
        if position is not None:
            t_made, node = divmod(position[0] - base, period)
            if 0 <= t_made < count:
                return Made(node, position[1], t - t_made)
        if name not in self.graph.varying:
            return Fixed(name)
        frame = self.graph.frames.get(name)
        if frame is not None:
            return FrameOf(frame.source, frame.axis, frame.index - t, frame.width)
        return Outside(name)

    def _same(self, a: Read | None, b: Read | None, t: int) -> bool:
        if isinstance(a, Fixed) and isinstance(b, Fixed):
            return a.name == b.name or self.key(a.name) == self.key(b.name)
        if isinstance(b, Made) and b.ago > t:
            return True  # of before the first repetition: a start value
        return a == b

    def key(self, name: str) -> tuple[object, ...]:
        """The same for tensors that are the same: by value, where they do not depend on the sound."""
        if name not in self._keys:
            if name in self.graph.varying:
                self._keys[name] = (name,)
            else:
                self._keys[name] = tuple((v.dtype.str, v.shape, v.tobytes()) for v in self.graph.values(name))
        return self._keys[name]


def extend_backwards(reader: Reader, loop: Loop, base: int) -> Loop | None:
    """The loop with the repetition before its first one, found by what it reads.

    In the first repetition states still hold their start values, so exporters may have merged operators that compute
    the same there. Returns None if there is no such repetition.
    """
    graph = reader.graph
    period = len(loop.nodes)
    nodes = graph.nodes[max(base - 2 * period, 0) : base]
    tokens = [token(graph, node) for node in nodes]
    row: list[onnx.NodeProto | None] = []
    starts: dict[tuple[int, int, int], str] = {}
    bound: dict[tuple[int, int], str] = {}  # results of this repetition, as the next one read them
    for (node, output, ago), name in loop.starts.items():
        if ago > 1:
            starts[node, output, ago - 1] = name
        else:
            bound[node, output] = name
    for j, reads in enumerate(loop.reads):
        kind = token(graph, loop.nodes[j])
        for place, node in enumerate(nodes):
            if tokens[place] != kind:
                continue
            found = _bind(reader, node, reads, row, starts)
            if found is not None and all(
                node.output[o] == bound.get((j, o), node.output[o]) for o in range(len(node.output))
            ):
                starts = found
                row.append(node)
                break
        else:
            return None
    return Loop(loop.nodes, _shifted(loop.reads), [row, *loop.table], starts)


def extend_forwards(reader: Reader, loop: Loop, end: int) -> Loop:
    """The loop with a last repetition of which only a part is there: the rest would have served the next."""
    graph = reader.graph
    nodes = graph.nodes[end : end + 2 * len(loop.nodes)]
    row: list[onnx.NodeProto | None] = []
    t = loop.count
    for j, reads in enumerate(loop.reads):
        wanted = [_name_at(reader, loop, row, read, t) for read in reads]
        row.append(next((node for node in nodes if _reads(reader, node, loop.nodes[j], wanted)), None))
    reading = [
        j
        for j, reads in enumerate(loop.reads)
        if row[j] is not None and any(isinstance(r, FrameOf) for r in reads)
    ]
    return Loop(loop.nodes, loop.reads, [*loop.table, row], loop.starts) if reading else loop


def _shifted(reads: list[list[Read | None]]) -> list[list[Read | None]]:
    """What is read, seen from one repetition later: the numbers of frames are one less."""
    return [
        [FrameOf(r.source, r.axis, r.offset - 1, r.width) if isinstance(r, FrameOf) else r for r in row]
        for row in reads
    ]


def _bind(
    reader: Reader,
    node: onnx.NodeProto,
    reads: list[Read | None],
    row: list[onnx.NodeProto | None],
    starts: dict[tuple[int, int, int], str],
) -> dict[tuple[int, int, int], str] | None:
    """The start values if this operator is the one that reads these in the repetition before; else None."""
    found = dict(starts)
    for read, name in zip(reads, node.input, strict=True):
        if isinstance(read, Made) and read.ago:
            key = (read.node, read.output, read.ago)
            if not _is(reader, found.setdefault(key, name), name):
                return None
        elif isinstance(read, FrameOf):
            frame = reader.graph.frames.get(name)
            if frame is None or FrameOf(frame.source, frame.axis, frame.index + 1, frame.width) != read:
                return None
        elif isinstance(read, Made):
            made = row[read.node]
            if made is None or made.output[read.output] != name:
                return None
        elif read is None:
            if name:
                return None
        elif not isinstance(read, (Fixed, Outside)) or not _is(reader, read.name, name):
            return None
    return found


def _name_at(
    reader: Reader, loop: Loop, row: list[onnx.NodeProto | None], read: Read | None, t: int
) -> str | Frame | None:
    """What an operator of repetition t must read; None if it is not there."""
    if read is None:
        return ""
    if isinstance(read, FrameOf):
        return Frame(read.source, read.axis, read.offset + t, read.width)
    if isinstance(read, Made):
        made = loop.table[t - read.ago][read.node] if read.ago else row[read.node]
        return None if made is None else str(made.output[read.output])
    return read.name


def _reads(
    reader: Reader, node: onnx.NodeProto, like: onnx.NodeProto, wanted: list[str | Frame | None]
) -> bool:
    """True for an operator like another that reads what is wanted."""
    if node.op_type != like.op_type or len(node.input) != len(wanted):
        return False
    pairs = zip(wanted, node.input, strict=True)
    if not all(want is not None and _is(reader, want, name) for want, name in pairs):
        return False
    return token(reader.graph, node) == token(reader.graph, like)


def _is(reader: Reader, want: str | Frame, name: str) -> bool:
    if isinstance(want, Frame):
        return reader.graph.frames.get(name) == want
    return want == name or (bool(want) and bool(name) and reader.key(want) == reader.key(name))
