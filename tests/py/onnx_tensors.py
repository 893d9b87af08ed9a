"""The tensors of an ONNX file, without the onnx package: a reader of the few protobuf fields that hold them.

Protobuf is a list of fields, each a varint key (number << 3 | wire type) and a value: 0 varint, 1 eight bytes, 2 length and
bytes, 5 four bytes. Field numbers are those of onnx.proto.
"""
import numpy as np

FLOAT, INT64 = 1, 7                                     # TensorProto.DataType


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """Yield (field number, value): an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            if kind == 2:
                n, at = varint(data, at)
            else:
                n = {1: 8, 5: 4}[kind]
            value = data[at:at + n]
            at += n
        yield key >> 3, value


def packed(value):
    """Repeated ints: one varint a field, or many in one."""
    if isinstance(value, int):
        return [value]
    out, at = [], 0
    while at < len(value):
        x, at = varint(value, at)
        out.append(x)
    return out


def tensor(data):
    """A TensorProto as (name, array)."""
    name, dims, dtype, raw, floats = "", [], None, b"", b""
    for number, value in fields(data):
        if number == 1:
            dims += packed(value)
        elif number == 2:
            dtype = value
        elif number == 4:                               # float_data
            floats += value
        elif number == 8:
            name = value.decode()
        elif number == 9:
            raw = value
    if dtype == FLOAT:
        return name, np.frombuffer(raw or floats, "<f4").reshape(dims)
    assert dtype == INT64, dtype
    return name, None                                   # shapes of Reshape: not needed


def initialisers(path):
    """The constant tensors of a model, by name: ModelProto.graph (7), GraphProto.initializer (5)."""
    with open(path, "rb") as f:
        model = f.read()
    graph = next(v for n, v in fields(model) if n == 7)
    return dict(tensor(v) for n, v in fields(graph) if n == 5)


def read_tensor(path):
    with open(path, "rb") as f:
        return tensor(f.read())[1]
