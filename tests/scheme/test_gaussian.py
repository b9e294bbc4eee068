"""Schemes over the Gaussian rationals: arithmetic, proof, files."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import (
    Gaussian,
    InvalidInput,
    MatrixProduct,
    Qi,
    Refuted,
    Scheme,
    SchemeFile,
    Undecided,
    additions,
    canonical,
    compose,
    dumps,
    equivalent,
    formulas,
    growth_factor,
    invariants,
    load,
    reduce_additions,
    rotated,
    sandwiched,
    save,
    transposed,
    verify,
)
from grokkit.scheme import verify_standalone as standalone
from grokkit.scheme._gaussian import parts, simple
from grokkit.scheme.catalog import catalog, standard

STRASSEN = catalog["strassen"]
I = Gaussian(0, 1)  # noqa: E741
integers = st.builds(simple, st.integers(-9, 9), st.integers(-9, 9))


def as_complex(value) -> complex:
    re, im = parts(value)
    return complex(re, im)


@given(integers, integers, integers)
def test_gaussian_integers_are_a_ring(x, y, z):
    assert x + y == y + x and x * y == y * x
    assert (x + y) + z == x + (y + z) and (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z
    assert x - y == -(y - x) and x - x == 0
    for value, expected in ((x + y, as_complex(x) + as_complex(y)), (x * y, as_complex(x) * as_complex(y))):
        assert as_complex(value) == expected
    assert (hash(x) == hash(y)) or x != y
    assert bool(x) == (as_complex(x) != 0)


def test_gaussian_numbers_are_plain_where_they_are_real():
    assert Gaussian(2, 0) == 2 and hash(Gaussian(2, 0)) == hash(2)
    assert type(I * I) is int
    assert repr(Gaussian(Fraction(1, 2), -1)) == "1/2 - i"
    assert repr(Gaussian(0, Fraction(3, 2))) == "3/2 i"
    with pytest.raises(AttributeError, match="immutable"):
        I.re = 3
    with pytest.raises(TypeError):
        int(I)


def complex_strassen() -> Scheme:
    """Strassen's scheme in a complex basis: A → P A Q⁻¹ and so on with unit diagonal matrices, slot scales complex."""
    p, q, r = [1, I], [I, -1], [1, -I]

    def moved(rows, left, right):
        return [[x * left[i // 2] * right[i % 2] for i, x in enumerate(row)] for row in rows.tolist()]

    conjugate = {1: 1, -1: -1, I: -I, -I: I}
    inverse = [[conjugate[x] for x in side] for side in (p, q, r)]
    u = moved(STRASSEN.U, inverse[0], q)
    v = moved(STRASSEN.V, inverse[1], r)
    w = moved(STRASSEN.W.T, p, inverse[2])
    return Scheme(STRASSEN.target, u, v, [list(row) for row in zip(*w, strict=True)], ring=Qi)


COMPLEX = complex_strassen()


def test_a_complex_scheme_is_proven():
    assert verify(COMPLEX).ring == "Q(i)"
    assert not COMPLEX.ternary
    scaled = Scheme(STRASSEN.target, COMPLEX.U, COMPLEX.V, COMPLEX.W * 6, (2, 3, 1), ring=Qi)
    verify(scaled)
    assert verify(Scheme(STRASSEN.target, STRASSEN.U, STRASSEN.V, STRASSEN.W, ring=Qi)).ring == "Q(i)"
    square = compose(COMPLEX, STRASSEN)
    assert verify(square).rank == 49 and str(square.ring) == "Q(i)"
    for other in (transposed(COMPLEX), rotated(COMPLEX)):
        verify(other)


@given(st.integers(0, 3), st.integers(0, 6), integers)
def test_a_wrong_complex_entry_is_refuted_with_its_value(k, r, wrong):
    w = COMPLEX.W.copy().astype(object)
    if w[k, r] == wrong:
        return
    w[k, r] = wrong
    scheme = Scheme(COMPLEX.target, COMPLEX.U, COMPLEX.V, w, ring=Qi)
    with pytest.raises(Refuted) as caught:
        verify(scheme)
    u, v, w = (np.vectorize(as_complex)(x) for x in (scheme.U, scheme.V, scheme.W))
    tensor = np.einsum("ri,rj,kr->ijk", u, v, w)
    first = tuple(np.argwhere(tensor != scheme.target.tensor())[0].tolist())
    assert caught.value.index == first
    assert as_complex(caught.value.found) == tensor[first]


def test_complex_schemes_are_stored(tmp_path):
    path = tmp_path / "c.json"
    save(COMPLEX, path, verify(COMPLEX))
    assert load(path) == COMPLEX
    assert '"ring": "Q(i)"' in path.read_text() and "[0, 1]" in path.read_text()
    assert SchemeFile(path).read().scheme == COMPLEX
    assert standalone.main([str(path)]) == 0
    content = json.loads(path.read_text())
    del content["certificate"]
    content["U"]["rows"][0][0] = [1, 1]
    path.write_text(json.dumps(content))
    assert standalone.main([str(path)]) == 1
    content["U"]["rows"][0][0] = [1, 1, 1]
    path.write_text(json.dumps(content))
    assert standalone.main([str(path)]) == 2
    with pytest.raises(InvalidInput, match=r"U\[0\]\[0\] is a list; an integer is needed"):
        load(path)
    content["U"]["rows"][0][0], content["ring"] = [0, 1], "Q"
    path.write_text(json.dumps(content))
    assert standalone.main([str(path)]) == 2
    with pytest.raises(InvalidInput, match="an integer is needed"):
        load(path)


def test_complex_schemes_in_other_formats(tmp_path):
    text = "{{{{I}}, {{-I/2}}, {{2}}}}"
    (tmp_path / "x.m").write_text(text)
    scheme = load(tmp_path / "x.m")
    assert str(scheme.ring) == "Q(i)" and scheme.U[0, 0] == I
    (tmp_path / "x.json").write_text(json.dumps({"u": [["1+I"]], "v": [["1-1*I"]], "w": [["1/2"]]}))
    assert verify(load(tmp_path / "x.json")).ring == "Q(i)"
    u, v, w = (np.vectorize(as_complex)(x) for x in (COMPLEX.U, COMPLEX.V, COMPLEX.W))
    turned = w.reshape(2, 2, -1).transpose(1, 0, 2).reshape(4, -1)
    np.savez(tmp_path / "x.npz", **{"2,2,2": np.stack([u.T, v.T, turned])})
    assert load(tmp_path / "x.npz", "2,2,2") == COMPLEX
    (tmp_path / "wrong.m").write_text("{{{{I}}, {{I}}, {{1}}}}")
    with pytest.raises(Refuted, match="is -1, expected 1"):
        load(tmp_path / "wrong.m")


def test_formulas_of_complex_schemes():
    text = formulas(COMPLEX)
    assert "(i) " in text or "(-i) " in text
    assert text.count("\n") == 10
    assert additions(COMPLEX).total == 18


def test_what_is_not_done_over_the_gaussian_rationals_says_so(tmp_path):
    import grokkit as gk

    ones = np.ones((4, 4))
    for action in (
        lambda: growth_factor(COMPLEX),
        lambda: invariants(COMPLEX),
        lambda: reduce_additions(COMPLEX),
        lambda: sandwiched(COMPLEX, [[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 1]]),
        lambda: COMPLEX.floats(),
        lambda: COMPLEX.fractions(),
        lambda: save(COMPLEX, tmp_path / "x.exp"),
        lambda: save(COMPLEX, tmp_path / "x.npz"),
        lambda: save(COMPLEX, tmp_path / "x.py"),
        lambda: gk.matmul(ones, ones, scheme=COMPLEX),
        lambda: Scheme(MatrixProduct(1, 1, 1), [[I]], [[1]], [[1]]),
        lambda: canonical(COMPLEX) if isinstance(canonical(COMPLEX), Scheme) else refuse(),
    ):
        with pytest.raises(InvalidInput):
            action()
    assert isinstance(equivalent(COMPLEX, STRASSEN), Undecided)
    assert isinstance(canonical(COMPLEX, "bases"), Undecided)
    assert dumps(standard(1, 1, 1)).count("[") == dumps(Scheme(MatrixProduct(1, 1, 1), [[1]], [[1]], [[1]])).count("[")


def refuse():
    raise InvalidInput("undecided")
