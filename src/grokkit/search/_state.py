"""The state of a search on disk: one JSON file and one array file, whole or absent, read without a pickle."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from grokkit.scheme import InvalidInput, Refuted, UnreadableFile, dumps, read_bytes, verify, write_atomically
from grokkit.scheme._json import scheme_in
from grokkit.search._flips import Counts, FlipSearch
from grokkit.search._numeric import NumericCounts
from grokkit.search._packed import holds
from grokkit.search._symmetric import is_symmetric

if TYPE_CHECKING:
    from grokkit.search._search import _Run

STATE: Final = "search.npz"
VERSION: Final = 2


def write_state(run: _Run, folder: Path) -> None:
    """Write all that a search needs to go on."""
    arrays: dict[str, np.ndarray] = {}
    content: dict[str, Any] = {
        "version": VERSION,
        "identity": run.identity(),
        "goal": run.goal,
        "found": run.found,
        "rounds": run.rounds,
        "seconds": run.seconds,
        "liftings": dict(run.liftings),
        "failed_lifts": run.failed_lifts,
        "ladders": run.ladders,
        "schemes": [json.loads(dumps(scheme)) for scheme in run.schemes],
        "numeric": None if run.numeric is None else vars(run.numeric.counts),
        "walks": [_walks(walks, f"w{at}", arrays) for at, walks in enumerate(run.walks)],
    }
    arrays["state"] = np.frombuffer(json.dumps(content).encode("utf-8"), dtype=np.uint8)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_atomically(folder / STATE, stream.getvalue())


def _walks(walks: FlipSearch, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    pool, counts = walks.pool, walks.counts
    for rank, schemes in pool.ranks.items():
        arrays[f"{prefix}r{rank}"] = np.stack(schemes)
    return {
        "name": walks.name,
        "ladder": walks.ladder,
        "rung": walks.rung,
        "cubes": walks.cubes,
        "idle": walks.idle,
        "best": walks.best,
        "wins": pool.wins.tolist(),
        "uses": pool.uses.tolist(),
        "ranks": list(pool.ranks),
        "counts": vars(counts),
    }


def read_state(run: _Run, folder: Path) -> None:
    """Go on from a directory, if there is a search in it.

    Raises `InvalidInput`, naming the file, for one that is damaged or of another search.
    """
    path = folder / STATE
    if not path.exists():
        return
    data = read_bytes(path)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            content = json.loads(archive["state"].tobytes().decode("utf-8"))
            identity = content["identity"]
            if content["version"] != VERSION or identity != json.loads(json.dumps(run.identity())):
                wanted = run.identity()
                differs = [key for key in wanted if identity.get(key) != json.loads(json.dumps(wanted[key]))]
                raise InvalidInput(
                    f"{path}: another search ({', '.join(differs) or 'version'} differ); give another --out"
                )
            for at, walks in enumerate(run.walks):
                _restore(walks, content["walks"][at], f"w{at}", archive)
        if run.numeric is not None:
            counts = content["numeric"]
            run.numeric.counts = NumericCounts(
                rounds=int(counts["rounds"]),
                starts=int(counts["starts"]),
                cycles=int(counts["cycles"]),
                seconds=float(counts["seconds"]),
                stages=Counter({str(name): int(count) for name, count in counts["stages"].items()}),
            )
        run.rounds, run.seconds = int(content["rounds"]), float(content["seconds"])
        run.liftings = Counter({str(name): int(count) for name, count in content["liftings"].items()})
        run.failed_lifts = [int(count) for count in content["failed_lifts"]]
        run.ladders = [int(count) for count in content["ladders"]]
        run.schemes = [scheme_in(each, path)[0] for each in content["schemes"]]
        run.certificate = verify(run.schemes[0])
    except UnreadableFile as error:
        raise InvalidInput(f"{path}: damaged ({error}); remove it to begin again") from None
    except InvalidInput:
        raise
    except (
        Refuted,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InvalidInput(f"{path}: damaged ({reason}); remove it to begin again") from None


def _restore(walks: FlipSearch, content: dict[str, Any], prefix: str, archive: Any) -> None:
    walks.ladder = [tuple(int(size) for size in form) for form in content["ladder"]]
    walks.rung, walks.idle = int(content["rung"]), int(content["idle"])
    walks.cubes = int(content["cubes"])
    if not 0 <= walks.cubes <= (walks.format[0] if walks.symmetric else 0):
        raise ValueError(f"{walks.cubes} cubes")
    walks.best = None if content["best"] is None else int(content["best"])
    pool = walks.pool_of(walks.ladder[walks.rung])
    generator = np.random.default_rng(0)
    for rank in content["ranks"]:
        for packed in archive[f"{prefix}r{int(rank)}"]:
            if packed.dtype != np.uint64 or packed.shape != (3, rank, 2):
                raise ValueError("a scheme of the pool has another shape")
            if not holds(walks.whole(packed), pool.target, pool.ring):
                raise ValueError("a scheme of the pool does not hold")
            if walks.symmetric and not is_symmetric(packed[:, walks.cubes :]):
                raise ValueError("a scheme of the pool is not symmetric")
            pool.add(packed, generator)
    if not pool.ranks:
        raise ValueError("the pool is empty")
    pool.wins, pool.uses = (np.array(content[name], dtype=np.int64) for name in ("wins", "uses"))
    counts = content["counts"]
    walks.pool = pool
    walks.counts = Counts(
        rounds=int(counts["rounds"]),
        tried=int(counts["tried"]),
        flipped=int(counts["flipped"]),
        seconds=float(counts["seconds"]),
        ladders=int(counts["ladders"]),
        history=[(int(tried), int(rank)) for tried, rank in counts["history"]],
        trace=[(int(tried), [int(rank) for rank in ranks]) for tried, ranks in counts["trace"]],
        stride=int(counts["stride"]),
        own=int(counts["own"]),
    )
