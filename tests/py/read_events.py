#!/usr/bin/env python3
"""Reads TensorBoard event files without TensorBoard, checks every checksum, and prints `step tag value` a line.

usage: read_events.py FILE...
"""
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        length, check = struct.unpack_from("<QI", data, at)
        assert masked(data[at:at + 8]) == check, f"checksum of the length at byte {at}"
        body = data[at + 12:at + 12 + length]
        assert len(body) == length, "truncated"
        assert masked(body) == struct.unpack_from("<I", data, at + 12 + length)[0], f"checksum of the record at byte {at}"
        yield body
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of every field of a protocol buffer."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        elif kind == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            raise AssertionError(f"wire type {kind}")
        yield key >> 3, value


assert crc32c(b"123456789") == 0xE3069283               # the check value of CRC-32C
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        events = [dict(fields(body)) for body in records(file.read())]
    assert events[0][3] == b"brain.Event:2", "no file version"
    for event in events[1:]:
        assert event[1] >= events[0][1], "time runs backwards"
        for number, value in fields(event[5]):
            assert number == 1
            metric = dict(fields(value))
            print(event[2], metric[1].decode(), f"{metric[2]:.6g}")
