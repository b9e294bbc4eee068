"""Products of integer matrices modulo any number up to 2^63, exactly, by floating-point BLAS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from grokkit.execution._integers import (
    UNBOUNDED,
    FloatProduct,
    Workspace,
    as_signed,
    borrowed_workspace,
    check_execution,
    common_type,
    for_each_tile,
    magnitude,
    product_shape,
    split,
    strip_indices,
    term_products,
)
from grokkit.scheme import InvalidInput, MatrixProduct, Scheme

MAX_MODULUS: Final = 2**63
MAX_LEVELS: Final = 64
PADDED_LIMIT: Final = 2**24
"""Elements up to which padding may be most of an operand."""
SHIFT: Final = 30
"""Most bits by which a sum is shifted between two reductions."""
DIGIT: Final = 20
"""Bits of coefficients, those of their number included, that are multiplied at a time."""
DELAYED: Final = 2**8
"""Products, each below 2^53, that are added up in 64 bits before a reduction."""


def modular_product(
    a: Any,
    b: Any,
    modulus: int | np.integer,
    *,
    scheme: Scheme | None = None,
    levels: int = 1,
    threads: int | None = None,
    product: FloatProduct | None = None,
    growth: float = 1.0,
) -> np.ndarray:
    """``(a @ b) % modulus`` as in mathematics: nothing wraps.

    Parameters
    ----------
    a, b:
        Arrays (..., N, K) and (..., K, P) of integers of any sign, broadcast over leading axes: of integer types, or
        of type object and Python's integers, of any size.
    modulus:
        From 2 to 2^63, prime or not.
    scheme, levels:
        An algorithm for a matrix product, and how many recursive steps of it to take, on residues. It must hold over
        Z, over Q with denominators that have inverses modulo `modulus`, or over GF(p) if p is the modulus. It need
        not be exact: the result is what it computes. Sizes that do not divide are padded with zeros.
    threads, product, growth:
        How the products are computed: see `integer_product`.

    Returns an array (..., N, P) of numbers from 0 to modulus - 1, of type ``numpy.result_type(a, b)``. Raises
    `TypeError` where an operand or the common type is not an integer (int64 with uint64), `ValueError` for shapes that
    do not fit, `InvalidInput` for a modulus that the type cannot hold and for other arguments.

    The operands become residues of at most half the modulus and are cut into limbs as in `integer_product`, whose
    proof holds with L unbounded; where the modulus is 2^L, L is that. Products of the same weight are added up in 64
    bits, and the sums combined from the highest weight to the lowest (`_Modulus.reduced`). Besides the workspace of
    `integer_product` this takes a tile of 64-bit sums for each weight, of which there are at most six unless `growth`
    is large, and eight bytes for each entry that is not a small residue already; a scheme takes its blocks as well.

    >>> modular_product([[2, -3]], [[5], [7]], 1000)
    array([[989]])
    """
    number = _checked_modulus(modulus)
    check_execution(threads, growth)
    a, b = _operand(a), _operand(b)
    dtype, shape = _result_type(a, b, number), product_shape(a, b)
    ring = _Modulus(number, threads, product, growth)
    if scheme is None:
        result = np.empty(shape, np.int64 if dtype.kind == "O" else dtype)
        ring.multiply(ring.residues(a), ring.residues(b), result, balanced=False)
        return result.astype(dtype, copy=False)
    left, right = (_stack(ring.residues(x), shape[:-2]) for x in (a, b))
    return _Recursion(scheme, ring).padded(left, right, levels).reshape(shape).astype(dtype)


class _Modulus:
    """Arithmetic of residues modulo one number, in int64 arrays.

    Residues are at most half the modulus in magnitude where nothing else is said.
    """

    def __init__(self, modulus: int, threads: int | None, product: FloatProduct | None, growth: float):
        self.modulus = modulus
        self.half = modulus // 2
        self.plus, self.minus = ((x + 2**63) % 2**64 - 2**63 for x in (modulus, -modulus))
        """The modulus and its negative as int64, modulo 2^64: the same for wrapping arithmetic."""
        self.power_of_two = modulus & (modulus - 1) == 0
        self.threads, self.product, self.growth = threads, product, growth

    def residues(self, x: np.ndarray) -> np.ndarray:
        """Residues of integers of any type; x itself where it is small enough."""
        if x.dtype == object:
            x = np.remainder(x, self.modulus).astype(np.int64)
        elif x.dtype.kind == "u" and x.dtype.itemsize == 8:
            x = np.remainder(x, np.uint64(self.modulus)) if magnitude(x) > self.half else x
            x = as_signed(x, x.dtype)
        largest = magnitude(x)
        return x if largest <= self.half else self.combination([(1, x)], largest)

    def combination(self, terms: Sequence[tuple[int, np.ndarray]], largest: int) -> np.ndarray:
        """Residues of Σ coefficient · x; at least one term, entries at most `largest` <= 2^63, coefficients any.

        Coefficients that are not small are multiplied digit by digit, from the highest.
        """
        shape = terms[0][1].shape
        stacks = [x.reshape(math.prod(shape[:-2]), *shape[-2:]) for _, x in terms]
        total = np.zeros(stacks[0].shape, np.int64)
        bits = max(abs(coefficient).bit_length() for coefficient, _ in terms)
        digit = max(1, DIGIT - len(terms).bit_length())
        with borrowed_workspace() as workspace:
            for low in reversed(range(0, bits, digit)):
                digits = [_digit(coefficient, low, digit) for coefficient, _ in terms]
                size = largest * sum(map(abs, digits)) + (self.half << digit)
                for index in strip_indices(total.shape) if total.size else ():
                    parts = [(factor, x[index]) for factor, x in zip(digits, stacks, strict=True) if factor]
                    if low + digit < bits:
                        parts.append((2**digit, total[index]))
                    self.settle(self.reduced(parts, size, workspace), balanced=True, out=total[index])
        return total.reshape(shape)

    def multiply(self, a: np.ndarray, b: np.ndarray, out: np.ndarray, balanced: bool) -> None:
        """Write residues of a @ b to out (..., N, P); from 0 up unless balanced."""
        magnitudes = magnitude(a), magnitude(b)
        if not out.size or not all(magnitudes):
            out[...] = 0
            return
        plan = split(
            (*a.shape[-2:], b.shape[-1]),
            self.modulus.bit_length() - 1 if self.power_of_two else UNBOUNDED,
            *magnitudes,
            growth=self.growth,
            count=math.prod(out.shape[:-2]),
            narrow=self.product is None,
        )
        weights = [
            [(0, term.coefficient(64))] if self.power_of_two else list(term.weights) for term in plan.terms
        ]  # a sum that wraps is right modulo a power of two
        exponents = sorted({exponent for pairs in weights for exponent, _ in pairs}, reverse=True)

        def compute(left: np.ndarray, right: np.ndarray, tile: np.ndarray) -> None:
            with borrowed_workspace() as workspace:
                sums = {e: workspace.array(f"sum {e}", tile.shape, np.int64) for e in exponents}
                for total in sums.values():
                    total[...] = 0
                number = 0
                for values in term_products(left, right, plan, np.dtype(np.int64), self.product, workspace):
                    pairs = weights[number % len(weights)]
                    for index in strip_indices(tile.shape):
                        _accumulate([(sums[e][index], sign) for e, sign in pairs], values[index], workspace)
                    number += 1
                    if number % DELAYED == 0:
                        for total in sums.values():
                            self._reduce_all(total, workspace)
                largest = 2**63 if self.power_of_two or number >= DELAYED else number << 53
                for index in strip_indices(tile.shape):
                    found = self._combined([(e, sums[e][index]) for e in exponents], largest, workspace)
                    self.settle(found, balanced, out=tile[index])

        for_each_tile(compute, a, b, out, plan, self.threads if self.product is None else None)

    def _reduce_all(self, total: np.ndarray, workspace: Workspace) -> None:
        for index in strip_indices(total.shape):
            total[index] = self.reduced([(1, total[index])], 2**63, workspace)

    def _combined(self, sums: list[tuple[int, np.ndarray]], largest: int, workspace: Workspace) -> np.ndarray:
        """Σ 2^exponent · sum modulo the modulus and below it in magnitude; highest exponent first.

        Sums are at most `largest` <= 2^63.
        """
        (exponent, total), *rest = sums
        total = self.reduced([(1, total)], largest, workspace)
        for lower, part in [*rest, (0, None)]:
            while exponent > lower:
                shift = min(exponent - lower, SHIFT)
                exponent -= shift
                terms, size = [(2**shift, total)], self.modulus << shift
                if exponent == lower and part is not None:
                    terms, size = [*terms, (1, part)], size + largest
                total = self.reduced(terms, size, workspace)
        return total

    def reduced(self, terms: list[tuple[int, np.ndarray]], size: int, workspace: Workspace) -> np.ndarray:
        """V = Σ coefficient · x modulo the modulus p, less than p in magnitude, where V may need more than 64 bits.

        `size` is at least S = Σ |coefficient| max|x|; coefficients are below 2^53. An estimate f of V / p by n terms
        in float64 is off by at most (n + 4) u S / p with u = 2^-53: a term passes through at most n + 3 roundings,
        those of x to a float, of its product, of n - 1 sums, of 1 / p and of the product with that. So
        r = V - rint(f) p is at most p / 2 + (n + 4) u S in magnitude. Callers keep that below 2^63 and S below 2^62 p,
        so that rint(f) fits int64 and r comes out right of arithmetic modulo 2^64. Where the bound is not less than
        p, r takes the place of V.
        """
        found = workspace.array("residue", terms[0][1].shape, np.int64)
        while True:
            self._without_multiples(terms, found, workspace)
            slack = (len(terms) + 4) * size / 2**53
            if slack < self.modulus / 2:
                return found
            terms, size = [(1, found)], self.half + math.ceil(slack)

    def _without_multiples(self, terms: list[tuple[int, np.ndarray]], out: np.ndarray, workspace: Workspace) -> None:
        """Write V - rint(f) p modulo 2^64; `out` may be one of the terms."""
        estimate, part = (workspace.array(name, out.shape, np.float64) for name in ("estimate", "part"))
        for number, (coefficient, x) in enumerate(terms):
            target = part if number else estimate
            np.copyto(target, x)
            if coefficient != 1:
                np.multiply(target, float(coefficient), out=target)
            if number:
                np.add(estimate, part, out=estimate)
        np.multiply(estimate, 1 / self.modulus, out=estimate)
        np.rint(estimate, out=estimate)
        total, product = workspace.array("whole", out.shape, np.int64), part.view(np.int64)
        np.copyto(total, estimate, casting="unsafe")
        np.multiply(total, self.minus, out=total)
        for number, (coefficient, x) in enumerate(terms, start=1):
            if coefficient != 1:
                x = np.multiply(x, coefficient, out=product, dtype=np.int64)
            np.add(total, x, out=out if number == len(terms) else total)

    def settle(self, found: np.ndarray, balanced: bool, out: np.ndarray) -> None:
        """Write what is found, below the modulus in magnitude, as residues: balanced, or from 0 up."""
        if balanced:
            np.add(found, self.plus, out=found, where=found < -self.half)
            np.subtract(found, self.plus, out=found, where=found > self.half)
        else:
            found += (found >> 63) & self.plus
        np.copyto(out, found, casting="unsafe")


def _accumulate(totals: list[tuple[np.ndarray, int]], values: np.ndarray, workspace: Workspace) -> None:
    """Add whole floats, times a factor each, to some sums."""
    whole = workspace.array("whole", values.shape, np.int64)
    np.copyto(whole, values, casting="unsafe")
    for total, factor in totals:
        if factor == 1:
            np.add(total, whole, out=total)
        elif factor == -1:
            np.subtract(total, whole, out=total)
        else:
            total += whole * factor


def _digit(coefficient: int, low: int, bits: int) -> int:
    """So many bits of a coefficient's magnitude from bit `low` up, with its sign."""
    digit = (abs(coefficient) >> low) % 2**bits
    return digit if coefficient > 0 else -digit


class _Recursion:
    """A scheme applied to residues: sums of blocks, products of sums, sums of products."""

    def __init__(self, scheme: Scheme, ring: _Modulus):
        if not isinstance(scheme.target, MatrixProduct):
            raise InvalidInput(f"{scheme.name} is not a scheme for a matrix product")
        if scheme.ring.complex or scheme.ring.characteristic not in (0, ring.modulus):
            raise InvalidInput(f"{scheme.name} holds over {scheme.ring}, not modulo {ring.modulus}")
        self.divisor = math.prod(scheme.denominators)
        if math.gcd(self.divisor, ring.modulus) != 1:
            shown = scheme.denominators
            raise InvalidInput(f"{scheme.name} has denominators {shown}, which have no inverses modulo {ring.modulus}")
        self.ring, self.form = ring, scheme.target.format
        self.of_a, self.of_b, self.of_c = (
            [[(self._residue(int(row[i])), int(i)) for i in np.flatnonzero(row)] for row in matrix]
            for matrix in (scheme.U, scheme.V, scheme.W)
        )

    def padded(self, a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
        """The product of residues (s, N, K) and (s, K, P) as residues from 0 up; sides become multiples and are cut."""
        if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or not 0 <= levels <= MAX_LEVELS:
            raise InvalidInput(f"levels is {levels!r}; a whole number from 0 to {MAX_LEVELS} is needed")
        rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
        sides = zip((rows, inner, columns), self.form, strict=True)
        n, m, p = (-(-size // base**levels) * base**levels for size, base in sides)
        if max(n * m, m * p, n * p) > PADDED_LIMIT and n * m * p > 64 * max(rows * inner * columns, 1):
            shapes = f"{rows}x{inner} by {inner}x{columns} would grow to {n}x{m} by {m}x{p}"
            raise InvalidInput(f"levels is {levels}: {shapes}")
        product = self.product(_padded(a, n, m), _padded(b, m, p), levels)[..., :rows, :columns]
        inverse = self._residue(pow(self.divisor, -levels, self.ring.modulus))
        if inverse != 1:
            product = self.ring.combination([(inverse, product)], self.ring.half)
        result = np.empty(product.shape, np.int64)
        self.ring.settle(product, balanced=False, out=result)
        return result

    def product(self, a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
        """The recursion: c_k = Σ_r w_kr (Σ_i u_ri a_i) (Σ_j v_rj b_j) over blocks, denominators aside."""
        if levels == 0:
            result = np.empty((*a.shape[:-1], b.shape[-1]), np.int64)
            self.ring.multiply(a, b, result, balanced=True)
            return result
        n, m, p = self.form
        blocks_a, blocks_b = _blocks(a, n, m), _blocks(b, m, p)
        products = [
            self.product(self._sum(left, blocks_a), self._sum(right, blocks_b), levels - 1)
            for left, right in zip(self.of_a, self.of_b, strict=True)
        ]
        zero = np.zeros((len(a), a.shape[-2] // n, b.shape[-1] // p), np.int64)
        outputs = [self._sum(row, products) if row else zero for row in self.of_c]
        return np.concatenate([np.concatenate(outputs[k : k + p], axis=-1) for k in range(0, n * p, p)], axis=-2)

    def _sum(self, terms: list[tuple[int, int]], blocks: Sequence[np.ndarray]) -> np.ndarray:
        if not terms:
            return np.zeros_like(blocks[0])
        if len(terms) == 1 and terms[0][0] == 1:
            return blocks[terms[0][1]]
        return self.ring.combination([(coefficient, blocks[i]) for coefficient, i in terms], self.ring.half)

    def _residue(self, value: int) -> int:
        value %= self.ring.modulus
        return value - self.ring.modulus if value > self.ring.half else value


def _padded(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    padded = np.zeros((*x.shape[:-2], rows, columns), np.int64)
    padded[..., : x.shape[-2], : x.shape[-1]] = x
    return padded


def _blocks(x: np.ndarray, rows: int, columns: int) -> list[np.ndarray]:
    """The rows · columns equal blocks of the matrices of a stack, row by row."""
    return [block for band in np.split(x, rows, axis=-2) for block in np.split(band, columns, axis=-1)]


def _checked_modulus(modulus: Any) -> int:
    whole = isinstance(modulus, int | np.integer) and not isinstance(modulus, bool)
    if not whole or not 2 <= modulus <= MAX_MODULUS:
        raise InvalidInput(f"modulus is {modulus!r}; a whole number from 2 to 2^63 is needed")
    return int(modulus)


def _operand(x: Any) -> np.ndarray:
    """An operand as an array; `TypeError` unless it holds integers."""
    x = np.asarray(x)
    if x.dtype == object:
        for value in x.flat:
            if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
                raise TypeError(f"an operand holds a {type(value).__name__}; integers are needed")
    elif x.dtype.kind not in "iu":
        raise TypeError(f"an operand is {x.dtype}; integers are needed")
    return x


def _result_type(a: np.ndarray, b: np.ndarray, modulus: int) -> np.dtype[Any]:
    """The type of the product, which must hold all residues."""
    if "O" in (a.dtype.kind, b.dtype.kind):
        return np.dtype(object)
    dtype = common_type(a, b)
    largest = int(np.iinfo(dtype).max)
    if modulus - 1 > largest:
        raise InvalidInput(f"modulus is {modulus}; {dtype} holds no more than {largest}: convert the operands")
    return dtype


def _stack(x: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
    """A stack of matrices, broadcast to leading axes `batch`, which become one."""
    return np.broadcast_to(x, batch + x.shape[-2:]).reshape(math.prod(batch), *x.shape[-2:])
