"""The way in: modules and functions, batches, flattening, and what is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from grokkit.dynamics import (
    Loss,
    Losses,
    fisher,
    from_module,
    from_modules,
    gauss_newton,
    gradient_covariance,
    hessian,
    jacobian_rank,
    mean_gradient,
    per_sample_gradients,
)
from grokkit.scheme import InvalidInput


def test_flattening_is_in_the_order_of_the_mapping_and_row_major():
    parameters = {"b": torch.arange(4.0).reshape(2, 2), "a": torch.tensor([9.0])}
    loss = Loss(lambda p, x: p["a"] * x, parameters)
    assert loss.vector().tolist() == [0, 1, 2, 3, 9]
    assert [loss.place(index) for index in range(5)] == ["b"] * 4 + ["a"]
    back = loss.unflatten(loss.vector())
    assert list(back) == ["b", "a"] and all(torch.equal(back[name], parameters[name]) for name in parameters)
    assert torch.equal(loss.at(torch.arange(5.0)).vector(), torch.arange(5.0))


def test_types_of_parameters_survive_the_round_trip():
    loss = Loss(
        lambda p, x: p["h"].float() * x + p["d"].float(), {"h": torch.ones(1).half(), "d": torch.ones(1).double()}
    )
    assert loss.vector().dtype == torch.float64
    assert [tensor.dtype for tensor in loss.unflatten(loss.vector()).values()] == [torch.float16, torch.float64]


@pytest.mark.parametrize("loss_fn", [functional.cross_entropy, nn.CrossEntropyLoss(reduction="sum")])
def test_the_loss_of_a_batch_is_the_mean_over_samples(classifier, loss_fn):
    loss = from_module(classifier.module, loss_fn)
    x, y = classifier.batch
    assert loss.value(classifier.batch) == pytest.approx(functional.cross_entropy(classifier.module(x), y).item())
    classifier.module.zero_grad()
    functional.cross_entropy(classifier.module(x), y).backward()
    expected = torch.cat([p.grad.reshape(-1) for p in classifier.module.parameters()])
    assert torch.allclose(mean_gradient(loss, classifier.batch), expected)
    assert torch.allclose(mean_gradient(loss, classifier.batch, chunk=5), expected)


def test_a_module_is_measured_as_it_is_at_the_time(classifier):
    loss = from_module(classifier.module, functional.cross_entropy)
    before = loss.value(classifier.batch)
    with torch.no_grad():
        for parameter in classifier.module.parameters():
            parameter.mul_(0.0)
    assert loss.value(classifier.batch) == pytest.approx(torch.tensor(3.0).log().item())
    assert before != loss.value(classifier.batch)


def test_frozen_parameters_are_constants(classifier):
    classifier.module[0].weight.requires_grad_(False)
    loss = from_module(classifier.module, functional.cross_entropy)
    assert list(loss.parameters) == ["0.bias", "2.weight", "2.bias"]
    assert per_sample_gradients(loss, classifier.batch).shape == (12, 4 + 12 + 3)


def test_inputs_may_be_several_tensors():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(2, 1)

        def forward(self, x, scale):
            return scale * self.line(x)

    module = Two()
    loss = from_module(module, functional.mse_loss)
    x, scale, y = torch.randn(6, 2), torch.randn(6, 1), torch.randn(6, 1)
    expected = functional.mse_loss(module(x, scale), y).item()
    assert loss.value(((x, scale), y)) == pytest.approx(expected)
    assert loss.value(({"scale": scale, "x": x}, y)) == pytest.approx(expected)


def test_attention_has_second_derivatives():
    torch.manual_seed(0)
    module = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).eval().double()
    loss = from_module(module, functional.mse_loss)
    batch = (torch.randn(3, 5, 4, dtype=torch.float64), torch.randn(3, 5, 4, dtype=torch.float64))
    step = torch.randn(loss.dimension, dtype=torch.float64)
    change = mean_gradient(loss.at(loss.vector() + 1e-5 * step), batch)
    change -= mean_gradient(loss.at(loss.vector() - 1e-5 * step), batch)
    assert torch.allclose(hessian(loss, batch) @ step, change / 2e-5, atol=1e-6, rtol=1e-4)


def test_layers_that_mix_samples_or_draw_are_measured_in_evaluation_mode_only():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    loss, batch = from_module(module, functional.mse_loss), (torch.randn(4, 2), torch.randn(4, 1))
    with pytest.raises(InvalidInput, match=r"layer '1' \(BatchNorm1d\) is in training mode.*model.eval"):
        loss.value(batch)
    module.eval()
    assert loss.value(batch) == pytest.approx(functional.mse_loss(module(batch[0]), batch[1]).item())


def test_a_population_is_a_sequence_of_losses(classifier):
    torch.manual_seed(3)
    modules = [nn.Linear(5, 3).double() for _ in range(4)]
    losses = from_modules(modules, functional.cross_entropy)
    assert len(losses) == 4 and len(losses[1:3]) == 2
    alone = [from_module(module, functional.cross_entropy) for module in modules]
    for one, other in zip(losses, alone, strict=True):
        assert torch.equal(one.vector(), other.vector()) and one.value(classifier.batch) == other.value(
            classifier.batch
        )
    assert torch.equal(losses.vectors(), torch.stack([one.vector() for one in alone]))


def no_gradient():
    module = nn.Linear(2, 1)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return from_module(module, functional.mse_loss)


def line(**options):
    return Loss(lambda p, x: (p["w"] * x).sum(), {"w": torch.ones(2)}, **options)


def unlike():
    first, second = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    second.running_mean += 1
    return from_modules([first, second], functional.mse_loss)


refused = {
    "nothing to differentiate": (no_gradient, "no parameter of the Linear requires gradients"),
    "no modules": (lambda: from_modules([], functional.mse_loss), "at least one module"),
    "two architectures": (
        lambda: from_modules([nn.Linear(1, 2), nn.Linear(2, 2)], functional.mse_loss),
        "differ in the",
    ),
    "other constants": (unlike, "differ in 'running_mean'"),
    "no parameters": (lambda: Loss(lambda p, x: x, {}), "there are no parameters"),
    "whole numbers": (lambda: Loss(lambda p, x: x, {"w": torch.ones(2).int()}), "'w' is torch.int32"),
    "empty parameters": (lambda: Loss(lambda p, x: x, {"w": torch.ones(0)}), "empty tensors"),
    "run axes that differ": (
        lambda: Losses(lambda p, x: x, {"a": torch.ones(2), "b": torch.ones(3)}),
        r"one leading run axis; their shapes are a \(2,\), b \(3,\)",
    ),
    "runs of a batch": (
        lambda: per_sample_gradients(
            Losses(lambda p, x: p["a"] * x, {"a": torch.ones(2)}, own_batches=True), torch.ones(3, 1)
        ),
        "the batch has 3 runs and the parameters have 2",
    ),
    "no batch": (lambda: line().value(()), "the batch is empty"),
    "no samples": (lambda: line().value(torch.ones(0, 2)), "the batch has no samples"),
    "no sample axis": (lambda: line().value(torch.tensor(1.0)), "without a leading sample axis"),
    "arrays": (lambda: line().value((torch.ones(2), [1.0])), "holds a float where a tensor is needed"),
    "lengths that differ": (
        lambda: line(criterion=lambda out, y: out - y).value((torch.ones(3, 2), torch.ones(4))),
        r"differ in their leading sample axis: their shapes are \(3, 2\) and \(4,\)",
    ),
    "no pair": (lambda: line(criterion=lambda out, y: out - y).value(torch.ones(3, 2)), r"batches \(inputs, targets\)"),
    "a vector for a loss": (
        lambda: Loss(lambda p, x: p["w"] * x, {"w": torch.ones(2)}).value(torch.ones(3, 1)),
        r"the loss of one sample is \(2,\) where a scalar is needed",
    ),
    "a vector of another length": (lambda: line().at(torch.ones(3)), r"shape \(3,\); the loss has 2 parameters"),
    "chunk": (lambda: per_sample_gradients(line(), torch.ones(3, 2), chunk=0), "chunk is 0"),
    "a batch of one": (lambda: gradient_covariance(line(), torch.ones(1, 2)), "at least 2 samples; the batch has 1"),
    "no criterion": (lambda: gauss_newton(line(), (torch.ones(3, 2), torch.ones(3))), "needs the model's outputs"),
    "no outputs": (lambda: jacobian_rank(line(), (torch.ones(3, 2), torch.ones(3))), "no criterion"),
    "likelihood": (lambda: fisher(line(), torch.ones(3, 2), likelihood=None, variance=0.0), "variance is 0"),
    "operand": (lambda: hessian(line(), torch.ones(3, 2)) @ torch.ones(3), "2 columns; the operand has shape"),
}


@pytest.mark.parametrize("name", refused)
def test_bad_input_is_one_clear_line(name):
    call, message = refused[name]
    with pytest.raises(InvalidInput, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("measure", [per_sample_gradients, mean_gradient])
def test_a_gradient_that_is_not_finite_is_named(measure):
    parameters = {"fine": torch.ones(2), "broken": torch.tensor([1.0, 0.0])}
    loss = Loss(lambda p, x: p["fine"].sum() * x + p["broken"].sqrt().sum(), parameters)
    with pytest.raises(InvalidInput, match="the gradient is not finite in parameter 'broken'"):
        measure(loss, torch.ones(3))
    with pytest.raises(InvalidInput, match="a product with the Hessian is not finite in parameter 'broken'"):
        hessian(loss, torch.ones(3)).dense()
