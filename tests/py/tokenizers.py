"""Three tokenizers as their papers' code has them, slow and plain, against `dlc tokenize` on texts made up from pieces of Unicode.

usage: tokenizers.py DLC DATA       DATA: the folder with gpt2_tokenizer and stories260K
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata


def dlc(command, tokenizer, text, *options):
    with tempfile.NamedTemporaryFile() as f:
        f.write(text if isinstance(text, bytes) else text.encode())
        f.flush()
        out = subprocess.run([command, "tokenize", tokenizer, f.name, *options], stdout=subprocess.PIPE, check=True).stdout
    return [int(x) for x in out.split()]


# ---- GPT-2: encoder.py
def is_space(c):
    return c in "\t\n\v\f\r\x85 \xa0\u1680\u2028\u2029\u202f\u205f\u3000" or "\u2000" <= c <= "\u200a"


def gpt2_kind(c):
    k = unicodedata.category(c)[0]
    return "s" if is_space(c) else k if k in "LN" else "o"


def gpt2_words(text):
    at = 0
    while at < len(text):
        for x in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
            if text.startswith(x, at):
                end = at + len(x)
                break
        else:
            first = at + 1 if text[at] == " " and at + 1 < len(text) and gpt2_kind(text[at + 1]) != "s" else at
            kind, end = gpt2_kind(text[first]), first
            while end < len(text) and gpt2_kind(text[end]) == kind:
                end += 1
            if kind == "s" and end < len(text) and end - at > 1:
                end -= 1
        yield text[at:end]
        at = end


class GPT2:
    def __init__(self, folder):
        with open(os.path.join(folder, "encoder.json"), encoding="utf-8") as f:
            self.ids = json.load(f)
        with open(os.path.join(folder, "vocab.bpe"), encoding="utf-8") as f:
            lines = f.read().split("\n")[1:-1]
        self.rank = {tuple(line.split()): i for i, line in enumerate(lines)}
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        self.byte = {b: chr(b) for b in shown}
        for b in range(256):
            if b not in self.byte:
                self.byte[b] = chr(256 + len(self.byte) - len(shown))

    def encode(self, text):
        out = []
        for word in gpt2_words(text):
            parts = [self.byte[b] for b in word.encode()]
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if best not in self.rank:
                    break
                merged, i = [], 0
                while i < len(parts):
                    if tuple(parts[i:i + 2]) == best:
                        merged.append(parts[i] + parts[i + 1])
                        i += 2
                    else:
                        merged.append(parts[i])
                        i += 1
                parts = merged
            out += [self.ids[p] for p in parts]
        return out


# ---- llama2.c: run.c, encode()
class Llama2c:
    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        self.tokens, self.scores, at = [], [], 4
        while at < len(data):
            score, n = struct.unpack_from("<fi", data, at)
            self.tokens.append(data[at + 8:at + 8 + n])
            self.scores.append(score)
            at += 8 + n
        self.ids = {}
        for i, t in enumerate(self.tokens):
            self.ids.setdefault(t, i)

    def encode(self, text):
        ids = [self.ids[b" "]] if text else []
        for c in text:
            b = c.encode()
            ids += [self.ids[b]] if b in self.ids else [3 + x for x in b]
        while True:
            best, at = -1e10, None
            for i in range(len(ids) - 1):
                j = self.ids.get(self.tokens[ids[i]] + self.tokens[ids[i + 1]])
                if j is not None and self.scores[j] > best:
                    best, at, new = self.scores[j], i, j
            if at is None:
                return ids
            ids[at:at + 2] = [new]


# ---- BERT: tokenization.py
def is_cjk(c):
    c = ord(c)
    return any(a <= c <= b for a, b in [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
                                        (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)])


def is_punctuation(c):
    return 33 <= ord(c) <= 126 and not c.isalnum() or unicodedata.category(c)[0] == "P"


def bert(vocabulary, text):
    clean = ""
    for c in text:
        k = unicodedata.category(c)
        if c in "\t\n\r" or is_space(c) and k != "Cc":
            clean += " "
        elif c != "\ufffd" and k not in ("Cc", "Cf"):
            clean += f" {c} " if is_cjk(c) else c
    ids = []
    for word in clean.split(" "):
        word = "".join(c for c in unicodedata.normalize("NFD", "".join(c.lower() for c in word)) if unicodedata.category(c) != "Mn")
        for part in "".join(f" {c} " if is_punctuation(c) else c for c in word).split(" "):
            at, found = 0, []
            while at < len(part):
                end = len(part)
                while end > at and ("##" if at else "") + part[at:end] not in vocabulary:
                    end -= 1
                if end == at:
                    found = [vocabulary["[UNK]"]]
                    break
                found.append(vocabulary[("##" if at else "") + part[at:end]])
                at = end
            ids += found if len(part) <= 200 else [vocabulary["[UNK]"]]
    return ids


def made_up(draw, n):
    pieces = ["the ", "The", "'s", "'ll", "don't ", " ", "  ", "\n", "\n\n", "\t", "123", "4.5", "...", "!?", "-", "_", "$", "running", "Lily", "\u00a0",
              "\u2003", "\u3000", "\x85", "\x01", "\u200b"]
    out = ""
    for _ in range(n):
        kind = draw.random()
        if kind < 0.6:
            out += draw.choice(pieces)
        else:
            c = draw.randrange(0x80 if kind < 0.7 else 0x250 if kind < 0.8 else 0x3000 if kind < 0.9 else 0xD800 if kind < 0.97 else 0x20000)
            if c and c not in (0x1C, 0x1D, 0x1E, 0x1F) and unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs"):    # whatever Python this is
                out += chr(c)
    return out


def main(command, data):
    draw = random.Random(5)
    gpt2, story = GPT2(os.path.join(data, "gpt2_tokenizer")), Llama2c(os.path.join(data, "stories260K", "tok512.bin"))
    names = ["[UNK]", "the", "##th", "run", "##ning", "don", "'", "t", "s", "lily", ".", "!", "?", "$", "_", "-"]
    names += [p + c for c in "abcdefghijklmnopqrstuvwxyz0123456789\u03b1\u03b9\u0430\u0438\u1100\u1161\u4e00\u4e8c" for p in ("", "##") if p + c not in names]
    vocabulary = {t: i for i, t in enumerate(names)}
    with tempfile.TemporaryDirectory() as folder:
        vocab = os.path.join(folder, "vocab.txt")
        with open(vocab, "w", encoding="utf-8") as f:
            f.write("\n".join(names) + "\n")
        for i in range(30):
            text = made_up(draw, 200)
            for name, got, want in [("GPT-2", dlc(command, os.path.join(data, "gpt2_tokenizer"), text), gpt2.encode(text)),
                                    ("llama2.c", dlc(command, os.path.join(data, "stories260K", "tok512.bin"), text), story.encode(text)),
                                    ("WordPiece", dlc(command, vocab, text), bert(vocabulary, text))]:
                if got != want:
                    at = next((k for k, (x, y) in enumerate(zip(got, want)) if x != y), min(len(got), len(want)))
                    sys.exit(f"{name}, text {i}, token {at}: {got[at:at + 5]} instead of {want[at:at + 5]}\n{text!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
