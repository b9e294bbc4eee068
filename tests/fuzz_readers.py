#!/usr/bin/env python3
"""Mutate scheme files of every kind and read them: no crash, no hang, little memory, nothing executed.

python tests/fuzz_readers.py [--files N] [--seed S] [--kinds exp,maple]

Of every kind N files are made by cutting, repeating, flipping and splicing bytes of good ones, and read in processes of
their own, whose memory is bounded. A file passes if it is read or refused with one of the documented errors. A read
that takes more than a second of processor time, other exceptions, and anything that a file could have executed fail.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from grokkit.scheme import Refuted, SchemeFile, UnreadableFile, dumps, formulas, sandwiched, save, verify
from grokkit.scheme.catalog import catalog, standard

MEMORY = 512 * 2**20
SECONDS = 1.0
BATCH = 250
TOKENS = (
    b"0", b"-", b"1", b"1/0", b"1e99999", b"9" * 50, b"9" * 5000, b"x", b"sqrt(2)", b"I", b"{", b"}", b"[", b"]",
    b"(", b")", b",", b"\n", b"#", b'"', b":", b"null", b"NaN", b"1e400", b"\x00", b"\xff", b"a11", b"b11*", b"c9_9",
    b"Matrix(9999999,9999999", b"TriadSet", b"0 0 0\n", b"99999 99999 R\n", b"{" * 3000, b"[" * 3000, b"(" * 3000,
    b'{"a":' * 3000, b"-" * 3000, b"/" * 100, b"=", b"m1=", b"c1_1024", b"a[1024,1024]", b"cos", b"system\n",
    b"cposix\nsystem\n(S'touch pwned'\ntR.", b"\x80\x04\x8c\x05posix\x8c\x06system\x93", b"R", b"\x8a\xff", b"b",
)  # fmt: skip


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Good files of each kind."""
    strassen = catalog["strassen"]
    dyadic = sandwiched(strassen, [[1, 0], [0, 2]], [[1, 1], [0, 1]], [[4, 0], [1, 1]])
    schemes = [strassen, dyadic, standard(1, 2, 3), standard(2, 2, 2)]
    kinds: dict[str, list[bytes]] = {"json": [dumps(s, verify(s)).encode() for s in schemes]}
    for kind in ("alphatensor", "perminov", "mathematica", "maple", "text", "exp", "sms", "weights"):
        kinds[kind] = []
        for scheme in schemes:
            save(scheme, folder / "seed.x", kind=kind)
            name = "seed_L.x" if kind == "sms" else "seed.x"
            kinds[kind].append((folder / name).read_bytes())
    kinds["equations"] = [formulas(s).encode() for s in schemes]
    kinds["pickle"] = [_pickled(scheme) for scheme in schemes]
    reduced = {
        "n": [1, 2, 1], "m": 2, "z2": False, "u_fresh": [[{"index": 0, "value": 1}, {"index": 1, "value": -1}]],
        "u": [[{"index": 0, "value": 1}], [{"index": 1, "value": 1}]], "v_fresh": [], "w_fresh": [],
        "v": [[{"index": 0, "value": 1}], [{"index": 1, "value": 1}]],
        "w": [[{"index": 0, "value": 1}, {"index": 1, "value": 1}]],
    }  # fmt: skip
    kinds["reduced"] = [json.dumps(reduced).encode()]
    for file in folder.glob("seed*"):
        file.unlink()
    return kinds


def _pickled(scheme: object) -> bytes:
    """An archive, stored without compression, so that mutations reach the pickle inside."""
    stream = io.BytesIO()
    array = np.empty(3, dtype=object)
    for at, x in enumerate((scheme.U.T.copy(), scheme.V.T.copy(), scheme.W.copy())):  # type: ignore[attr-defined]
        array[at] = x
    np.savez(stream, allow_pickle=True, s=array)
    return stream.getvalue()


def mutated(data: bytes, generator: random.Random) -> bytes:
    """A file with one to six changes."""
    content = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 3, 6))):
        size = len(content)
        at, end = sorted((generator.randrange(size + 1), generator.randrange(size + 1)))
        match generator.randrange(8):
            case 0:
                del content[at : min(end, at + 40)]
            case 1:
                content[at:at] = content[at : min(end, at + 200)] * generator.choice((1, 2, 50))
            case 2:
                for _ in range(generator.choice((1, 4, 16))):
                    if size:
                        content[generator.randrange(size)] = generator.randrange(256)
            case 3:
                content[at:at] = generator.choice(TOKENS)
            case 4:
                content[at : at + generator.randrange(1, 6)] = generator.choice(TOKENS)
            case 5:
                del content[at:]
            case 6 if size:
                spot = generator.randrange(size)
                content[spot] ^= 1 << generator.randrange(8)
            case _:
                digits = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
                for i in generator.sample(digits, min(len(digits), generator.choice((1, 2, 8)))):
                    content[i] = generator.randrange(48, 58)
        if not content or len(content) > 2**20:
            return bytes(content[: 2**20])
    return bytes(content)


def read(path: Path) -> str:
    """Read all schemes of a file; what went wrong otherwise than it should."""
    started = time.process_time()
    try:
        file = SchemeFile(path)
        for member in file.members[:8]:
            try:
                reading = file.read(member)
                if reading.certificate.digest != reading.scheme.digest:
                    return "a certificate of another scheme"
            except (UnreadableFile, Refuted) as error:
                if "\n" in str(error):
                    return f"a message of several lines: {error}"
    except UnreadableFile as error:
        if "\n" in str(error) or not str(error).startswith(str(path)):
            return f"a message that is not one line about the file: {error}"
    except MemoryError:
        return "out of memory"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    spent = time.process_time() - started
    return f"{spent:.1f} s" if spent > SECONDS else ""


def batch(kind: str, originals: list[bytes], seed: int, count: int, folder: str) -> list[tuple[str, bytes]]:
    """Failures among `count` mutated files of a kind, with the files."""
    os.chdir(folder)
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + MEMORY
    generator = random.Random(f"{kind} {seed}")
    path = Path(folder) / ("fuzz_L.sms" if kind == "sms" else "fuzz")
    failures = []
    for _ in range(count):
        data = mutated(generator.choice(originals), generator)
        path.write_bytes(data)
        if reason := read(path):
            failures.append((f"{kind}: {reason}", data))
        if made := {file.name for file in Path(folder).iterdir()} - {path.name, "fuzz_R.sms", "fuzz_P.sms"}:
            failures.append((f"{kind}: a file was made: {made}", data))
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > limit:
        failures.append((f"{kind}: more than {MEMORY // 2**20} MiB, in seeds {seed}", b""))
    return failures


def run(files: int, seed: int, kinds: list[str] | None = None, workers: int = 2) -> Iterator[tuple[str, bytes]]:
    """All failures of `files` mutated files of every kind."""
    with tempfile.TemporaryDirectory() as folder:
        originals = seeds(Path(folder))
        jobs = []
        with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=4) as pool:
            for kind in kinds or originals:
                for number, start in enumerate(range(0, files, BATCH)):
                    place = Path(folder) / f"{kind}{number}"
                    place.mkdir()
                    if kind == "sms":
                        save(catalog["strassen"], place / "fuzz.sms", kind="sms")
                    job = (kind, originals[kind], seed * 10**6 + number, min(BATCH, files - start), str(place))
                    jobs.append(pool.apply_async(batch, job))
            for job in jobs:
                yield from job.get()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="mutated files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="", help="comma-separated; all by default")
    arguments = parser.parse_args()
    started, count = time.perf_counter(), 0
    for reason, data in run(arguments.files, arguments.seed, [k for k in arguments.kinds.split(",") if k] or None):
        count += 1
        print(f"{reason}\n    {data[:300]!r}")
        if data:
            Path(f"fuzz-failure-{count}").write_bytes(data)
    print(
        f"{arguments.files} files of each kind, seed {arguments.seed}: {count} failures, "
        f"{time.perf_counter() - started:.0f} s"
    )
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
