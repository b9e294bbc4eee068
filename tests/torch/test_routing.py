import threading

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import grokkit.torch as gt
from grokkit.scheme import InvalidInput


def normal(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def always(**options):
    return gt.fast_products(**({"scheme": "winograd", "levels": 2, "min_size": 4} | options))


def mlp():
    torch.manual_seed(0)
    layers = torch.nn.Linear(12, 20), torch.nn.GELU(), torch.nn.Linear(20, 8, bias=False), torch.nn.Tanh()
    return torch.nn.Sequential(*layers, torch.nn.Linear(8, 5)).double(), normal(16, 12)


def transformer():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
    return layer.double(), normal(3, 8, 16)


class Attention(torch.nn.Module):
    """Attention in plain products; torch's own is one fused operator."""

    def __init__(self):
        super().__init__()
        self.project = torch.nn.Linear(16, 48)

    def forward(self, x):
        q, k, v = self.project(x).chunk(3, -1)
        return torch.einsum("bij,bjd->bid", torch.softmax(q @ k.mT / 4, -1), v)


def attention():
    torch.manual_seed(0)
    return Attention().double(), normal(3, 8, 16)


def gradients(model, x):
    loss = model(x).square().sum()
    return [loss, *torch.autograd.grad(loss, list(model.parameters()))]


def same(found, expected):
    return all(torch.allclose(x, y, rtol=1e-9, atol=1e-9) for x, y in zip(found, expected, strict=True))


@pytest.mark.parametrize(("make", "products"), [(mlp, 8), (transformer, 12), (attention, 8)])
def test_training_a_model(make, products):
    """Forward one product a linear layer, backward two, less one for an input without derivatives."""
    model, x = make()
    expected = gradients(model, x)
    with always() as routed:
        found = gradients(model, x)
    assert routed.count >= products
    assert same(found, expected)
    assert not all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_the_number_of_products():
    model, x = mlp()
    with always() as routed:
        loss = model(x).sum()
        assert routed.count == 3
        loss.backward()
        assert routed.count == 8
    model(x)
    assert routed.count == 8
    assert same([p.grad for p in model.parameters()], torch.autograd.grad(model(x).sum(), list(model.parameters())))


def test_auto_changes_nothing_where_nothing_gains():
    model, x = mlp()
    expected = gradients(model, x)
    with gt.fast_products(min_size=0) as routed:
        found = gradients(model, x)
    assert routed.count == 0
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_the_smallest_side_decides():
    a, b = normal(6, 7), normal(7, 5)
    for size, count in ((5, 1), (6, 0), (1024, 0)):
        with always(min_size=size) as routed:
            a @ b
        assert routed.count == count
    with gt.fast_products(scheme="strassen") as routed:
        a @ b
        assert routed.count == 0
        normal(1024, 1024) @ normal(1024, 1024)
    assert routed.count == 1


products = {
    "@": lambda a, b, c: a @ b,
    "batches": lambda a, b, c: a.expand(3, 6, 8) @ b.expand(3, 8, 5),
    "batched left": lambda a, b, c: a.expand(3, 6, 8) @ b,
    "addmm": lambda a, b, c: torch.addmm(c, a, b, beta=0.5, alpha=-2),
    "addmm of a row": lambda a, b, c: torch.addmm(c[0], a, b),
    "addmm of nothing": lambda a, b, c: torch.addmm(c * torch.nan, a, b, beta=0),
    "baddbmm": lambda a, b, c: torch.baddbmm(c[None], a[None], b[None], beta=3, alpha=0.5),
    "linear": lambda a, b, c: torch.nn.functional.linear(a, b.T, c[0]),
    "linear of batches": lambda a, b, c: torch.nn.functional.linear(a.expand(2, 6, 8), b.T, c[0]),
    "einsum": lambda a, b, c: torch.einsum("ij,jk->ki", a, b),
    "tensordot": lambda a, b, c: torch.tensordot(a, b, 1),
    "transposed": lambda a, b, c: (b.T @ a.T).T,
    "complex": lambda a, b, c: a.to(torch.complex128) @ b.to(torch.complex128),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", products)
def test_products_of_every_kind(name, inference):
    a, b, c = normal(6, 8), normal(8, 5), normal(6, 5)
    with torch.inference_mode(inference):
        expected = products[name](a, b, c)
        with always() as routed:
            found = products[name](a, b, c)
    assert routed.count == 1
    assert torch.allclose(found, expected)
    assert found.is_inference() == inference


bad = {
    "mm": lambda: torch.mm(normal(6, 8), normal(6, 8)),
    "mm of batches": lambda: torch.mm(normal(2, 6, 8), normal(2, 8, 6)),
    "types": lambda: torch.mm(normal(6, 8), normal(8, 6).float()),
    "bmm": lambda: torch.bmm(normal(2, 6, 8), normal(3, 8, 6)),
    "addmm shape": lambda: torch.addmm(normal(5, 6), normal(6, 8), normal(8, 6)),
    "addmm type": lambda: torch.addmm(normal(6, 6).float(), normal(6, 8), normal(8, 6)),
    "addmm dimensions": lambda: torch.addmm(normal(1, 6, 6), normal(6, 8), normal(8, 6)),
    "baddbmm": lambda: torch.baddbmm(normal(4, 6, 6), normal(2, 6, 8), normal(2, 8, 6)),
}


@pytest.mark.parametrize("name", bad)
def test_errors_are_torch_s(name):
    with pytest.raises(RuntimeError) as expected:
        bad[name]()
    with always() as routed, pytest.raises(RuntimeError) as found:
        bad[name]()
    assert str(found.value) == str(expected.value)
    assert routed.count == 0


def test_products_that_are_left_alone():
    a, out = normal(8, 8), torch.empty(8, 8, dtype=torch.float64)
    with always() as routed:
        torch.mm(a, a, out=out)
        a.long() @ a.long()
        a @ a[0]
        a.to_sparse() @ a
    assert routed.count == 0


def test_contexts_nest_and_restore():
    small, large = normal(8, 8), normal(32, 32)
    with always(min_size=4, levels=1) as outer:
        with always(min_size=16, scheme="strassen") as inner:
            large @ large
            assert (outer.count, inner.count) == (0, 1)
            small @ small  # what the inner one leaves alone is offered to the outer one
            assert (outer.count, inner.count) == (1, 1)
        large @ large
        with pytest.raises(RuntimeError), always() as failing:
            small @ large
        small @ small
    small @ small
    assert (outer.count, inner.count, failing.count) == (3, 1, 0)


def test_a_context_can_be_entered_again():
    a = normal(8, 8)
    context = always()
    for _ in range(2):
        with context, context:
            a @ a
    assert context.count == 2


def test_a_context_holds_for_its_thread():
    a, counts = normal(8, 8), []

    def elsewhere():
        a @ a
        with always() as routed:
            a @ a
        counts.append(routed.count)

    with always() as routed:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert counts == [1]
    assert routed.count == 0


def test_with_the_rest_of_torch():
    model, x = mlp()
    expected = torch.func.vmap(torch.func.grad(lambda y: model(y[None]).sum()))(x)
    with always() as routed:
        found = torch.func.vmap(torch.func.grad(lambda y: model(y[None]).sum()))(x)
    assert torch.allclose(found, expected)
    with always() as routed:
        again = checkpoint(model, x.clone().requires_grad_(), use_reentrant=False)
        again.sum().backward()
    assert routed.count > 9
    with always(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.float()(x.float()).dtype == torch.bfloat16


def test_results_are_torch_s_where_they_are_not_finite():
    a = normal(8, 8)
    a[3, 4] = torch.inf
    expected = a @ a
    with always() as routed:
        found = a @ a
    assert routed.count == 1
    assert torch.equal(found.nan_to_num(nan=7), expected.nan_to_num(nan=7))


def test_bad_arguments():
    for options in ({"min_size": -1}, {"levels": 99}, {"threads": 0}, {"accuracy": -1.0}):
        with pytest.raises(InvalidInput, match=next(iter(options))):
            gt.fast_products(**options)
    with pytest.raises(KeyError, match="no scheme"):
        gt.fast_products(scheme="coppersmith")


def test_compiled_code(as_shipped):
    model, x = mlp()
    compiled = torch.compile(model, backend="aot_eager")
    expected = gradients(model, x)
    with always() as routed:
        found = gradients(compiled, x)
    assert routed.count == 8
    assert same(found, expected)
