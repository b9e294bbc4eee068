"""How fast the Fisher spectrum moves while a model trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from torch.utils._pytree import tree_map

from grokkit.dynamics import Loss, fisher, per_sample_gradients, spectrum
from grokkit.scheme import InvalidInput


@final
@dataclass(frozen=True)
class SpectrumDrift:
    """Between successive records: at `epochs`, the middle of each two."""

    epochs: Float[np.ndarray, " intervals"]
    relative: Float[np.ndarray, " intervals"]
    """‖λ(t₂) − λ(t₁)‖ / max(‖λ(t₁)‖, ‖λ(t₂)‖) / (t₂ − t₁), spectra sorted: per epoch, 0 for a stationary metric."""
    trace: Float[np.ndarray, " records"]

    def between(self, first: float, last: float) -> float:
        """Mean drift per epoch over the intervals with their middle in [first, last]."""
        inside = (self.epochs >= first) & (self.epochs <= last)
        if not inside.any():
            raise InvalidInput(f"no interval of the record has its middle between epoch {first} and {last}")
        return float(self.relative[inside].mean())


@final
class FisherCallback:
    """Records the sorted Fisher spectrum of any `Loss`, every `every` epochs; leaves the parameters alone.

    Of a fixed batch, so that only the model moves the spectrum. Up to `samples` samples are looked at. With few
    samples and many parameters the nonzero spectrum is taken from the samples' gradients (the empirical Fisher,
    `likelihood` None), which costs no d × d matrix.
    """

    def __init__(
        self,
        *,
        every: int = 1,
        samples: int = 256,
        likelihood: Literal["categorical", "bernoulli", "gaussian"] | None = None,
    ) -> None:
        if every < 1 or samples < 1:
            raise InvalidInput(f"every is {every} and samples {samples}; at least 1 of each is needed")
        self._every, self._samples = every, samples
        self._likelihood: Literal["categorical", "bernoulli", "gaussian"] | None = likelihood
        self.epochs: list[float] = []
        self.spectra: list[np.ndarray] = []

    def record(self, epoch: int, loss: Loss, batch: Any) -> None:
        if epoch % self._every:
            return
        some = tree_map(lambda part: part[: self._samples], batch)
        if self._likelihood is None:
            found = _from_gradients(loss, some)
        else:
            found = spectrum(fisher(loss, some, likelihood=self._likelihood)).eigenvalues
        if self.epochs and epoch <= self.epochs[-1]:
            raise InvalidInput(f"epoch {epoch} comes after epoch {self.epochs[-1]:g}; records go forward")
        self.epochs.append(float(epoch))
        self.spectra.append(np.sort(np.maximum(found, 0))[::-1].copy())

    def drift(self) -> SpectrumDrift:
        """Raises `InvalidInput` before the second record."""
        return spectrum_drift(np.array(self.epochs), np.array(self.spectra))


def spectrum_drift(epochs: np.ndarray, spectra: np.ndarray) -> SpectrumDrift:
    """The drift of sorted spectra (records, eigenvalues); between two zero spectra it is 0."""
    spectra, epochs = np.asarray(spectra, dtype=np.float64), np.asarray(epochs, dtype=np.float64)
    if spectra.ndim != 2 or len(spectra) < 2 or epochs.shape != spectra.shape[:1] or not np.isfinite(spectra).all():
        raise InvalidInput(
            f"spectra have shape {spectra.shape} and epochs {epochs.shape}; at least two finite records are needed"
        )
    if not (np.diff(epochs) > 0).all():
        raise InvalidInput("epochs must increase from record to record")
    ordered = np.sort(spectra, axis=1)
    moved = np.linalg.norm(np.diff(ordered, axis=0), axis=1)
    size = np.linalg.norm(ordered, axis=1)
    larger = np.maximum(size[1:], size[:-1])
    relative = np.divide(moved, larger, out=np.zeros_like(moved), where=larger > 0) / np.diff(epochs)
    return SpectrumDrift((epochs[1:] + epochs[:-1]) / 2, relative, ordered.sum(axis=1))


def _from_gradients(loss: Loss, batch: Any) -> np.ndarray:
    gradients = per_sample_gradients(loss, batch).to("cpu", torch.float64)
    return (torch.linalg.svdvals(gradients) ** 2 / len(gradients)).numpy()
