#!/usr/bin/env python3
"""Pieces of tests/test_train.sh, with nothing but Python's own library.

  train_tools.py data FILE N           a safetensors file of N small examples in three classes: x f32[N,4], y i32[N], bad i32[N]
                                       (y with one label out of range, example 5), huge f32[N,4] (example 7 is infinite)
  train_tools.py same A B              the tensors of two safetensors files are the same bytes, under the same names
  train_tools.py interrupt SIGNAL PATTERN COMMAND...    run COMMAND, send it SIGNAL after a line that has PATTERN, print what it
                                       prints, exit with its code
  train_tools.py terminal COMMAND...   run COMMAND on a terminal of 80 columns, print what it writes there, exit with its code
  train_tools.py mutants FILE FOLDER N         N damaged copies of a checkpoint: its training state changed, or the file cut
"""
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import sys


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def write(path, header, body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def make_data(path, n):
    source = random.Random(1)
    centre = [[1, 0, 0, 2], [0, 1, -1, 0], [-1, -1, 1, 0]]
    y = [source.randrange(3) for _ in range(n)]
    x = [[centre[c][k] + source.gauss(0, 0.7) for k in range(4)] for c in y]
    tensors = {"x": ("F32", [n, 4], "f", sum(x, [])), "y": ("I32", [n], "i", y),
               "bad": ("I32", [n], "i", y[:5] + [3] + y[6:]),
               "huge": ("F32", [n, 4], "f", sum(x[:7] + [[float("inf")] * 4] + x[8:], []))}
    header, body = {}, b""
    for name, (dtype, shape, code, values) in tensors.items():
        data = struct.pack(f"<{len(values)}{code}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    write(path, header, body)


def same(a, b):
    tensors = []
    for path in (a, b):
        header, body = read(path)
        tensors.append({name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])])
                        for name, t in header.items() if name != "__metadata__"})
    if tensors[0].keys() != tensors[1].keys():
        sys.exit(f"other tensors: {sorted(tensors[0].keys() ^ tensors[1].keys())}")
    wrong = [name for name in tensors[0] if tensors[0][name] != tensors[1][name]]
    if wrong:
        sys.exit(f"other values: {wrong}")


def interrupt(name, pattern, command):
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    sent = False
    lines = []
    for line in child.stdout:
        lines.append(line)
        if not sent and re.search(pattern, line):
            child.send_signal(getattr(signal, name))
            sent = True
    code = child.wait(timeout=60)
    sys.stdout.write("".join(lines if len(lines) <= 40 else lines[:20] + lines[-20:]))
    return code


def terminal(command):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    text = b""
    try:
        while piece := os.read(fd, 4096):
            text += piece
    except OSError:                                     # the other side is closed
        pass
    sys.stdout.write(text.decode(errors="replace"))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def mutate(source, text):
    """A training state that a person or a disk might have spoilt."""
    state = json.loads(text)
    kind = source.randrange(6)
    if kind == 0:
        del state[source.choice(list(state))]
    elif kind == 1:
        state[source.choice(list(state))] = source.choice([-1, 2**62, 1e300, "x", None, [], {}, True, [[]], [[1]], 0.5])
    elif kind == 2:
        state["history"] = source.choice([[[1, 2]], [[-1] * 7], [[1, 1, 1, 0.5, 1, 1, []]], [None], {"a": 1}, [[1, 1, 1, 1, 1, True, [1] * 99]]])
    elif kind == 3:
        return text[:source.randrange(len(text))]
    elif kind == 4:
        at = source.randrange(len(text))
        return text[:at] + chr(source.randrange(32, 127)) + text[at + 1:]
    else:
        return "[" * source.randrange(1, 2000) + text
    return json.dumps(state)


def mutants(path, folder, n):
    header, body = read(path)
    with open(path, "rb") as file:
        whole = file.read()
    source = random.Random(2)
    for i in range(n):
        name = f"{folder}/{i}.safetensors"
        if i % 4 == 0:                                  # cut anywhere
            with open(name, "wb") as file:
                file.write(whole[:source.randrange(len(whole))])
            continue
        copy = json.loads(json.dumps(header))
        copy["__metadata__"]["dlc.train"] = mutate(source, header["__metadata__"]["dlc.train"])
        write(name, copy, body)


if sys.argv[1] == "data":
    make_data(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "same":
    same(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "interrupt":
    sys.exit(interrupt(sys.argv[2], sys.argv[3], sys.argv[4:]))
elif sys.argv[1] == "terminal":
    sys.exit(terminal(sys.argv[2:]))
elif sys.argv[1] == "mutants":
    mutants(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    sys.exit(__doc__)
