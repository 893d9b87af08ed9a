"""Writes unicode_tables.inc, what unicode.c knows of characters: python3 host/unicode_tables.py >host/unicode_tables.inc"""
import sys
import unicodedata


def kind(c):
    k = unicodedata.category(chr(c))
    if k[0] in "LNP":
        return {"L": "LETTER", "N": "NUMBER", "P": "PUNCTUATION"}[k[0]]
    return {"Mn": "ACCENT", "Cc": "CONTROL", "Cf": "CONTROL"}.get(k)


def rows(entries, width=118):
    line = ""
    for e in entries:
        if len(line) + len(e) + 1 > width:
            print("   " + line)
            line = ""
        line += " " + e
    if line:
        print("   " + line)


def ranges():
    start, last = 0, None
    for c in range(sys.maxunicode + 2):
        k = kind(c) if c <= sys.maxunicode else None
        if k != last:
            if last:
                yield f"{{0x{start:X}, 0x{c - 1:X}, UNICODE_{last}}},"
            start, last = c, k


def lower():
    """Runs {first, last, step, difference}: İ counts as i."""
    runs = []
    for c in range(sys.maxunicode + 1):
        low = chr(c).lower()
        if low == chr(c):
            continue
        d = ord(low[0]) - c
        if runs and runs[-1][3] == d:
            r = runs[-1]
            step = c - r[1]
            if step in (1, 2) and r[2] in (0, step):
                r[1], r[2] = c, step
                continue
        runs.append([c, c, 0, d])
    return [f"{{0x{a:X}, 0x{b:X}, {max(s, 1)}, {d}}}," for a, b, s, d in runs]


def bases():
    """{character, what is left of its decomposition without accents, one or two}; Hangul is computed."""
    for c in range(sys.maxunicode + 1):
        if 0xAC00 <= c <= 0xD7A3 or unicodedata.category(chr(c)) in ("Cs", "Mn"):
            continue
        d = unicodedata.normalize("NFD", chr(c))
        if d == chr(c):
            continue
        b = [ord(x) for x in d if unicodedata.category(x) != "Mn"]
        if not 1 <= len(b) <= 2:                        # notes of music
            continue
        yield f"{{0x{c:X}, 0x{b[0]:X}, 0x{b[1]:X}}}," if len(b) == 2 else f"{{0x{c:X}, 0x{b[0]:X}, 0}},"


print(f"/* unicode_tables.inc - Unicode {unicodedata.unidata_version}, by unicode_tables.py: not edited by hand. */")
print("static const Range ranges[] = {")
rows(ranges())
print("};\nstatic const LowerRun lower_runs[] = {")
rows(lower())
print("};\nstatic const Base bases[] = {")
rows(bases())
print("};")
