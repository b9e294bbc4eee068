"""The checker: what growth preserves between any two models, measured, with bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast, final

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed._enclosure import CARRIED, enclose
from grokkit.transfer.embed._growth import Growth, crop, embed, embed_inputs
from grokkit.transfer.embed._structure import CONVOLUTIONS, structure

TELLING: Final = 0.01
"""The largest bound, over the magnitude of the outputs, with which agreement says something."""

_SAID: Final = {
    "holds": "holds",
    "fails": "FAILS",
    "inconclusive": "is undecided (rounding alone could explain any difference: check the models in float64)",
}


@final
@dataclass(frozen=True)
class Spectrum:
    """One weight of the small model and its image, as matrices (outputs, all that is read)."""

    rank: tuple[int, int]
    """Numerical rank in the small and in the large model."""
    difference: float
    """Largest difference of their k-th singular values, over the largest of the small one."""
    shape: tuple[tuple[int, int], tuple[int, int]]

    @property
    def preserved(self) -> bool:
        """Equal rank, and singular values equal up to float64 rounding. Zero padding gives this; copies, means and
        noise do not."""
        return self.rank[0] == self.rank[1] and self.difference <= 1e-10


@final
@dataclass(frozen=True)
class Conservation:
    """What was measured; `holds` is the claim of growth.

    In words that type-check: crop(embed(f)) = f, and f_large(x) = f_small(crop x) for all large inputs x. The "T² = T"
    of a transfer is the law that the map T = embed ∘ crop, from models of the large shape to themselves, is a
    projection.
    """

    difference: float
    """Largest difference of outputs between f_large(embed x) and f_small(x)."""
    bound: float
    """What rounding in any order can make of two exactly equal functions: the largest over the outputs."""
    within: bool
    """Whether every output's difference is at most its own bound."""
    bit_equal: bool
    """Whether all outputs are the same to the last bit (signs of zeros aside)."""
    padding: float | None
    """Largest difference of outputs when new inputs hold random values, not zero; None without new inputs."""
    padding_within: bool
    crop_equal: bool
    """Whether crop(large) is the small model to the last bit."""
    crop_difference: float
    """Largest difference of a parameter of crop(large) from the small model's, over the latter's magnitude."""
    crop_within: bool
    """Whether that is no more than the roundings of a parameter on its way there and back."""
    projection: bool
    """Whether embed ∘ crop, applied to the large model twice, gives the same as once, within roundings of
    parameters."""
    spectra: Mapping[str, Spectrum]
    """Each layer's weight, by its path in the small model; empty where not asked for."""
    samples: int
    unseen: tuple[int, ...]
    """Input features that are zero in every batch: what reads them was not tested."""

    scale: float
    """Largest magnitude of an output of the small model."""

    @property
    def verdict(self) -> str:
        """One of three. "holds": outputs equal within the bounds, new inputs without effect, and crop a left inverse
        within roundings. "inconclusive": so it is, but the bound exceeds `TELLING` of the outputs' magnitude, so that
        little is shown; models in float64 have bounds 2^29 times smaller. "fails": any of these is not so."""
        if not (self.within and self.padding_within and self.crop_within):
            return "fails"
        return "holds" if self.bit_equal or self.bound <= TELLING * self.scale else "inconclusive"

    @property
    def holds(self) -> bool:
        """Whether the verdict is "holds"."""
        return self.verdict == "holds"

    def __str__(self) -> str:
        lines = [
            f"conservation {_SAID[self.verdict]} on {self.samples} samples",
            f"  outputs: largest difference {self.difference:.3g}, bound {self.bound:.3g}"
            + (", equal to the last bit" if self.bit_equal else ""),
            f"  crop is a left inverse: {'to the last bit' if self.crop_equal else f'to {self.crop_difference:.3g}'}",
            f"  embed after crop is a projection: {'yes' if self.projection else 'no'}",
        ]
        if self.padding is not None:
            lines.append(f"  random values in new inputs: largest difference {self.padding:.3g}")
        for path, spectrum in self.spectra.items():
            (a, b), gap = spectrum.rank, spectrum.difference
            lines.append(f"  layer {path}: rank {a} -> {b}, singular values differ by {gap:.3g}")
        if self.unseen:
            lines.append(f"  {len(self.unseen)} input features were zero throughout and are not tested")
        return "\n".join(lines)


def check_growth(
    small: nn.Module,
    large: nn.Module,
    growth: Growth,
    batches: torch.Tensor | Iterable[torch.Tensor],
    *,
    spectra: bool = True,
    seed: int = 0,
) -> Conservation:
    """Measure whether `large` is `small`, grown by `growth`, on batches of inputs of the small model.

    The models may come from anywhere; both are run in evaluation mode, and left as they were. Raises `InvalidInput`
    for models or shapes that `growth` does not connect, for inputs or activations that are not finite (with the
    layer), and for batches in which every feature is zero, on which any two models with equal biases agree.
    """
    batches = [batches] if isinstance(batches, torch.Tensor) else list(batches)
    if not batches or not all(len(batch) for batch in batches):
        raise InvalidInput("batches: there is no sample; at least one is needed")
    modes = [(module, module.training) for model in (small, large) for module in model.modules()]
    small.eval()
    large.eval()
    try:
        return _checked(small, large, growth, batches, spectra, seed)
    finally:
        for module, mode in modes:
            module.training = mode


def _checked(
    small: nn.Module, large: nn.Module, growth: Growth, batches: list[torch.Tensor], spectra: bool, seed: int
) -> Conservation:
    plan = structure(small)
    cropped = crop(large, growth)
    mapped = embed(small, growth)
    for name, tensor in mapped.state_dict().items():
        other = large.state_dict().get(name)
        if other is None or other.shape != tensor.shape:
            raise InvalidInput(f"large model: {name} should have shape {tuple(tensor.shape)} after this growth")
    first = next((leaf for leaf in plan.leaves if leaf.reads is not None and leaf.reads.name == "input"), None)
    dim = 1 if first is not None and isinstance(small.get_submodule(first.path), CONVOLUTIONS) else -1
    seen = _seen(batches, dim)
    # Of inputs that a norm or Flatten changes first, the features have no positions.
    placed = first is not None and first.reads is not None and first.reads.fixed is None
    unseen = tuple(np.flatnonzero(~seen).tolist()) if placed else ()
    generator = torch.Generator().manual_seed(seed)
    new = "input" in growth.axes and len(growth.axes["input"].new) > 0
    differences, bounds, paddings, scales = [], [], [], []
    within, padded_within, equal = True, True, True
    with torch.no_grad():
        for i, batch in enumerate(batches):
            before = _run(small, batch, f"batch {i}, small model")
            grown = embed_inputs(batch, growth, dim)
            after = _run(large, grown, f"batch {i}, large model")
            if before.shape != after.shape:
                raise InvalidInput(f"batch {i}: outputs have shapes {tuple(before.shape)} and {tuple(after.shape)}")
            bound = enclose(small, batch).radii + enclose(large, grown).radii
            gap = (after.double() - before.double()).abs()
            differences.append(float(gap.max()))
            bounds.append(float(bound.max()))
            scales.append(float(before.abs().max()))
            within &= bool((gap <= bound).all())
            equal &= torch.equal(before, after)
            if new:
                fill = torch.randn(
                    len(growth.axes["input"].new), *[1] * (batch.ndim - 1), generator=generator, dtype=batch.dtype
                )
                noisy = embed_inputs(batch, growth, dim, fill)
                gap = (_run(large, noisy, f"batch {i}, large model").double() - before.double()).abs()
                paddings.append(float(gap.max()))
                limit = enclose(small, batch).radii + enclose(large, noisy).radii
                padded_within &= bool((gap <= limit).all())
    gaps = _parameter_gaps(small, cropped)
    roundings = CARRIED * torch.finfo(next(small.parameters()).dtype).eps
    once = embed(cropped, growth)
    twice = embed(crop(once, growth), growth)
    return Conservation(
        difference=max(differences),
        bound=max(bounds),
        within=within,
        bit_equal=equal,
        padding=max(paddings) if paddings else None,
        padding_within=padded_within,
        crop_equal=not any(gaps),
        crop_difference=max(gaps),
        crop_within=max(gaps) <= roundings,
        projection=max(_parameter_gaps(once, twice)) <= roundings,
        spectra=_spectra(small, large, growth) if spectra else {},
        samples=sum(len(batch) for batch in batches),
        unseen=unseen,
        scale=max(scales),
    )


def _seen(batches: list[torch.Tensor], dim: int) -> Bool[np.ndarray, " features"]:
    """Which features of floating inputs are somewhere not zero; refuses inputs that show nothing."""
    seen = np.zeros(0, dtype=bool)
    for i, batch in enumerate(batches):
        if not batch.is_floating_point():
            return np.ones(0, dtype=bool)
        if not bool(torch.isfinite(batch).all()):
            raise InvalidInput(f"batch {i}: inputs are not finite; an exact check needs finite ones")
        here = (batch.movedim(dim, 0).flatten(1).abs().amax(1) > 0).numpy()
        if i and here.shape != seen.shape:
            raise InvalidInput(f"batch {i}: it has {len(here)} features, the one before {len(seen)}")
        seen = here if not i else seen | here
    if not seen.any():
        raise InvalidInput("batches: all features are zero in every sample; such inputs test nothing but the biases")
    return seen


def _run(model: nn.Module, batch: torch.Tensor, where: str) -> torch.Tensor:
    """The output; the first layer whose activations are not finite is named."""
    wrong: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...], object], None]:
        def look(module: nn.Module, args: tuple[torch.Tensor, ...], output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and not bool(torch.isfinite(tensor).all()):
                wrong.append(name)

        return look

    handles = [layer.register_forward_hook(watch(name or "(whole)")) for name, layer in model.named_modules()]
    try:
        output = model(batch)
    except (RuntimeError, IndexError) as error:
        raise InvalidInput(f"{where}: inputs of shape {tuple(batch.shape)} do not fit ({error})") from None
    finally:
        for handle in handles:
            handle.remove()
    if wrong:
        raise InvalidInput(f"{where}: activations of layer {wrong[0]} are not finite; rescale the inputs or the model")
    return output


def _parameter_gaps(one: nn.Module, other: nn.Module) -> list[float]:
    """For every parameter and floating buffer: the largest difference over the largest magnitude (0 for equal ones)."""
    theirs = other.state_dict()
    gaps = [0.0]
    for name, tensor in one.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if name not in theirs or theirs[name].shape != tensor.shape:
            raise InvalidInput(f"small model: crop(large) has no {name} of shape {tuple(tensor.shape)}")
        gap = float((tensor.double() - theirs[name].double()).abs().max())
        gaps.append(gap / max(float(tensor.abs().max()), 1e-300) if gap else 0.0)
    return gaps


def _spectra(small: nn.Module, large: nn.Module, growth: Growth) -> dict[str, Spectrum]:
    found = {}
    shrunk = Growth(deeper=growth.deeper)
    large = crop(large, shrunk)
    for leaf in structure(small).leaves:
        if leaf.kind not in ("linear", "embedding"):
            continue
        weights = [cast(nn.Linear, model.get_submodule(leaf.path)).weight for model in (small, large)]
        pair = [weight.detach().double().flatten(1) for weight in weights]
        values = [torch.linalg.svdvals(matrix) for matrix in pair]
        most = max(len(v) for v in values)
        padded = [torch.cat([v, v.new_zeros(most - len(v))]) for v in values]
        top = max(float(padded[0].max()), 1e-300)
        ranks = [int((v > top * max(pair[0].shape) * 2.0**-52).sum()) for v in values]
        found[leaf.path] = Spectrum(
            (ranks[0], ranks[1]),
            float((padded[0] - padded[1]).abs().max()) / top,
            ((pair[0].shape[0], pair[0].shape[1]), (pair[1].shape[0], pair[1].shape[1])),
        )
    return found
