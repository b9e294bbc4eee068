"""Agreement with curvlinops, where it is installed."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from grokkit.dynamics import fisher, from_module, gauss_newton, hessian


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("loss_fn", "module_fn"), [(functional.cross_entropy, nn.CrossEntropyLoss), (functional.mse_loss, nn.MSELoss)]
)
def test_products_agree(classifier, loss_fn, module_fn):
    curvlinops = pytest.importorskip("curvlinops")
    x, y = classifier.batch
    if loss_fn is functional.mse_loss:
        y = torch.randn(12, 3, dtype=torch.float64)
    parameters = list(classifier.module.parameters())
    loss = from_module(classifier.module, loss_fn)
    ours = {"HessianLinearOperator": hessian, "GGNLinearOperator": gauss_newton}
    if loss_fn is functional.cross_entropy:
        ours["EFLinearOperator"] = fisher
    vector = torch.randn(loss.dimension, dtype=torch.float64)
    for name, measure in ours.items():
        theirs = getattr(curvlinops, name)(classifier.module, module_fn(), parameters, [(x, y)])
        assert torch.allclose((theirs @ vector).detach(), measure(loss, (x, y)) @ vector, rtol=1e-8)
