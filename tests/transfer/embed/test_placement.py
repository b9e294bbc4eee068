"""Placements, and tensors carried there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed import NEW, Placement
from grokkit.transfer.embed._placement import read, unread, unwrite, write


@st.composite
def placements(draw, most=6):
    size = draw(st.integers(1, most))
    extra = draw(st.lists(st.integers(NEW, size - 1), max_size=8))
    return Placement(size, tuple(draw(st.permutations([*range(size), *extra]))))


@given(placements())
def test_every_position_is_counted_once(placement):
    table = placement.occurrences
    positions = sorted([*table[table >= 0].tolist(), *placement.new.tolist()])
    assert positions == list(range(placement.target))
    for unit in range(placement.size):
        assert [placement.source[j] for j in table[unit] if j >= 0] == [unit] * placement.counts[unit]


@given(placements(), st.integers(1, 4))
def test_expanded_blocks_hold_the_entries_of_their_unit(placement, block):
    expanded = placement.expanded(block)
    for j, unit in enumerate(placement.source):
        entries = expanded.source[j * block : (j + 1) * block]
        assert entries == ((NEW,) * block if unit == NEW else tuple(range(unit * block, unit * block + block)))


@given(placements(), st.integers(0, 2**31), st.sampled_from([torch.float32, torch.float64]), st.floats(0, 3))
def test_reading_and_writing_have_bitwise_left_inverses(placement, seed, dtype, jitter):
    generator = torch.Generator().manual_seed(seed)
    tensor = torch.randn(placement.size, 5, generator=generator, dtype=dtype)
    tensor *= 10.0 ** torch.randint(-38, 30, tensor.shape, generator=generator)
    assert torch.equal(unwrite(write(tensor, 0, placement, "mean"), 0, placement), tensor)
    columns = tensor.T.contiguous()
    assert torch.equal(unread(read(columns, 1, placement, 3.0, jitter, generator), 1, placement), columns)


@given(placements(), st.integers(0, 2**31), st.floats(0, 3))
def test_what_is_written_is_read_as_before(placement, seed, jitter):
    generator = torch.Generator().manual_seed(seed)
    state, weight = torch.randn(2, placement.size, 3, generator=generator, dtype=torch.float64)
    large = read(weight, 0, placement, 0.0, jitter, generator).T @ write(state, 0, placement, 7.0)
    assert torch.allclose(large, weight.T @ state, rtol=1e-13, atol=1e-13)


def test_copies_share_evenly_or_by_chance():
    placement = Placement.copying(1, 3)
    assert torch.allclose(read(torch.ones(1, 1), 1, placement), torch.full((1, 3), 1 / 3))
    drawn = read(torch.ones(1, 1), 1, placement, 0.0, 0.5, torch.Generator().manual_seed(0))
    assert drawn.unique().numel() == 3 and drawn.sum() == 1


def test_net2wider_draws_the_copies():
    drawn = Placement.copying(3, 300, np.random.default_rng(0))
    assert drawn.source[:3] == (0, 1, 2) and (np.bincount(drawn.source) > 60).all()
    assert Placement.copying(3, 6).uniform and not drawn.uniform


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Placement.at(4, 3, range(4)), "3 units, the source 4"),
        (lambda: Placement(4, (0, 1, 2)), "3 units, the source 4"),
        (lambda: Placement.copying(4, 3), "must not be smaller"),
        (lambda: Placement.at(2, 4, (1, 1)), "1 different positions for 2 units"),
        (lambda: Placement.at(2, 4, (1, 4)), "position 4 lies outside 0..3"),
        (lambda: Placement(2, (0, 2, 1)), "no unit 2"),
        (lambda: Placement(2, (0, 0, -1)), "unit 1 stands nowhere"),
        (lambda: Placement(0, ()), "holds nothing"),
    ],
)
def test_what_cannot_be_placed_is_refused(make, words):
    with pytest.raises(InvalidInput, match=words):
        make()
