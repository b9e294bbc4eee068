"""Training configuration: one frozen dataclass, from keywords, TOML or command-line flags."""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, final, get_type_hints

from grokkit.scheme import InvalidInput, MatrixProduct, Target, parse_target, read_bytes, suggestion

LARGEST_SIDE: Final = 8
"""Of formats; of other maps an operand has at most its square of entries."""
PRESETS: Final = ("default", "source")
MAX_RUNS: Final = 10_000_000
LONGEST_SHOWN: Final = 80
"""Characters of a value that a message shows."""

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "distribution": ("gaussian", "uniform"),
    "minibatch": ("own", "shared"),
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("constant", "cosine", "linear"),
    "retrain_schedule": ("constant", "cosine", "linear"),
    "init": ("symmetric", "independent", "tied"),
    "prune_by": ("norm", "product"),
    "l1_phase": ("retrain", "all"),
    "dtype": ("float32", "float64"),
    "engine": ("auto", "native", "torch"),
}


def _option(default: Any, help_text: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": help_text, "low": low, "high": high})


@final
@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a population of bilinear networks is trained.

    A run has two phases: `slots` slots are trained, then pruned to `prune_to`, and the rest is
    retrained. The length of both is given in steps, or in epochs of a fixed training set. Defaults are
    the preset ``default``; ``TrainConfig.preset("source")`` is the published protocol, literally.

    Raises `InvalidInput` naming every field that is out of range or contradicts another.

    >>> TrainConfig(batch_size=1).batch_size
    1
    >>> TrainConfig.preset("source").epochs
    1000
    """

    format: str = _option("2x2x2", "what the network learns: a format n x m x p, or a map such as poly:3")
    blocks: int = _option(1, "blocks a side: 2 trains 4x4 products in 2x2 blocks", 1, 16)
    runs: int = _option(256, "independent runs", 1, MAX_RUNS)
    seed: int = _option(0, "run i depends on (seed, i) alone", 0, 2**63 - 1)
    shard_size: int = _option(256, "runs trained together; fixes torch's arithmetic, so it is configuration", 1, 4096)

    slots: int = _option(8, "products of the network before pruning", 1, 512)
    init: str = _option(
        "symmetric",
        "symmetric: U and V share law and scale; independent: V uniform with init_scale_v; tied: V = U",
    )
    init_scale: float = _option(0.5, "standard deviation of the initial weights", 0.0, 100.0)
    init_scale_v: float = _option(0.1, "standard deviation of V where init is independent", 0.0, 100.0)

    samples: int = _option(2000, "size of the fixed training set; 0 draws fresh samples", 0, 10_000_000)
    test_samples: int = _option(500, "size of the test set", 1, 10_000_000)
    distribution: str = _option("gaussian", "entries of the matrices: N(0,1), or uniform on [-1,1]")
    minibatch: str = _option("own", "each run its own data, or one shared by all runs")
    batch_size: int = _option(32, "samples a step", 1, 1_000_000)

    steps: int = _option(1500, "steps before pruning (0: use epochs)", 0, 100_000_000)
    retrain_steps: int = _option(3500, "steps after pruning", 0, 100_000_000)
    epochs: int = _option(0, "epochs before pruning, instead of steps", 0, 100_000_000)
    retrain_epochs: int = _option(0, "epochs after pruning, instead of steps", 0, 100_000_000)

    optimizer: str = _option("adamw", "adamw, adam (weight decay as a gradient) or sgd")
    learning_rate: float = _option(2e-2, "before pruning", 0.0, 100.0)
    weight_decay: float = _option(1e-2, "before pruning", 0.0, 100.0)
    schedule: str = _option("constant", "learning rate before pruning: constant, or falling to the final one")
    retrain_learning_rate: float = _option(2e-2, "after pruning", 0.0, 100.0)
    retrain_weight_decay: float = _option(1e-2, "after pruning", 0.0, 100.0)
    retrain_schedule: str = _option("cosine", "learning rate after pruning")
    final_learning_rate: float = _option(1e-4, "end of a falling schedule", 0.0, 100.0)
    beta1: float = _option(0.9, "Adam's decay of the mean gradient", 0.0, 0.999999)
    beta2: float = _option(0.99, "Adam's decay of the squared gradient", 0.0, 0.999999)
    epsilon: float = _option(1e-8, "Adam's regularizer", 0.0, 1.0)
    momentum: float = _option(0.0, "of sgd", 0.0, 0.999999)
    clip: float = _option(1.0, "largest gradient norm of a run (0: off)", 0.0, 1e6)

    prune_to: int = _option(7, "slots kept by pruning (0: no pruning)", 0, 512)
    prune_by: str = _option("product", "importance of a slot: norm (L2 over u, v, w) or product of the three norms")
    keep_slots: str = _option("", "prune to these slots instead, such as 0,1,2,4,5,6,7")

    l1: float = _option(0.0, "strength of a proximal L1 step (0: off)", 0.0, 100.0)
    l1_phase: str = _option("retrain", "phase with the L1 step: retrain or all")
    l1_release: float = _option(0.3, "last share of the retraining over which L1 fades to 0", 0.0, 1.0)
    balance_every: int = _option(0, "steps between equalizing the norms of u, v, w in each slot (0: never)", 0, 10**9)
    weight_noise: float = _option(0.0, "standard deviation of noise on the weights during training", 0.0, 100.0)

    dtype: str = _option("float32", "precision of the training")
    engine: str = _option("auto", "native, torch, or auto: native where it is installed and serves")
    log_points: int = _option(40, "logarithmically spaced points of the trajectory", 2, 10_000)

    def __post_init__(self) -> None:
        for name, value in _typed(type(self), self.to_json()).items():
            object.__setattr__(self, name, value)
        problems = self._out_of_range() or self._contradictions()
        if problems:
            raise InvalidInput("configuration: " + "; ".join(problems))

    def _out_of_range(self) -> list[str]:
        problems = []
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            low, high = each.metadata["low"], each.metadata["high"]
            if low is not None and isinstance(value, int | float) and not low <= value <= high:
                problems.append(f"{each.name} is {_short(value)}; {low} to {high} is allowed")
            choices = CHOICES.get(each.name)
            if choices and value not in choices:
                problems.append(f"{each.name} is {_short(value)}{suggestion(value, choices)}")
        return problems

    def _contradictions(self) -> list[str]:
        problems = []
        try:
            target = self.target
        except InvalidInput as error:
            return [str(error)]
        if max(target.shape) > LARGEST_SIDE**2:
            problems.append(f"format {self.format} is larger than 8x8x8, the largest that is trained")
        if self.blocks > 1 and not isinstance(target, MatrixProduct):
            problems.append(f"blocks is {self.blocks}; only matrices come in blocks, {self.format} does not")
        if self.samples == 0 and (self.epochs or self.retrain_epochs):
            problems.append("epochs need a fixed training set; set samples, or use steps")
        if (self.steps and self.epochs) or (self.retrain_steps and self.retrain_epochs):
            problems.append("both steps and epochs are set for one phase; set one of them to 0")
        if self.samples and self.batch_size > self.samples:
            problems.append(f"batch_size {self.batch_size} exceeds samples {self.samples}")
        if self.prune_to > self.slots:
            problems.append(f"prune_to {self.prune_to} exceeds slots {self.slots}")
        try:
            kept = self.kept_slots
        except ValueError:
            problems.append(f"keep_slots is {_short(self.keep_slots)}; write slot numbers such as 0,1,2")
        else:
            if kept and (len(kept) != self.prune_to or not set(kept) <= set(range(self.slots))):
                wanted = f"{self.prune_to} different numbers in 0..{self.slots - 1}"
                problems.append(f"keep_slots {_short(self.keep_slots)}: {wanted} are needed")
        if not problems and self.total_steps == 0:
            problems.append("nothing to train: steps and epochs are all 0")
        return problems

    @property
    def target(self) -> Target:
        """The bilinear map that the network should learn."""
        return parse_target(self.format)

    @property
    def kept_slots(self) -> tuple[int, ...]:
        """`keep_slots` as numbers; empty if pruning goes by importance."""
        return tuple(sorted({int(part) for part in self.keep_slots.replace(",", " ").split()}))

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches in one pass over the training set (the last one may be smaller)."""
        return math.ceil(self.samples / self.batch_size) if self.samples else 1

    @property
    def first_steps(self) -> int:
        """Steps before pruning."""
        return self.steps or self.epochs * self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.first_steps + (self.retrain_steps or self.retrain_epochs * self.steps_per_epoch)

    @property
    def final_slots(self) -> int:
        """Slots at the end of a run."""
        return self.prune_to or self.slots

    @property
    def shards(self) -> int:
        """Number of shards; the last one is padded."""
        return math.ceil(self.runs / self.shard_size)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> TrainConfig:
        """A named configuration, with changes: ``source`` (the published protocol) or ``default`` (ours)."""
        name = name.replace("_", "-")
        if name not in PRESETS:
            raise InvalidInput(f"preset {name!r}{suggestion(name, PRESETS)}")
        text = (resources.files("grokkit.training") / "presets" / f"{name}.toml").read_text("utf-8")
        return cls.from_mapping(tomllib.loads(text) | changes)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], **changes: Any) -> TrainConfig:
        """Read a flat TOML file of fields. Keys may use ``-`` or ``_``."""
        try:
            return cls.from_mapping(_read_fields(path) | changes)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from None

    @classmethod
    def from_saved(cls, path: str | os.PathLike[str]) -> TrainConfig:
        """Read what `save` wrote. A file that lacks a field was damaged, and is not filled up with defaults."""
        try:
            content = _read_fields(path)
            missing = [each.name for each in dataclasses.fields(cls) if each.name not in content]
            if missing:
                raise InvalidInput(f"incomplete, without {missing[0]}; restore it, or choose another directory")
            return cls.from_mapping(content)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from None

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> TrainConfig:
        """Build from named fields; unknown names are refused with the nearest known one."""
        known = {each.name for each in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise InvalidInput(
                f"configuration: unknown field {_short(unknown[0])}{suggestion(unknown[0], sorted(known))}"
            )
        return cls(**_typed(cls, fields))

    def replace(self, **changes: Any) -> TrainConfig:
        """A copy with some fields changed."""
        return self.from_mapping(self.to_json() | changes)

    def to_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return dataclasses.asdict(self)

    def to_toml(self) -> str:
        """A TOML file that reads back as this configuration."""
        import json

        lines = [
            f"{name} = {json.dumps(value) if isinstance(value, str) else repr(value)}"
            for name, value in self.to_json().items()
        ]
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the configuration as TOML."""
        from grokkit.scheme import write_atomically

        write_atomically(Path(path), self.to_toml())


def _read_fields(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields of a flat TOML file, with ``_`` in their names. Raises `InvalidInput` without the path."""
    try:
        content = tomllib.loads(read_bytes(path, 2**20).decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of too many digits, nested too deep
        raise InvalidInput(f"not valid TOML: {_first(str(error))}") from None
    fields: dict[str, Any] = {}
    for key, value in content.items():
        name = key.replace("-", "_")
        if name in fields:
            raise InvalidInput(f"configuration: {_short(name)} is given twice, with - and with _; keep one")
        fields[name] = value
    return fields


def _short(value: Any) -> str:
    """A value for a message: its start, if it is long."""
    try:
        return _first(repr(value))
    except ValueError:  # Python does not print integers of more than some thousand digits
        return "an integer of thousands of digits"


def _first(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _typed(kind: type, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with whole numbers made floats where floats are declared; `InvalidInput` for any other type."""
    hints = get_type_hints(kind)
    values, problems = {}, []
    for name, value in fields.items():
        wanted = hints[name]
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError:
                problems.append(f"{name} is {_short(value)}, too large")
                continue
        if type(value) is not wanted:
            problems.append(f"{name} is {_short(value)}, not {wanted.__name__}")
        values[name] = value
    if problems:
        raise InvalidInput("configuration: " + "; ".join(problems))
    return values
