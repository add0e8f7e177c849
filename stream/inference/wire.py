"""The wire format of protobuf, in which ONNX files are written: enough to read fields and to write them.

A message is a run of fields, each a key (number << 3 | wire type) and a value. What the numbers mean is in
onnx.proto; nothing here trusts the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

# A field's key is 32 bits; protobuf drops higher ones, so that they could hide a field.
_BIGGEST_KEY = 2**32 - 1

Field = tuple[int, int, "memoryview | int"]  # number, wire type, value


class Malformed(Exception):
    """The bytes are not fields."""


def view(value: memoryview | int | None) -> memoryview:
    """A value that must be bytes (wire type 2)."""
    if not isinstance(value, memoryview):
        raise Malformed("wrong wire type")
    return value


def text(value: memoryview | int | None) -> str:
    """A value that must be text; "" for a field that is absent."""
    try:
        return "" if value is None else bytes(view(value)).decode()
    except UnicodeDecodeError:
        raise Malformed("text is not UTF-8") from None


def fields(data: memoryview) -> Iterator[Field]:
    """Fields of a message in their order. Raises Malformed."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        wire, number = key & 7, key >> 3
        if number == 0 or key > _BIGGEST_KEY:
            raise Malformed("field number out of range")
        if wire == 0:
            value, at = read_varint(data, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = read_varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise Malformed(f"wire type {wire}")
        if at + size > len(data):
            raise Malformed("truncated")
        yield number, wire, data[at : at + size]
        at += size


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, and where it ends. Raises Malformed."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("truncated")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def write_varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def write_number(field: int, value: int) -> bytes:
    """A field that holds a number."""
    return write_varint(field << 3) + write_varint(value)


def write_bytes(field: int, value: bytes | memoryview) -> bytes:
    """A field that holds a message, or other bytes."""
    return b"".join((write_varint(field << 3 | 2), write_varint(len(value)), value))


def write_text(field: int, value: str) -> bytes:
    """A field that holds text."""
    return write_bytes(field, value.encode())
