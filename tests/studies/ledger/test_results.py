"""Files of results, the ledger made of them, and running claims."""

import json
from pathlib import Path

import pytest

from grokkit.scheme import InvalidInput, UnreadableFile
from grokkit.studies.ledger import (
    PROTOCOLS,
    Context,
    Figure,
    Measurement,
    Protocol,
    Results,
    Verdict,
    _ledger,
    ledger,
    load_results,
    load_study,
    rule_on,
    run_claims,
    save_results,
    study_names,
)

RESULTS = Results(
    "noise",
    "full",
    0,
    "0.1.0",
    {"system": "Linux", "processor": "x", "cores": 2},
    1.5,
    {"N01": Measurement("N01", {f"exact weights, {s}": Figure(1.0, 0.9, 1.0, 9) for s in (0.001, 0.1)}, scale="full")},
)


def counted(context: Context) -> dict[str, Measurement]:
    """A protocol that counts how often it was run in its folder."""
    context.out.mkdir(parents=True, exist_ok=True)
    tally = context.out / "tally"
    count = len(tally.read_text()) + 1 if tally.exists() else 1
    tally.write_text("x" * count)
    context.progress("counting")
    figures = {"count": Figure(float(count)), "seed": Figure(float(context.seed))}
    return {each: Measurement(each, figures, scale=context.scale) for each in ("C01", "C02")}


@pytest.fixture
def counter(monkeypatch):
    """The ledger with that protocol only."""
    protocol = Protocol("counter", "Counts", ("C01", "C02"), counted)
    monkeypatch.setattr(_ledger, "PROTOCOLS", (protocol,))
    return protocol


def test_results_survive_a_file(tmp_path):
    path = tmp_path / "noise.json"
    save_results(RESULTS, path)
    assert load_results(path) == RESULTS
    entry = next(each for each in ledger(tmp_path) if each.claim.id == "N01")
    assert entry.measurement == RESULTS.measurements["N01"]
    assert entry.ruling == rule_on("N01", entry.measurement)
    assert (entry.measured_with, entry.machine) == ("0.1.0", RESULTS.machine)
    assert all(each.measurement is None for each in ledger(tmp_path) if each.claim.id != "N01")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ledger": 2}, "version 2 of the results, this grokkit reads 1; run the claims again"),
        ({"verdict": "reproduced"}, "unknown name 'verdict'"),
        ({"protocl": "x"}, "unknown name 'protocl'; did you mean protocol"),
        ({"seed": "zero"}, "seed is missing or of the wrong type"),
        ({"seed": True}, "seed is missing or of the wrong type"),
        ({"scale": "huge"}, "scale is 'huge'"),
        ({"measurements": {"N01": {}}}, "N01: claim is missing"),
        ({"measurements": {"E01": RESULTS.measurements["N01"].to_json()}}, "of another claim"),
        ({"scale": "quick"}, "of another claim or scale"),
    ],
)
def test_results_that_are_not_understood(tmp_path, change, message):
    path = tmp_path / "noise.json"
    path.write_text(json.dumps(RESULTS.to_json() | change))
    with pytest.raises(UnreadableFile, match=message) as caught:
        ledger(tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": NaN}', '{"ledger": 1}'])
def test_files_that_are_no_results(tmp_path, text):
    (tmp_path / "noise.json").write_text(text)
    with pytest.raises(UnreadableFile, match=r"noise\.json"):
        ledger(tmp_path)


def test_a_verdict_cannot_be_typed_in(tmp_path):
    """Nothing in a file says the verdict: it follows from the figures, again each time the file is read."""
    content = RESULTS.to_json()
    assert "verdict" not in json.dumps(content)
    path = tmp_path / "noise.json"
    for value, verdict in ((1.0, Verdict.REFUTED), (0.0, Verdict.REPRODUCED)):
        figures = {f"exact weights, {s}": Figure(value).to_json() for s in (0.001, 0.005, 0.01, 0.05, 0.1)}
        content["measurements"]["N01"]["figures"] = figures
        path.write_text(json.dumps(content))
        assert next(each for each in ledger(tmp_path) if each.claim.id == "N01").ruling.verdict == verdict


def test_results_of_unknown_or_other_protocols(tmp_path):
    save_results(RESULTS, tmp_path / "noize.json")
    with pytest.raises(InvalidInput, match="no protocol has this name; did you mean noise"):
        ledger(tmp_path)
    (tmp_path / "noize.json").rename(tmp_path / "memory.json")
    with pytest.raises(InvalidInput, match="holds results of another protocol"):
        ledger(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InvalidInput, match="no such folder"):
        ledger(tmp_path / "nowhere")


def test_running_stores_and_resumes(tmp_path, counter):
    told = []
    entries = run_claims(["c02"], "quick", tmp_path / "a" / "b", progress=told.append)
    assert [each.claim.id for each in entries] == ["C02"]
    assert told == ["counter: Counts", "counting"]
    assert entries[0].measurement is not None and entries[0].measurement.figures["count"].value == 1
    stored = load_results(tmp_path / "a" / "b" / "counter.json")
    assert set(stored.measurements) == {"C01", "C02"} and stored.machine["cores"]
    again = run_claims(["C01", "C02", "c01"], "quick", tmp_path / "a" / "b")
    assert [each.claim.id for each in again] == ["C01", "C02"]
    assert again[0].measurement is not None and again[0].measurement.figures["count"].value == 2
    # other scales and seeds have folders of their own
    for scale, seed in (("full", 0), ("quick", 7)):
        other = run_claims(["C01"], scale, tmp_path / "a" / "b", seed=seed)[0].measurement
        assert other is not None
        assert (other.scale, other.figures["count"].value, other.figures["seed"].value) == (scale, 1, seed)


def test_claims_without_a_protocol_stay_open(tmp_path, counter):
    (entry,) = run_claims(["K12"], "quick", tmp_path)
    assert entry.ruling.verdict == Verdict.OPEN and "no protocol" in entry.ruling.reason
    assert entry.command == "grokkit claims K12 --run --full"


def test_measured_without_a_rule_is_open(tmp_path, counter, monkeypatch):
    monkeypatch.setattr(_ledger, "RULES", {})
    (entry,) = run_claims(["C01"], "quick", tmp_path)
    assert entry.ruling.verdict == Verdict.OPEN and "no rule" in entry.ruling.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["Q01"]}, "no claim 'Q01'; did you mean"),
        ({"scale": "huge"}, "scale is 'huge'; use one of quick, full"),
        ({"engine": "warp"}, "warp"),
        ({"workers": 0}, "workers"),
        ({"seed": -1}, "seed is -1"),
        ({"data": "/nowhere/at/all"}, "no such folder"),
    ],
)
def test_bad_arguments(tmp_path, counter, changes, message):
    arguments = {"ids": ["C01"], "scale": "quick", "out": tmp_path / "x"} | changes
    with pytest.raises(InvalidInput, match=message):
        run_claims(**arguments)
    assert not (tmp_path / "x").exists()


def test_an_unwritable_folder(tmp_path, counter, monkeypatch):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidInput, match=r"cannot be written \(.*\); choose another --out") as caught:
            run_claims(["C01"], "quick", place)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(_ledger.os, "access", lambda path, mode: False)
    with pytest.raises(InvalidInput, match=r"cannot be written \(Permission denied\)"):
        run_claims(["C01"], "quick", tmp_path / "locked")


def test_an_error_within_a_protocol_is_not_blamed_on_the_folder(tmp_path, monkeypatch):
    def fails(context):
        raise PermissionError(13, "Permission denied", "data.pt")

    monkeypatch.setattr(_ledger, "PROTOCOLS", (Protocol("fails", "Fails", ("C01",), fails),))
    with pytest.raises(PermissionError, match=r"data\.pt"):
        run_claims(["C01"], "quick", tmp_path)


def test_a_protocol_must_measure_what_it_promises(tmp_path):
    for found in ({}, {"C02": Measurement("C02")}, {"C01": Measurement("C02")}):
        protocol = Protocol("short", "Short", ("C01",), lambda context, found=found: found)
        with pytest.raises(AssertionError, match="protocol short measured"):
            protocol.measure(Context("quick", tmp_path))


def test_a_missing_package_is_named(tmp_path):
    from grokkit.scheme import MissingExtra

    protocol = Protocol("needy", "Needy", ("C01",), counted, ("no_such_package",))
    with pytest.raises(MissingExtra, match=r"the protocol needy needs no_such_package: pip install 'grokkit\[lab\]'"):
        protocol.measure(Context("quick", tmp_path))


def test_studies_that_come_with_the_package_are_those_of_the_repository():
    assert {"protocol-a", "protocol-b"} <= set(study_names())
    folder = Path(__file__).parents[3] / "studies"
    for name in study_names():
        if (folder / f"{name}.toml").exists():
            assert load_study(name).digest == load_study(folder / f"{name}.toml").digest
    with pytest.raises(InvalidInput, match="no study 'protocol-c'; did you mean protocol-"):
        load_study("protocol-c")


def test_a_context_runs_and_resumes_a_study(tmp_path):
    told = []
    context = Context("quick", tmp_path, "threads", seed=3, progress=told.append)
    small = {"seeds": 2, "runs": 1, "factors": {"batch_size": [32, 64]}, "configuration": {"epochs": 2}}
    runs = context.study("protocol-a", **small)
    assert runs.complete and len(runs) == 4
    assert runs.study.seed == load_study("protocol-a").seed + 3
    assert (tmp_path / "protocol-a").is_dir() and "4 runs" in told[0]
    digest = runs.rows_sha256
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "protocol-a").glob("*.parquet")}
    assert context.study("protocol-a", **small).rows_sha256 == digest
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "protocol-a").glob("*.parquet")}
    named = context.study(runs.study.replace(seed=runs.study.seed - 3), name="again")
    assert named.rows_sha256 == digest and (tmp_path / "again").is_dir()


def test_where_data_are_looked_for(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.delenv("GROKKIT_TEST_DATA", raising=False)
    assert Context("quick", tmp_path).data_folder("checkpoints") is None
    assert Context("quick", tmp_path, data=tmp_path).data_folder("checkpoints") == tmp_path / "checkpoints"
    assert Context("quick", tmp_path, data=tmp_path / "other").data_folder("checkpoints") is None
    monkeypatch.setenv("GROKKIT_TEST_DATA", str(tmp_path))
    assert Context("quick", tmp_path).data_folder("checkpoints") == tmp_path / "checkpoints"


def test_protocols_have_titles():
    for protocol in PROTOCOLS:
        assert protocol.title and protocol.title[0].isupper() and not protocol.title.endswith(".")
