"""A model file with another card: the graph, the weights and the golden vectors stay as they are, byte for byte."""

from __future__ import annotations

from stream.errors import NotOnnx
from stream.inference.card import CARD_KEY, ModelCard
from stream.inference.wire import (
    Field,
    Malformed,
    fields,
    text,
    view,
    write_bytes,
    write_number,
    write_text,
    write_varint,
)

METADATA = 14  # of ModelProto


def with_card(data: bytes, card: ModelCard) -> bytes:
    """The file ``data`` with ``card`` in the place of its own.

    Raises:
        NotOnnx: ``data`` is not an ONNX file.
    """
    try:
        kept = [_written(field) for field in fields(memoryview(data)) if not _is_card(field)]
    except Malformed as error:
        raise NotOnnx(f"not an ONNX file ({error}); want the .onnx that export wrote") from None
    entry = write_text(1, CARD_KEY) + write_text(2, card.to_json())
    return b"".join([*kept, write_bytes(METADATA, entry)])


def _is_card(field: Field) -> bool:
    number, wire, value = field
    if (number, wire) != (METADATA, 2):
        return False
    return any(n == 1 and w == 2 and text(v) == CARD_KEY for n, w, v in fields(view(value)))


def _written(field: Field) -> bytes:
    number, wire, value = field
    if isinstance(value, int):
        return write_number(number, value)
    return write_bytes(number, value) if wire == 2 else write_varint(number << 3 | wire) + bytes(value)
