"""Instruments read every few steps of anyone's training loop, kept as rows."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from torch import nn

from grokkit.dynamics._batch import count, part
from grokkit.dynamics._curvature import hessian
from grokkit.dynamics._gradients import NotFinite, covariance_of, per_sample_gradients
from grokkit.dynamics._loss import Loss, from_module
from grokkit.dynamics._noise import noise_scale_of
from grokkit.dynamics._order import order_parameters
from grokkit.dynamics._sharpness import sharpness
from grokkit.dynamics._spectrum import trace
from grokkit.dynamics._values import Estimate, Undefined
from grokkit.scheme import InvalidInput, MissingExtra

Figure = float | int | bool | Estimate | Undefined
Instrument = Callable[[Loss, Any], Mapping[str, Figure] | Figure]


def _gradients(loss: Loss, batch: Any) -> Mapping[str, Figure]:
    gradients = per_sample_gradients(loss, batch)
    covariance, noise = covariance_of(gradients), noise_scale_of(gradients)
    return {
        "norm": float(gradients.mean(dim=0).norm()),
        "trace": noise.trace,
        "noise_scale": noise.value,
        "rank": covariance.rank,
        "condition": covariance.condition,
    }


def _order(loss: Loss, batch: Any) -> Mapping[str, Figure]:
    order = order_parameters(loss.parameters)
    return {"delta": order.delta, "share": order.share, "local": order.mean_local}


INSTRUMENTS: Final[Mapping[str, Instrument]] = {
    "loss": lambda loss, batch: loss.value(batch),
    "gradients": _gradients,
    "hessian_trace": lambda loss, batch: trace(hessian(loss, batch), probes=20),
    "sharpness": lambda loss, batch: sharpness(loss, batch, tolerance=1e-2),
    "order": _order,
}
"""The instruments that a recorder knows by name."""


@final
class Recorder:
    """Reads instruments every `every` steps of a training loop, on at most `samples` samples of the batch it is given.

    `instruments` are names of `INSTRUMENTS`, or a mapping from names of your own to callables of (loss, batch) that
    give a figure or a mapping of figures. A row holds "step", "seconds" (the cost of measuring) and a column for each,
    "instrument" or "instrument.figure"; an `Estimate` adds ".low" and ".high". Where a figure is undefined, or a
    gradient not finite, its column holds None and ".undefined" the reason. Nothing is drawn from the generators of the
    training, and the parameters are left as they are.

    >>> import torch
    >>> recorder = Recorder(["loss"], every=2)
    >>> loss = Loss(lambda p, x: (p["w"] * x) ** 2, {"w": torch.tensor(2.0)})
    >>> for step in range(4):
    ...     row = recorder.record(step, loss, torch.ones(8))
    >>> [(row["step"], row["loss"]) for row in recorder.to_rows()]
    [(0, 4.0), (2, 4.0)]
    """

    def __init__(
        self,
        instruments: Sequence[str] | Mapping[str, Instrument] = ("loss", "gradients", "order"),
        *,
        every: int = 1,
        samples: int = 256,
    ) -> None:
        if every < 1 or samples < 1:
            raise InvalidInput(f"every is {every}, samples {samples}; whole numbers of at least 1 are needed")
        if not isinstance(instruments, Mapping):
            for name in instruments:
                if name not in INSTRUMENTS:
                    raise InvalidInput(f"there is no instrument {name!r}; there are {', '.join(INSTRUMENTS)}")
            instruments = {name: INSTRUMENTS[name] for name in instruments}
        self.instruments: dict[str, Instrument] = dict(instruments)
        self.every, self.samples = every, samples
        self._rows: list[dict[str, Any]] = []

    def due(self, step: int) -> bool:
        """Whether `record` measures at this step."""
        return step % self.every == 0

    def record(self, step: int, loss: Loss, batch: Any, **figures: Figure) -> dict[str, Any] | None:
        """Measure, if the step is due, and return the row; `figures` of your own are stored with it."""
        if not self.due(step):
            return None
        seen = part(batch, slice(0, min(self.samples, count(batch))))
        row: dict[str, Any] = {"step": step}
        start = time.perf_counter()
        found: dict[str, Any] = {}
        for name, instrument in self.instruments.items():
            try:
                answer = instrument(loss, seen)
            except NotFinite as error:
                answer = Undefined(str(error))
            if isinstance(answer, Mapping):
                found |= {f"{name}.{key}": value for key, value in answer.items()}
            else:
                found[name] = answer
        row["seconds"] = time.perf_counter() - start
        for name, figure in (found | figures).items():
            row |= _columns(name, figure)
        self._rows.append(row)
        return row

    def to_rows(self) -> list[dict[str, Any]]:
        """A copy of the rows; ready for `pandas.DataFrame` or `pyarrow.Table.from_pylist`."""
        return [dict(row) for row in self._rows]

    def to_numpy(self) -> dict[str, np.ndarray]:
        """A float array for each column of numbers, a row each; NaN where a figure is undefined or was not measured.
        The reasons are in `to_rows`."""
        names = dict.fromkeys(name for row in self._rows for name in row if not name.endswith(".undefined"))
        return {
            name: np.array([math.nan if row.get(name) is None else row[name] for row in self._rows], dtype=np.float64)
            for name in names
        }

    def write_tensorboard(self, log_dir: str | Path) -> None:
        """Write every column as a scalar, and reasons as text, for TensorBoard. Needs the package tensorboard."""
        if importlib.util.find_spec("tensorboard") is None:
            raise MissingExtra("write_tensorboard needs tensorboard: pip install tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(log_dir)) as writer:
            for row in self._rows:
                for name, value in row.items():
                    if isinstance(value, str):
                        writer.add_text(name, value, row["step"])
                    elif value is not None and name != "step":
                        writer.add_scalar(name, value, row["step"])


def lightning_callback(
    recorder: Recorder,
    loss_fn: Callable[..., Any],
    *,
    batch: Any = None,
    module: Callable[[Any], nn.Module] | None = None,
) -> Any:
    """A `lightning.pytorch.Callback` that records after training batches, at the trainer's global step.

    The loss is `from_module(module(lightning_module), loss_fn)`; without `module`, of the lightning module and its
    forward. `batch` is a fixed batch to measure on; without it, the training batch, which has to be (inputs, targets).
    The module is measured in evaluation mode and put back. Needs the package lightning (or pytorch-lightning).
    """
    for name in ("lightning", "pytorch_lightning"):
        if importlib.util.find_spec(name) is not None:
            break
    else:
        raise MissingExtra("lightning_callback needs lightning: pip install lightning")
    base = importlib.import_module("lightning.pytorch" if name == "lightning" else name).Callback

    class Recording(base):
        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, train_batch: Any, batch_idx: int
        ) -> None:
            if recorder.due(trainer.global_step):
                measured = pl_module if module is None else module(pl_module)
                with _evaluating(measured):
                    loss = from_module(measured, loss_fn)
                    recorder.record(trainer.global_step, loss, train_batch if batch is None else batch)

    return Recording()


@contextmanager
def _evaluating(module: nn.Module) -> Any:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part_, mode in modes:
            part_.training = mode


def _columns(name: str, figure: Any) -> dict[str, Any]:
    if isinstance(figure, Undefined):
        return {name: None, f"{name}.undefined": figure.reason}
    if isinstance(figure, Estimate):
        return {name: figure.value, f"{name}.low": figure.low, f"{name}.high": figure.high}
    number = float(figure)
    if not math.isfinite(number):
        return {name: None, f"{name}.undefined": f"the figure is {number}"}
    return {name: number}
