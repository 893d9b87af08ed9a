#!/usr/bin/env python3
"""Runs test programs and counts what they report.

usage: run.py [--strict] [--checked DLC] [-v] BUILD PROGRAM...     BUILD: a build folder whose unit tests run first; `-`: none

A test program prints one line a test: `ok NAME`, `not ok NAME: why` or `skip NAME: why`, and what else it likes;
cmocka's TAP lines count too. One that prints no such line is itself one test: exit code 0 passed, 77 skipped.
Any other exit code without a `not ok` is a failure. It runs in the root of the repository with
    DLC         the command under test        PYTHON      a Python with tests/requirements.txt
    DLC_DATA    the folder of larger data, where the user set it
golden.sh runs with the command given by --checked, which has asserts and verifies after every pass.
--strict: a test that is skipped for want of data or Python packages has failed (what CI wants).
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIME_LIMIT = 3600                                       # seconds a program
LINE = re.compile(r"^(ok|not ok|skip)\b[ -]*(?:\d+ - |\d+ # SKIP )?\s*(.*)$")


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0


def classify(line, strict):
    """('passed' | 'failed' | 'skipped', text) for a line that reports a test, else None."""
    match = LINE.match(line)
    if not match:
        return None
    kind, text = match.groups()
    if kind == "skip" or "# SKIP" in line:
        wanted = strict and ("DLC_DATA" in text or "Python packages" in text)
        return ("failed", text + " [skipped, but required here]") if wanted else ("skipped", text)
    return ("passed" if kind == "ok" else "failed"), text


def run(name, command, env, count, args):
    """Run one program, print its failures and skips and one line for it."""
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIME_LIMIT)
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        code, output = f"none: stopped after {TIME_LIMIT} s", error.stdout or b""
    except OSError as error:
        code, output = 127, str(error).encode()
    lines = output.decode(errors="replace").splitlines()
    reports = [(classify(line, args.strict), line) for line in lines]
    result = {"passed": 0, "failed": 0, "skipped": 0}
    detail = []
    in_failure = False
    for report, line in reports:
        if report:
            result[report[0]] += 1
            in_failure = report[0] == "failed"
            if report[0] == "failed":
                detail.append(f"  not ok {report[1]}")
            elif report[0] == "skipped":
                detail.append(f"  skip {report[1]}")
            elif args.verbose:
                detail.append(f"  ok {report[1]}")
        elif in_failure and line.startswith("#"):       # why it failed
            detail.append("    " + line)
    if not any(result.values()) and code in (0, 77):
        kind = classify(f"{'ok' if code == 0 else 'skip'} {lines[-1] if lines and code else name}", args.strict)[0]
        result[kind] += 1
        if code:
            detail.append(f"  skip {lines[-1] if lines else ''}")
    elif code != 0 and not result["failed"]:
        result["failed"] += 1
        detail.append(f"  not ok: exit code {code}; the end of what it printed:")
        detail += ["    # " + line for line in lines[-15:]]
    count.passed += result["passed"]
    count.failed += result["failed"]
    count.skipped += result["skipped"]
    summary = ", ".join(f"{n} {kind}" for kind, n in result.items() if n) or "nothing to test"
    print(f"{name}: {summary} ({time.monotonic() - start:.1f} s)")
    if detail:
        print("\n".join(detail))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("program", nargs="*")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--checked", default=os.environ.get("DLC"))
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    count = Count()

    if args.build != "-":
        known = subprocess.run(["meson", "introspect", "--tests", args.build], stdout=subprocess.PIPE, check=True)
        for test in json.loads(known.stdout):
            run("unit " + test["name"], test["cmd"], {**os.environ, **test["env"]}, count, args)
    for program in args.program:
        env = dict(os.environ)
        path = os.path.relpath(program, ROOT)
        if args.checked and os.path.basename(program) == "golden.sh":
            env["DLC"] = args.checked
        runner = [os.environ.get("PYTHON") or sys.executable] if program.endswith(".py") else ["sh"]
        if program.endswith(".sh"):
            with open(program, errors="replace") as file:
                if "bash" in file.readline():
                    runner = ["bash"]
        if program.endswith(".py") and not os.environ.get("PYTHON"):
            text = f"skip {path}: its Python packages are not installed (tests/requirements.txt)"
            run(path, ["echo", text], env, count, args)
        else:
            run(path, runner + [program], env, count, args)
    print(f"{count.passed} passed, {count.failed} failed, {count.skipped} skipped")
    return count.failed > 0


if __name__ == "__main__":
    sys.exit(main())
