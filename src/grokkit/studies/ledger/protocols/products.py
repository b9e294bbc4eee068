"""Products of large matrices against the vendor's, in turns, one thread and all."""

from __future__ import annotations

from typing import Final

from grokkit.studies._bench_case import Case, Timing
from grokkit.studies._bench_contenders import available_cores, libraries
from grokkit.studies._bench_matmul import bench_matmul
from grokkit.studies._bench_source import SOURCE_SIZES, source_table
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol

SEED: Final = 20260306
SIZES: Final = {"quick": (256, 512), "full": SOURCE_SIZES}
ROUNDS: Final = {2048: 15, 4096: 7, 8192: 3}
SECONDS: Final = 2.0
"""For the rounds of one case, at least."""
BASELINE: Final = "numpy"


def products(context: Context) -> dict[str, Measurement]:
    """Claims B01 to B04: `grokkit.matmul` against NumPy's BLAS, float32, checked before it is timed."""
    sizes = SIZES[context.scale]
    threads = {"one thread": 1, "all threads": available_cores()}
    figures: dict[str, Figure] = {}
    for size in sizes:
        for name, count in threads.items():
            context.progress(f"N = {size}, {name}")
            clock = "cpu" if count == 1 else "wall"  # of one thread the CPU time does not depend on who else computes
            timing = Timing(SECONDS, ROUNDS.get(size, 15), SEED + context.seed, (BASELINE,), clock, leaves=True)
            result = next(bench_matmul([Case(size, size, size, "float32", count)], timing))
            row = source_table([result])[0]
            where = f"at {size}, {name}"
            figures[f"speedup {where}"] = Figure.of(row.speedup, f"speedup over NumPy's BLAS {where}")
            figures[f"overhead {where}"] = Figure.of(row.overhead, f"time beyond the products at the bottom {where}")
            figures[f"seconds {where}"] = Figure(row.ours_seconds, n=row.rounds, what=f"seconds of ours {where}")
            figures[f"vendor seconds {where}"] = Figure(
                row.vendor_seconds, n=row.rounds, what=f"seconds of BLAS {where}"
            )
    facts: dict[str, bool | str] = {
        "BLAS": ", ".join(libraries()["blas"])[:200],
        "threads": str(available_cores()),
        "the overhead is defined": False,
    }
    note = (
        "CPU time for one thread, wall-clock time for all. This package's product on this machine, not the source's "
        "program on its own. The document never defines its overhead; here it is the time beyond 7^L products of size"
        " N / 2^L, as a share of theirs."
    )
    seeds = f"root seed {SEED + context.seed}, rounds in turns"
    return {
        claim: Measurement(claim, dict(figures), dict(facts), {}, seeds, context.scale, note)
        for claim in ("B01", "B02", "B03", "B04")
    }


PROTOCOLS = (Protocol("products", "Products of large matrices against BLAS", ("B01", "B02", "B03", "B04"), products),)
