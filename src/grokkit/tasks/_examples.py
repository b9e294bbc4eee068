"""Tasks of single examples: a function of the input, known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

import numpy as np

from grokkit.scheme import InvalidInput

LISTED: Final = 2**20
"""Most inputs that are listed for a split."""


@final
@dataclass(frozen=True)
class Examples:
    """Inputs (examples × inputs), and labels: (examples,) whole numbers, or (examples × outputs) real ones."""

    inputs: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.inputs.ndim != 2 or len(self.inputs) != len(self.labels) or not len(self.inputs):
            raise InvalidInput(
                f"examples: inputs have shape {self.inputs.shape}, labels {self.labels.shape}; (examples, inputs) and "
                "as many labels, at least one, are needed"
            )

    def __len__(self) -> int:
        return len(self.inputs)


@runtime_checkable
class Task(Protocol):
    """A function of single inputs with an exact solution."""

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> int:
        """Numbers an input."""
        ...

    @property
    def classes(self) -> int | None:
        """Labels are 0 to classes − 1; None where they are real numbers."""
        ...

    def generate(self, count: int, seed: int) -> Examples:
        """Independent random examples; the first ones are the same whatever their number."""
        ...

    def solution(self, inputs: np.ndarray) -> np.ndarray: ...


@final
@dataclass(frozen=True)
class Parity:
    """Whether an odd number of some bits is set: `of` of them (places), or all (None). Inputs hold 0 and 1."""

    bits: int = 8
    of: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return "parity"

    @property
    def inputs(self) -> int:
        return self.bits

    @property
    def classes(self) -> int | None:
        return 2

    @property
    def places(self) -> tuple[int, ...]:
        """The bits that count."""
        return tuple(range(self.bits)) if self.of is None else self.of

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise InvalidInput(f"parity: bits is {self.bits}; at least 1 is needed")
        places = self.places
        if not places or len(set(places)) != len(places) or not all(0 <= place < self.bits for place in places):
            raise InvalidInput(f"parity: of is {self.of}; name different bits of 0 to {self.bits - 1}, at least one")

    def generate(self, count: int, seed: int) -> Examples:
        inputs = np.random.default_rng(seed).integers(0, 2, (_at_least_one(count, self.name), self.bits))
        return Examples(inputs, self.solution(inputs))

    def solution(self, inputs: np.ndarray) -> np.ndarray:
        held = _whole(inputs, self.bits, 2, self.name)
        return held[:, list(self.places)].sum(axis=1) % 2

    def split(self, fraction: float, seed: int) -> tuple[Examples, Examples]:
        """All 2^bits inputs, a random `fraction` of them to train on and the others to test on."""
        if 2**self.bits > LISTED:
            raise InvalidInput(f"parity: 2^{self.bits} inputs are too many to list; generate() draws some")
        inputs = np.arange(2**self.bits)[:, None] >> np.arange(self.bits) & 1
        return _halves(Examples(inputs, self.solution(inputs)), fraction, seed, self.name)


@final
@dataclass(frozen=True)
class ModularAddition:
    """(a + b) mod p for a and b of 0 to p − 1."""

    p: int = 97

    @property
    def name(self) -> str:
        return "modular addition"

    @property
    def inputs(self) -> int:
        return 2

    @property
    def classes(self) -> int | None:
        return self.p

    def __post_init__(self) -> None:
        if self.p < 2:
            raise InvalidInput(f"modular addition: p is {self.p}; at least 2 is needed")

    def generate(self, count: int, seed: int) -> Examples:
        inputs = np.random.default_rng(seed).integers(0, self.p, (_at_least_one(count, self.name), 2))
        return Examples(inputs, self.solution(inputs))

    def solution(self, inputs: np.ndarray) -> np.ndarray:
        return _whole(inputs, 2, self.p, self.name).sum(axis=1) % self.p

    def split(self, fraction: float, seed: int) -> tuple[Examples, Examples]:
        """All p² inputs, a random `fraction` of them to train on and the others to test on."""
        if self.p**2 > LISTED:
            raise InvalidInput(f"modular addition: {self.p}² inputs are too many to list; generate() draws some")
        inputs = np.stack(np.divmod(np.arange(self.p**2), self.p), axis=1)
        return _halves(Examples(inputs, self.solution(inputs)), fraction, seed, self.name)


@final
@dataclass(frozen=True)
class Products:
    """Products of an n × m by an m × p matrix with normal entries. Inputs: A, then B, row by row; labels: A B."""

    n: int = 2
    m: int = 2
    p: int = 2

    @property
    def name(self) -> str:
        return "products"

    @property
    def inputs(self) -> int:
        return self.n * self.m + self.m * self.p

    @property
    def classes(self) -> int | None:
        return None

    def __post_init__(self) -> None:
        if min(self.n, self.m, self.p) < 1:
            raise InvalidInput(f"products: {self.n} x {self.m} by {self.m} x {self.p}; sizes of at least 1 are needed")

    def generate(self, count: int, seed: int) -> Examples:
        shape = (_at_least_one(count, self.name), self.inputs)
        inputs = np.random.default_rng(seed).standard_normal(shape)
        return Examples(inputs, self.solution(inputs))

    def solution(self, inputs: np.ndarray) -> np.ndarray:
        held = np.asarray(inputs, dtype=np.float64)
        if held.ndim != 2 or held.shape[1] != self.inputs:
            raise InvalidInput(f"products: inputs have shape {held.shape}; (examples, {self.inputs}) is needed")
        if not np.isfinite(held).all():
            raise InvalidInput("products: inputs hold NaN or infinities; leave those examples out")
        a = held[:, : self.n * self.m].reshape(-1, self.n, self.m)
        b = held[:, self.n * self.m :].reshape(-1, self.m, self.p)
        return (a @ b).reshape(len(held), self.n * self.p)


def _at_least_one(count: int, name: str) -> int:
    if count < 1:
        raise InvalidInput(f"{name}: {count} examples; at least 1 is needed")
    return count


def _whole(inputs: np.ndarray, width: int, below: int, name: str) -> np.ndarray:
    held = np.asarray(inputs)
    if held.ndim != 2 or held.shape[1] != width:
        raise InvalidInput(f"{name}: inputs have shape {held.shape}; (examples, {width}) is needed")
    if held.dtype.kind not in "iub" or ((held < 0) | (held >= below)).any():
        raise InvalidInput(f"{name}: inputs must be whole numbers of 0 to {below - 1}")
    return held.astype(np.int64)


def _halves(every: Examples, fraction: float, seed: int, name: str) -> tuple[Examples, Examples]:
    count = round(fraction * len(every)) if 0 < fraction < 1 else 0
    if not 0 < count < len(every):
        raise InvalidInput(
            f"{name}: a fraction of {fraction:g} leaves one side of {len(every)} inputs empty; take one between 0 and 1"
        )
    order = np.random.default_rng(seed).permutation(len(every))
    train, test = np.sort(order[:count]), np.sort(order[count:])
    return Examples(every.inputs[train], every.labels[train]), Examples(every.inputs[test], every.labels[test])
