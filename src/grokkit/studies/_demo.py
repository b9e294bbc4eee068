"""The whole line on embedded defaults: train, crystallize, prove, recognize, expand, multiply."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np

from grokkit.crystallize import Crystallization, CrystallizedRun, Path, crystallize
from grokkit.execution import recursive_product
from grokkit.scheme import (
    Certificate,
    Equivalence,
    Scheme,
    additions,
    equivalent,
    error_bound,
    expand,
    growth_factor,
    verify,
)
from grokkit.scheme.catalog import catalog
from grokkit.studies._expansion_tables import ExpansionRow, expansion_table
from grokkit.studies._statistics import Median, Proportion
from grokkit.training import Population, TrainConfig, train, untrained

METHODS: Final = ("plain", "scaled", "full")
ODD_SHAPE: Final = (301, 257, 199)
Bar = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


class DemoInterrupted(Exception):
    """Ctrl-C came while the demo trained: there is nothing to show."""


class NothingExact(Exception):
    """No network of the demo became an exact algorithm that it can show."""


@final
@dataclass(frozen=True)
class OddProduct:
    """A product of two matrices of odd shape by the expanded scheme, against float64."""

    shape: tuple[int, int, int]
    levels: int
    relative_error: float
    largest_error: float
    bound: float


@final
@dataclass(frozen=True)
class DemoResult:
    """Everything the demo measured."""

    population: Population
    crystallized: dict[str, Crystallization]
    """By method."""
    control: Crystallization
    """The full method on the same networks before their training."""
    cpu_seconds_per_run: dict[str, float]
    recognized: int
    """Exact runs shown to be Strassen's algorithm in another basis."""
    example: CrystallizedRun
    basis_change: Equivalence
    """From the example to Strassen's algorithm."""
    expanded: list[tuple[Scheme, Certificate]]
    table: list[ExpansionRow]
    product: OddProduct
    seconds: float
    commands: dict[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> Scheme:
        assert self.example.scheme is not None
        return self.example.scheme

    def success(self) -> dict[str, Proportion]:
        """Share of runs that each method made exact."""
        return {method: Proportion(result.exact, len(result)) for method, result in self.crystallized.items()}

    def moved(self) -> tuple[Median, Median]:
        """How far polishing moved the weights, as a share of their norm: of networks that training had
        converged, and of untrained ones."""
        full = [run.path for run in self.crystallized["full"] if run.path.converged_before_polish]
        control = [run.path for run in self.control]
        return _moved(full), _moved(control)

    def polished(self) -> Proportion:
        """Share of runs that solve all equations after polishing, whatever their basis."""
        full = self.crystallized["full"]
        solved = sum(not run.reason.startswith("polish") for run in full)
        return Proportion(solved, len(full))

    def converged(self) -> Proportion:
        """Share of runs that training alone brought below a test loss of 1e-6."""
        return Proportion(self.population.converged, len(self.population))

    def to_json(self) -> dict[str, Any]:
        full = self.crystallized["full"]
        return {
            "runs": len(self.population),
            "seed": self.population.config.seed,
            "steps": self.population.config.total_steps,
            "batch_size": self.population.config.batch_size,
            "runs_steps_per_second": self.population.runs_steps_per_second,
            "converged_by_training": self.converged().to_json(),
            "converged_before_polish": full.converged_before_polish,
            "solved_after_polish": self.polished().to_json(),
            "exact": {method: share.to_json() for method, share in self.success().items()},
            "exact_untrained": Proportion(self.control.exact, len(self.control)).to_json(),
            "polish_moved": self.moved()[0].to_json(),
            "polish_moved_untrained": self.moved()[1].to_json(),
            "cpu_seconds_per_run": self.cpu_seconds_per_run,
            "recognized_as_strassen": self.recognized,
            "example": {
                "run": int(self.population.runs[self.example.run]),
                "formulas": str(self.scheme).splitlines(),
                "additions": additions(self.scheme).total,
                "growth_factor": float(growth_factor(self.scheme)),
                "digest": self.scheme.digest,
                "basis_change": str(self.basis_change),
            },
            "expanded": [certificate.to_json() for _, certificate in self.expanded],
            "table": [row.to_json() for row in self.table],
            "product": {
                "shape": list(self.product.shape),
                "levels": self.product.levels,
                "relative_error": self.product.relative_error,
                "largest_error": self.product.largest_error,
                "bound": self.product.bound,
            },
            "seconds": self.seconds,
        }


def run_demo(bar: Bar, say: Callable[[str], None], *, runs: int = 256, seed: int = 0, workers: int = 1) -> DemoResult:
    """Run the line. `bar(label, total, unit)` is a progress bar, `say` prints a line.

    Raises `DemoInterrupted` on Ctrl-C during training, and `NothingExact` if no run crystallizes, or none to
    Strassen's algorithm.
    """
    started = time.perf_counter()
    config = TrainConfig.preset("default", runs=runs, seed=seed)
    say(f"1. Training {runs} networks from random weights: {config.slots} products, then {config.prune_to}.")
    with bar("   training", runs * config.total_steps, "runs x steps") as advance:
        population = train(config, workers=workers, progress=advance)
    if not population.complete:
        raise DemoInterrupted
    converged = Proportion(population.converged, len(population))
    say(
        f"   {converged} learned the product to a test loss below 1e-6, "
        f"at {population.runs_steps_per_second:,.0f} runs x steps/s."
    )
    say("2. Crystallizing: from float weights to exact integer algorithms, each proven.")
    results, seconds = {}, {}
    for method in METHODS:
        before = time.process_time()
        with bar(f"   {method}", runs, "runs") as advance:
            results[method] = crystallize(population, method=method, seed=seed, progress=advance)  # type: ignore[arg-type]
        seconds[method] = (time.process_time() - before) / runs
        share = Proportion(results[method].exact, runs)
        say(f"   {method:>6}: {share} exact, {1000 * seconds[method]:.1f} ms a run.")
    with bar("   control", runs, "runs") as advance:
        control = crystallize(untrained(config), config.target, seed=seed, progress=advance)
    full = results["full"]
    exact = [run for run in full if run.exact]
    if not exact:
        raise NothingExact(f"none of {len(full)} networks became an exact algorithm; try more --runs or another --seed")
    learned = _moved([run.path for run in full if run.path.converged_before_polish])
    unlearned = _moved([run.path for run in control])
    share = Proportion(control.exact, runs)
    say(f"   control: {share} exact from untrained weights; at this size the solver suffices.")
    say(f"   Polishing moved converged networks by {learned.value:.1e} of their norm (median),")
    say(f"   untrained ones by {unlearned.value:.1f} times their norm.")
    say("3. Recognizing: a change of basis from each run to Strassen's algorithm, checked exactly.")
    strassen = catalog["strassen"]
    recognized, answers = 0, {}
    with bar("   recognizing", len(exact), "runs") as advance:
        for run in exact:
            answers[run.run] = equivalent(run.scheme, strassen)  # type: ignore[arg-type]
            recognized += isinstance(answers[run.run], Equivalence)
            advance(1)
    say(f"   {recognized} of {len(exact)} are Strassen's algorithm in another basis.")
    example = next((run for run in exact if isinstance(answers[run.run], Equivalence)), None)
    if example is None:
        raise NothingExact(f"none of {len(exact)} exact networks was recognized; please report this with the seed")
    scheme = example.scheme
    assert scheme is not None
    say("4. Expanding the first of them to sizes it never saw, with no retraining.")
    expanded = [(large := expand(scheme, levels), verify(large)) for levels in (2, 3, 4)]
    table = expansion_table(scheme, seed=seed)
    product = _odd_product(scheme, seed)
    return DemoResult(
        population,
        results,
        control,
        seconds,
        recognized,
        example,
        answers[example.run],
        expanded,
        table,
        product,
        time.perf_counter() - started,
    )


def _moved(paths: list[Path]) -> Median:
    return Median.of([path.polish_moved for path in paths if path.polish_moved is not None])


def _odd_product(scheme: Scheme, seed: int, levels: int = 3) -> OddProduct:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(301,)))
    n, m, p = ODD_SHAPE
    a, b = rng.standard_normal((n, m)).astype(np.float32), rng.standard_normal((m, p)).astype(np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = recursive_product(scheme, a, b, levels) - exact
    bound = error_bound(scheme, levels, m, np.float32).factor * float(np.abs(a).max() * np.abs(b).max())
    relative = float(np.linalg.norm(error) / np.linalg.norm(exact))
    return OddProduct(ODD_SHAPE, levels, relative, float(np.abs(error).max()), bound)
