"""Reading schemes of other collections: the samples, and each format's traps in files written here."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from grokkit.scheme import InvalidInput, Refuted, Scheme, SchemeFile, UnreadableFile, formulas, load, verify
from grokkit.scheme.catalog import catalog, standard

STRASSEN = catalog["strassen"]


@pytest.fixture
def write(tmp_path):
    def _write(text: str | bytes, name: str = "scheme") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


def refused(path: Path, *words: str) -> str:
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    for word in words:
        assert word in message
    return message


# the samples


SAMPLES = {
    "fast-matmul/strassen": ((2, 2, 2), 7, "Z"),
    "fast-matmul/grey322-11-50": ((3, 2, 2), 11, "Z"),
    "fast-matmul/grey424-26-257": ((4, 2, 4), 26, "Q"),
    "fast-matmul/hk323-15-94": ((3, 2, 3), 15, "Z"),
    "fast-matmul/smirnov336-40-960": ((3, 3, 6), 40, "Q"),
    "perminov/2x2x2_m7_ZT.json": ((2, 2, 2), 7, "Z"),
    "perminov/2x2x2_tensor.mpl": ((2, 2, 2), 7, "Z"),
    "perminov/2x4x5_m33_ZT.json": ((2, 4, 5), 33, "Z"),
    "perminov/2x4x5_m33_ZT.m": ((2, 4, 5), 33, "Z"),
    "perminov/2x4x5_tensor.mpl": ((2, 4, 5), 32, "Q"),
    "perminov/3x3x3_m23_Z.json": ((3, 3, 3), 23, "Z"),
    "perminov/3x3x6_tensor.mpl": ((3, 3, 6), 40, "Q"),
    "perminov/4x4x4_tensor.mpl": ((4, 4, 4), 48, "Q"),
    "perminov/4x4x5_m61_mod0.json": ((4, 4, 5), 61, "Z"),
    "plinopt/2x2x2_7_DPS-evenpow-12.2034_R.sms": ((2, 2, 2), 7, "Q"),
    "plinopt/2x2x2_7_DPS-evenpow-12.2034_P.sms": ((2, 2, 2), 7, "Q"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_reads_and_is_exact(test_data, name):
    reading = SchemeFile(test_data / "schemes" / name).read()
    form, rank, ring = SAMPLES[name]
    scheme = reading.scheme
    assert (scheme.target.format, scheme.rank, str(scheme.ring)) == (form, rank, ring)
    assert verify(scheme) == reading.certificate


def test_the_same_scheme_in_two_formats_is_equal(test_data):
    folder = test_data / "schemes" / "perminov"
    assert load(folder / "2x4x5_m33_ZT.json") == load(folder / "2x4x5_m33_ZT.m")


def test_a_reduced_scheme_keeps_its_program(test_data):
    reading = SchemeFile(test_data / "schemes/perminov/3x3x3_m23_cr58_cn119_ZT_reduced.json").read()
    assert reading.scheme.rank == 23
    assert reading.program is not None
    assert (reading.program.additions, reading.program.scalings) == (58, 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fast-matmul/bini223-10-52-approx", ["line 2, column 1", "approximating"]),
        ("fast-matmul/smirnov333-20-182-approx", ["line 2, column 1", "approximating"]),
        ("fast-matmul/grey323-15-89", ["eliminated"]),
        ("plinopt/2x2x2_7_DPS-accurate_L.sms", ["sqrt(3)", "irrational"]),
        ("plinopt/2x2x2_7_DPS-accurate_P.sms", ["2x2x2_7_DPS-accurate_L.sms", "irrational"]),
    ],
)
def test_a_sample_is_refused_with_the_reason(test_data, name, words):
    refused(test_data / "schemes" / name, *words)


def test_every_alphatensor_scheme_is_proven(test_data):
    rationals = SchemeFile(test_data / "schemes/alphatensor/factorizations_r.npz")
    assert len(rationals.members) == 93
    rings = []
    for member in rationals.members:
        reading = rationals.read(member)
        assert reading.member == member == ",".join(map(str, reading.scheme.target.format))
        assert reading.convention == "C transposed"
        rings.append(str(reading.scheme.ring))
    assert (rings.count("Q"), rings.count("Z")) == (27, 66)
    binary = SchemeFile(test_data / "schemes/alphatensor/factorizations_f2.npz")
    assert len(binary.members) == 20
    for member in binary.members:
        assert str(binary.read(member).scheme.ring) == "GF(2)"
    assert binary.read("4,4,4").scheme.rank == 47


def test_checkpoints_are_schemes_where_their_weights_are_exact(test_data):
    exact = {"strassen_discrete_final.pt", "strassen_exact.pt", "strassen_grokked_weights.pt", "training_weights.pt"}
    for path in sorted((test_data / "checkpoints").glob("*.pt")):
        if path.name in exact:
            assert load(path).rank == 7
        else:
            refused(path, "trained weights", "grokkit crystallize")


# archives


def archive(**members: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=True, **members)
    return stream.getvalue()


def triple(scheme: Scheme) -> list[np.ndarray]:
    """u, v, w as AlphaTensor writes them: (dimension × rank), C transposed."""
    n, _, p = scheme.target.format
    w = scheme.W.reshape(n, p, -1).transpose(1, 0, 2).reshape(n * p, -1)
    return [scheme.U.T.copy(), scheme.V.T.copy(), w]


def objects(arrays: list[object]) -> np.ndarray:
    array = np.empty(len(arrays), dtype=object)
    for at, item in enumerate(arrays):
        array[at] = item
    return array


def test_an_archive_of_one_needs_no_name(write):
    path = write(archive(**{"2,2,2": np.stack(triple(STRASSEN))}), "one.npz")
    assert load(path) == load(path, "2,2,2") == STRASSEN
    with pytest.raises(InvalidInput, match="no scheme '9,9,9' of 2,2,2"):
        load(path, "9,9,9")


def test_an_archive_of_several_asks_which(write):
    data = archive(**{"2,2,2": np.stack(triple(STRASSEN)), "2,3,1": objects(list(triple(standard(2, 3, 1))))})
    path = write(data, "many.npz")
    assert SchemeFile(path).members == ("2,2,2", "2,3,1")
    with pytest.raises(InvalidInput, match=r"holds 2 schemes; choose one of 2,2,2, 2,3,1"):
        load(path)
    assert load(path, "2,2,2") == STRASSEN
    assert load(path, "2,3,1").rank == 6
    with pytest.raises(InvalidInput, match="no scheme '9,9,9' of"):
        load(path, "9,9,9")
    with pytest.raises(InvalidInput, match="without a name"):
        load(write(json.dumps({"u": [[1]], "v": [[1]], "w": [[1]]})), "x")


def test_floats_in_an_archive_are_exact_or_refused(write):
    u, v, w = triple(STRASSEN)
    half = write(archive(**{"2,2,2": np.stack([u / 2, v * 8.0, w / 4])}), "half.npz")
    scheme = load(half, "2,2,2")
    assert (str(scheme.ring), scheme.denominators[0], scheme.denominators[2]) == ("Q", 2, 4)
    third = write(archive(**{"2,2,2": np.stack([u / 3, v * 3.0, w])}), "third.npz")
    with pytest.raises(UnreadableFile, match=r"third.npz: 2,2,2: U\[\d\]\[\d\] is 0.333333, not an exact"):
        load(third, "2,2,2")


def test_a_pickle_in_an_archive_never_runs(write, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    for content in ([Bomb(), 1, 2], [np.ones((2, 2)), Bomb(), np.ones((2, 2))], ["text", "text", "text"]):
        path = write(archive(**{"2,2,2": objects(list(content))}), "bomb.npz")
        with pytest.raises(UnreadableFile, match=r"bomb.npz: 2,2,2: "):
            load(path, "2,2,2")
    assert not (tmp_path / "ran").exists()
    refused(write(pickle.dumps({"U": np.ones((2, 2))}, protocol=2)), "bare pickle")


def test_an_archive_is_measured_before_it_is_unpacked(write):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bomb, bomb.open("2,2,2.npy", "w") as member:
        for _ in range(17):
            member.write(bytes(2**24))
    refused(write(stream.getvalue(), "bomb.npz"), "unpacks to more than")


def test_members_that_are_no_triple(write):
    for array, words in (
        (np.zeros((2, 4, 7)), "no triple"),
        (np.zeros(3), "no triple"),
        (objects([np.zeros(2), np.zeros(2), np.zeros(2)]), "three matrices are needed"),
        (np.full((3, 4, 7), b"x"), "numbers are needed"),
    ):
        with pytest.raises(UnreadableFile, match=words):
            load(write(archive(**{"2,2,2": array}), "x.npz"), "2,2,2")


# JSON


def rows(matrix: np.ndarray) -> list[list[int]]:
    return matrix.tolist()


def factors(**changes: object) -> str:
    n, _, p = STRASSEN.target.format
    w = STRASSEN.W.T.reshape(-1, n, p).transpose(0, 2, 1).reshape(-1, n * p)
    content = {"n": [2, 2, 2], "m": 7, "z2": False, "u": rows(STRASSEN.U), "v": rows(STRASSEN.V), "w": rows(w)}
    return json.dumps({key: value for key, value in (content | changes).items() if value is not None})


def test_json_with_factors_in_every_orientation(write):
    assert load(write(factors())) == STRASSEN
    assert load(write(factors(n=None, m=None))) == STRASSEN
    assert load(write(factors(w=rows(STRASSEN.W)))) == STRASSEN  # outputs × products, row by row
    nested = [[row[:2], row[2:]] for row in rows(STRASSEN.U)]
    assert load(write(factors(u=nested))) == STRASSEN
    texts = [[str(Fraction(x, 2)) for x in row] for row in rows(STRASSEN.U)]
    scheme = load(write(factors(u=texts, v=(STRASSEN.V * 2.0).tolist())))
    assert str(scheme.ring) == "Q"


def test_json_with_equations_only(write):
    text = json.dumps(
        {
            "n": [1, 2, 1],
            "m": 2,
            "multiplications": ["m1 = (a11) * (b11)", "m2 = (-2*a12) * (1/2*b21)"],
            "elements": ["c11 = m1 - m2"],
        }
    )
    assert load(write(text)).rank == 2


def test_json_that_declares_something_else(write):
    refused(write(factors(m=8)), "declares 8 products and holds 7")
    refused(write(factors(n=[2, 2, 3])), "declares the format <2,2,3>", "[4, 4, 4]")
    refused(write(factors(n=[2, 2])), "three integers")
    refused(write(factors(u=[[1, 2], [1]])), "row 2 has 1 entries, row 1 has 2")
    refused(write(factors(u=[[0.1] * 4] * 7)), "u[0][0] is 0.1, not an exact coefficient")
    refused(write(factors(u=[["x"] * 4] * 7)), "u[0][0]", "power of a variable")
    refused(write(factors(u=[[None] * 4] * 7)), "u[0][0] is None; a number is needed")
    refused(write(factors(u=rows(STRASSEN.U)[:6])), "6, 7 and 7 slots")
    refused(write(factors(u=[], v=[], w=[], m=0)), "no products")
    refused(write("{}"), "neither a grokkit scheme file")
    refused(write("[1, 2]"), "neither a grokkit scheme file")
    refused(write('{"u": 1, "v": 2, "w": }'), "line 1, column 23")


def test_big_integers_survive(write):
    big = 7 * 10**40 + 1
    u = [[big * x for x in row] for row in rows(STRASSEN.U)]
    texts = [[str(Fraction(x, big)) for x in row] for row in rows(STRASSEN.V)]
    scheme = load(write(factors(u=u, v=texts)))
    assert int(np.abs(scheme.U).max()) == big
    assert scheme.denominators[1] == big


# conventions


def test_a_scheme_modulo_a_prime_is_certified_so(write):
    odd = np.where(STRASSEN.U == -1, 1, STRASSEN.U), np.where(STRASSEN.V == -1, 1, STRASSEN.V)
    w = np.abs(STRASSEN.W)
    scheme = load(write(factors(u=rows(odd[0]), v=rows(odd[1]), w=rows(w), z2=True)))
    assert str(scheme.ring) == "GF(2)"
    assert verify(scheme).ring == "GF(2)"
    shifted = STRASSEN.W.copy()
    shifted[0, 0] += 15
    reading = SchemeFile(write(factors(w=rows(shifted)))).read()
    assert (str(reading.scheme.ring), reading.also_modulo) == ("GF(3)", (5,))


def test_halves_have_no_meaning_modulo_two(write):
    w = STRASSEN.W.copy()
    w[0, 0] += 2
    halves = [[str(Fraction(x, 2)) for x in row] for row in rows(STRASSEN.U)]
    with pytest.raises(Refuted):
        load(write(factors(u=halves, v=rows(STRASSEN.V), w=rows(w))))


def test_no_convention_says_how_close_each_came(write):
    w = STRASSEN.W.copy()
    w[0, 0] = 0
    with pytest.raises(Refuted) as caught:
        load(write(factors(w=rows(w))))
    error = caught.value
    assert len(error.conventions) == 8
    assert error.wrong == min(wrong for _, wrong in error.conventions) == 4
    assert "no convention makes it exact" in str(error)
    assert "row by row 4" in str(error)


@pytest.mark.parametrize("turned", [(0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 1, 1)])
def test_any_flattening_is_found(write, turned):
    scheme = standard(2, 3, 4)
    sides = []
    for matrix, shape, flip in zip((scheme.U, scheme.V, scheme.W.T), scheme.target.sides(), turned, strict=True):
        slots = matrix.reshape(-1, *shape)
        sides.append((slots.transpose(0, 2, 1) if flip else slots).reshape(len(matrix), -1).tolist())
    reading = SchemeFile(write(json.dumps(dict(zip("uvw", sides, strict=True))))).read()
    assert reading.scheme == scheme
    names = {(0, 0, 0): "row by row", (1, 0, 0): "A transposed", (0, 1, 1): "B and C transposed"}
    assert reading.convention == names.get(turned, "A, B and C transposed")


def test_the_declared_format_decides_the_order_of_the_factors(write):
    scheme = standard(2, 3, 4)
    sides = {"n": [2, 3, 4], "u": rows(scheme.V), "v": rows(scheme.U), "w": rows(scheme.W.T)}
    reading = SchemeFile(write(json.dumps(sides))).read()
    assert reading.scheme == scheme
    assert reading.convention == "factors in the order B, A, C"


def test_a_name_that_counts_otherwise_is_refused(write):
    for name in ("2x2x2_m8_ZT.json", "strassen222-8-36", "2x2x2:8", "s2x2x2-8.exp"):
        refused(write(factors(), name), "its name says 8 products, it holds 7")
    for name in ("2x2x2_m7_ZT.json", "strassen222-7-36", "2x2x2_tensor", "12x2x2", "2026-11-22.json"):
        assert load(write(factors(), name)) == STRASSEN


# text with three blocks


def sheet(u: object, v: object, w: object) -> str:
    return "# comment\n" + "\n#\n".join(
        "\n".join(" ".join(map(str, row)) for row in np.asarray(matrix).T.tolist()) for matrix in (u, v, w)
    )


def test_three_blocks(write):
    assert load(write(sheet(STRASSEN.U, STRASSEN.V, STRASSEN.W.T))) == STRASSEN
    text = sheet(STRASSEN.U, STRASSEN.V, STRASSEN.W.T).replace("\n", "\r\n").replace("1", "1.0")
    assert load(write(text)) == STRASSEN
    halves = sheet(STRASSEN.U, STRASSEN.V, STRASSEN.W.T).replace("-1", "-2/2").replace(" 1", " .5e0", 1)
    with pytest.raises(Refuted):
        load(write(halves))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("1", "1 1", 1), ["line 3", "entries"]),
        (("#\n", "", 2), ["blocks of numbers; three"]),
        (("-1", "-x", 1), ["column", "power of a variable"]),
        (("-1", "sqrt(2)", 1), ["irrational"]),
        (("-1", "1/0", 1), ["divides by zero"]),
        (("-1", "one", 1), ["'one' is not a number"]),
        (("-1", "1e999", 1), ["'1e999' is not a number"]),
    ],
)
def test_broken_blocks(write, change, words):
    text = sheet(STRASSEN.U, STRASSEN.V, STRASSEN.W.T)
    head, body = text.split("\n", 1)
    refused(write(head + "\n" + body.replace(*change)), *words)


# formulas


def test_products_of_three_forms(write):
    text = "\n".join(
        [
            "(a11+a22)*(b11+b22)*(c11+c22)",
            "(a21+a22)*b11*(c12-c22)",
            "a11(b12-b22)(c21+c22)",
            "a22*(b21-b11)*(c11+c12)",
            "(a11+a12)*b22*(-c11+c21)",
            "-(a11-a21)*(b11+b12)*c22",
            "2(1*a12-a22)*(b21+b22)*(1/2*c11)",
        ]
    )
    assert load(write(text)).rank == 7
    zero = text
    for i in (2, 1):
        for letter in "abc":
            zero = zero.replace(f"{letter}{i}", f"{letter}_{i - 1}_")
    zero = re.sub(r"([abc]_\d_)(\d)", lambda found: found.group(1) + str(int(found.group(2)) - 1), zero)
    assert load(write(zero)) == load(write(text))
    brackets = re.sub(r"([abc])(\d)(\d)", r"\1[\2,\3]", text)
    assert load(write(brackets)) == load(write(text))


def test_formulas_as_they_are_printed(write):
    for scheme in (STRASSEN, catalog["winograd"], standard(2, 3, 2)):
        assert load(write(formulas(scheme))) == scheme


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(a11+b11)*(b11)*(c11)", ["line 1, column 6", "a variable of B in a sum of A"]),
        ("a11*b11", ["without a factor in C"]),
        ("a11*b11*c11\na11*a11*c11", ["line 2, column 5", "again"]),
        ("a11*b11*d11", ["'d11' is no variable"]),
        ("a111*b11*c11", ["row and column are expected"]),
        ("a11*b11*c11*", ["line 1", "a factor is expected, not the end"]),
        ("(a11+*b11*c11", ["a variable is expected"]),
        ("(a11*b11*c11", ["a sign is expected"]),
        ("(0)*b11*c11", ["line 1, column 1", "names no matrix"]),
        ("a11*b11*c11 & a11", ["line 1, column 13", "'& a11'"]),
        ("a11*b11*c11/0", ["zero"]),
        ("sqrt3*a11*b11*c11", ["line 1, column 1", "irrational"]),
        ("2*sqrt3*a11*b11*c11", ["irrational"]),
        ("m1 = a11*b11\nc11 = m2", ["output C11 uses M2"]),
        ("m1 = a11*b11\nm1 = a11*b11\nc11 = m1", ["line 2, column 1", "defined twice"]),
        ("m1 = a11*b11", ["no outputs"]),
        ("a11*b11*c11\na1024_1024*b1024_1024*c1024_1024", ["<1024,1024,1024> are more than are read"]),
        ("a11*b11*c11\na512_512*b512_1*c1_512", ["2 products cannot compute <512,512,1>; at least 262144 are needed"]),
        ("a11*b11*c11\nm1 = a11 b11\nc11 = m1", ["use one way"]),
    ],
)
def test_broken_formulas(write, text, words):
    refused(write(text), *words)


# computer algebra


TRIAD = "Triad([Matrix(1, 1, [[{}]]), Matrix(1, 1, [[{}]]), Matrix(1, 1, [[{}]])])"


def test_maple_and_mathematica(write):
    assert load(write(f"T:=TriadSet([{TRIAD.format('2', '-1/4', '-2')}]):")).rank == 1
    assert load(write("{ (* one *) {{{2}}, {{-1/4}}, {{-2}}} };")).rank == 1
    assert load(write("s = {{{1}}, {{1}}, {{1}}}")).rank == 1  # three matrices, a row a product


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"TriadSet([{TRIAD.format('1', 'sqrt(2)', '1')}])", ["line 1, column 54", "irrational"]),
        (f"TriadSet([{TRIAD.format('1', '2^(1/2)', '1')}])", ["irrational"]),
        (f"TriadSet([{TRIAD.format('1', 'x', '1')}])", ["power of a variable"]),
        (f"TriadSet([{TRIAD.format('1', '1,2', '1')}])", ["another size than it says"]),
        ("TriadSet([Triad([Matrix(1, 2, [0]), Matrix([[1]]), Matrix([[1]])])])", ["line 1, column 18", "list of rows"]),
        ("TriadSet([])", ["no products"]),
        ("TriadSet([", ["the end of the file"]),
        ("TriadSet TriadSet", ["second TriadSet"]),
        ("{{{{1}}, {{1}}}}", ["no list of triples"]),
        ("{{{{1}}, {{1}}, {{1, 2}, {3}}}}", ["factor 3 is not 2 x 2"]),
        ("{{{{1}}, {{1}}, {{Sqrt[2]}}}}", ["irrational"]),
        ("{{{{1}}, {{1}}, {1}}}", ["unevenly"]),
        ("{{{{{1}}}}}", ["too deeply"]),
        ("{{{{1}}, {{1}}, {{1}}}", ["the end of the file"]),
        ("{{{{1}}, {{1}}, {{1}}}} + 1", ["the end of the file is expected"]),
        ("{" * 5000, ["too deeply"]),
    ],
)
def test_broken_lists(write, text, words):
    refused(write(text), *words)


# SMS triples


def sms(matrix: np.ndarray) -> str:
    entries = [f"{i + 1} {j + 1} {matrix[i, j]}" for i, j in np.argwhere(matrix)]
    return "\n".join([f"{matrix.shape[0]} {matrix.shape[1]} R", *entries, "0 0 0"])


def test_sms_triples_are_found_from_any_of_the_three(write):
    parts = dict(zip("LRP", (STRASSEN.U, STRASSEN.V, STRASSEN.W), strict=True))
    paths = [write(sms(matrix), f"s_{letter}.sms") for letter, matrix in parts.items()]
    for path in paths:
        assert load(path) == STRASSEN
    paths[1].unlink()
    refused(paths[0], "s_R.sms is not beside it")
    refused(write(sms(STRASSEN.U), "alone.sms"), "one matrix of an SMS triple")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("0 0 0", ""), ["cut off"]),
        (("0 0 0", "9 1 1\n0 0 0"), ["entry 9 1 of a matrix of 7 x 4"]),
        (("1 1 1", "1 1 1\n1 1 1"), ["given twice"]),
        (("1 1 1", "1 1 1\n# 7 is a placeholder for sqrt(3)"), ["irrational"]),
        (("1 1 1", "1 1"), ["row, column and value"]),
        (("7 4 R", "7 4 R\n0 0 0"), ["after the end"]),
        (("7 4 R", "999999 999999 R"), ["entries are read"]),
    ],
)
def test_broken_sms(write, change, words):
    write(sms(STRASSEN.V), "s_R.sms")
    write(sms(STRASSEN.W), "s_P.sms")
    refused(write(sms(STRASSEN.U).replace(*change, 1), "s_L.sms"), *words)


# anything


@pytest.mark.parametrize(
    "content",
    [b"", b"   \n", b"hello", b"\x00\x01\x02", b"\xff\xfe", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"1 2 3", b"{"],
)
def test_anything_else_is_refused_in_one_line(write, content):
    refused(write(content))


def test_a_missing_file_is_the_system_s_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")


def test_indices_that_fit_no_product_are_refuted(write):
    """Found by the fuzzer: a variable past the shape that the other matrices suggest."""
    with pytest.raises(Refuted):
        load(write("(a11)*(b11)*(c11)\n(a11)*(b12)*(c31)\n(a41)*(b13)*(c12)"))
    with pytest.raises(Refuted):
        load(write("M1 = A11 B11\nM2 = A26 B21\nC21 = M1 + M2\nC13 = M1"))


def test_a_member_s_name_cannot_break_the_line(write):
    path = write(archive(**{"1,2,\n1": np.zeros((2, 2, 2)), "b": np.zeros((2, 2, 2))}), "x.npz")
    for member in ("1,2,\n1", ""):
        with pytest.raises(InvalidInput) as caught:
            load(path, member)
        assert "\n" not in str(caught.value)
