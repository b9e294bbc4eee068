"""The recorder in a plain loop, in TensorBoard and in Lightning."""

import importlib.util
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from grokkit.dynamics import (
    INSTRUMENTS,
    Loss,
    Recorder,
    Undefined,
    from_module,
    gauss_newton,
    lightning_callback,
    trace,
)
from grokkit.scheme import InvalidInput, MissingExtra


def train(recorder, steps=20, seed=0):
    torch.manual_seed(seed)
    module, x = nn.Linear(3, 1), torch.randn(40, 3)
    y = x @ torch.tensor([[1.0], [0.0], [-1.0]])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loss = from_module(module, functional.mse_loss)
    for step in range(steps):
        if recorder is not None:
            recorder.record(step, loss, (x, y), epoch=step // 5)
        optimizer.zero_grad()
        functional.mse_loss(module(x), y).backward()
        optimizer.step()
    return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])


def test_a_plain_loop():
    recorder = Recorder(list(INSTRUMENTS), every=4, samples=16)
    train(recorder)
    rows = recorder.to_rows()
    assert [row["step"] for row in rows] == [0, 4, 8, 12, 16] and [row["epoch"] for row in rows] == [0, 0, 1, 2, 3]
    columns = recorder.to_numpy()
    assert (np.diff(columns["loss"]) < 0).all() and (np.diff(columns["order.delta"]) < 0).any()
    assert (columns["gradients.noise_scale.low"] <= columns["gradients.noise_scale"]).all()
    assert (columns["hessian_trace"] > columns["sharpness"]).all() and (columns["seconds"] > 0).all()
    rows[0]["loss"] = 99.0
    assert recorder.to_rows()[0]["loss"] != 99.0


def test_recording_leaves_the_training_as_it_is():
    assert torch.equal(train(Recorder(list(INSTRUMENTS))), train(None))


def test_the_samples_that_are_looked_at_are_bounded():
    seen = []
    recorder = Recorder({"mine": lambda loss, batch: seen.append(len(batch)) or 1.0}, samples=7)
    loss = Loss(lambda p, x: p["w"] * x, {"w": torch.tensor(1.0)})
    recorder.record(0, loss, torch.ones(100))
    recorder.record(1, loss, torch.ones(3))
    assert seen == [7, 3] and recorder.to_numpy()["mine"].tolist() == [1, 1]


def test_what_is_undefined_has_a_reason_and_no_number():
    recorder = Recorder(["loss", "gradients"])
    parameters = {"w": torch.tensor([0.0])}
    flat = Loss(lambda p, x: (p["w"] ** 2).sum() * x, parameters)
    row = recorder.record(0, flat, torch.ones(5), mine=Undefined("not today"))
    assert row["gradients.noise_scale"] is None and "not above zero" in row["gradients.noise_scale.undefined"]
    assert row["gradients.condition"] is None and "every gradient is zero" in row["gradients.condition.undefined"]
    assert row["mine"] is None and row["mine.undefined"] == "not today" and row["loss"] == 0
    parameters["w"] += math.nan  # training may diverge; the record goes on and says so
    row = recorder.record(1, flat, torch.ones(5))
    assert row["loss"] is None and row["loss.undefined"] == "the figure is nan"
    assert row["gradients"] is None and "not finite in parameter 'w'" in row["gradients.undefined"]
    columns = recorder.to_numpy()
    assert np.isnan(columns["gradients.condition"]).all() and columns["gradients.norm"][0] == 0
    assert not any(name.endswith("undefined") for name in columns)


def test_bad_arguments():
    with pytest.raises(InvalidInput, match="there is no instrument 'speed'; there are loss, gradients"):
        Recorder(["speed"])
    with pytest.raises(InvalidInput, match="every is 0"):
        Recorder(every=0)
    loss = Loss(lambda p, x: p["w"] * x[0], {"w": torch.tensor(1.0)})
    recorder = Recorder({"mine": lambda loss, batch: trace(gauss_newton(loss, batch))})
    with pytest.raises(InvalidInput, match="needs the model's outputs"):  # a mistake of the caller is not a result
        recorder.record(0, loss, (torch.ones(2), torch.ones(2)))


def test_what_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"^write_tensorboard needs tensorboard: pip install tensorboard$"):
        Recorder().write_tensorboard("anywhere")
    with pytest.raises(MissingExtra, match=r"^lightning_callback needs lightning: pip install lightning$"):
        lightning_callback(Recorder(), functional.mse_loss)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recorder = Recorder(["loss"], every=5)
    train(recorder)
    recorder.record(20, Loss(lambda p, x: p["w"] * x, {"w": torch.tensor(math.nan)}), torch.ones(3))
    recorder.write_tensorboard(tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    found = events.Scalars("loss")
    assert [event.step for event in found] == [0, 5, 10, 15]
    assert np.allclose([event.value for event in found], recorder.to_numpy()["loss"][:4])
    assert "loss.undefined/text_summary" in events.Tags()["tensors"]


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 1))

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, index):
            assert self.layers[0].training
            return functional.mse_loss(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    x = torch.randn(64, 3)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8)
    recorder, fixed = Recorder(["loss", "order"], every=2), Recorder(["loss"], every=2)
    callbacks = [
        lightning_callback(recorder, functional.mse_loss),
        lightning_callback(
            fixed, functional.mse_loss, batch=(x, x.sum(dim=1, keepdim=True)), module=lambda m: m.layers
        ),
    ]
    trainer = lightning.Trainer(
        max_epochs=2, callbacks=callbacks, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Line(), data)
    assert [row["step"] for row in recorder.to_rows()] == [2, 4, 6, 8, 10, 12, 14, 16]
    losses = fixed.to_numpy()["loss"]
    assert losses[-1] < 0.1 * losses[0] and "order.delta" in recorder.to_numpy()
