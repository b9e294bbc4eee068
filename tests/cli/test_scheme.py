"""``grokkit scheme`` and foreign files in ``grokkit verify``."""

from __future__ import annotations

import json
import shutil

import pytest

from grokkit.cli import main
from grokkit.scheme import Scheme, load, save, verify
from grokkit.scheme.catalog import catalog, standard

STRASSEN = catalog["strassen"]


@pytest.fixture
def run(capsys):
    """Exit code, output and errors of a command line; what must be one line on stderr is checked to be."""

    def _run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        if code == 2:
            assert len(err.strip().splitlines()) == 1
        return code, out, err

    return _run


@pytest.fixture
def parsed(run):
    def _parsed(*arguments: object, code: int = 0) -> dict:
        status, out, err = run(*arguments, "--json")
        assert status == code, (out, err)
        assert len(out.strip().splitlines()) == 1
        return json.loads(out)

    return _parsed


VERBS = ("info", "verify", "convert", "canonical", "equivalent", "compose", "construct", "reduce", "atlas")


def test_the_group_lists_its_verbs(run):
    code, out, _ = run("scheme", "--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)
    assert run("scheme", "nothing")[2].startswith("grokkit scheme: no such command")
    assert "missing argument 'SCHEME'" in run("scheme", "info")[2]


def test_info(run, parsed, tmp_path):
    code, out, _ = run("scheme", "info", "strassen", "--picture", tmp_path / "s.svg")
    assert code == 0
    for words in (
        "M1 = (A11 + A22)(B11 + B22)",
        "all 64 equations proven",
        "84 parameters - 61",
        "order 6",
        "7 (Q)",
    ):
        assert words in out
    assert (tmp_path / "s.svg").read_text().startswith("<svg")
    content = parsed("scheme", "info", "winograd")
    assert (content["rank"], content["additions"], content["growth_factor"]) == (7, 24, 18)
    assert content["invariants"]["excess"] == 0
    assert content["certificate"]["digest"] == content["digest"]


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_pictures(run, tmp_path, suffix):
    assert run("scheme", "info", "2x3x4:24", "--picture", tmp_path / f"s{suffix}")[0] == 0
    assert (tmp_path / f"s{suffix}").stat().st_size > 2000
    assert "jpx" in run("scheme", "info", "strassen", "--picture", tmp_path / "s.jpx")[2]


def test_complex_schemes(run, parsed, tmp_path):
    (tmp_path / "c.m").write_text("{{{{I}}, {{-I/2}}, {{2}}}}")
    (row,) = parsed("verify", tmp_path / "c.m")["results"]
    assert (row["verdict"], row["ring"], row["growth_factor"]) == ("exact", "Q(i)", None)
    code, out, _ = run("scheme", "info", tmp_path / "c.m")
    assert code == 0 and "over Q(i)" in out and "not computed for complex" in out and "M1 = ((i) A11)" in out
    assert run("scheme", "convert", tmp_path / "c.m", tmp_path / "c.json")[0] == 0
    assert parsed("scheme", "compose", tmp_path / "c.json", "strassen")["ring"] == "Q(i)"
    for verb in ("reduce", "canonical", "convert"):
        more = [tmp_path / "x.exp"] if verb == "convert" else []
        assert run("scheme", verb, tmp_path / "c.json", *more)[0] in (1, 2)
    assert run("expand", tmp_path / "c.json")[0] == 0
    assert "not drawn in color" in run("scheme", "info", tmp_path / "c.m", "--picture", tmp_path / "c.svg")[2]


def test_convert_and_read_back(run, parsed, tmp_path):
    for name in ("s.exp", "s.m", "s.mpl", "s.txt", "s.npz", "s.pt", "s.json"):
        code, out, _ = run("scheme", "convert", "strassen", tmp_path / name)
        assert code == 0 and str(tmp_path / name) in out
        (row,) = parsed("verify", tmp_path / name)["results"]
        assert (row["verdict"], row["digest"]) == ("exact", STRASSEN.digest)
    assert parsed("scheme", "convert", "strassen", tmp_path / "x", "--to", "perminov")["out"] == str(tmp_path / "x")
    assert json.loads((tmp_path / "x").read_text())["m"] == 7
    assert "format 'doc' is not written" in run("scheme", "convert", "strassen", tmp_path / "y", "--to", "doc")[2]
    assert not (tmp_path / "y").exists()


def test_canonical(run, parsed, tmp_path):
    one = parsed("scheme", "canonical", "winograd", "--group", "bases")
    two = parsed("scheme", "canonical", "strassen", "--group", "bases", "--out", tmp_path / "c.json")
    assert one["digest"] == two["digest"] == load(tmp_path / "c.json").digest
    code, out, _ = run("scheme", "canonical", "2x2x2:8", "--group", "bases")
    assert code == 1 and "undecided" in out
    assert "use one of slots, bases, all" in run("scheme", "canonical", "strassen", "--group", "some")[2]


def test_equivalent(run, parsed):
    content = parsed("scheme", "equivalent", "strassen", "winograd")
    assert content["verdict"] == "equivalence"
    assert len(content["P"]) == 2 and sorted(content["permutation"]) == list(range(7))
    code, out, _ = run("scheme", "equivalent", "strassen", "2x2x2:8")
    assert code == 1 and out == "inequivalent: ranks 7 and 8\n"


def test_compose(run, parsed, tmp_path):
    content = parsed("scheme", "compose", "strassen", "winograd", "--out", tmp_path / "s.json")
    assert (content["format"], content["rank"]) == ([4, 4, 4], 49)
    verify(load(tmp_path / "s.json"))
    content = parsed("scheme", "compose", "strassen", "2x2x1:4", "--along", "p", "--order", "3x2x2")
    assert (content["format"], content["rank"]) == ([3, 2, 2], 11)
    content = parsed("scheme", "compose", "strassen", "winograd", "--restrict", "3x4x4", "--extend", "5x5x5")
    assert content["format"] == [5, 5, 5]
    assert "--along needs a second scheme" in run("scheme", "compose", "strassen", "--along", "n")[2]
    assert "no direct sum" in run("scheme", "compose", "strassen", "1x1x1:1", "--along", "n")[2]


def test_construct(run, parsed, tmp_path):
    code, out, _ = run("scheme", "construct", "4x4x4")
    assert code == 0
    assert out.startswith("<4,4,4;49>: flip graph, sha256 ") and "best known: 48 (Q)" in out
    assert run("scheme", "construct", "8x8x8")[1].startswith("<8,8,8;343> = <2,2,2;7> (x) <4,4,4;49>")
    content = parsed("scheme", "construct", "3x2x6", "--out", tmp_path / "c.exp")
    assert load(tmp_path / "c.exp").rank == content["rank"] == 30
    code, out, _ = run("scheme", "construct", "3x3x3", "--table")
    assert code == 0 and "2x2x2" in out and "best known" in out
    save(standard(1, 1, 2), tmp_path / "s.json")
    assert parsed("scheme", "construct", "2x2x2", "--using", tmp_path / "s.json", "--ring", "ternary")["rank"] == 7
    assert "sides up to 16" in run("scheme", "construct", "99x2x2")[2]
    assert parsed("scheme", "construct", "cyclic:7", "--out", tmp_path / "c7.json")["rank"] == 12
    assert parsed("scheme", "verify", tmp_path / "c7.json")
    assert run("scheme", "construct", "poly:4")[1].startswith("<poly:4;7> over Q, by interpolation")
    assert "are known by their values" in run("scheme", "construct", "quaternion")[2]
    assert "are for formats" in run("scheme", "construct", "cyclic:5", "--table")[2]


def test_reduce(run, parsed, tmp_path):
    code, out, _ = run("scheme", "reduce", "winograd", "--program", tmp_path / "p.json")
    assert code == 0
    assert "with shared subexpressions: 15 (4 for A, 4 for B, 7 for C)" in out
    assert "in an alternative basis: 12 a recursive step" in out
    (row,) = parsed("verify", tmp_path / "p.json")["results"]
    assert (row["verdict"], row["shared_additions"]) == ("exact", 15)
    content = parsed(
        "scheme", "reduce", "winograd", "--orbit", "nonzeros", "--steps", "3000", "--out", tmp_path / "o.json"
    )
    assert sum(content["nonzeros"]) <= 36
    verify(load(tmp_path / "o.json"))
    assert "objective 'speed'" in run("scheme", "reduce", "winograd", "--orbit", "speed")[2]


def test_refuted_and_missing_schemes(run, tmp_path):
    w = STRASSEN.W.copy()
    w[0, 0] = 0
    save(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, w), tmp_path / "w.exp")
    for verb in ("info", "canonical", "reduce", "compose"):
        code, out, err = run("scheme", verb, tmp_path / "w.exp")
        assert code == 1 and "no convention makes it exact" in out and err == ""
    assert "no scheme 'nothing' in the catalog" in run("scheme", "info", "nothing")[2]
    assert "No such file" in run("scheme", "info", "nothing.json")[2]
    assert "a directory" in run("scheme", "info", tmp_path)[2]


def test_archives(run, parsed, test_data):
    archive = test_data / "schemes/alphatensor/factorizations_f2.npz"
    rows = parsed("verify", archive)["results"]
    assert len(rows) == 20
    assert {row["verdict"] for row in rows} == {"exact"} and {row["ring"] for row in rows} == {"GF(2)"}
    assert parsed("scheme", "info", f"{archive}#4,4,4")["rank"] == 47
    assert "holds 20 schemes; choose one" in run("scheme", "info", archive)[2]
    code, out, _ = run("verify", f"{archive}#4,4,4")
    assert code == 0 and "read with C transposed" in out
    assert parsed("scheme", "construct", "4x4x4", "--using", archive, "--ring", "GF(2)")["rank"] == 47


def test_what_is_refused_says_why(run, test_data, tmp_path):
    folder = test_data / "schemes"
    for name, words in (
        ("fast-matmul/bini223-10-52-approx", "approximating"),
        ("fast-matmul/grey323-15-89", "eliminated"),
        ("plinopt/2x2x2_7_DPS-accurate_P.sms", "irrational"),
    ):
        code, out, _ = run("verify", folder / name)
        assert code == 1 and ": unreadable: " in out and words in out
        assert len(out.splitlines()) == 1
    shutil.copy(folder / "perminov/2x2x2_m7_ZT.json", tmp_path / "2x2x2_m6_ZT.json")
    assert "its name says 6 products, it holds 7" in run("verify", tmp_path / "2x2x2_m6_ZT.json")[1]


def test_atlas(run, parsed, tmp_path, monkeypatch):
    save(standard(2, 2, 2), tmp_path / "mine.exp")
    content = parsed("scheme", "atlas", tmp_path / "mine.exp", "--out", tmp_path / "atlas")
    assert content["schemes"] == len(catalog) + 1
    assert (tmp_path / "atlas" / "mine.exp.html").exists()
    monkeypatch.setattr(type(catalog), "__iter__", lambda self: iter(["strassen", "poly-2-3"]))
    code, out, _ = run("scheme", "atlas", "--out", tmp_path / "again")
    assert code == 0 and str(tmp_path / "again" / "index.html") in out
