import ast
import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grokkit.scheme.verify_standalone as standalone
from bilinear import GAUSS, KNOWN, any_schemes_of, other_targets, scaled
from grokkit.scheme import (
    InvalidInput,
    Refuted,
    Ring,
    Scheme,
    check_claim,
    dumps,
    expand,
    read_scheme,
    sandwiched,
    standard_scheme,
    verify,
)
from grokkit.scheme.catalog import catalog, standard
from strategies import any_schemes, exact_schemes

PROGRAM = Path(standalone.__file__)
STRASSEN = catalog["strassen"]
HALVES = sandwiched(STRASSEN, [[2, 1], [1, 1]], [[1, 3], [0, 2]], [[1, 0], [5, 7]])
MODULAR = Scheme(STRASSEN.target, abs(STRASSEN.U), abs(STRASSEN.V), abs(STRASSEN.W), ring=Ring.parse("GF(2)"))


def run(*paths):
    # -I -S: no site packages, no environment: only the standard library can be there
    return subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_imports_only_the_standard_library():
    tree = ast.parse(PROGRAM.read_text())
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules <= sys.stdlib_module_names


def test_it_is_short_enough_to_read():
    assert len(PROGRAM.read_text().splitlines()) <= 235


def library_verdict(path):
    """(0, digest), (1, wrong entries, the first) or (2,), as the library sees it."""
    try:
        scheme, claimed = read_scheme(path)
        certificate = verify(scheme)
        if claimed is not None:
            check_claim(claimed, certificate.to_json(), path)
    except Refuted as error:
        return 1, error.wrong, error.index
    except InvalidInput:
        return (2,)
    return 0, certificate.digest


def standalone_verdict(path):
    try:
        status, text = standalone.check(path)
    except ValueError:
        return (2,)
    if status == 0:
        return 0, text.split("sha256 ")[1]
    wrong, *index = map(int, re.search(r"(\d+) entries are wrong, the first at \((\d+), (\d+), (\d+)\)", text).groups())
    return status, wrong, tuple(index)


def agree(folder, text):
    path = folder / "s.json"
    path.write_text(text, encoding="utf-8")
    verdict = library_verdict(path)
    assert standalone_verdict(path) == verdict
    return verdict


@settings(max_examples=25)
@given(exact_schemes())
def test_it_agrees_on_exact_schemes(tmp_path_factory, scheme):
    text = dumps(scheme, verify(scheme))
    assert agree(tmp_path_factory.mktemp("exact"), text) == (0, scheme.digest)


@settings(max_examples=25)
@given(any_schemes())
def test_it_agrees_on_wrong_schemes(tmp_path_factory, scheme):
    assert agree(tmp_path_factory.mktemp("any"), dumps(scheme))[0] < 2


@settings(max_examples=50)
@given(any_schemes_of())
def test_it_agrees_on_other_targets(tmp_path_factory, scheme):
    assert agree(tmp_path_factory.mktemp("other"), dumps(scheme))[0] < 2


@settings(max_examples=25)
@given(other_targets.flatmap(lambda target: scaled(standard_scheme(target))))
def test_it_agrees_on_exact_schemes_of_other_targets(tmp_path_factory, scheme):
    text = dumps(scheme, verify(scheme))
    assert agree(tmp_path_factory.mktemp("exact"), text) == (0, scheme.digest)


def test_the_program_on_other_targets(tmp_path):
    for name, scheme in KNOWN.items():
        (tmp_path / f"{name}.json").write_text(dumps(scheme, verify(scheme)))
    done = run(*(tmp_path / f"{name}.json" for name in KNOWN))
    assert done.returncode == 0
    assert all(scheme.digest in done.stdout for scheme in KNOWN.values())
    assert "exact: <kind:polynomial,terms:[2,2];3> over Z" in done.stdout
    w = GAUSS.W.copy()
    w[0, 2] = 1
    (tmp_path / "wrong.json").write_text(dumps(Scheme(GAUSS.target, GAUSS.U, GAUSS.V, w)))
    done = run(tmp_path / "wrong.json")
    assert done.returncode == 1
    assert "refuted: <kind:complex;3> over Z: 2 entries are wrong, the first at (1, 0, 0)" in done.stdout


def one(**changes):
    """<1,1,1;1> with 5 · 7 · 9 for 1, so that it is exact only if it is not really checked."""
    factors = {name: {"denominator": 1, "rows": [[x]]} for name, x in zip("UVW", (5, 7, 9), strict=True)}
    return {"grokkit": "scheme", "version": 1, "format": [1, 1, 1], "rank": 1, "ring": "Z"} | factors | changes


def flat(target):
    """A file of one product for another target."""
    content = one(target=target, **UNIT)
    del content["format"]
    return content


EMPTY = {"denominator": 1, "rows": []}
UNIT = {name: {"denominator": 1, "rows": [[1]]} for name in "UVW"}
FOOLING = {
    **{f"ring {r}": one(ring=r) for r in ("GF(1)", "GF(-1)", "GF(02)", "GF(2 )", "GF(٢)", "GF(0)", "GF(2)\n", " Z")},
    "GF(4)": one(ring="GF(4)", **UNIT),
    "huge field": one(ring=f"GF({10**9 * 4 + 7})", **UNIT),
    "huge ring": one(ring="GF(" + "9" * 5000 + ")"),
    "format 0": one(format=[0, 0, 0], rank=0, U=EMPTY, V=EMPTY, W=EMPTY),
    "format -2": one(format=[-2, -2, -2], rank=0, U=EMPTY, V=EMPTY, W={"denominator": 1, "rows": [[]] * 4}),
    "format true": one(format=[True, True, True], **UNIT),
    "format 1025": one(format=[1025, 1, 1], **UNIT),
    "rank true": one(rank=True, **UNIT),
    "rank 1.0": one(rank=1.0, **UNIT),
    "version true": one(version=True, **UNIT),
    "unknown key": one(extra=1, **UNIT),
    "wrong ternary": one(ternary=False, **UNIT),
    "ternary 1": one(ternary=1, **UNIT),
    "certificate list": one(certificate=[], **UNIT),
    "certificate empty": one(certificate={}, **UNIT),
    "seed true": one(provenance={"seed": True}, **UNIT),
    "seed large": one(provenance={"seed": 2**70}, **UNIT),
    "provenance null": one(provenance=None, **UNIT),
    "provenance deep": one(provenance={"configuration": {"a": json.loads("[" * 64 + "]" * 64)}}, **UNIT),
    "provenance infinite": one(provenance={"configuration": {"a": float("inf")}}, **UNIT),
    "format and target": one(target={"kind": "cyclic", "length": 1}, **UNIT),
    "target true": flat(True),
    "target without a kind": flat({"length": 1}),
    "kind 1": flat({"kind": 1}),
    "kind list": flat({"kind": ["cyclic"]}),
    "kind unknown": flat({"kind": "matrix"}),
    "kind in capitals": flat({"kind": "Cyclic", "length": 1}),
    "length missing": flat({"kind": "cyclic"}),
    "length list": flat({"kind": "cyclic", "length": [1]}),
    "length true": flat({"kind": "cyclic", "length": True}),
    "length 0": flat({"kind": "cyclic", "length": 0}),
    "length 1.0": flat({"kind": "cyclic", "length": 1.0}),
    "length large": flat({"kind": "cyclic", "length": 2**16 + 1}),
    "terms a number": flat({"kind": "polynomial", "terms": 1}),
    "terms three": flat({"kind": "polynomial", "terms": [1, 1, 1]}),
    "terms one": flat({"kind": "polynomial", "terms": [1]}),
    "terms of another": flat({"kind": "polynomial", "shape": [1, 1]}),
    "more than terms": flat({"kind": "polynomial", "terms": [1, 1], "length": 1}),
    "shape text": flat({"kind": "toeplitz", "shape": "11"}),
    "complex of a size": flat({"kind": "complex", "length": 2}),
    "complex with an empty key": flat({"kind": "complex", "": 2}),
    "complex of other widths": flat({"kind": "complex"}),
    "not an object": [one()],
    "true for one": one(**UNIT | {"U": {"denominator": 1, "rows": [[True]]}}),
    "fraction over Z": one(**UNIT | {"U": {"denominator": 2, "rows": [[1]]}}),
}


@pytest.mark.parametrize("name", FOOLING)
def test_it_is_not_fooled(tmp_path, name):
    assert agree(tmp_path, json.dumps(FOOLING[name])) == (2,)


def test_numbers_past_the_range_are_refused(tmp_path):
    text = json.dumps(one(provenance={"configuration": {"a": 0.5}}, **UNIT))
    assert agree(tmp_path, text)[0] == 0
    assert agree(tmp_path, text.replace("0.5", "1e999")) == (2,)


def test_deep_configurations_as_far_as_they_are_written(tmp_path):
    deep = {"a": json.loads("[" * 63 + "]" * 63)}
    assert agree(tmp_path, json.dumps(one(provenance={"configuration": deep}, **UNIT)))[0] == 0


odd = st.sampled_from(
    [
        *(
            0,
            1,
            -1,
            2,
            7,
            64,
            -(2**63),
            2**63,
            10**30,
            1.0,
            7.0,
            True,
            False,
            None,
            "",
            "1",
            [],
            {},
            [2, 2, 2],
            [1, 4, 1],
            [2, 2],
        ),
        *("polynomial", "cyclic", "toeplitz", "complex", "quaternion", {"kind": "complex"}),
        *("Z", "Q", "GF(2)", "GF(3)", "GF(4)", "GF(5)", "GF(2147483647)", "GF(4294967291)", "gf(2)"),
    ]
).map(copy.deepcopy)  # lists are mutated further on


ADDED = ("extra", "ternary", "provenance", "seed", "format", "target", "length")


@settings(max_examples=300)
@given(data=st.data())
def test_it_agrees_on_mutated_files(tmp_path_factory, data):
    """Replace, drop, add or multiply anything anywhere in a file: one verdict."""
    base = data.draw(st.sampled_from([catalog["strassen"], HALVES, standard(1, 2, 1), MODULAR, *KNOWN.values()]))
    certified = data.draw(st.booleans())
    content = json.loads(dumps(base, verify(base) if certified else None))
    for _ in range(data.draw(st.integers(1, 2))):
        place = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
                kind = data.draw(st.sampled_from(["replace", "replace", "drop", "add"]))
                if kind == "replace":
                    place[key] = data.draw(odd)
                elif kind == "drop":
                    del place[key]
                elif isinstance(place, dict):
                    place[data.draw(st.sampled_from(ADDED))] = data.draw(odd)
                else:
                    place.append(data.draw(odd))
                break
            place = place[key]
    if data.draw(st.booleans()):
        for factor in (content.get(name) for name in "UVW"):
            if isinstance(factor, dict) and type(factor.get("denominator")) is int:
                factor["denominator"] *= 6
                rows = factor.get("rows")
                for row in rows if isinstance(rows, list) else []:
                    if isinstance(row, list):
                        row[:] = [x * 6 if type(x) is int else x for x in row]
    agree(tmp_path_factory.mktemp("mutated"), json.dumps(content))


def test_the_program(tmp_path):
    good, wrong, bad = tmp_path / "good.json", tmp_path / "wrong.json", tmp_path / "bad.json"
    strassen = catalog["strassen"]
    good.write_text(dumps(strassen))
    w = np.array(strassen.W)
    w[3, 3] = 1
    wrong.write_text(dumps(Scheme(strassen.target, strassen.U, strassen.V, w)))
    bad.write_text('{"grokkit": "scheme"')
    done = run(good)
    assert done.returncode == 0
    assert strassen.digest in done.stdout
    done = run(good, wrong)
    assert done.returncode == 1
    assert "refuted: <2,2,2;7> over Z: 2 entries are wrong, the first at (3, 0, 3)" in done.stdout
    assert run(good, bad).returncode == 2
    assert run(tmp_path / "missing.json").returncode == 2
    assert run().returncode == 1


def test_the_program_on_a_large_power_and_modulo_two(tmp_path):
    large = expand(catalog["strassen"], 3)
    (tmp_path / "large.json").write_text(dumps(large))
    s = catalog["strassen"]
    modular = Scheme(s.target, abs(s.U), abs(s.V), abs(s.W), ring=Ring.parse("GF(2)"))
    (tmp_path / "modular.json").write_text(dumps(modular))
    done = run(tmp_path / "large.json", tmp_path / "modular.json")
    assert done.returncode == 0
    assert large.digest in done.stdout
    assert modular.digest in done.stdout


@pytest.mark.parametrize("name", ["strassen", "winograd"])
def test_it_proves_the_stored_schemes(name):
    path = PROGRAM.parent / "data" / f"{name}.json"
    assert run(path).returncode == 0
