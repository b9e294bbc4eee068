import itertools

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils._pytree import tree_leaves

import grokkit.torch as gt

# torch's own rules for forward mode and its compiler still use torch.jit
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

operator = torch.ops.grokkit.matmul.default
operator_out = torch.ops.grokkit.matmul_out.default
plans = [("winograd", 1, 0), ("strassen", 2, 1), ("auto", 0, 0)]


def normal(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def close(found, expected):
    pairs = list(zip(tree_leaves(found), tree_leaves(expected), strict=True))
    return bool(pairs) and all(torch.allclose(x, y, rtol=1e-10, atol=1e-10) for x, y in pairs)


def fast(a, b):
    return gt.matmul(a, b, scheme="winograd")


A, B = normal(5, 6), normal(6, 3, seed=1)
operands = {
    "matrices": (A, B),
    "batches": (normal(2, 5, 6), normal(2, 6, 3)),
    "transposed": (normal(6, 5).T, normal(3, 6).T),
    "expanded": (normal(5, 1).expand(5, 6), normal(6, 3).expand(2, 6, 3)[1]),
    "empty": (normal(0, 6), B),
    "no inner size": (normal(5, 0), normal(0, 3)),
    "complex": (normal(5, 6, dtype=torch.complex128), normal(6, 3, dtype=torch.complex128)),
}


@pytest.mark.parametrize(
    ("case", "plan"), [*((case, plans[0]) for case in operands), *(("matrices", p) for p in plans)]
)
def test_opcheck(case, plan):
    a, b = operands[case]
    torch.library.opcheck(operator, (a.clone().requires_grad_(), b.clone().requires_grad_(), *plan))
    torch.library.opcheck(operator_out, (a, b, torch.empty_like(a @ b), *plan))


@pytest.mark.parametrize("needed", [(True, False), (False, True), (False, False)])
def test_opcheck_of_what_needs_fewer_derivatives(needed):
    a, b = (x.clone().requires_grad_(want) for x, want in zip((A, B), needed, strict=True))
    torch.library.opcheck(operator, (a, b, *plans[0]))


small = {
    "matrices": (normal(3, 4), normal(4, 2)),
    "batches": (normal(2, 2, 3), normal(2, 3, 2)),
    "transposed": (normal(4, 3).T, normal(2, 4).T),
    "complex": (normal(2, 3, dtype=torch.complex128), normal(3, 2, dtype=torch.complex128)),
}


@pytest.mark.parametrize("case", small)
def test_derivatives(case):
    a, b = (x.clone().requires_grad_() for x in small[case])
    assert torch.autograd.gradcheck(fast, (a, b), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(fast, (a, b), check_fwd_over_rev=True)


@pytest.mark.parametrize("needed", [(True, False), (False, True)])
def test_derivatives_of_one_operand(needed):
    a, b = (x.clone().requires_grad_(want) for x, want in zip(small["matrices"], needed, strict=True))

    def product(x, y):
        return gt.matmul(x, y, scheme="strassen", levels=2)

    assert torch.autograd.gradcheck(product, (a, b), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(product, (a, b), check_fwd_over_rev=True)


def test_gradients_are_products_by_the_operator():
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    names = []

    class Names(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append((func._schema.name, *args[2:4]) if func is operator else func._schema.name)
            return func(*args, **(kwargs or {}))

    c = gt.matmul(a, b, scheme="strassen", levels=2)
    with Names():
        ga, gb = torch.autograd.grad(c, (a, b), torch.ones_like(c), create_graph=True)
        torch.autograd.grad(ga.sum() + gb.sum(), (a, b))
    products = [name for name in names if name[0] == "grokkit::matmul"]
    assert products == [("grokkit::matmul", "strassen", 2)] * 4
    assert not {"aten::mm", "aten::bmm"} & set(map(str, names))


def test_only_what_is_needed_is_kept():
    a, b = normal(5, 6).requires_grad_(), normal(6, 3)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x):
        fast(a, b)
    assert kept == [b.shape]


@pytest.mark.parametrize("shapes", [((5, 6), (6, 3)), ((2, 5, 6), (6, 3)), ((5, 6), (2, 6, 3)), ((2, 5, 6), (2, 6, 3))])
def test_vmap_over_every_pair_of_dimensions(shapes):
    """A new dimension anywhere in either operand or in none, and the result's anywhere."""
    for dims in itertools.product(*([None, *range(-len(shape) - 1, len(shape) + 1)] for shape in shapes)):
        if dims == (None, None):
            continue
        a, b = (
            normal(*shape, seed=i) if dim is None else normal(4, *shape, seed=i).movedim(0, dim)
            for i, (shape, dim) in enumerate(zip(shapes, dims, strict=True))
        )
        for out in (0, -1):
            found = vmap(fast, in_dims=dims, out_dims=out)(a, b)
            assert close(found, vmap(torch.matmul, in_dims=dims, out_dims=out)(a, b))


def test_vmap_in_vmap():
    a, b = normal(2, 3, 5, 6), normal(3, 6, 4)
    for inner, outer in [((0, 0), (0, None)), ((0, None), (1, 0)), ((None, 0), (None, 2))]:
        first = a if inner[0] is not None else a[0, 0]
        found, expected = (vmap(vmap(f, inner), outer)(first, b) for f in (fast, torch.matmul))
        assert close(found, expected)


def test_vmap_of_the_operator_itself():
    found = vmap(lambda x, y: operator(x, y, "strassen", 1, 0), in_dims=(1, None))(normal(5, 2, 6), B)
    assert close(found, normal(5, 2, 6).movedim(1, 0) @ B)


transforms = {
    "grad": lambda f: grad(lambda x: f(x, B).sin().sum())(A),
    "grad of both": lambda f: grad(lambda x, y: f(x, y).sin().sum(), argnums=(0, 1))(A, B),
    "grad of grad": lambda f: grad(lambda x: grad(lambda y: f(y, B).sin().sum())(x).pow(2).sum())(A),
    "jvp": lambda f: jvp(lambda x, y: f(x, y).sin(), (A, B), (A * 2, B.cos())),
    "jvp of one": lambda f: jvp(lambda y: f(A, y).sin(), (B,), (B.cos(),)),
    "vjp": lambda f: vjp(lambda x, y: f(x, y).sin(), A, B)[1](torch.ones(5, 3, dtype=A.dtype)),
    "jacrev": lambda f: jacrev(lambda x: f(x, B).sin())(A),
    "jacfwd": lambda f: jacfwd(lambda x: f(x, B).sin())(A),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(lambda x: f(x, B).sin()))(A),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(lambda x: f(x, B).sin()))(A),
    "hessian": lambda f: hessian(lambda x, y: f(x, y).pow(3).sum(), argnums=(0, 1))(A, B),
    "vmap of grad": lambda f: vmap(grad(lambda x: f(x, B).sin().sum()))(torch.stack([A, A.cos()])),
    "grad of vmap": lambda f: grad(lambda x: vmap(f, (0, None))(x, B).sin().sum())(torch.stack([A, A.cos()])),
    "grad of shared": lambda f: grad(lambda y: vmap(f, (0, None))(torch.stack([A, A.cos()]), y).sin().sum())(B),
    "grad under no_grad": lambda f: grad(lambda x: torch.no_grad()(f)(x, B).sum() + f(x, B).pow(2).sum())(A),
}


@pytest.mark.parametrize("name", transforms)
def test_transforms_of_torch_func(name):
    assert close(transforms[name](fast), transforms[name](torch.matmul))


def test_no_grad_around_a_transform_holds_for_the_levels_outside():
    def inner(f, x):
        with torch.no_grad():
            return grad(lambda y: f(y, B).pow(3).sum())(x).sum()

    found, expected = (grad(lambda x, f=f: inner(f, x) + f(x, B).sum())(A) for f in (fast, torch.matmul))
    assert close(found, expected)


def test_forward_over_reverse_without_torch_func():
    a, b = A.clone().requires_grad_(), B
    results = []
    for f in (fast, torch.matmul):
        with forward_ad.dual_level():
            x, y = forward_ad.make_dual(a, a.detach().cos()), forward_ad.make_dual(b, b.sin())
            (gradient,) = torch.autograd.grad(f(x, y).pow(2).sum(), x, create_graph=True)
            results.append(tuple(forward_ad.unpack_dual(gradient)))
    assert results[0][1] is not None
    assert close(*results)


def test_gradients_of_what_is_broadcast():
    for shapes in [((2, 5, 6), (6, 3)), ((5, 6), (2, 6, 3)), ((2, 1, 5, 6), (3, 6, 3)), ((1, 5, 6), (4, 6, 3))]:
        a, b = (normal(*shape).requires_grad_() for shape in shapes)
        found, expected = (torch.autograd.grad(f(a, b).sin().sum(), (a, b)) for f in (fast, torch.matmul))
        assert close(found, expected)


def test_what_the_operator_takes():
    for a, b in [(A, A), (normal(2, 5, 6), normal(3, 6, 3)), (A, B.float()), (normal(2, 5, 6), B)]:
        for x, y in ((a, b), (a.to("meta"), b.to("meta"))):
            with pytest.raises(RuntimeError, match=r"grokkit::matmul: \(\.\.\., n, m\) and \(\.\.\., m, p\) alike"):
                operator(x, y, "winograd", 1, 0)
