"""Writes files for test_cli_input.sh: good.safetensors and good_*.npy, and many that lie: bad_*.safetensors, bad_*.npy.
usage: bad_files.py FOLDER          standard library only

The model: param w f32[2, 3], state s f32[]; data: x f32[4, 2], ids i32[4].
"""
import json
import os
import struct
import sys

folder = sys.argv[1]


def write(name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def safetensors(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


W = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
S = struct.pack("<f", 7)
GOOD = {"w": entry("F32", [2, 3], 0, 24), "s": entry("F32", [], 24, 28)}
good = safetensors(GOOD, W + S)
write("good.safetensors", good)


def changed(**entries):
    return {**GOOD, **entries}


bad = {
    "empty": b"",
    "short_length": good[:5],
    "no_header": good[:8],
    "half_header": good[:40],
    "no_data": good[:-28],
    "half_data": good[:-5],
    "one_byte_less": good[:-1],
    "trailing_bytes": good + b"\0" * 9,
    "length_beyond_file": safetensors(GOOD, W + S, length=1 << 20),
    "length_of_all_bits": safetensors(GOOD, W + S, length=(1 << 64) - 1),
    "length_negative": safetensors(GOOD, W + S, length=1 << 63),
    "length_zero": safetensors(b"", W + S),
    "not_json": safetensors(b"these are no weights....", W + S),
    "json_list": safetensors(b"[1, 2, 3]", W + S),
    "json_cut": safetensors(json.dumps(GOOD).encode()[:-3], W + S),
    "json_deep": safetensors(b'{"w":' + b"[" * 100000, W + S),
    "json_twice": safetensors(b'{"w":' + json.dumps(GOOD["w"]).encode() + b',"w":' + json.dumps(GOOD["w"]).encode() + b"}", W),
    "not_utf8": safetensors(b'{"w\xff":' + json.dumps(GOOD["w"]).encode() + b"}", W),
    "offsets_beyond": safetensors(changed(s=entry("F32", [], 24, 1000)), W + S),
    "offsets_swapped": safetensors(changed(s=entry("F32", [], 28, 24)), W + S),
    "offsets_negative": safetensors(changed(s=entry("F32", [], -4, 0)), W + S),
    "offsets_fraction": safetensors(changed(s=entry("F32", [], 24.5, 28.5)), W + S),
    "offsets_huge": safetensors(changed(s=entry("F32", [], 1 << 62, (1 << 62) + 4)), W + S),
    "offsets_beyond_64_bits": safetensors(changed(s=entry("F32", [], 1 << 80, (1 << 80) + 4)), W + S),
    "offsets_overlap": safetensors(changed(s=entry("F32", [], 20, 24)), W),
    "offsets_gap": safetensors(changed(s=entry("F32", [], 28, 32)), W + S + S),
    "offsets_three": safetensors(changed(s={"dtype": "F32", "shape": [], "data_offsets": [24, 26, 28]}), W + S),
    "no_offsets": safetensors(changed(s={"dtype": "F32", "shape": []}), W + S),
    "no_dtype": safetensors(changed(s={"shape": [], "data_offsets": [24, 28]}), W + S),
    "entry_is_number": safetensors(changed(s=5), W + S),
    "shape_lies": safetensors(changed(w=entry("F32", [2, 4], 0, 24)), W + S),
    "shape_of_model_differs": safetensors(changed(w=entry("F32", [3, 2], 0, 24)), W + S),
    "shape_overflows": safetensors(changed(w=entry("F32", [1 << 32, 1 << 32], 0, 24)), W + S),
    "shape_negative": safetensors(changed(w=entry("F32", [-2, -3], 0, 24)), W + S),
    "rank_1000": safetensors(changed(w=entry("F32", [1] * 1000, 0, 24)), W + S),
    "dtype_unknown": safetensors(changed(w=entry("F33", [2, 3], 0, 24)), W + S),
    "dtype_of_model_differs": safetensors(changed(w=entry("I32", [2, 3], 0, 24)), W + S),
    "param_missing": safetensors({"s": entry("F32", [], 0, 4)}, S),
    "other_names": safetensors({"v": entry("F32", [], 0, 4)}, S),
}
for name, data in bad.items():
    write(f"bad_{name}.safetensors", data)


def npy(descr, shape, data, magic=b"\x93NUMPY\x01\x00", order=False, header=None):
    text = header if header is not None else f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return magic + struct.pack("<H", len(text)) + text.encode() + data


X = struct.pack("<8f", *range(8))
write("good_x.npy", npy("<f4", "(4, 2)", X))
write("good_ids.npy", npy("<i4", "(4,)", struct.pack("<4i", 0, 1, 1, 0)))
write("far_ids.npy", npy("<i4", "(4,)", struct.pack("<4i", 0, 1, 2, 0)))
write("low_ids.npy", npy("<i4", "(4,)", struct.pack("<4i", 0, -1, 1, 0)))
write("long_x.npy", npy("<f4", "(9, 2)", struct.pack("<18f", *range(18))))
write("odd_x.npy", npy("<f4", "(3, 2)", struct.pack("<6f", *range(6))))
write("wide_x.npy", npy("<f4", "(4, 3)", struct.pack("<12f", *range(12))))
write("double_x.npy", npy("<f8", "(4, 2)", struct.pack("<8d", *[0.1] * 8)))
bad = {
    "empty": b"",
    "magic": npy("<f4", "(4, 2)", X, magic=b"\x93NUMPX\x01\x00"),
    "version": npy("<f4", "(4, 2)", X, magic=b"\x93NUMPY\x09\x00"),
    "cut_header": npy("<f4", "(4, 2)", X)[:30],
    "cut_data": npy("<f4", "(4, 2)", X)[:-1],
    "shape_lies": npy("<f4", "(4, 3)", X),
    "shape_huge": npy("<f4", "(4611686018427387904, 4611686018427387904)", X),
    "shape_negative": npy("<f4", "(-4, -2)", X),
    "shape_words": npy("<f4", "(four, two)", X),
    "rank_100": npy("<f4", "(" + "1, " * 100 + ")", X),
    "objects": npy("|O", "(4, 2)", X),
    "no_shape": npy("<f4", "", X, header="{'descr': '<f4', 'fortran_order': False, }"),
    "no_dict": npy("<f4", "", X, header="import os"),
    "deep": npy("<f4", "(" * 20000, X),
    "noise": bytes((i * 7919 + 13) % 251 for i in range(5000)),
}
for name, data in bad.items():
    write(f"bad_{name}.npy", data)
