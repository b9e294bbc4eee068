"""Targets other than matrix products, and schemes for them."""

import copy
import ctypes
import itertools
import pickle
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilinear import (
    CYCLIC_3,
    GAUSS,
    KARATSUBA,
    KNOWN,
    QUATERNION,
    TOEPLITZ_2,
    TOOM_3,
    all_targets,
    any_schemes_of,
    other_targets,
    scaled,
)
from grokkit.scheme import (
    ComplexProduct,
    CyclicConvolution,
    InvalidInput,
    MatrixProduct,
    PolynomialProduct,
    QuaternionProduct,
    Refuted,
    Ring,
    Scheme,
    Target,
    ToeplitzProduct,
    Undecided,
    additions,
    alternative_basis,
    canonical,
    construct,
    direct_sum,
    equivalent,
    error_bound,
    extended,
    formulas,
    frobenius_growth,
    growth_factor,
    improve,
    invariants,
    jacobian_rank,
    parse_target,
    reduce_additions,
    rescaled,
    restricted,
    rotated,
    sandwiched,
    save,
    scalings,
    stabilizer,
    standard,
    standard_scheme,
    svg_picture,
    text_picture,
    transposed,
    typical_growth,
    verify,
    with_format,
)
from grokkit.scheme._invariants import PRIME, symmetry_dimension
from grokkit.scheme._targets import MAX_LENGTH
from grokkit.scheme.catalog import catalog
from grokkit.scheme.formats import as_text

sizes = st.integers(1, 6)


def value(target, a, b):
    """What the target's tensor says c is."""
    return np.einsum("ijk,i,j->k", target.tensor(), a, b)


def operands(target):
    rng = np.random.default_rng(0)
    return rng.integers(-9, 9, target.shape[0]), rng.integers(-9, 9, target.shape[1])


@given(sizes, sizes)
def test_polynomials(n, m):
    a, b = operands(target := PolynomialProduct(n, m))
    assert (value(target, a, b) == np.convolve(a, b)).all()


@given(sizes)
def test_cyclic_convolutions(n):
    a, b = operands(target := CyclicConvolution(n))
    assert (value(target, a, b) == sum(a[i] * np.roll(b, i) for i in range(n))).all()


@given(sizes, sizes)
def test_toeplitz_matrices(n, m):
    a, b = operands(target := ToeplitzProduct(n, m))
    matrix = np.array([[a[i - j + m - 1] for j in range(m)] for i in range(n)])
    assert a.tolist() == [*matrix[0, ::-1], *matrix[1:, 0]]  # the first row from right to left, then down
    assert (value(target, a, b) == matrix @ b).all()


def test_complex_numbers():
    for a, b in itertools.product([(1, 0), (0, 1), (2, -3)], repeat=2):
        c = complex(*a) * complex(*b)
        assert value(ComplexProduct(), np.array(a), np.array(b)).tolist() == [c.real, c.imag]


def test_quaternions():
    """As the real 4 x 4 matrices that they are."""
    i = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])
    j = np.array([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]])
    basis = np.array([np.eye(4, dtype=int), i, j, i @ j])
    assert all((x @ x == -np.eye(4)).all() for x in basis[1:])
    a, b = operands(QuaternionProduct())
    product = np.tensordot(a, basis, 1) @ np.tensordot(b, basis, 1)
    assert (np.tensordot(value(QuaternionProduct(), a, b), basis, 1) == product).all()


@given(all_targets)
def test_laws_of_targets(target):
    index, values = target.entries
    assert (np.argwhere(target.tensor()) == index).all()
    assert target.nonzeros == len(values)
    assert parse_target(target.name) == parse_target(target.name[1:-1].upper().replace("X", "x")) == target
    assert pickle.loads(pickle.dumps(target)) == copy.deepcopy(target) == target  # noqa: S301
    assert str(target) == target.name
    assert all(rows * columns == length for (rows, columns), length in zip(target.sides(), target.shape, strict=True))
    names = [
        target.variable(side, i, tex) for tex in (False, True) for side in range(3) for i in range(target.shape[side])
    ]
    assert len(set(names)) == len(names)
    assert target.scheme_name(5) == target.name[:-1] + ";5>"


@given(all_targets, all_targets)
def test_equal_targets_are_those_of_one_name(a, b):
    assert (a == b) == (a.name == b.name) == (a.to_json() == b.to_json())
    assert a != b or hash(a) == hash(b)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2x3x4", MatrixProduct(2, 3, 4)),
        ("<2,3,4>", MatrixProduct(2, 3, 4)),
        (" 2 x 3 x 4 ", MatrixProduct(2, 3, 4)),
        ("poly:3", PolynomialProduct(3)),
        ("poly:3x2", PolynomialProduct(3, 2)),
        ("Poly: 3, 2", PolynomialProduct(3, 2)),
        ("<poly:3>", PolynomialProduct(3, 3)),
        ("cyclic:5", CyclicConvolution(5)),
        ("complex", ComplexProduct()),
        ("quaternion", QuaternionProduct()),
        ("toeplitz:3", ToeplitzProduct(3)),
        ("toeplitz:3x4", ToeplitzProduct(3, 4)),
    ],
)
def test_parse(text, target):
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", "2x3", "poly", "poly:", "poly:3x2x1", "cyclic:2x2", "complex:2", "poly:-1", "karatsuba", "poly:3;5"),
        *("x" * 10**6, "poly:٢", "<>", "<poly:2", "poly:1234567", "poly:\n"),
    ],
)
def test_parse_says_what_it_understands(text):
    with pytest.raises(
        InvalidInput, match=r"is not understood; write 2x2x2 .*, poly:3, poly:3x2, cyclic:5, "
    ) as caught:
        parse_target(text)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["poly:0", "poly:3x0", "cyclic:0", "toeplitz:0x2", "poly:999999", "0x1x1"])
def test_sizes_out_of_range(text):
    with pytest.raises(InvalidInput, match=r"it must lie in 1\.\."):
        parse_target(text)


@pytest.mark.parametrize("size", [0, -1, True, MAX_LENGTH + 1, 10**1000])
def test_impossible_sizes_are_refused(size):
    for build in (PolynomialProduct, CyclicConvolution, ToeplitzProduct):
        with pytest.raises(InvalidInput, match="must"):
            build(size)
    with pytest.raises(InvalidInput, match="must"):
        PolynomialProduct(2, size)


def test_entries_cannot_be_changed():
    for array in QuaternionProduct().entries:
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)


RANKS = {"karatsuba": 3, "toom-3": 5, "gauss": 3, "cyclic-3": 4, "toeplitz-2": 3, "quaternion": 16}


@pytest.mark.parametrize("name", KNOWN)
def test_known_schemes_are_exact(name):
    scheme = KNOWN[name]
    certificate = verify(scheme)
    assert certificate.rank == RANKS[name]
    assert certificate.equations == np.prod(scheme.target.shape)
    assert certificate.target == scheme.target
    assert certificate.ring == ("Q" if name in ("toom-3", "cyclic-3") else "Z")
    assert scheme.name == scheme.target.name[:-1] + f";{RANKS[name]}>"


@given(all_targets)
def test_the_standard_algorithm_is_exact_for_every_target(target):
    scheme = standard_scheme(target)
    assert verify(scheme).rank == target.nonzeros
    assert scheme.ternary
    if isinstance(target, MatrixProduct):
        assert scheme == standard(*target.format)


def test_a_standard_algorithm_too_large_to_store_is_refused():
    with pytest.raises(InvalidInput, match="too large to store"):
        standard_scheme(PolynomialProduct(MAX_LENGTH))


@given(any_schemes_of())
def test_verify_agrees_with_dense_tensors(scheme):
    u, v, w = (x.astype(object) for x in (scheme.U, scheme.V, scheme.W))
    a, b, c = scheme.target.shape
    found = np.zeros((a, b, c), dtype=object)
    for x, y, z in zip(u, v, w.T, strict=True):
        found = found + np.multiply.outer(np.multiply.outer(x, y), z)
    scale = int(np.prod(np.array(scheme.denominators, dtype=object)))
    wrong = np.argwhere(found != scale * scheme.target.tensor().astype(object))
    if not len(wrong):
        assert verify(scheme).digest == scheme.digest
        return
    with pytest.raises(Refuted) as caught:
        verify(scheme)
    first = tuple(map(int, wrong[0]))
    assert (caught.value.wrong, caught.value.index) == (len(wrong), first)
    assert caught.value.found == Fraction(int(found[first]), scale)
    assert caught.value.expected == scheme.target.tensor()[first]


@given(st.sampled_from(sorted(KNOWN)).flatmap(lambda name: scaled(KNOWN[name])))
def test_scaled_schemes_stay_exact_and_share_a_canonical_form(scheme):
    verify(scheme)
    (base,) = (known for known in KNOWN.values() if known.target == scheme.target)
    assert canonical(scheme) == canonical(base)


def test_what_refutes_is_named_by_its_variables():
    w = KARATSUBA.W.copy()
    w[1, 2] = 2
    with pytest.raises(
        Refuted, match=r"<poly:2;3> is not exact over Z: the coefficient of a0 b0 in c1 .* is 1, expected 0"
    ):
        verify(Scheme(KARATSUBA.target, KARATSUBA.U, KARATSUBA.V, w))


def test_over_finite_fields():
    """Karatsuba's holds modulo 2 with pluses only; the quaternions' table loses its signs."""
    two = Ring.parse("GF(2)")
    for scheme in (KARATSUBA, QUATERNION, GAUSS):
        assert verify(Scheme(scheme.target, abs(scheme.U), abs(scheme.V), abs(scheme.W), ring=two)).ring == "GF(2)"


def test_schemes_as_text():
    assert formulas(GAUSS) == ("M1 = (a0 + a1) b0\nM2 = a0 (b1 - b0)\nM3 = a1 (b0 + b1)\nc0 = M1 - M3\nc1 = M1 + M2")
    assert r"c_{1} &= M_{1} + M_{2}" in formulas(GAUSS, latex=True)
    assert repr(KARATSUBA).startswith("Scheme(<poly:2;3>, ring=Z, ternary=True")
    assert "Certificate(<complex;3>, ring=Z" in repr(verify(GAUSS))
    assert str(TOEPLITZ_2).endswith("c0 = M1 + M2\nc1 = M1 + M3")


def test_pictures():
    assert text_picture(GAUSS, 200) == "M1        M2        M3\n++ +. ++  +. -+ .+  .+ ++ -."
    picture = svg_picture(TOOM_3)
    assert picture.count("<rect") == 5 * (3 + 3 + 5)
    assert "&lt;poly:3;5&gt; over Q" in picture


def test_counts():
    assert additions(KARATSUBA).total == 4
    assert reduce_additions(KARATSUBA).additions == 4
    assert scalings(KARATSUBA) == 0 < scalings(TOOM_3)
    assert growth_factor(KARATSUBA) == 1 + 1 + 4
    assert growth_factor(QUATERNION) == 4
    assert typical_growth(QUATERNION) == 1
    assert frobenius_growth(QUATERNION) == 16
    found = alternative_basis(TOEPLITZ_2)
    assert found.nonzeros[0] <= (TOEPLITZ_2.U != 0).sum()


@pytest.mark.parametrize("name", KNOWN)
def test_invariants(name):
    scheme = KNOWN[name]
    found = invariants(scheme)
    assert found.jacobian_rank == jacobian_rank(scheme)
    assert found.parameters == scheme.rank * sum(scheme.target.shape)
    assert found.ranks == (((1, 1, 1), scheme.rank),)
    assert found.stabilizer is None
    assert found.gauge == 2 * scheme.rank + symmetry_dimension(scheme.target)


def test_families():
    """Near Karatsuba's scheme there are only its gauge copies. Three values of (a0 + a1 t)(b0 + b1 t) give the product
    modulo t² + 1: three free points t, and complex units turn them, so Gauss's scheme has two parameters."""
    assert invariants(KARATSUBA).excess == 0
    assert invariants(GAUSS).excess == 2


@given(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
def test_symmetry_dimensions_from_linear_equations(form):
    """The elimination that serves the other targets gives de Groote's dimension for matrix products."""

    class Flat(Target):  # the same tensor, not recognized as a matrix product's
        shape, nonzeros, entries = (
            MatrixProduct(*form).shape,
            MatrixProduct(*form).nonzeros,
            MatrixProduct(*form).entries,
        )
        name = "<flat>"

        def variable(self, side, index, latex=False):
            return "x"

        def to_json(self):
            return {}

    assert symmetry_dimension(Flat()) == symmetry_dimension(MatrixProduct(*form))
    assert symmetry_dimension(Flat(), 3) >= symmetry_dimension(Flat(), PRIME)


@given(other_targets)
def test_symmetry_dimensions_are_those_of_a_null_space(target):
    """All X, Y, Z with X·T + Y·T + Z·T = 0, in floating point."""
    tensor = target.tensor().astype(float)
    a, b, c = target.shape
    moves = [np.zeros((size, size, a, b, c)) for size in target.shape]
    for p, q in itertools.product(range(a), repeat=2):
        moves[0][p, q, p] = tensor[q]
    for p, q in itertools.product(range(b), repeat=2):
        moves[1][p, q, :, p] = tensor[:, q]
    for p, q in itertools.product(range(c), repeat=2):
        moves[2][p, q, :, :, p] = tensor[:, :, q]
    matrix = np.concatenate([x.reshape(-1, a * b * c) for x in moves])
    assert symmetry_dimension(target) == len(matrix) - np.linalg.matrix_rank(matrix) - 2


def test_symmetries_of_large_targets_are_declined():
    with pytest.raises(InvalidInput, match="more entries than are eliminated"):
        symmetry_dimension(PolynomialProduct(100))


def test_what_is_for_matrix_products_only_says_so(tmp_path):
    one = [[1]]
    refused = [
        lambda: direct_sum(KARATSUBA, KARATSUBA, "n"),
        lambda: restricted(KARATSUBA, [0], [0], [0]),
        lambda: extended(KARATSUBA, 3, 3, 3),
        lambda: transposed(GAUSS),
        lambda: rotated(GAUSS),
        lambda: with_format(GAUSS, (1, 1, 1)),
        lambda: sandwiched(GAUSS, one, one, one),
        lambda: improve(KARATSUBA),
        lambda: error_bound(KARATSUBA, 1, 2),
        lambda: construct("2x2x2", [KARATSUBA]),
        *(lambda kind=kind: save(GAUSS, tmp_path / "x", kind=kind) for kind in ("alphatensor", "perminov", "maple")),
        *(lambda kind=kind: save(GAUSS, tmp_path / "x", kind=kind) for kind in ("mathematica", "text", "exp", "sms")),
        *(lambda kind=kind: save(GAUSS, tmp_path / "x", kind=kind) for kind in ("weights", "lean", "onnx")),
    ]
    for action in refused:
        with pytest.raises(InvalidInput, match="schemes of matrix products") as caught:
            action()
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert isinstance(equivalent(GAUSS, GAUSS), Undecided)
    assert isinstance(stabilizer(GAUSS), Undecided)
    assert isinstance(canonical(GAUSS, "all"), Undecided)


def test_slot_scales():
    scheme = rescaled(GAUSS, [(2, 1, Fraction(1, 2)), (1, 1, 1), (-1, -1, 1)])
    assert str(verify(scheme).ring) == "Q"


@pytest.mark.parametrize("name", KNOWN)
def test_numpy_code_computes_the_product(name):
    scheme = KNOWN[name]
    space: dict = {}
    exec(as_text(scheme, "numpy"), space)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 1, scheme.target.shape[0])), rng.standard_normal((4, scheme.target.shape[1]))
    expected = np.einsum("ijk,xyi,yj->xyk", scheme.target.tensor(), np.broadcast_to(a, (5, 4, a.shape[-1])), b)
    assert np.allclose(space["product"](a, b), expected)


@pytest.mark.parametrize("name", ["karatsuba", "toom-3", "gauss"])
def test_c_code_computes_the_product(tmp_path, name):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    scheme = KNOWN[name]
    save(scheme, tmp_path / "code.c")
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-o"]
    subprocess.run([*command, str(tmp_path / "code.so"), str(tmp_path / "code.c")], check=True)
    function = getattr(
        ctypes.CDLL(str(tmp_path / "code.so")), {"gauss": "complex"}.get(name, f"poly_{scheme.target.shape[0]}")
    )
    pointer = ctypes.POINTER(ctypes.c_double)
    function.argtypes, function.restype = [pointer] * 3, None
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(length) for length in scheme.target.shape)
    function(*(x.ctypes.data_as(pointer) for x in (a, b, c)))
    assert np.allclose(c, value(scheme.target, a, b))


def test_text_for_people():
    assert r"$\langle \mathrm{poly:3};5 \rangle$ over $\mathbb{Q}$: 5 products" in as_text(TOOM_3, "latex")
    page = as_text(TOOM_3, "markdown")
    assert page.startswith("# <poly:3;5>\n\nThe product of polynomials of 3 terms with 5 products")
    assert "| c4 | M5 |" in page
    assert "The product of a 2 x 2 by a 2 x 2 matrix with 7" in as_text(catalog["strassen"], "markdown")


def test_the_catalog_has_the_standard_algorithm_of_every_target():
    assert catalog["poly:3:9"] == standard_scheme(PolynomialProduct(3))
    assert catalog["toeplitz:2x3:6"] == standard_scheme(ToeplitzProduct(2, 3))
    assert catalog["quaternion:16"] == QUATERNION
    assert "poly:3:8" not in catalog
    assert "sphere:3" not in catalog
    assert verify(catalog.best("poly:3x2")).rank <= 6
    assert verify(catalog.best(CyclicConvolution(3), ring="Z")).rank <= 9
    with pytest.raises(InvalidInput, match="not understood"):
        catalog.best("sphere")


@pytest.mark.parametrize("scheme", [KARATSUBA, CYCLIC_3], ids=["poly", "cyclic"])
def test_schemes_of_different_targets_differ(scheme):
    for other in (ToeplitzProduct(2), MatrixProduct(1, 2, 1), QuaternionProduct(), PolynomialProduct(1)):
        assert standard_scheme(other) != scheme
    assert pickle.loads(pickle.dumps(scheme)) == scheme  # noqa: S301


@given(other_targets)
def test_no_two_names_of_variables_in_formulas_clash(target):
    lines = formulas(standard_scheme(target)).splitlines()
    assert len(lines) == target.nonzeros + target.shape[2]
    assert len({line.split(" = ")[0] for line in lines}) == len(lines)
