"""Runs dlc on mutated programs: in each, a few random tokens were deleted, doubled, swapped or replaced. No mutant may crash
it or take long: `check` ends with exit code 0 or 1. What passes goes on to `inspect --plan` (IR text, .ir, at once), and every tenth
of it is compiled. Standard library only.

usage: mutants.py DLC FOLDER COUNT FILE...        FOLDER: for the mutants; those that fail stay there
Prints ok or not ok for each FILE, as tests/run.py reads.
"""
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

dlc, folder, count, files = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
TOKEN = re.compile(r"\s+|#[^\n]*|\"[^\"\n]*\"|[A-Za-z_]\w*|\d[\w.]*|\|>|->|:=|[=!<>]=|//|.", re.S)
LIMIT = 20                                      # seconds


def mutate(tokens, pool, rng):
    tokens = list(tokens)
    words = [i for i, token in enumerate(tokens) if not token.isspace() and not token.startswith("#")]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        i, j = rng.choice(words), rng.choice(words)
        how = rng.randrange(6)
        if how == 0:
            tokens[i] = ""
        elif how == 1:
            tokens[i] *= 2
        elif how == 2:
            tokens[i], tokens[j] = tokens[j], tokens[i]
        elif how == 3:
            tokens[i] = tokens[i] + " " + rng.choice(pool)
        elif how == 4 and tokens[i][:1].isdigit():
            tokens[i] = rng.choice(("0", "1", "2", "3", "7", "1000000", "9223372036854775807", "0.5", "1e300"))
        else:
            tokens[i] = rng.choice(pool)
    return "".join(tokens)


def run(*arguments):
    """The exit code and what was printed; -1000: stopped."""
    try:
        done = subprocess.run([dlc, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return -1000, b"stopped after %d s" % LIMIT


def attempt(job):
    """None, or what went wrong."""
    path, compile_too = job
    steps = [["inspect", path, "--plan"]] if path.endswith(".ir") else [["check", path], ["inspect", path, "--plan"]]
    if compile_too:
        steps.append([path, "-q", "-o", path + ".so"])
    for step in steps:
        code, text = run(*step)
        if code == 1 and b"error" in text:      # refused, with a reason
            break
        if code != 0:
            last = text.decode(errors="replace").strip().splitlines()[-1:] or [""]
            return f"{' '.join(step)}: exit code {code}: {last[0][:150]}"
    for made in (path, path + ".so", path + ".h"):
        if os.path.exists(made):
            os.remove(made)
    return None


failed = False
for file in files:
    with open(file) as source:
        tokens = TOKEN.findall(source.read())
    pool = sorted({token for token in tokens if not token.isspace() and not token.startswith("#")})
    rng = random.Random(os.path.basename(file))
    stem, suffix = os.path.splitext(os.path.basename(file))
    jobs = []
    for i in range(count):
        path = os.path.join(folder, f"{stem}_{i}{suffix}")
        with open(path, "w") as mutant:
            mutant.write(mutate(tokens, pool, rng))
        jobs.append((path, i % 10 == 0))
    with ThreadPoolExecutor(2) as workers:
        wrong = [what for what in workers.map(attempt, jobs) if what]
    name = f"{count} mutants of {os.path.basename(file)}"
    print(f"not ok {name}: {len(wrong)} failed" if wrong else f"ok {name}")
    for what in wrong:
        print("# " + what)
    failed |= bool(wrong)
sys.exit(failed)
