"""`reproduce`: every experiment of the source at one scale, its tables, figures and report, in one folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from grokkit._version import __version__
from grokkit.scheme import InvalidInput, suggestion, undone_if_empty, write_atomically
from grokkit.studies.ledger import Entry, find_claim, ledger, load_study, run_claims
from grokkit.studies.ledger._measurement import SCALES
from grokkit.studies.reproduce._combined import Combined, combined
from grokkit.studies.reproduce._film import make_film
from grokkit.studies.reproduce._tables import Table
from grokkit.studies.runs import Runs, open_runs, run_study

PROTOCOLS: Final = {"A": "protocol-a", "B": "protocol-b"}
MARKER: Final = "reproduction.json"
VERSION: Final = 1


@final
@dataclass(frozen=True)
class Reproduction:
    """What a folder of `reproduce` holds."""

    folder: Path
    scale: str
    protocols: dict[str, Runs]
    """Protocols A and B of the source."""
    combined: Combined
    entries: list[Entry]
    """Every claim."""

    @property
    def complete(self) -> bool:
        """Whether every run of both protocols is there."""
        return all(runs.complete for runs in self.protocols.values())


def reproduce(
    out: str | os.PathLike[str],
    scale: str = "quick",
    *,
    batch_sizes: Sequence[int] | None = None,
    seeds: int | None = None,
    replicas: int | None = None,
    claims: Sequence[str] | None = None,
    engine: str = "joblib",
    workers: int = 1,
    data: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Reproduction:
    """Run both protocols of the source and the protocols of all claims, as far as a folder does not hold them yet.

    Parameters
    ----------
    out:
        Folder: ``protocols/`` (run stores), ``claims/`` (measurements), ``film.npz`` (one network's way to a
        scheme), to which `write_account` adds ``tables/``, ``figures/`` and ``report.html``. Killed at any
        instant, the same call goes on.
    scale:
        ``quick`` (minutes) or ``full`` (hours), of the claims.
    batch_sizes, seeds, replicas:
        Of protocols A and B: other batch sizes than the source's, seeds (5), runs a seed (3).
    claims:
        Ids of the claims to measure; by default all.

    Raises `InvalidInput`, one line, for a folder that holds another reproduction, or settings that make no sense.
    """
    if scale not in SCALES:
        raise InvalidInput(f"scale is {scale!r}{suggestion(scale, SCALES)}")
    report = progress or (lambda text: None)
    folder = Path(out)
    changes: dict[str, Any] = {"seeds": seeds, "runs": replicas}
    changes = {name: value for name, value in changes.items() if value is not None}
    if batch_sizes is not None:
        if not batch_sizes:
            raise InvalidInput("batch_sizes is empty; give at least two")
        changes["factors"] = {"batch_size": sorted(set(batch_sizes))}
    studies = {name: load_study(file).replace(**changes) for name, file in PROTOCOLS.items()}
    if any(len(study.factors["batch_size"]) < 2 for study in studies.values()):
        raise InvalidInput(f"batch_sizes is {batch_sizes}; at least two are needed to compare")
    for claim in claims or ():
        find_claim(claim)
    settings = {"scale": scale, "protocols": {name: study.digest for name, study in studies.items()}}
    with undone_if_empty(folder):
        _claim_folder(folder, settings)
        protocols = {}
        for name, study in studies.items():
            report(f"protocol {name}: {study.total_runs} runs")
            protocols[name] = run_study(study, folder / "protocols" / PROTOCOLS[name], engine=engine, workers=workers)
        run_claims(claims, scale, folder / "claims", engine=engine, workers=workers, data=data, progress=report)
        report("one network, from random weights to a scheme")
        make_film(folder)
    return open_reproduction(folder)


def open_reproduction(path: str | os.PathLike[str]) -> Reproduction:
    """Read a folder of `reproduce`, complete or not; nothing is trained.

    Raises `InvalidInput` (one line) for a folder that holds none, or one of another version.
    """
    folder = Path(path)
    settings = _read_marker(folder)
    try:
        protocols = {name: open_runs(folder / "protocols" / file) for name, file in PROTOCOLS.items()}
    except InvalidInput as error:
        raise InvalidInput(f"{error}; grokkit reproduce --out {folder} goes on where it was") from None
    missing = [name for name, runs in protocols.items() if not len(runs)]
    if missing:
        raise InvalidInput(
            f"{folder}: protocol {missing[0]} has no finished runs; grokkit reproduce --out {folder} goes on"
        )
    claims = folder / "claims"
    return Reproduction(
        folder, settings["scale"], protocols, combined(protocols), ledger(claims if claims.is_dir() else None)
    )


def _claim_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Mark a folder with the settings, or check that it belongs to them."""
    path = folder / MARKER
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        content = {"reproduction": VERSION, "grokkit": __version__, **settings}
        write_atomically(path, json.dumps(content, indent=1) + "\n")
        return
    there = _read_marker(folder)
    if there["protocols"] != settings["protocols"]:
        raise InvalidInput(
            f"{folder}: holds a reproduction with other batch sizes, seeds or replicas; choose another --out"
        )
    if there["scale"] != settings["scale"]:
        raise InvalidInput(
            f"{folder}: holds a {there['scale']} reproduction; choose another --out, or --{there['scale']}"
        )


def _read_marker(folder: Path) -> dict[str, Any]:
    path = folder / MARKER
    if not path.is_file():
        raise InvalidInput(f"{folder}: no {MARKER} in it; give a folder that grokkit reproduce wrote")
    try:
        content = json.loads(path.read_text("utf-8"))
        found = {"scale": str(content["scale"]), "protocols": dict(content["protocols"])}
        version, grokkit = content["reproduction"], content["grokkit"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path}: damaged ({type(error).__name__}: {error}); remove it to begin again") from None
    if version != VERSION or grokkit != __version__:
        raise InvalidInput(f"{path}: written by grokkit {grokkit}, this is {__version__}; choose another --out")
    if found["scale"] not in SCALES:
        raise InvalidInput(f"{path}: scale {found['scale'][:20]!r}{suggestion(found['scale'], SCALES)}")
    return found


def tables(found: Reproduction) -> list[Table]:
    """All tables of the account."""
    return [_claims_table(found), _anova_table(found), *(_success_table(found, name) for name in found.protocols)]


def _claims_table(found: Reproduction) -> Table:
    rows = []
    for entry in found.entries:
        measured = entry.measurement
        shown = (
            ""
            if measured is None
            else "; ".join(f"{name}: {each}" for name, each in list(measured.figures.items())[:3])
        )
        claim = entry.claim
        rows.append(
            (
                claim.id,
                claim.document.key,
                claim.statement,
                claim.stated,
                shown,
                str(entry.ruling.verdict),
                entry.ruling.reason,
            )
        )
    columns = ("claim", "document", "statement", "stated", "measured", "verdict", "why")
    return Table("claims", "Every claim of the source, what it states and what is measured", columns, tuple(rows))


def _anova_table(found: Reproduction) -> Table:
    rows: list[tuple[Any, ...]] = []
    for response, analysis in found.combined.analyses.items():
        if not isinstance(analysis.terms, tuple):
            rows.append((response, "", None, None, None, None, str(analysis.terms)))
            continue
        rows += [
            (response, t.name, t.sum_of_squares, t.df, _shown(t.f), _shown(t.p), str(t.eta_squared))
            for t in analysis.terms
        ]
        rows.append((response, "residual", analysis.residual_sum_of_squares, analysis.residual_df, None, None, None))
    caption = f"Combined analysis of variance, type II, N = {found.combined.n}"
    return Table("anova", caption, ("response", "term", "SS", "df", "F", "p", "eta squared [95 %]"), tuple(rows))


def _shown(value: Any) -> Any:
    return value if isinstance(value, float) else str(value)


def _success_table(found: Reproduction, name: str) -> Table:
    runs = found.protocols[name]
    rows = []
    for outcome in runs.study.outcomes:
        for each in runs.success(outcome):
            share = each.proportion
            rows.append((outcome, each.factors["batch_size"], share.count, share.n, share.share, share.low, share.high))
    caption = f"Protocol {name}: outcomes by batch size, with 95 % Wilson intervals"
    return Table(
        f"protocol-{name.lower()}", caption, ("outcome", "batch size", "runs", "n", "share", "low", "high"), tuple(rows)
    )
