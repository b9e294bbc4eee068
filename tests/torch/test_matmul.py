import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

import grokkit.torch as gt
from grokkit.scheme import InvalidInput, Refuted, Ring, Scheme, error_bound, typical_growth
from grokkit.scheme.catalog import catalog
from grokkit.torch import _kernel, _policy

STRASSEN = catalog["strassen"]
float_types = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128]
integer_types = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
shapes = [
    ((6, 9), (9, 5)),
    ((9,), (9, 5)),
    ((6, 9), (9,)),
    ((9,), (9,)),
    ((2, 6, 9), (9, 5)),
    ((2, 3, 6, 9), (9, 5)),
    ((6, 9), (2, 9, 5)),
    ((2, 6, 9), (2, 9, 5)),
    ((2, 1, 6, 9), (7, 9, 5)),
    ((3, 6, 9), (9,)),
    ((9,), (3, 9, 5)),
    ((0, 6, 9), (9, 5)),
    ((4, 0, 6, 9), (9, 5)),
    ((0, 9), (9, 5)),
    ((6, 0), (0, 5)),
    ((6, 9), (9, 0)),
    ((2, 6, 0), (2, 0, 5)),
    ((1, 9), (9, 1)),
]


def normal(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def integers(*shape, dtype=torch.float64, seed=0):
    return torch.randint(0, 10, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def outcome(product, *args, **options):
    """What a call gives, an exception or warnings included."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = product(*args, **options)
        except Exception as error:
            return type(error), str(error).replace("grokkit.torch.", ""), None
    return [str(warning.message) for warning in caught], result.dtype, result


@pytest.fixture
def calls(monkeypatch):
    """The plans of products that the operator computes."""
    made = []
    real = _kernel._by_scheme
    monkeypatch.setattr(_kernel, "_by_scheme", lambda a, b, out, *plan: (made.append(plan), real(a, b, out, *plan)))
    return made


@pytest.mark.parametrize("dtype", float_types + integer_types)
@pytest.mark.parametrize(("first", "second"), shapes)
def test_auto_is_torch_s_product_bit_for_bit(first, second, dtype, calls):
    a, b = integers(*first, dtype=dtype), integers(*second, dtype=dtype, seed=1)
    if dtype.is_floating_point or dtype.is_complex:
        a, b = normal(*first, dtype=dtype), normal(*second, dtype=dtype, seed=1)
    assert torch.equal(gt.matmul(a, b), torch.matmul(a, b))
    assert calls == []


@pytest.mark.parametrize("name", ["strassen", "winograd", "2x2x2:7", "3x2x1:6"])
@pytest.mark.parametrize(("first", "second"), shapes)
def test_shapes_follow_torch(first, second, name):
    a, b = integers(*first), integers(*second, seed=1)
    expected = torch.matmul(a, b)
    for levels in ("auto", 0, 1, 3):
        found = gt.matmul(a, b, scheme=name, levels=levels)
        assert torch.equal(found, expected)
        assert found.stride() == expected.stride() or expected.numel() <= 1 or 0 in expected.shape
        if min(a.ndim, b.ndim) > 1:  # torch itself resizes a vector that is right
            assert torch.equal(gt.matmul(a, b, scheme=name, levels=levels, out=torch.empty_like(expected)), expected)


@pytest.mark.parametrize("dtype", float_types)
@given(sides=st.tuples(*[st.integers(1, 40)] * 3), levels=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_the_error_is_bounded_in_every_type(dtype, sides, levels, seed):
    n, m, p = sides
    a, b = normal(n, m, dtype=dtype, seed=seed), normal(m, p, dtype=dtype, seed=seed + 1)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    found = gt.matmul(a, b, scheme="winograd", levels=levels)
    assert found.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    factor = error_bound(catalog["winograd"], levels, m).factor * u / 2**-53
    distance = (found.to(wide) - a.to(wide) @ b.to(wide)).abs().max()
    assert distance <= 1.1 * factor * a.abs().max().double() * b.abs().max().double()


def test_a_scheme_is_used_where_one_is_named(calls):
    a, b = normal(8, 8), normal(8, 8)
    gt.matmul(a, b, scheme="strassen")
    gt.matmul(a, b, scheme=STRASSEN, levels=2, threads=1)
    gt.matmul(a, b, levels=2)
    gt.matmul(a, b, levels=0)
    gt.matmul(a, b, scheme="strassen", levels=0)
    assert calls == [("strassen", 1), (STRASSEN.digest, 2), ("winograd", 2)]


def test_levels_change_the_rounding_and_nothing_else():
    a, b = normal(64, 64), normal(64, 64, seed=1)
    errors = [float((gt.matmul(a, b, scheme="winograd", levels=k) - a @ b).norm()) for k in (0, 1, 3)]
    assert errors[0] == 0 < errors[1] < errors[2] < 1e-10


@pytest.mark.parametrize("dtype", integer_types)
def test_integers_are_torch_s(dtype, calls):
    a, b = integers(8, 8, dtype=dtype), integers(8, 8, dtype=dtype)
    assert torch.equal(gt.matmul(a, b, scheme="strassen"), a @ b)
    assert calls == []


bad = {
    "inner sizes": lambda: (normal(4, 5), normal(4, 5)),
    "types": lambda: (normal(4, 5), normal(5, 4, dtype=torch.float32)),
    "scalars": lambda: (torch.tensor(1.0), normal(4, 5)),
    "batches": lambda: (normal(2, 4, 5), normal(3, 5, 4)),
    "batched inner sizes": lambda: (normal(2, 4, 5), normal(2, 4, 4)),
    "no tensor": lambda: (normal(4, 5), [1.0]),
    "nothing": lambda: (None, normal(4, 5)),
    "truth values": lambda: (torch.ones(4, 5, dtype=torch.bool), torch.ones(5, 4, dtype=torch.bool)),
}


@pytest.mark.parametrize("options", [{}, {"scheme": "strassen"}])
@pytest.mark.parametrize("case", bad)
def test_errors_are_torch_s(case, options):
    a, b = bad[case]()
    found, expected = outcome(gt.matmul, a, b, **options), outcome(torch.matmul, a, b)
    assert isinstance(expected[0], type)
    assert found == expected


outs = {
    "type": lambda: torch.empty(4, 3, dtype=torch.float32),
    "shape": lambda: torch.empty(2, 3, dtype=torch.float64),
    "empty": lambda: torch.empty(0, dtype=torch.float64),
    "repeating": lambda: torch.empty(1, 3, dtype=torch.float64).expand(4, 3),
    "derivatives": lambda: torch.empty(4, 3, dtype=torch.float64, requires_grad=True),
    "device": lambda: torch.empty(4, 3, dtype=torch.float64, device="meta"),
    "right": lambda: torch.empty(4, 3, dtype=torch.float64),
    "transposed": lambda: torch.empty(3, 4, dtype=torch.float64).T,
    "wide": lambda: torch.empty(4, 6, dtype=torch.float64)[:, ::2],
}


@pytest.mark.parametrize("options", [{}, {"scheme": "strassen"}])
@pytest.mark.parametrize("case", outs)
def test_out_is_as_torch_has_it(case, options):
    a, b = integers(4, 5), integers(5, 3, seed=1)
    mine, its = outs[case](), outs[case]()
    found, expected = outcome(gt.matmul, a, b, out=mine, **options), outcome(torch.matmul, a, b, out=its)
    assert found[:2] == expected[:2]
    if expected[2] is not None:
        assert found[2] is mine
        assert mine.stride() == its.stride()
        assert torch.equal(mine, its)


def test_out_of_batches():
    a, b = integers(2, 1, 6, 9), integers(3, 9, 5, seed=1)
    out = torch.empty(2, 3, 6, 10, dtype=torch.float64)[..., ::2]
    assert gt.matmul(a, b, scheme="strassen", out=out) is out
    assert torch.equal(out, a @ b)


def test_out_and_derivatives_exclude_each_other():
    a, b, out = normal(4, 4).requires_grad_(), normal(4, 4), torch.empty(4, 4, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"matmul\(\): functions with out=\.\.\. arguments don't support"):
        gt.matmul(a, b, scheme="strassen", out=out)
    with torch.no_grad():
        assert gt.matmul(a, b, scheme="strassen", out=out).equal(gt.matmul(a, b, scheme="strassen"))
    version = out._version
    gt.matmul(a.detach(), b, scheme="strassen", out=out)
    assert out._version > version


def test_out_may_be_an_operand():
    a, b = integers(8, 8), integers(8, 8, seed=1)
    expected = a @ b
    for operand in (0, 1):
        operands = [a.clone(), b.clone()]
        assert torch.equal(gt.matmul(*operands, scheme="winograd", out=operands[operand]), expected)
    room = torch.zeros(8, 16, dtype=torch.float64)
    room[:, :8] = a
    assert torch.equal(gt.matmul(room[:, :8], b, scheme="strassen", out=room[:, 4:12]), expected)
    pair = torch.stack([a, a])
    assert torch.equal(gt.matmul(pair, b, scheme="strassen", out=pair), torch.stack([expected, expected]))


special = st.sampled_from([np.inf, -np.inf, np.nan, 1e308, -1e308, 0.0])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 8), special), max_size=5), st.integers(0, 3))
def test_what_is_not_finite_is_torch_s(places, levels):
    a, b = normal(9, 9), normal(9, 9, seed=1)
    for left, row, column, value in places:
        (a if left else b)[row, column] = value
    found, expected = gt.matmul(a, b, scheme="winograd", levels=levels), a @ b
    if expected.isfinite().all():
        assert found.isfinite().all()
    else:
        assert torch.equal(found.nan_to_num(nan=7e7), expected.nan_to_num(nan=7e7))
        assert torch.equal(found.isnan(), expected.isnan())


def test_overflow_of_a_sum_alone_is_mended():
    """Entries near the largest number: their sums overflow, their product does not."""
    a = torch.full((4, 4), 2e38, dtype=torch.float32)
    b = torch.full((4, 4), 1e-38, dtype=torch.float32)
    assert torch.equal(gt.matmul(a, b, scheme="strassen"), a @ b)


def test_types_that_autocast_gives(calls):
    a, b = normal(8, 8, dtype=torch.float32), normal(8, 8, dtype=torch.float32, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for x, y in ((a, b), (a.bfloat16(), b), (a.double(), b.double())):
            assert gt.matmul(x, y).dtype == gt.matmul(x, y, scheme="strassen").dtype == torch.matmul(x, y).dtype
            assert torch.equal(gt.matmul(x, y), torch.matmul(x, y))
        assert outcome(gt.matmul, a.double(), b, scheme="strassen") == outcome(torch.matmul, a.double(), b)
        out = torch.empty(8, 8, dtype=torch.float32)
        gt.matmul(a, b, scheme="strassen", out=out)
        direct = torch.ops.grokkit.matmul(a, b, "strassen", 1, 0)
    assert torch.allclose(direct, a @ b, atol=1e-5)
    assert torch.equal(direct, out)
    assert len(calls) == 5


def test_inference_mode():
    a, b = normal(8, 8).requires_grad_(), normal(8, 8)
    with torch.inference_mode():
        found = gt.matmul(a, b, scheme="strassen")
        assert found.is_inference()
        assert torch.allclose(gt.matmul(found, b, scheme="strassen"), found @ b)
    with torch.no_grad():
        assert not gt.matmul(a, b, scheme="strassen").requires_grad


def test_meta_and_fake_tensors():
    a, b = normal(2, 6, 9).to("meta"), normal(9, 5).to("meta")
    for options in ({}, {"scheme": "strassen"}):
        found = gt.matmul(a, b, **options)
        assert found.device.type == "meta"
        assert found.shape == (2, 6, 5)
        assert found.dtype == torch.float64
    with FakeTensorMode() as mode:
        found = gt.matmul(mode.from_tensor(normal(6, 9)), torch.empty(9, 5, dtype=torch.float64), scheme="strassen")
        assert found.shape == (6, 5)


class Labelled(torch.Tensor):
    """A subclass that behaves as torch's defaults make it."""


def test_subclasses_keep_their_class():
    a, b = normal(6, 9).as_subclass(Labelled), normal(9, 5)
    for options in ({}, {"scheme": "strassen"}):
        found = gt.matmul(a, b, **options)
        assert type(found) is Labelled
        assert torch.allclose(found.as_subclass(torch.Tensor), a.as_subclass(torch.Tensor) @ b)
    with torch.device("cpu"):  # a torch function mode
        assert torch.allclose(gt.matmul(b.T, b, scheme="strassen"), b.T @ b)


def test_layouts_that_are_not_dense(calls):
    a, b = normal(6, 6), normal(6, 6)
    assert torch.allclose(gt.matmul(a.to_sparse(), b, scheme="strassen"), a @ b)
    assert calls == []


def test_conjugates_and_negatives_are_resolved():
    a, b = normal(6, 6, dtype=torch.complex128), normal(6, 6, dtype=torch.complex128, seed=1)
    assert torch.allclose(gt.matmul(a.mH, b.conj(), scheme="winograd"), a.mH @ b.conj())
    negative = torch._neg_view(a.real)
    assert torch.allclose(gt.matmul(negative, b.real, scheme="winograd"), negative @ b.real)


def test_threads_hold_for_the_product_alone(monkeypatch):
    seen = []
    real = _kernel._by_scheme
    monkeypatch.setattr(_kernel, "_by_scheme", lambda *args: (seen.append(torch.get_num_threads()), real(*args)))
    a = normal(8, 8).requires_grad_()
    gt.matmul(a, a, scheme="strassen", threads=2).sum().backward()
    assert seen == [2, 2, 2]
    assert torch.get_num_threads() == 1
    assert torch.equal(gt.matmul(a, a, threads=2), a @ a)
    assert torch.get_num_threads() == 1


def test_accuracy_takes_levels_off(calls):
    a, b = normal(64, 64, dtype=torch.float32), normal(64, 64, dtype=torch.float32)
    for accuracy in (1e-5, 2e-6, 1e-6, 1e-9):
        gt.matmul(a, b, scheme="winograd", levels=3, accuracy=accuracy)
    assert calls == [("winograd", 3), ("winograd", 2), ("winograd", 1)]


@pytest.mark.parametrize("name", ["strassen", "winograd"])
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_the_typical_error_is_no_less_than_what_is_measured(name, levels):
    growth = typical_growth(catalog[name])
    for side in (128, 512):
        a, b = normal(side, side, dtype=torch.float32), normal(side, side, dtype=torch.float32, seed=1)
        exact = a.double() @ b.double()
        found = float((gt.matmul(a, b, scheme=name, levels=levels).double() - exact).norm() / exact.norm())
        assert found <= _policy.typical_error(growth, levels, side, torch.float32) <= 10 * found


def test_bad_arguments():
    a = normal(4, 4)
    for options, match in [
        ({"scheme": "strassen", "levels": -1}, "levels is -1; 'auto' or a whole number from 0 to 64"),
        ({"levels": "many"}, "levels is 'many'"),
        ({"levels": True}, "levels is True"),
        ({"threads": 0}, "threads is 0"),
        ({"accuracy": 0.0}, "accuracy is 0.0"),
        ({"accuracy": float("nan")}, "accuracy is nan"),
    ]:
        with pytest.raises(InvalidInput, match=match):
            gt.matmul(a, a, **options)
    with pytest.raises(KeyError, match="no scheme 'coppersmith'"):
        gt.matmul(a, a, scheme="coppersmith")


def test_only_proven_schemes_are_used():
    a = normal(4, 4)
    with pytest.raises(Refuted):
        gt.matmul(a, a, scheme=Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, -STRASSEN.W))
    modular = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))
    with pytest.raises(InvalidInput, match="holds only over"):
        gt.matmul(a, a, scheme=modular)


def test_the_hook_of_the_native_kernel(monkeypatch):
    """Where the kernel is predicted to gain it is called; where it declines the product is torch's."""
    seen = []

    def kernel(a, b, out):
        seen.append((a.numpy().strides, out.numpy().shape))
        if len(seen) % 2:
            torch.mm(a, b, out=out)
        return True if len(seen) % 2 else None

    monkeypatch.setattr("grokkit.torch._matmul.SMALL", 0)
    monkeypatch.setattr(_policy, "SMALLEST_PRODUCT", 64)
    monkeypatch.setitem(_policy.LEAST, "cpu", 4)
    monkeypatch.setattr(_policy, "_cpu_gains", lambda n, m, p, dtype, accuracy: accuracy is None and min(n, m, p) >= 4)
    monkeypatch.setattr(_kernel, "_cpu_product", kernel)
    a, b = normal(6, 5).requires_grad_(), normal(5, 4).requires_grad_()
    gt.matmul(a, b).sum().backward()
    assert [shape for _, shape in seen] == [(6, 4), (6, 5), (5, 4)]
    assert seen[2][0] == (8, 40)
    assert torch.equal(gt.matmul(a, b), a @ b)
    assert torch.allclose(a.grad, b.sum(1).expand(6, 5))
    gt.matmul(normal(3, 3), normal(3, 3))
    gt.matmul(a, b, accuracy=1e-3)
    assert len(seen) == 4


def test_layouts_count_in_the_native_kernel_s_plan(monkeypatch):
    seen = []
    monkeypatch.setattr(_kernel, "cpu_plan", lambda n, m, p, dtype, layout: seen.append(layout))
    a = normal(12, 9)
    for x in (a, a.T, a[::2, ::2]):
        assert _kernel._cpu_product(x, normal(x.shape[1], 4), torch.empty(x.shape[0], 4)) is None
    assert seen == [("row", "row", "row"), ("column", "row", "row"), ("strided", "row", "row")]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda():
    a, b = normal(300, 200).cuda().requires_grad_(), normal(200, 250).cuda().requires_grad_()
    found = gt.matmul(a, b, scheme="winograd", levels=2)
    assert torch.allclose(found, a @ b)
    gradients = torch.autograd.grad(found.sum(), (a, b))
    assert all(
        torch.allclose(*pair) for pair in zip(gradients, torch.autograd.grad((a @ b).sum(), (a, b)), strict=True)
    )
    with torch.no_grad():
        a[0, 0] = torch.inf
        assert torch.equal(gt.matmul(a, b, scheme="strassen"), a @ b)
        assert torch.equal(gt.matmul(a, b), a @ b)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = gt.matmul(a, b, scheme="strassen")
        graph.replay()
        assert torch.equal(captured, a @ b)
