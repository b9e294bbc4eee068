import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import grokkit.scheme.verify_standalone as standalone
from grokkit.scheme import Refuted, Ring, Scheme, dumps, expand, verify
from grokkit.scheme.catalog import catalog
from strategies import any_schemes, exact_schemes

PROGRAM = Path(standalone.__file__)


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
    assert len(PROGRAM.read_text().splitlines()) <= 160


@settings(max_examples=25)
@given(exact_schemes())
def test_it_agrees_on_exact_schemes(scheme):
    data = json.loads(dumps(scheme))
    factors = standalone_factors(data)
    assert standalone.wrong_entries(*factors) == []
    assert standalone.digest(data) == scheme.digest


@settings(max_examples=25)
@given(any_schemes())
def test_it_agrees_on_wrong_schemes(scheme):
    wrong = standalone.wrong_entries(*standalone_factors(json.loads(dumps(scheme))))
    try:
        verify(scheme)
    except Refuted as error:
        assert len(wrong) == error.wrong
        assert wrong[0] == error.index
    else:
        assert wrong == []


def standalone_factors(data):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.json"
        path.write_text(json.dumps(data))
        return standalone.read(path)


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
