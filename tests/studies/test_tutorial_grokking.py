"""The tutorial on grokking runs as it is written, and each instrument sees there what the page says it sees."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from grokkit import dynamics as gd

pytest.importorskip("tensorboard")
PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "grokking.md"


@pytest.fixture(scope="module")
def page():
    """The names that the page leaves behind."""
    names: dict[str, object] = {}
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of tensorboard's own imports
            for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
                exec(compile(block, str(PAGE), "exec"), names)
    finally:
        torch.set_num_threads(threads)
    return names


@pytest.fixture(scope="module")
def changes(page):
    """The factor by which a figure changes from before to after, of every run: (those that grok, the control)."""

    def of(name):
        before, after = page["BEFORE"], page["EPOCHS"]
        return tuple(
            np.array([float(row[name]) for row in page["table"][kind, after]])
            / np.array([float(row[name]) for row in page["table"][kind, before]])
            for kind in ("grokking", "shuffled")
        )

    return of


def test_the_runs_grok(page):
    verdicts = [run.verdict() for run in page["runs"]]
    for run, verdict in zip(page["runs"], verdicts, strict=True):
        # How sharp the drop is depends on the last digits of 1,200 steps; that it comes, and how late, does not.
        assert isinstance(verdict, gd.Grokked | gd.GradualDrop)
        assert verdict.plateau.first < 250 and verdict.leaves > page["BEFORE"] + 100 and verdict.plateau.level > 1
        assert verdict.epoch - verdict.leaves < 0.35 * (verdict.leaves - verdict.plateau.first)
        accuracy = {row[0]: row[-1] for row in run.curves}
        assert accuracy[page["BEFORE"]] < 0.15 and accuracy[page["EPOCHS"]] == 1
    assert sum(isinstance(verdict, gd.Grokked) for verdict in verdicts) >= 2


def test_cross_entropy_is_fitted_as_well_and_has_no_flat_plateau(page):
    for run in page["runs"]:
        verdict = run.verdict((3, 4))
        assert isinstance(verdict, gd.GradualDrop) and verdict.plateau.length > 400


def test_the_detector_does_not_fire_on_the_controls(page):
    for run in page["shuffled"]:
        verdict = run.verdict()
        assert isinstance(verdict, gd.NoDrop) and verdict.lowest > 1.2 and run.curves[-1][-1] < 0.3
    for run in page["undecayed"]:
        assert isinstance(run.verdict(), gd.NoDrop | gd.NoPlateau)
        assert min(row[2] for row in run.curves) > 0.8 and run.curves[-1][-1] < 0.3


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("test: trace of covariance", 1e-4),
        ("test: normalized diffusion", 1e-4),
        ("test: trace of empirical Fisher", 1e-4),
        ("test: trace of true Fisher", 1e-2),
        ("test: trace of Gauss-Newton", 1e-2),
        ("test: trace of Hessian", 1e-2),
        ("test: sharpness", 2e-2),
        ("test: rise along the gradient, 0.5", 0.15),
    ],
)
def test_what_falls(changes, name, factor):
    grokking, control = changes(name)
    assert (grokking < factor).all()
    assert (control > 0.3).all()


def test_gradients_that_scatter_more_than_they_agree(page, changes):
    grokking, control = changes("test: variation of gradients, B = 4")
    assert (grokking > 4).all() and (control < 2).all()
    grokking, control = changes("training: condition of covariance")
    assert (grokking > 2).all() and (control < 2).all()
    for (kind, epoch), cell in page["table"].items():
        defined = [not isinstance(row["training: noise scale"], gd.Undefined) for row in cell]
        assert all(defined) if (kind, epoch) == ("grokking", page["EPOCHS"]) else not any(defined)


def test_what_falls_by_a_little_more_than_in_the_control(changes):
    grokking, control = changes("training: trace of Hessian")
    assert grokking.max() < 0.4 and (control < 0.8).all()


def test_the_order_of_phases(page):
    def values(kind, epoch, name):
        return np.array([row[name] for row in page["table"][kind, epoch]])

    before, after = page["BEFORE"], page["EPOCHS"]
    assert (values("grokking", after, "phases.psi") > 0.97).all()
    assert (values("grokking", before, "phases.psi") > 0.8).all()  # long before the test loss moves
    assert (values("grokking", after, "phases.delta") < 0.12).all()
    assert (values("grokking", after, "phases.purity") > 0.9).all()
    assert (values("grokking", before, "phases.purity") < 0.8).all()
    for epoch in (before, after):
        assert (np.abs(values("shuffled", epoch, "phases.psi")) < 0.25).all()
        assert (values("shuffled", epoch, "phases.purity") < 0.45).all()
        assert (values("shuffled", epoch, "phases.delta") > 0.4).all()


def test_the_learning_coefficient(page):
    volume = {place: float(found.value) for place, found in page["volume"].items()}
    before, after = page["BEFORE"], page["EPOCHS"]
    assert volume["grokking", after] < 0.25 * volume["grokking", before]
    assert volume["shuffled", after] > 0.25 * volume["shuffled", before]
    assert volume["grokking", after] < 0.5 * volume["shuffled", after]
    assert all(found.below < 0.01 for found in page["volume"].values())


def test_what_does_not_see_it(page, changes):
    for name in ("training: rank of covariance", "training: rank of Jacobian, 12 pairs"):
        assert len({row[name] for cell in page["table"].values() for row in cell}) == 1
    grokking, control = changes("test: local complexity, 0.05")
    assert (grokking > 1).all() and (control > 1).all()
    for some in changes("weights: delta"):
        assert (some < 0.5).all()


def test_tensorboard_has_what_was_recorded(page):
    steps = [step for step, _ in page["curves"]["phases.purity"]]
    assert steps == list(range(0, page["EPOCHS"] + 1, 100))
    recorded = page["recorder"].to_numpy()
    for name in ("loss", "hessian_trace", "gradients.trace", "phases.psi"):
        assert np.allclose([value for _, value in page["curves"][name]], recorded[name], rtol=1e-6)
    assert recorded["loss"][4] > 5 and recorded["loss"][-1] < 0.1


def test_every_instrument_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    names = "gradient_covariance gradient_noise_scale normalized_diffusion gradient_variation hessian fisher"
    names += " gauss_newton trace extreme_eigenvalues sharpness sam_rise worst_case_rise jacobian_rank order_parameters"
    names += " local_learning_coefficient local_complexity detect_grokking Recorder lightning_callback"
    for name in names.split():
        assert re.search(rf"\b{name}\b", text), name
