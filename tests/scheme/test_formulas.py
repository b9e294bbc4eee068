import re
from fractions import Fraction

import numpy as np
from hypothesis import given

from grokkit.scheme import MatrixProduct, Scheme, formulas
from grokkit.scheme.catalog import catalog, standard
from strategies import any_schemes, exact_schemes


def test_strassen_reads_as_in_the_books():
    text = str(catalog["strassen"])
    assert text.splitlines()[0] == "M1 = (A11 + A22)(B11 + B22)"
    assert text.splitlines()[3] == "M4 = A22 (B21 - B11)"
    assert text.splitlines()[7] == "C11 = M1 + M4 - M5 + M7"


def test_latex():
    text = formulas(catalog["strassen"], latex=True)
    assert text.startswith("\\begin{align*}\n  M_{1} &= (A_{11} + A_{22})(B_{11} + B_{22}) \\\\\n")
    assert text.endswith("C_{22} &= M_{1} - M_{2} + M_{3} + M_{6}\n\\end{align*}")
    half = Scheme(MatrixProduct(1, 1, 1), [[1]], [[2]], [[1]], (2, 1, 1))
    assert r"M_{1} &= (\tfrac{1}{2} A_{11})(2 B_{11})" in formulas(half, latex=True)


def evaluate(expression, names):
    """Evaluate printed formulas with Python: names to numbers, adjacency to products."""
    expression = re.sub(r"\((\d+)/(\d+)\) ", r"Fraction(\1,\2)*", expression)
    expression = re.sub(r"(?<![A-Z\d\[,])(\d+) (?=[A-Z(])", r"\1*", expression)
    expression = re.sub(r"\)\s?\(", ")*(", expression)
    expression = re.sub(r"(?<=[\w\])]) (?=[A-Z(])", "*", expression)
    expression = re.sub(r"([ABCM])\[(\d+),(\d+)\]", r"\1_\2_\3", expression)
    return eval(expression, {"Fraction": Fraction}, names)  # noqa: S307


@given(any_schemes(size=9))
def test_the_text_computes_what_the_scheme_computes(scheme):
    rng = np.random.default_rng(0)
    n, m, p = scheme.target.format
    a, b = (Fraction(int(x)) for x in [0, 0]), None
    values = {}
    a = [Fraction(int(x)) for x in rng.integers(-9, 9, n * m)]
    b = [Fraction(int(x)) for x in rng.integers(-9, 9, m * p)]
    for side, entries in ((0, a), (1, b)):
        for i, value in enumerate(entries):
            values[scheme.target.variable(side, i)] = value
    for line in str(scheme).splitlines():
        name, _, expression = line.partition(" = ")
        values[name] = evaluate(expression, values)
    u, v, w = scheme.fractions()
    products = [
        sum(x * y for x, y in zip(ur, a, strict=True)) * sum(x * y for x, y in zip(vr, b, strict=True))
        for ur, vr in zip(u, v, strict=True)
    ]
    for k, row in enumerate(w):
        expected = sum(x * y for x, y in zip(row, products, strict=True))
        assert values[scheme.target.variable(2, k)] == expected


@given(exact_schemes())
def test_every_product_and_output_has_its_line(scheme):
    assert len(str(scheme).splitlines()) == scheme.rank + scheme.target.shape[2]


def test_large_formats_are_unambiguous():
    assert "M11 = A[1,11] B[11,1]" in str(standard(1, 12, 1))
