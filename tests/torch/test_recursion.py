import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokkit.execution import recursive_product
from grokkit.scheme import InvalidInput, MatrixProduct, Refuted, Ring, Scheme, additions, error_bound, sandwiched
from grokkit.scheme.catalog import catalog
from grokkit.torch._program import WINOGRAD, key_of, program
from grokkit.torch._recursion import Recursion
from strategies import exact_schemes, tiny_formats

STRASSEN = catalog["strassen"]
sides = st.integers(0, 21)
levels = st.integers(0, 4)
seeds = st.integers(0, 2**32 - 1)
named = st.sampled_from(["strassen", "winograd", "3x2x1:6", "2x3x2:12", "1x1x1:1"])


def product(key, a, b, levels, c=None):
    c = torch.full((a.shape[0], b.shape[1]), torch.nan, dtype=a.dtype) if c is None else c
    Recursion(program(key), levels, (*a.shape, b.shape[1]), a)(a, b, c)
    return c


def integers(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).integers(-9, 10, shape)).double()


@given(named, sides, sides, sides, levels, seeds)
def test_small_integers_come_out_exactly(name, n, m, p, levels, seed):
    a, b = integers(seed, n, m), integers(seed + 1, m, p)
    assert torch.equal(product(name, a, b, levels), a @ b)


@given(exact_schemes(tiny_formats), sides, sides, sides, st.integers(1, 3), seeds)
def test_any_exact_scheme_keeps_to_its_error_bound(scheme, n, m, p, levels, seed):
    """Twice the bound, since coefficients that a sum has in common are factored out of it."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, m)), rng.standard_normal((m, p))
    found = product(key_of(scheme), torch.from_numpy(a), torch.from_numpy(b), levels).numpy()
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = error_bound(scheme, levels, m).factor * np.abs(a).max(initial=0) * np.abs(b).max(initial=0)
    assert np.abs(found - exact).max(initial=0) <= 2 * bound


@pytest.mark.parametrize("name", ["strassen", "winograd"])
@given(sides, sides, sides, levels, seeds)
def test_it_agrees_with_the_reference(name, n, m, p, levels, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, m)), rng.standard_normal((m, p))
    found = product(name, torch.from_numpy(a), torch.from_numpy(b), levels).numpy()
    assert np.allclose(found, recursive_product(catalog[name], a, b, levels), rtol=1e-10, atol=1e-10)


views = {
    "transposed": lambda x: x.T.contiguous().T,
    "every second row": lambda x: x.repeat_interleave(2, 0)[::2],
    "every second column": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "inside another": lambda x: torch.nn.functional.pad(x, (3, 2, 1, 4))[1:-4, 3:-2],
    "as it is": lambda x: x,
}


@pytest.mark.parametrize("of_a", views)
@pytest.mark.parametrize("of_b", views)
@pytest.mark.parametrize("name", ["strassen", "winograd"])
def test_strides_do_not_matter(of_a, of_b, name):
    a, b = integers(0, 13, 22), integers(1, 22, 18)
    c = views[of_a](torch.zeros(13, 18, dtype=torch.float64))
    assert torch.equal(product(name, views[of_a](a), views[of_b](b), 2, c), a @ b)
    assert torch.equal(c, a @ b)


def test_one_row_for_all():
    a = integers(0, 1, 8).expand(12, 8)
    assert torch.equal(product("winograd", a, integers(1, 8, 6), 2), a @ integers(1, 8, 6))


def test_operands_are_left_alone():
    a, b = integers(0, 8, 8), integers(1, 8, 8)
    before = a.clone(), b.clone()
    for name in ("strassen", "winograd"):
        product(name, a, b, 2)
        assert torch.equal(a, before[0]) and torch.equal(b, before[1])


class Allocations(torch.utils._python_dispatch.TorchDispatchMode):
    """Entries of the tensors that are made, and the products that run."""

    def __init__(self):
        super().__init__()
        self.entries = self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.entries += result.numel() if func is torch.ops.aten.new_empty.default else 0
        self.products += func in (torch.ops.aten.mm.out, torch.ops.aten.addmm_.default)
        return result


@pytest.mark.parametrize(("name", "entries"), [("winograd", 2 * (16**2 + 8**2)), ("strassen", 3 * (16**2 + 8**2))])
def test_temporaries_are_allocated_once_a_level(name, entries):
    a, b, c = (integers(seed, 32, 32) for seed in range(3))
    with Allocations() as made:
        run = Recursion(program(name), 2, (32, 32, 32), a)
    assert made.entries == entries
    with Allocations() as made:
        run(a, b, c)
    assert made.entries == 0
    assert made.products == 49


@given(exact_schemes(tiny_formats))
def test_every_product_is_made_once_and_enters_what_it_should(scheme):
    """Read back, the steps are the scheme: each block is written first, and written once, before it is added to."""
    prepared = program(key_of(scheme))
    n, m, p = prepared.form
    tensor = np.zeros((n * m, m * p, n * p))
    written = set()
    for step in prepared.steps:
        u, v, w = np.zeros(n * m), np.zeros(m * p), np.zeros(n * p)
        for vector, terms in ((u, step.left), (v, step.right), (w, step.more + step.fresh)):
            for index, coefficient in terms:
                vector[index] = coefficient
        if step.home is not None:
            w[step.home] = step.scale
        assert {k for k, _ in step.more} <= written
        assert not ({k for k, _ in step.fresh} | {step.home}) & written
        written |= set(np.flatnonzero(w))
        tensor += np.einsum("i,j,k->ijk", u, v, w)
    assert len(prepared.steps) <= scheme.rank
    assert written == set(range(n * p))
    assert np.allclose(tensor, scheme.target.tensor())


def test_the_schedule_is_winograds_only_for_winograds_scheme():
    assert program(WINOGRAD).winograd
    assert not program("strassen").winograd
    assert key_of(" Winograd ") == WINOGRAD
    assert program("2x2x2:7").steps == program("strassen").steps  # one scheme by a name, everywhere
    assert key_of(STRASSEN) == STRASSEN.digest
    assert program(STRASSEN.digest).steps == program("strassen").steps


def test_schemes_that_are_refused():
    with pytest.raises(KeyError, match="no scheme 'coppersmith'"):
        key_of("coppersmith")
    with pytest.raises(Refuted):
        key_of(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W))
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    with pytest.raises(InvalidInput, match="holds only over"):
        key_of(modular)
    with pytest.raises(InvalidInput, match="proven in this process"):
        program("0" * 64)


def test_what_is_no_scheme(as_shipped):
    with pytest.raises(InvalidInput, match="a Scheme is needed"):
        key_of(7)


def test_coefficients_beyond_the_range_are_refused():
    huge = Scheme(MatrixProduct(1, 1, 1), [[10**400], [1 - 10**400]], [[1], [1]], [[1, 1]])
    with pytest.raises(InvalidInput):
        key_of(huge)


def test_rational_coefficients_are_factored_out():
    scheme = sandwiched(STRASSEN, [[3, 0], [0, 1]], [[7, 0], [0, 1]], [[5, 0], [0, 1]])
    assert all(step.left[0][1] == step.right[0][1] == 1.0 for step in program(key_of(scheme)).steps)
    a, b = integers(0, 9, 7), integers(1, 7, 11)
    assert torch.allclose(product(key_of(scheme), a, b, 2), a @ b)
    assert additions(scheme).total == additions(STRASSEN).total
