import copy
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given

from grokkit.scheme import InvalidInput, MatrixProduct
from grokkit.scheme._target import MAX_DIMENSION
from strategies import formats


@given(formats)
def test_tensor_computes_the_product(form):
    n, m, p = form
    target = MatrixProduct(n, m, p)
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (n, m)), rng.integers(-9, 9, (m, p))
    c = np.einsum("ijk,i,j->k", target.tensor(), a.ravel(), b.ravel())
    assert (c.reshape(n, p) == a @ b).all()


@given(formats)
def test_entries_are_sorted_and_match_the_tensor(form):
    target = MatrixProduct(*form)
    index, values = target.entries
    assert (np.argwhere(target.tensor()) == index).all()
    assert (values == 1).all()
    assert target.nonzeros == len(values)
    assert index.tolist() == sorted(index.tolist())


@given(formats)
def test_format_is_recovered_from_widths(form):
    assert MatrixProduct.from_shape(*MatrixProduct(*form).shape) == MatrixProduct(*form)


def test_widths_that_fit_no_format_are_refused():
    fitting = {MatrixProduct(*form).shape for form in itertools.product(range(1, 13), repeat=3)}
    for widths in itertools.product(range(1, 13), repeat=3):
        if widths not in fitting:
            with pytest.raises(InvalidInput, match="fit no matrix format"):
                MatrixProduct.from_shape(*widths)


@pytest.mark.parametrize("text", ["2x3x4", "2,3,4", "<2,3,4>", " 2 x 3 x 4 "])
def test_parse(text):
    assert MatrixProduct.parse(text) == MatrixProduct(2, 3, 4)


@pytest.mark.parametrize(
    "text", ["", "2x3", "2x3x4x5", "axbxc", "2x0x2", "-1x2x2", "9999999x2x2", "٢x2x2", "x" * 10**6]
)
def test_parse_refuses(text):
    with pytest.raises(InvalidInput) as caught:
        MatrixProduct.parse(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("form", [(0, 1, 1), (1, -2, 1), (MAX_DIMENSION + 1, 1, 1), (True, 1, 1)])
def test_impossible_formats_are_refused(form):
    with pytest.raises(InvalidInput, match="format"):
        MatrixProduct(*form)


def test_entries_cannot_be_changed():
    for array in MatrixProduct(2, 2, 2).entries:
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)


@given(formats)
def test_pickling_is_the_identity(form):
    target = MatrixProduct(*form)
    assert pickle.loads(pickle.dumps(target)) == copy.deepcopy(target) == target  # noqa: S301


def test_variables_are_readable_and_unambiguous():
    small, large = MatrixProduct(2, 3, 4), MatrixProduct(2, 30, 4)
    assert small.variable(0, 5) == "A23"
    assert small.variable(1, 4, latex=True) == "B_{21}"
    assert large.variable(0, 41) == "A[2,12]"
    assert large.variable(2, 7, latex=True) == "C_{2,4}"
