import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import (
    Certificate,
    InvalidInput,
    MatrixProduct,
    Refuted,
    Ring,
    Scheme,
    expand,
    sandwiched,
    verify,
)
from grokkit.scheme import _verify as internals
from grokkit.scheme.catalog import catalog, standard
from strategies import any_schemes, exact_schemes


def product_error(scheme):
    """Largest error on random integer matrices, computed in Python integers: an independent check."""
    n, m, p = scheme.target.format
    rng = np.random.default_rng(1)
    a = rng.integers(-(10**6), 10**6, n * m).astype(object)
    b = rng.integers(-(10**6), 10**6, m * p).astype(object)
    u, v, w = (np.array(x, dtype=object) for x in scheme.fractions())
    c = w.dot(u.dot(a) * v.dot(b))
    return abs(c - a.reshape(n, m).dot(b.reshape(m, p)).ravel()).max()


@given(exact_schemes())
def test_exact_schemes_are_certified(scheme):
    certificate = verify(scheme)
    assert product_error(scheme) == 0
    assert certificate.digest == scheme.digest
    assert certificate.rank == scheme.rank
    assert certificate.ternary == scheme.ternary
    assert certificate.equations == np.prod(scheme.target.shape)


@given(exact_schemes(), st.data())
def test_one_changed_coefficient_is_refuted_at_the_right_entry(scheme, data):
    matrices = [np.array(x, dtype=object) for x in (scheme.U, scheme.V, scheme.W)]
    side = data.draw(st.integers(0, 2))
    row = data.draw(st.integers(0, matrices[side].shape[0] - 1))
    column = data.draw(st.integers(0, matrices[side].shape[1] - 1))
    matrices[side][row, column] += data.draw(st.integers(1, 2**80))
    changed = Scheme(scheme.target, *(x.tolist() for x in matrices), scheme.denominators, scheme.ring)
    u, v, w = (np.array(x, dtype=object) for x in changed.fractions())
    tensor = np.zeros(scheme.target.shape, dtype=object)
    for r in range(changed.rank):
        tensor += u[r][:, None, None] * v[r][None, :, None] * w[:, r][None, None, :]
    wrong = np.argwhere(tensor != scheme.target.tensor())
    if len(wrong) == 0:  # the slot's other factors are zero, so the change has no effect
        verify(changed)
        return
    with pytest.raises(Refuted) as caught:
        verify(changed)
    error = caught.value
    assert error.wrong == len(wrong)
    assert list(error.index) == wrong[0].tolist()
    assert error.found == tensor[tuple(wrong[0])]
    assert error.expected == scheme.target.tensor()[tuple(wrong[0])]


WAYS = ["float64", "int64", "object"]


@pytest.mark.parametrize("block_terms", [internals.BLOCK_TERMS, 7])
@given(any_schemes(size=50))
def test_the_three_ways_to_sum_agree(block_terms, scheme):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(internals, "BLOCK_TERMS", block_terms)
        results = [internals._Equations.of(scheme)[0].wrong(way) for way in WAYS]
    assert results[0] == results[1] == results[2]
    tensor = np.einsum("ri,rj,kr->ijk", *(np.array(x, dtype=object) for x in (scheme.U, scheme.V, scheme.W)))
    scale = int(np.prod(scheme.denominators, dtype=object))
    difference = tensor - scheme.target.tensor().astype(object) * scale
    p = scheme.ring.characteristic
    wrong = np.argwhere(difference % p != 0 if p else difference != 0)
    assert results[0] == (len(wrong), tuple(wrong[0].tolist()) if len(wrong) else None)


def test_the_way_is_chosen_by_the_proven_bound():
    def way(scheme):
        return internals._Equations.of(scheme)[0].cheapest()[0]

    assert way(catalog["strassen"]) == "float64"
    assert way(expand(catalog["strassen"], 4)) == "int64"
    assert way(sandwiched(standard(6, 6, 6), *[np.tri(6, dtype=int).tolist()] * 3)) == "float64"
    big = catalog["strassen"]
    assert way(Scheme(big.target, (big.U * 2**40).tolist(), big.V, big.W, (2**40, 1, 1))) == "float64"
    large = sandwiched(big, [[2**14, 0], [1, 1]], [[2**14, 0], [0, 1]], [[2**14, 0], [0, 1]])
    assert way(large) == "int64"
    huge = sandwiched(big, [[10**12, 0], [1, 1]], [[1, 10**12], [0, 1]], [[1, 0], [0, 10**12]])
    assert way(huge) == "object"
    for scheme in (large, huge):
        verify(scheme)


@pytest.mark.parametrize("size", [10**200, 10**400])
def test_slots_that_contribute_nothing_cannot_spoil_the_sum(size):
    strassen = catalog["strassen"]
    u, v = ([*matrix.tolist(), [size] * 4] for matrix in (strassen.U, strassen.V))
    w = [[*row, 0] for row in strassen.W.tolist()]
    assert verify(Scheme(strassen.target, u, v, w)).rank == 8


def test_huge_entries_are_not_written_out():
    target = MatrixProduct(1, 1, 1)
    with pytest.raises(Refuted, match=r"is about 10\^6000, expected 1; 1 of 1"):
        verify(Scheme(target, [[10**2000]], [[10**2000]], [[10**2000]]))
    with pytest.raises(Refuted, match=r"is about -10\^-296, expected 1"):
        verify(Scheme(target, [[-1]], [[1]], [[1]], (10**5 + 1, 1, 10**291)))


MEMORY = """
import resource, sys
from grokkit.scheme import MatrixProduct, Refuted, Scheme, verify
n, entry = int(sys.argv[1]), int(sys.argv[2])
scheme = Scheme(MatrixProduct(n, n, n), [[entry] * n * n], [[1] * n * n], [[1]] * (n * n))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: verify(scheme)
except Refuted as error: print(error.wrong)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("n", "entry"), [(16, 1), (16, 2**54), (8, 10**30)])
def test_a_small_file_cannot_ask_for_much_memory(n, entry):
    """A rank-1 scheme of all ones fails nearly all of its n^6 equations."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(n), str(entry)], capture_output=True, text=True, check=True
    )
    wrong, kibibytes = map(int, done.stdout.split())
    assert wrong == (n**6 - n**3 if entry == 1 else n**6)
    assert kibibytes < 400 * 1024


def test_overflow_cannot_hide_an_error():
    # 2^32 · 2^32 wraps to 0 in int64: a naive sum would see the zero tensor entry it expects
    target = MatrixProduct(1, 1, 1)
    wrapping = Scheme(target, [[1], [2**32]], [[1], [2**32]], [[1, 1]])
    with pytest.raises(Refuted) as caught:
        verify(wrapping)
    assert caught.value.found == 1 + 2**64


def test_float_rounding_cannot_hide_an_error():
    target = MatrixProduct(1, 1, 1)
    rounding = Scheme(target, [[2**53], [1], [-(2**53)]], [[1], [1], [1]], [[1, 2, 1]])
    with pytest.raises(Refuted) as caught:
        verify(rounding)
    assert caught.value.found == 2


def test_schemes_modulo_p():
    two = Ring.parse("GF(2)")
    strassen = catalog["strassen"]
    signless = Scheme(strassen.target, abs(strassen.U), abs(strassen.V), abs(strassen.W), ring=two)
    assert verify(signless).ring == "GF(2)"
    with pytest.raises(Refuted):
        verify(Scheme(strassen.target, abs(strassen.U), abs(strassen.V), abs(strassen.W)))
    with pytest.raises(Refuted):
        verify(Scheme(strassen.target, abs(strassen.U), abs(strassen.V), abs(strassen.W), ring=Ring.parse("GF(3)")))


def test_powers_of_strassen():
    for levels, rank in ((2, 49), (3, 343), (4, 2401)):
        certificate = verify(expand(catalog["strassen"], levels))
        assert certificate.rank == rank
        assert certificate.equations == 4 ** (3 * levels)


def test_a_wrong_entry_of_a_large_power_is_found():
    large = expand(catalog["strassen"], 3)
    w = np.array(large.W)
    w[63, 342] += 1
    with pytest.raises(Refuted) as caught:
        verify(Scheme(large.target, large.U, large.V, w))
    assert caught.value.index[2] == 63


def test_proofs_out_of_reach_are_declined(monkeypatch):
    monkeypatch.setattr(internals, "MAX_FLOAT64", 10)
    with pytest.raises(InvalidInput, match=r"<2,2,2;7>: the proof needs 10\^2 products, more than 10\^1; prove its"):
        verify(catalog["strassen"])


def test_a_small_file_cannot_ask_for_a_huge_target():
    target = MatrixProduct(1024, 1024, 1024)
    rows = np.empty((0, 2**20), dtype=np.int64)
    with pytest.raises(InvalidInput, match="nonzero entries"):
        verify(Scheme(target, rows, rows, rows.T))


def test_certificates_are_issued_not_made():
    with pytest.raises(TypeError, match="issued by"):
        Certificate("0" * 64, MatrixProduct(2, 2, 2), 7, "Z", True, 64, "1")


def test_an_empty_scheme_is_refuted():
    empty = np.empty((0, 1), dtype=np.int64)
    with pytest.raises(Refuted, match="is 0, expected 1; 1 of 1"):
        verify(Scheme(MatrixProduct(1, 1, 1), empty, empty, empty.T))


def test_the_message_names_the_entry():
    strassen = catalog["strassen"]
    w = np.array(strassen.W)
    w[0, 0] = 0
    with pytest.raises(
        Refuted, match=r"the coefficient of A11 B11 in C11 \(tensor entry 0, 0, 0\) is 0, expected 1; 4 of 64"
    ):
        verify(Scheme(strassen.target, strassen.U, strassen.V, w))
