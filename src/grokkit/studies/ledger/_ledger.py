"""The ledger: every claim with its measurement, its ruling and the command that measures it again."""

from __future__ import annotations

import errno
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, final

from grokkit._version import __version__
from grokkit.scheme import InvalidInput, suggestion, undone_if_empty
from grokkit.studies.ledger._claim import Claim, claims, find_claim
from grokkit.studies.ledger._measurement import Measurement
from grokkit.studies.ledger._protocol import Context, Protocol, silent
from grokkit.studies.ledger._results import Results, load_results, results_path, save_results
from grokkit.studies.ledger._rules import RULES
from grokkit.studies.ledger._verdicts import Ruling, Verdict
from grokkit.studies.ledger.protocols import PROTOCOLS

SHIPPED: Final = "results"
"""Folder of the package with the results that it ships."""


@final
@dataclass(frozen=True)
class Entry:
    """What is known of one claim."""

    claim: Claim
    measurement: Measurement | None
    ruling: Ruling
    protocol: str | None
    """Name of the protocol that settles the claim; None if there is none."""
    command: str
    """Measures the claim again; of an open claim, what would settle it."""
    measured_with: str | None = None
    """Version of grokkit that measured."""
    machine: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return self.claim.to_json() | {
            "verdict": str(self.ruling.verdict),
            "reason": self.ruling.reason,
            "protocol": self.protocol,
            "command": self.command,
            "measurement": None if self.measurement is None else self.measurement.to_json(),
            "measured_with": self.measured_with,
            "machine": self.machine,
        }


def rule_on(claim: str, measurement: Measurement | None) -> Ruling:
    """What a measurement says of a claim. Nothing measured leaves it open."""
    protocol = protocol_of(claim)
    if measurement is None:
        if protocol is None:
            return Ruling(Verdict.OPEN, "not measured: this version has no protocol for it yet")
        return Ruling(Verdict.OPEN, f"not measured yet: run the protocol {protocol.name}")
    if claim not in RULES:
        return Ruling(Verdict.OPEN, "measured, but no rule decides it")
    return RULES[claim](measurement)


def protocol_of(claim: str) -> Protocol | None:
    """The protocol that settles a claim, or None."""
    return next((each for each in PROTOCOLS if claim in each.claims), None)


def ledger(folder: str | os.PathLike[str] | None = None) -> list[Entry]:
    """An entry for every claim, from a folder of results, or from the results that the package ships.

    Raises `InvalidInput` if the folder is not there or holds results of a protocol that does not exist,
    `UnreadableFile` for results of another version or with unknown keys.
    """
    if folder is None:
        with resources.as_file(resources.files("grokkit.studies.ledger").joinpath(SHIPPED)) as path:
            return _entries(_read(path) if path.is_dir() else [])
    path = Path(folder)
    if not path.is_dir():
        raise InvalidInput(f"{path}: no such folder; give one that grokkit claims --run wrote")
    return _entries(_read(path))


def run_claims(
    ids: Sequence[str] | None = None,
    scale: str = "quick",
    out: str | os.PathLike[str] = "runs/claims",
    *,
    engine: str = "joblib",
    workers: int = 1,
    seed: int = 0,
    data: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Entry]:
    """Run the protocols of some claims (all, by default), store what they measured, and rule on it.

    Parameters
    ----------
    ids:
        Claims; each protocol that settles one of them is run once, for all of its claims.
    scale:
        ``quick`` or ``full``.
    out:
        Folder of results: `<protocol>.json` for each, and their run stores in sub-folders. Shards of
        studies that are there already are used again.
    data:
        Folder of files that are not shipped, with the published weight files in ``checkpoints/``; by default the one
        that GROKKIT_TEST_DATA names.

    Returns the entries of the claims asked for. Raises `InvalidInput` for an unknown claim or engine and for a folder
    that cannot be written, `MissingExtra` for a missing package.
    """
    from grokkit.engines import check_engine

    wanted = list(claims()) if ids is None else [find_claim(each).id for each in ids]
    check_engine(engine, workers)
    report = progress or silent
    folder = Path(out)
    if data is not None and not Path(data).is_dir():
        raise InvalidInput(f"{data}: no such folder; give the one that holds checkpoints/")
    found: list[Results] = []
    with ExitStack() as stack:
        with _writable(folder):
            stack.enter_context(undone_if_empty(folder))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        for protocol in protocols_of(wanted):
            report(f"{protocol.name}: {protocol.title}")
            place = folder / protocol.name / (scale if seed == 0 else f"{scale}-seed-{seed}")
            context = Context(scale, place, engine, workers, seed, report, None if data is None else Path(data))
            found.append(_measure(protocol, context))
            save_results(found[-1], results_path(folder, protocol.name))
    entries = {each.claim.id: each for each in _entries(found)}
    return [entries[claim] for claim in dict.fromkeys(wanted)]


def protocols_of(ids: Iterable[str]) -> tuple[Protocol, ...]:
    """The protocols that settle any of some claims, each once, in their order."""
    wanted = set(ids)
    return tuple(each for each in PROTOCOLS if wanted & set(each.claims))


def _measure(protocol: Protocol, context: Context) -> Results:
    started = time.process_time()
    measurements = protocol.measure(context)
    seconds = round(time.process_time() - started, 3)
    return Results(protocol.name, context.scale, context.seed, __version__, _machine(), seconds, measurements)


def _read(folder: Path) -> list[Results]:
    known = [each.name for each in PROTOCOLS]
    found = []
    for path in sorted(folder.glob("*.json")):
        if path.stem not in known:
            raise InvalidInput(
                f"{path}: no protocol has this name{suggestion(path.stem, sorted(known))}; remove the file"
            )
        results = load_results(path)
        protocol = next(each for each in PROTOCOLS if each.name == path.stem)
        if results.protocol != protocol.name or not set(results.measurements) <= set(protocol.claims):
            raise InvalidInput(f"{path}: holds results of another protocol ({results.protocol}); rename or remove it")
        found.append(results)
    return found


def _entries(found: Iterable[Results]) -> list[Entry]:
    measured = {claim: (each, results) for results in found for claim, each in results.measurements.items()}
    return [_entry(claim, *measured.get(claim.id, (None, None))) for claim in claims().values()]


def _entry(claim: Claim, measurement: Measurement | None, results: Results | None) -> Entry:
    protocol = protocol_of(claim.id)
    return Entry(
        claim,
        measurement,
        rule_on(claim.id, measurement),
        None if protocol is None else protocol.name,
        f"grokkit claims {claim.id} --run --full",
        None if results is None else results.grokkit,
        None if results is None else results.machine,
    )


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Name the folder and the remedy where results cannot be written."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        reason = error.strerror or str(error)
        raise InvalidInput(f"{folder}: cannot be written ({reason}); choose another --out") from None


def _machine() -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", cpu.read_text()) if cpu.exists() else None
    return {
        "system": platform.platform(),
        "processor": found.group(1).strip() if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
