"""The way into every instrument: a model, its parameters, and the loss of one sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves, tree_map

from grokkit.dynamics._batch import count, pair
from grokkit.scheme import InvalidInput

Function = Callable[[dict[str, Tensor], Any], Tensor]
Criterion = Callable[[Tensor, Any], Tensor]

MIXES_OR_DRAWS: Final = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@final
@dataclass(frozen=True, eq=False)
class Loss:
    """A model at its parameters, with the loss of one sample; the loss of a batch is the mean over its samples.

    `function(parameters, x)` sees ONE sample, without a sample axis, as in torch.func. With a `criterion` it gives the
    model's output for the input x, batches are pairs (inputs, targets), and `criterion(output, target)` is the loss of
    the sample. Without one it gives the loss itself, batches are whatever it takes (a tensor, or nested tuples and
    dicts of tensors with a leading sample axis), and instruments that need outputs refuse.

    The flattened parameters, on which gradients and curvature are given, are the tensors in the order of the mapping,
    each row-major. The tensors are referred to, not copied: what is measured is their value at the time.
    Raises `InvalidInput` for parameters that cannot be differentiated.

    >>> line = Loss(lambda p, x: p["w"] @ x, {"w": torch.tensor([1.0, 2.0])}, lambda out, y: 0.5 * (out - y) ** 2)
    >>> line.value((torch.eye(2), torch.zeros(2)))
    1.25
    """

    function: Function
    parameters: Mapping[str, Tensor]
    criterion: Criterion | None = None

    def __post_init__(self) -> None:
        check_parameters(self.parameters)

    @property
    def dimension(self) -> int:
        """The number of scalar parameters."""
        return sum(tensor.numel() for tensor in self.parameters.values())

    def vector(self) -> Float[Tensor, " parameters"]:
        """The parameters as they are now, flattened into a new vector."""
        return torch.cat([tensor.detach().reshape(-1) for tensor in self.parameters.values()])

    def unflatten(self, vector: Float[Tensor, " parameters"]) -> dict[str, Tensor]:
        """Parameters of the model from a flattened vector; differentiable."""
        if vector.shape != (self.dimension,):
            raise InvalidInput(f"the vector has shape {tuple(vector.shape)}; the loss has {self.dimension} parameters")
        parts = vector.split([tensor.numel() for tensor in self.parameters.values()])
        shaped = zip(self.parameters.items(), parts, strict=True)
        return {name: part.reshape(tensor.shape).to(tensor.dtype) for (name, tensor), part in shaped}

    def at(self, vector: Float[Tensor, " parameters"]) -> Loss:
        """The same loss at other parameters."""
        return Loss(self.function, self.unflatten(vector), self.criterion)

    def value(self, batch: Any) -> float:
        """The mean loss over the samples of a batch."""
        count(batch)
        with torch.no_grad():
            return float(self.mean(self.vector(), batch))

    def one(self, vector: Float[Tensor, " parameters"], sample: Any) -> Float[Tensor, ""]:
        """The loss of one sample; differentiable in the vector."""
        if self.criterion is None:
            loss = self._apply(vector, sample)
        else:
            x, target = pair(sample)
            loss = self.criterion(self._apply(vector, x), target)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise InvalidInput(f"the loss of one sample is {shape} where a scalar is needed: sum or average it")
        return loss.reshape(())

    def each(self, vector: Float[Tensor, " parameters"], batch: Any) -> Float[Tensor, " samples"]:
        """The losses of the samples of a batch; differentiable in the vector."""
        return vmap(self.one, in_dims=(None, 0))(vector, batch)

    def mean(self, vector: Float[Tensor, " parameters"], batch: Any) -> Float[Tensor, ""]:
        """The mean of `each`."""
        return self.each(vector, batch).mean()

    def outputs(self, vector: Float[Tensor, " parameters"], inputs: Any) -> Float[Tensor, "samples *output"]:
        """The model's outputs; differentiable in the vector. Raises `InvalidInput` without a criterion."""
        if self.criterion is None:
            raise InvalidInput(
                "this loss has no criterion apart from its function: give Loss(model, parameters, criterion)"
            )
        result = vmap(lambda x: self._apply(vector, x))(inputs)
        if not isinstance(result, Tensor):
            raise InvalidInput(f"the model's output is a {type(result).__name__} where one tensor is needed")
        return result

    def _apply(self, vector: Float[Tensor, " parameters"], x: Any) -> Any:
        """The function, with attention by plain products: fused kernels have no second derivative and no vmap."""
        with sdpa_kernel(SDPBackend.MATH):
            return self.function(self.unflatten(vector), x)

    def place(self, index: int) -> str:
        """The name of the parameter that entry `index` of the flattened vector belongs to."""
        for name, tensor in self.parameters.items():
            if index < tensor.numel():
                return name
            index -= tensor.numel()
        raise InvalidInput(f"entry {index + self.dimension} of {self.dimension} parameters")


@final
@dataclass(frozen=True, eq=False)
class Losses(Sequence[Loss]):
    """A population: one function at the parameters of many runs. A sequence of `Loss`, measured all at once.

    Every tensor of `parameters` has a leading run axis. A batch is shared by the runs or, with `own_batches`, has a
    leading run axis too. Instruments give one answer a run: the same as a loop over the runs.

    >>> pair = Losses(lambda p, x: (p["w"] - x) ** 2, {"w": torch.tensor([0.0, 3.0])})
    >>> [loss.value(torch.ones(1)) for loss in pair]
    [1.0, 4.0]
    """

    function: Function
    parameters: Mapping[str, Tensor]
    criterion: Criterion | None = None
    own_batches: bool = False

    def __post_init__(self) -> None:
        check_parameters(self.parameters)
        lengths = {tuple(tensor.shape[:1]) for tensor in self.parameters.values()}
        if len(lengths) > 1 or lengths == {()}:
            shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in self.parameters.items())
            raise InvalidInput(f"the parameters of a population need one leading run axis; their shapes are {shapes}")

    def __len__(self) -> int:
        return next(iter(self.parameters.values())).shape[0]

    def __getitem__(self, run: Any) -> Any:
        """The loss of a run; a slice gives a population."""
        chosen = {name: tensor[run] for name, tensor in self.parameters.items()}
        if isinstance(run, slice):
            return Losses(self.function, chosen, self.criterion, self.own_batches)
        return Loss(self.function, chosen, self.criterion)

    def vectors(self) -> Float[Tensor, "runs parameters"]:
        """The parameters of all runs, flattened."""
        return torch.cat([tensor.detach().flatten(1) for tensor in self.parameters.values()], dim=1)

    def batch_of(self, batch: Any, run: int) -> Any:
        """The batch that a run sees."""
        return tree_map(lambda leaf: leaf[run], batch) if self.own_batches else batch

    def samples(self, batch: Any) -> int:
        """The number of samples that each run sees. Raises `InvalidInput` where the batch does not fit."""
        samples = count(batch, 1 if self.own_batches else 0)
        if self.own_batches:
            runs = tree_leaves(batch)[0].shape[0]
            if runs != len(self):
                raise InvalidInput(f"own_batches: the batch has {runs} runs and the parameters have {len(self)}")
        return samples


def from_module(module: nn.Module, loss_fn: Callable[..., Tensor]) -> Loss:
    """The loss of a module: `loss_fn(outputs, targets)`, any loss of torch.nn or torch.nn.functional.

    The module and `loss_fn` are called on batches of one sample, so both kinds of reduction give that sample's loss,
    and the loss of a batch is the mean over samples. (Class weights with a mean reduction therefore cancel: use
    reduction="sum".) Inputs that are a tuple become the module's positional arguments, a dict its keywords.
    Parameters are those with `requires_grad`, in the order of `named_parameters()`, as they are when measured; the
    others, and buffers, are constants. Raises `InvalidInput` if there are none, and, when measured, for a module in
    training mode that would mix samples (batch normalization) or draw at random (dropout).
    """
    parameters = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
    if not parameters:
        raise InvalidInput(f"no parameter of the {type(module).__name__} requires gradients: set requires_grad on some")
    return Loss(_OneSample(module), parameters, _one_loss(loss_fn))


def from_modules(modules: Sequence[nn.Module], loss_fn: Callable[..., Tensor], *, own_batches: bool = False) -> Losses:
    """The losses of modules of one architecture, as `from_module`; their parameters are copied into stacks."""
    if not modules:
        raise InvalidInput("a population needs at least one module")
    wanted = [name for name, tensor in modules[0].named_parameters() if tensor.requires_grad]
    if not wanted:
        raise InvalidInput(
            f"no parameter of the {type(modules[0]).__name__} requires gradients: set requires_grad on some"
        )
    tensors = [dict(module.named_parameters()) | dict(module.named_buffers()) for module in modules]
    first = tensors[0]
    for other in tensors[1:]:
        if {name: tensor.shape for name, tensor in other.items()} != {name: t.shape for name, t in first.items()}:
            raise InvalidInput(
                "the modules differ in the names or shapes of their tensors: a population has one architecture"
            )
        for name in first.keys() - set(wanted):
            if not torch.equal(first[name], other[name]):
                raise InvalidInput(f"the modules differ in {name!r}, which is no parameter to differentiate")
    stacked, _ = stack_module_state(list(modules))
    parameters = {name: stacked[name].detach() for name in wanted}
    return Losses(_OneSample(modules[0]), parameters, _one_loss(loss_fn), own_batches)


def check_parameters(parameters: Mapping[str, Tensor]) -> None:
    """Raise `InvalidInput` unless there are parameters, all of them tensors of real floats on one device."""
    if not parameters:
        raise InvalidInput("there are no parameters: give a mapping from names to tensors")
    for name, tensor in parameters.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise InvalidInput(f"parameter {name!r} is {kind}; a tensor of real floats is needed")
    devices = {str(tensor.device) for tensor in parameters.values()}
    if len(devices) > 1:
        raise InvalidInput(f"the parameters are on {' and '.join(sorted(devices))}: move them to one device")
    if sum(tensor.numel() for tensor in parameters.values()) == 0:
        raise InvalidInput("the parameters are empty tensors")


@final
class _OneSample:
    """A module as a function of its parameters and one sample."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.unsuited = [(name, part) for name, part in module.named_modules() if isinstance(part, MIXES_OR_DRAWS)]

    def __call__(self, parameters: dict[str, Tensor], x: Any) -> Tensor:
        for name, part in self.unsuited:
            if part.training:
                raise InvalidInput(
                    f"layer {name!r} ({type(part).__name__}) is in training mode, where a sample's loss depends on the "
                    "others or on chance: call model.eval() before measuring and model.train() after"
                )
        x = tree_map(lambda leaf: leaf.unsqueeze(0), x)
        if isinstance(x, dict):
            return functional_call(self.module, parameters, (), x)[0]
        return functional_call(self.module, parameters, tuple(x) if isinstance(x, (tuple, list)) else (x,))[0]


def _one_loss(loss_fn: Callable[..., Tensor]) -> Criterion:
    def criterion(output: Tensor, target: Any) -> Tensor:
        target = tree_map(lambda leaf: leaf.unsqueeze(0), target)
        return loss_fn(output.unsqueeze(0), target).sum()

    return criterion
