"""A scheme as a Lean 4 file that states its tensor equations and has Lean's kernel compute that they hold."""

from __future__ import annotations

from typing import Final

import numpy as np

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._kronecker import format_of
from grokkit.scheme._scheme import Scheme

MAX_TERMS: Final = 2**20
"""Most products u v w that the kernel is asked to compute."""


def lean(scheme: Scheme) -> str:
    """A self-contained Lean 4 file (no Mathlib) with the factors as integers and a theorem that the scheme is exact.

    The theorem says that for all i, j, k the sum over r of U r i · V r j · W k r equals the common denominator
    where a_i b_j is a term of c_k and 0 elsewhere (modulo p over GF(p)). Its proof is ``decide +kernel``: the kernel
    evaluates every equation, with no compiled code to trust. A second theorem states the number of products.

    Raises `InvalidInput` for schemes of more than 2²⁰ terms, with which the kernel would not end soon.
    """
    n, m, p = format_of(scheme, "a Lean file")
    a, b, c = scheme.target.shape
    if scheme.rank * a * b * c > MAX_TERMS:
        raise InvalidInput(f"{scheme.name}: too many equations for a proof by computation in Lean's kernel")
    du, dv, dw = scheme.denominators
    characteristic = scheme.ring.characteristic
    equal = f"(x - y) % {characteristic} == 0" if characteristic else "x == y"
    return f"""/-
The product C = A B of a {n} x {m} by a {m} x {p} matrix with {scheme.rank} products, over {scheme.ring}.
SHA-256 of the scheme: {scheme.digest}

c = W ((U a) * (V b)), where a, b, c are A, B, C read row by row. U, V, W hold integer numerators over the denominators
{du}, {dv}, {dw}. Written for Lean 4, without Mathlib; `lean FILE` checks it.
-/

namespace Scheme

def U : List (List Int) := [
{_rows(scheme.U)}]

def V : List (List Int) := [
{_rows(scheme.V)}]

def W : List (List Int) := [
{_rows(scheme.W)}]

def n : Nat := {n}
def m : Nat := {m}
def p : Nat := {p}

/-- The common denominator of all products u v w. -/
def scale : Int := {du} * {dv} * {dw}

def entry (matrix : List (List Int)) (row column : Nat) : Int := (matrix.getD row []).getD column 0

/-- The coefficient of a_i b_j in c_k that the scheme computes, times `scale`. -/
def found (i j k : Nat) : Int :=
  (List.range U.length).foldl (fun sum r => sum + entry U r i * entry V r j * entry W k r) 0

/-- The coefficient of a_i b_j in c_k of the matrix product, times `scale`. -/
def expected (i j k : Nat) : Int :=
  if i / m == k / p && i % m == j / p && j % p == k % p then scale else 0

def equal (x y : Int) : Bool := {equal}

def holds : Bool :=
  (List.range (n * m)).all fun i =>
    (List.range (m * p)).all fun j =>
      (List.range (n * p)).all fun k => equal (found i j k) (expected i j k)

/-- All {a * b * c} equations hold: the scheme computes the product of all matrices over every commutative ring in
which its coefficients make sense. -/
theorem exact : holds = true := by decide +kernel

theorem products : U.length = {scheme.rank} ∧ V.length = {scheme.rank} := by decide +kernel

end Scheme
"""


def _rows(matrix: np.ndarray) -> str:
    return ",\n".join("  [" + ", ".join(f"({x})" if x < 0 else str(x) for x in row) + "]" for row in matrix.tolist())
