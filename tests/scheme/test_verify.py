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


METHODS = [internals._mismatches_by_slabs, internals._mismatches_sparse, internals._mismatches_exact]


@given(any_schemes(size=50))
def test_the_three_ways_to_sum_agree(scheme):
    scale = int(np.prod(scheme.denominators))
    results = [method(scheme, scale).tolist() for method in METHODS]
    assert results[0] == results[1] == results[2]


def test_the_way_is_chosen_by_the_proven_bound(monkeypatch):
    used = []
    for method in METHODS:
        monkeypatch.setattr(
            internals,
            method.__name__,
            lambda s, k, method=method: (used.append(method.__name__), method(s, k))[1],
        )
    verify(catalog["strassen"])
    dense = sandwiched(standard(6, 6, 6), *[np.tri(6, dtype=int).tolist()] * 3)
    verify(dense)
    big = catalog["strassen"]
    scaled = Scheme(big.target, (big.U * 2**40).tolist(), big.V, big.W, (2**40, 1, 1))
    verify(scaled)  # normalizes to the original
    huge = sandwiched(big, [[10**12, 0], [1, 1]], [[1, 10**12], [0, 1]], [[1, 0], [0, 10**12]])
    verify(huge)
    assert used == ["_mismatches_sparse", "_mismatches_sparse", "_mismatches_sparse", "_mismatches_exact"]


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


def test_sums_too_large_for_a_dense_tensor(monkeypatch):
    monkeypatch.setattr(internals, "DENSE_TENSOR", 1)
    monkeypatch.setattr(internals, "CHUNK_TERMS", 100)
    scheme = expand(catalog["winograd"], 2)
    verify(scheme)
    u = np.array(scheme.U)
    u[0, 0] = 3
    with pytest.raises(Refuted) as small_memory:
        verify(Scheme(scheme.target, u, scheme.V, scheme.W))
    monkeypatch.undo()
    with pytest.raises(Refuted) as dense:
        verify(Scheme(scheme.target, u, scheme.V, scheme.W))
    assert str(small_memory.value) == str(dense.value)


def test_proofs_out_of_reach_are_declined(monkeypatch):
    monkeypatch.setattr(internals, "MAX_TERMS", 10)
    with pytest.raises(InvalidInput, match="proof needs"):
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
