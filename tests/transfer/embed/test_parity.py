"""Parity: learned, carried to 2048 inputs and 32768 hidden units, beside random controls; full parity is not."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed import (
    Accuracy,
    Growth,
    LazyEmbedding,
    Placement,
    check_growth,
    embed,
    embed_inputs,
    parity_accuracy,
    parity_labels,
    parity_network,
    random_bits,
    train_parity,
)

SIZES = [(128, 2048), (256, 4096), (512, 8192), (1024, 16384), (2048, 32768)]


@pytest.fixture(scope="module")
def learned():
    """3 of 32 bits."""
    found = train_parity(32, (1, 5, 9))
    assert found.training.verdict == found.test.verdict == "learned", str(found.test)
    return found


def placed(inputs, hidden, seed=0):
    generator = torch.Generator().manual_seed(seed)
    positions = torch.randperm(inputs, generator=generator)[:32].tolist()
    units = torch.randperm(hidden, generator=generator)[:64].tolist()
    return Growth({"input": Placement.at(32, inputs, positions), "0": Placement.at(64, hidden, units)})


@pytest.mark.parametrize(("inputs", "hidden"), SIZES)
def test_learned_parity_keeps_its_accuracy_at_any_size_and_random_controls_are_at_chance(learned, inputs, hidden):
    growth = placed(inputs, hidden)
    generator = torch.Generator().manual_seed(7)
    bits = random_bits(1000, inputs, generator)
    relevant = tuple(growth.axes["input"].homes[list(learned.relevant)].tolist())
    large = LazyEmbedding(learned.model, growth)
    assert parity_accuracy(large, bits, relevant).value == 1.0
    assert torch.equal(large(bits), learned.model(bits[:, growth.axes["input"].homes.copy()]))
    control = LazyEmbedding(parity_network(32, 64, generator), growth)
    chance = parity_accuracy(control, bits, relevant)
    assert abs(chance.value - 0.5) < 0.06, "a network that learned nothing"
    elsewhere = placed(inputs, hidden, seed=1)
    moved = parity_accuracy(LazyEmbedding(learned.model, elsewhere), bits, relevant)
    assert abs(moved.value - 0.5) < 0.1, "the right circuit on the wrong bits"


def test_lazy_and_dense_are_one_network(learned):
    growth = placed(128, 2048)
    lazy = LazyEmbedding(learned.model, growth)
    dense = lazy.dense()
    bits = random_bits(200, 128, torch.Generator().manual_seed(3))
    assert torch.allclose(lazy(bits), dense(bits), atol=1e-4)
    for path, matrix in lazy.weights().items():
        weight = dense.get_submodule(path).weight
        assert matrix.shape == tuple(weight.shape) and torch.equal(matrix.dense(), weight)
        assert torch.equal(lazy.biases()[path], dense.get_submodule(path).bias)
        x = torch.randn(5, matrix.shape[1], generator=torch.Generator().manual_seed(0))
        assert torch.allclose(matrix.apply(x), x @ weight.T, atol=1e-5)
        values = torch.linalg.svdvals(weight.double())
        assert matrix.rank() == int((values > 1e-9).sum())
        assert torch.allclose(values[: len(matrix.singular_values())], matrix.singular_values(), atol=1e-9)
    found = check_growth(learned.model, dense, growth, random_bits(100, 32, torch.Generator().manual_seed(3)))
    assert found.verdict == "holds" and all(s.preserved for s in found.spectra.values()), str(found)


def test_the_largest_size_fits_small_memory(learned, tmp_path):
    """Dense, its first layer alone has 268 MB; the peak is read by the process itself."""
    torch.save(learned.model.state_dict(), tmp_path / "core.pt")
    script = f"""
import resource, sys, torch
from torch import nn
from grokkit.transfer.embed import Growth, LazyEmbedding, Placement, parity_accuracy, random_bits
torch.set_num_threads(1)
core = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 2))
core.load_state_dict(torch.load({str(tmp_path / "core.pt")!r}, weights_only=True))
core(torch.zeros(1, 32))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
growth = Growth({{"input": Placement.front(32, 2048), "0": Placement.front(64, 32768)}})
bits = random_bits(1000, 2048, torch.Generator().manual_seed(0))
found = parity_accuracy(LazyEmbedding(core, growth), bits, (1, 5, 9))
print(found.value, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, "MB")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    accuracy, megabytes, _ = done.stdout.split()
    assert accuracy == "1.0" and (int(megabytes) < 200 or sys.platform == "darwin"), done.stdout


def test_full_parity_is_memorized_not_learned():
    found = train_parity(32, samples=1024, steps=1500)
    assert found.training.value > 0.99
    assert found.test.verdict == "not learned" and found.relevant == tuple(range(32))
    assert re.match(r"not learned: accuracy 0\.[45]\d\d \[0\.\d+, 0\.\d+\], n = 2000, chance 0\.5", str(found.test))


def test_wilson_interval_and_verdicts():
    """Wilson's interval for 5 of 10, by its closed form."""
    low, high = Accuracy(5, 10).interval
    z = 1.959963984540054
    half = z / (1 + z * z / 10) * (0.25 / 10 + z * z / 400) ** 0.5
    assert abs(low - (0.5 - half)) < 1e-12 and abs(high - (0.5 + half)) < 1e-12
    assert [Accuracy(k, 100).verdict for k in (20, 50, 65, 100)] == [
        "not learned", "not learned", "partly learned", "learned",
    ]  # fmt: skip


def test_labels_are_the_parity_of_the_relevant_signs():
    bits = random_bits(50, 6, torch.Generator().manual_seed(0))
    assert set(bits.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(parity_labels(bits, (0, 3)), (bits[:, 0] * bits[:, 3] < 0).long())


def test_lazy_growth_trains_its_core():
    core = parity_network(4, 8, torch.Generator().manual_seed(0))
    lazy = LazyEmbedding(core, Growth({"input": Placement.front(4, 64)}))
    lazy(torch.randn(3, 64)).sum().backward()
    assert core[0].weight.grad is not None and sum(p.numel() for p in lazy.parameters()) == 4 * 8 + 8 + 8 * 2 + 2
    x = torch.randn(3, 4)
    assert torch.equal(lazy(embed_inputs(x, lazy.growth, fill=9.0)), core(x))


@pytest.mark.parametrize(
    ("core", "growth", "words"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 1)), Growth(), r"layer 1 \(LayerNorm\): lazy"),
        (nn.Sequential(nn.Linear(4, 4)), Growth(noise=0.1), "without copies, noise or depth"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1)), Growth({"0": Placement.copying(4, 8)}), "copies"),
        (nn.Sequential(nn.Linear(4, 4)), Growth({"input": Placement.front(3, 8)}), "can grow from 3 units"),
    ],
)
def test_what_is_not_lazy_is_refused(core, growth, words):
    with pytest.raises(InvalidInput, match=words):
        LazyEmbedding(core, growth)


@pytest.mark.parametrize("relevant", [(), (1, 1), (0, 8)])
def test_bits_that_do_not_exist_are_refused(relevant):
    with pytest.raises(InvalidInput, match=r"are not different ones of 0\.\.7"):
        train_parity(8, relevant)


def test_dense_on_request_is_embed(learned):
    growth = placed(128, 256)
    assert torch.equal(LazyEmbedding(learned.model, growth).dense()[0].weight, embed(learned.model, growth)[0].weight)
