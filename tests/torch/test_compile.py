import shutil

import pytest
import torch
from torch.func import grad, hessian, jvp, vmap

import grokkit.torch as gt
from grokkit.scheme import sandwiched
from grokkit.scheme.catalog import catalog

pytestmark = [
    pytest.mark.usefixtures("as_shipped"),
    # torch's own rules for forward mode and its compiler still use torch.jit
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping serialization:UserWarning"),
]
A, B = torch.randn(13, 22, dtype=torch.float64), torch.randn(22, 9, dtype=torch.float64)


def compiled(f, *args, backend="aot_eager", **options):
    return torch.compile(f, fullgraph=True, backend=backend, **options)(*args)


def fast(a, b, **options):
    return gt.matmul(a, b, **{"scheme": "winograd", "levels": 2, **options})


functions = {
    "auto": lambda a, b: gt.matmul(a, b).sin(),
    "auto with threads": lambda a, b: gt.matmul(a, b, threads=1).sin(),
    "scheme": lambda a, b: fast(a, b).sin(),
    "accuracy": lambda a, b: fast(a, b, accuracy=1e-10, threads=1).sin(),
    "vectors": lambda a, b: fast(a[0], b).sin() + fast(a, b[:, 0]).sum(),
    "batches": lambda a, b: fast(a.expand(3, 13, 22), b).sum(0) + fast(a, b.expand(3, 22, 9)).sum(0),
    "out": lambda a, b: fast(a, b, out=torch.empty(13, 9, dtype=torch.float64)).sin(),
    "vmap": lambda a, b: vmap(lambda x: fast(x[None], b).sin())(a),
}


@pytest.mark.parametrize("name", functions)
def test_whole_graphs(name):
    f = functions[name]
    assert torch.allclose(compiled(f, A, B), f(A, B))


derivatives = {
    "grad": lambda f: lambda a: grad(lambda x: f(x, B).sin().sum())(a),
    "jvp": lambda f: lambda a: jvp(lambda x: f(x, B).sin(), (a,), (a,))[1],
    "hessian": lambda f: lambda a: hessian(lambda x: f(x, B).sin().sum())(a),
}


@pytest.mark.parametrize("name", derivatives)
def test_transforms(name):
    a = A[:3, :].contiguous()
    assert torch.allclose(compiled(derivatives[name](fast), a), derivatives[name](torch.matmul)(a))


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_gradients(backend):
    if backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("needs a C++ compiler")
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    c = compiled(lambda x, y: fast(x.relu(), y).sin() + 1, a, b, backend=backend)
    found = torch.autograd.grad(c.sum(), (a, b))
    expected = torch.autograd.grad(((a.relu() @ b).sin() + 1).sum(), (a, b))
    assert all(torch.allclose(*pair) for pair in zip(found, expected, strict=True))


def test_dynamic_shapes():
    f = torch.compile(lambda a, b: fast(a, b).sin(), fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (5, 8, 13):
        assert torch.allclose(f(A[:rows], B), (A[:rows] @ B).sin())


def test_dynamic_shapes_that_might_gain():
    f = torch.compile(lambda a, b: gt.matmul(a, b).sin(), fullgraph=True, backend="aot_eager", dynamic=True)
    for inner in (255, 257, 300):
        a, b = torch.ones(3, inner), torch.ones(inner, 2)
        assert torch.equal(f(a, b), (a @ b).sin())


def test_autocast():
    def f(a, b):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return fast(a, b)

    found = compiled(f, A.float(), B.float())
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, f(A.float(), B.float()))


MOVED = sandwiched(catalog["strassen"], [[2, 1], [1, 1]], [[1, 0], [0, 1]], [[1, 0], [5, 7]])


def test_schemes_by_their_digest():
    gt.matmul(A, B, scheme=MOVED)
    digest = MOVED.digest
    assert torch.allclose(compiled(lambda a, b: gt.matmul(a, b, scheme=digest), A, B), A @ B)


@pytest.mark.skipif(torch.__version__ < (2, 13), reason="older compilers cannot read a Scheme")
def test_schemes_that_are_no_names():
    unknown = MOVED.permuted([1, 0, 2, 3, 4, 5, 6])
    with pytest.raises(Exception, match=r"pass it to grokkit\.torch\.matmul once before compiling"):
        compiled(lambda a, b: gt.matmul(a, b, scheme=unknown), A, B)
    gt.matmul(A, B, scheme=MOVED)
    assert torch.allclose(compiled(lambda a, b: gt.matmul(a, b, scheme=MOVED), A, B), A @ B)


def test_exported_programs():
    class Model(torch.nn.Module):
        def forward(self, a, b):
            return fast(a, b).sin()

    program = torch.export.export(Model(), (A, B))
    assert any(node.target is torch.ops.grokkit.matmul.default for node in program.graph.nodes)
    assert torch.allclose(program.module()(A, B), (A @ B).sin())
