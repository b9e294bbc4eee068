"""What a search left in its directory, to be looked at: no walk is made, nothing is gone on with."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int

from grokkit.scheme import InvalidInput, Scheme, Target, UnreadableFile, read_bytes
from grokkit.scheme._json import scheme_in
from grokkit.search._state import STATE, VERSION


@final
@dataclass(frozen=True)
class WalkRecord:
    """What the walks over one ring did.

    Attributes
    ----------
    name:
        The ring, and whether the walks were symmetric.
    history:
        (flips tried, rank) at each fall of the lowest rank of the search's target.
    trace:
        (flips tried, the rank that each walker came to), of rounds at that target, evenly spaced.
    pool_of:
        The format whose pool is held: the search's own, or a smaller one up the ladder to it; empty for other maps.
    pool:
        For each scheme of the pool its rank and its additions, without shared sums (rows of two).
    """

    name: str
    tried: int
    flipped: int
    ladders: int
    history: tuple[tuple[int, int], ...]
    trace: tuple[tuple[int, tuple[int, ...]], ...]
    pool_of: tuple[int, ...]
    pool: Int[np.ndarray, "schemes 2"]


@final
@dataclass(frozen=True)
class SearchRecord:
    """A search as it was last written: see `SearchResult` for what the figures mean."""

    folder: Path
    target: Target
    ring: str
    route: str
    seed: int
    goal: int
    found: bool
    rounds: int
    cpu_seconds: float
    liftings: Mapping[str, int]
    starts: Mapping[str, int]
    walks: tuple[WalkRecord, ...]
    schemes: tuple[Scheme, ...]

    @property
    def rank(self) -> int:
        """The lowest rank that was proven."""
        return self.schemes[0].rank

    def same_question(self, other: SearchRecord) -> bool:
        """Whether two searches differ in their seeds alone, so that they are replicates of each other."""
        mine, its = ((x.target, x.ring, x.route, x.goal) for x in (self, other))
        return mine == its


def open_search(folder: Path) -> SearchRecord:
    """Read what `find_scheme` wrote into a directory.

    Raises `InvalidInput`, naming the file, where there is no search, or a damaged one.
    """
    path = Path(folder) / STATE
    if not path.is_file():
        raise InvalidInput(f"{folder}: no {STATE} in it; give a directory that grokkit search --out wrote")
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as archive:
            content = json.loads(archive["state"].tobytes().decode("utf-8"))
            if content["version"] != VERSION:
                raise InvalidInput(f"{path}: written by another version of grokkit; search again with another --out")
            walks = tuple(_walk_record(each, f"w{at}", archive) for at, each in enumerate(content["walks"]))
        identity = content["identity"]
        schemes = tuple(scheme_in(each, path)[0] for each in content["schemes"])
        return SearchRecord(
            folder=Path(folder),
            target=schemes[0].target,
            ring=str(identity["ring"]),
            route=str(identity["route"]),
            seed=int(identity["seed"]),
            goal=int(content["goal"]),
            found=bool(content["found"]),
            rounds=int(content["rounds"]),
            cpu_seconds=float(content["seconds"]),
            liftings={str(name): int(count) for name, count in content["liftings"].items()},
            starts={str(k): int(v) for k, v in (content["numeric"] or {"stages": {}})["stages"].items()},
            walks=walks,
            schemes=schemes,
        )
    except UnreadableFile as error:
        raise InvalidInput(f"{path}: damaged ({error})") from None
    except InvalidInput:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, EOFError) as error:
        raise InvalidInput(f"{path}: damaged ({type(error).__name__}: {error})") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InvalidInput(f"{path}: damaged ({error})") from None


def _walk_record(content: dict[str, Any], prefix: str, archive: Any) -> WalkRecord:
    counts = content["counts"]
    rows = [
        (int(rank), additions) for rank in content["ranks"] for additions in _additions(archive[f"{prefix}r{rank}"])
    ]
    return WalkRecord(
        name=str(content["name"]),
        tried=int(counts["tried"]),
        flipped=int(counts["flipped"]),
        ladders=int(counts["ladders"]),
        history=tuple((int(tried), int(rank)) for tried, rank in counts["history"]),
        trace=tuple((int(tried), tuple(int(rank) for rank in ranks)) for tried, ranks in counts["trace"]),
        pool_of=tuple(int(size) for size in content["ladder"][content["rung"]]),
        pool=np.array(rows, dtype=np.int64).reshape(-1, 2),
    )


def _additions(packed: np.ndarray) -> list[int]:
    """Additions of packed schemes (schemes × 3 × rank × 2 words) that share no sums.

    A row of U or V of k terms takes k − 1, and so does an entry of the result.
    """
    if packed.dtype != np.uint64 or packed.ndim != 4 or packed.shape[1] != 3 or packed.shape[3] != 2:
        raise ValueError("the pool has another shape")
    taken = packed[..., 0] | packed[..., 1]
    bits = np.unpackbits(taken.view(np.uint8), axis=-1).reshape(*taken.shape, 64)
    terms = bits.sum(axis=(1, 2, 3), dtype=np.int64)
    outputs = bits[:, 2].any(axis=1).sum(axis=-1, dtype=np.int64)
    return (terms - 2 * taken.shape[2] - outputs).tolist()
