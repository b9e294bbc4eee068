"""Tasks of single examples: solutions by another way, splits, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.tasks import Examples, ModularAddition, Parity, Products, Task

TASKS = [Parity(6), Parity(10, (1, 4, 7)), ModularAddition(11), Products(2, 3, 4)]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_examples_are_solved_and_drawn_alike(task):
    assert isinstance(task, Task)
    few, many = task.generate(5, 3), task.generate(9, 3)
    np.testing.assert_array_equal(few.inputs, many.inputs[:5])
    np.testing.assert_array_equal(task.solution(few.inputs), few.labels)
    assert few.inputs.shape == (5, task.inputs) and len(few) == 5
    assert not np.array_equal(task.generate(5, 4).inputs, few.inputs)


@given(st.lists(st.integers(0, 1), min_size=5, max_size=5))
def test_a_flipped_bit_flips_the_parity_if_it_counts(bits):
    task = Parity(5, (0, 3))
    given_ = np.array([bits])
    for place in range(5):
        flipped = given_.copy()
        flipped[0, place] ^= 1
        assert (task.solution(flipped) != task.solution(given_))[0] == (place in (0, 3))
    assert Parity(5).solution(given_)[0] == bin(int("".join(map(str, bits)), 2)).count("1") % 2


@given(a=st.integers(0, 12), b=st.integers(0, 12))
def test_residues_add(a, b):
    assert ModularAddition(13).solution(np.array([[a, b]]))[0] == divmod(a + b, 13)[1]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_products_entry_by_entry(n, m, p, seed):
    examples = Products(n, m, p).generate(2, seed)
    for row, product in zip(examples.inputs, examples.labels, strict=True):
        for i in range(n):
            for j in range(p):
                entry = sum(row[i * m + k] * row[n * m + k * p + j] for k in range(m))
                assert product[i * p + j] == pytest.approx(entry, abs=1e-12)


@pytest.mark.parametrize("task", [Parity(5), Parity(6, (2,)), ModularAddition(7)], ids=str)
def test_a_split_holds_every_input_once(task):
    train, test = task.split(0.3, 1)
    every = np.concatenate([train.inputs, test.inputs])
    total = 2**task.bits if isinstance(task, Parity) else task.p**2
    assert len(train) == round(0.3 * total)
    assert len(every) == total == len(np.unique(every, axis=0))
    np.testing.assert_array_equal(task.solution(test.inputs), test.labels)
    again = task.split(0.3, 1)[0]
    np.testing.assert_array_equal(again.inputs, train.inputs)
    assert not np.array_equal(task.split(0.3, 2)[0].inputs, train.inputs)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Parity(0), "bits"),
        (lambda: Parity(3, (3,)), "different bits"),
        (lambda: Parity(3, (1, 1)), "different bits"),
        (lambda: Parity(3, ()), "at least one"),
        (lambda: Parity(30).split(0.5, 0), "too many"),
        (lambda: ModularAddition(2000).split(0.5, 0), "too many"),
        (lambda: Parity(3).split(0.0, 0), "fraction"),
        (lambda: Parity(3).split(0.999, 0), "fraction"),
        (lambda: Parity(3).solution(np.array([[0, 1, 2]])), "whole numbers of 0 to 1"),
        (lambda: Parity(3).solution(np.zeros((1, 3))), "whole numbers"),
        (lambda: Parity(3).solution(np.zeros((1, 4), dtype=int)), "(examples, 3)"),
        (lambda: ModularAddition(1), "p is 1"),
        (lambda: ModularAddition(5).solution(np.array([[1, 5]])), "0 to 4"),
        (lambda: Products(0, 1, 1), "at least 1"),
        (lambda: Products().solution(np.zeros((1, 7))), "(examples, 8)"),
        (lambda: Products().solution(np.full((1, 8), np.nan)), "NaN"),
        (lambda: Products().generate(0, 0), "at least 1"),
        (lambda: Examples(np.zeros((2, 3)), np.zeros(3)), "as many labels"),
    ],
)
def test_bad_input_is_one_line(make, said):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert said in str(caught.value) and "\n" not in str(caught.value)
