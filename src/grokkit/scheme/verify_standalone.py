#!/usr/bin/env python3
"""Check a grokkit scheme file with nothing but the Python standard library.

    python verify_standalone.py FILE...

A second, independent proof, short enough to read in five minutes. It shares no code with the rest of
grokkit. A scheme of rank r for the product C = A B of an n x m by an m x p matrix says

    c = W ((U a) * (V b)),     a, b, c = A, B, C read row by row,

with U (r x nm), V (r x mp), W (np x r). It is right for all matrices, over any commutative ring in
which its coefficients make sense, exactly if for all i, j, k

    sum over r of  U[r][i] V[r][j] W[k][r]   =   1 if a_i b_j is a term of c_k, else 0,

which is what is checked here, in exact rational arithmetic, or modulo p over GF(p). Exit status:
0 all exact, 1 one is not, 2 one could not be read.
"""

import hashlib
import json
import sys
from fractions import Fraction


def unique(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key appears twice")
    return dict(pairs)


def read(path):
    """The factor matrices as lists of rows of (column, coefficient) for the nonzero coefficients."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123
        data = json.load(stream, object_pairs_hook=unique)
    if data["grokkit"] != "scheme" or data["version"] != 1:
        raise ValueError("not a grokkit scheme file of version 1")
    n, m, p = data["format"]
    rank = data["rank"]
    factors = []
    for name, rows, columns in (("U", rank, n * m), ("V", rank, m * p), ("W", n * p, rank)):
        matrix, denominator = data[name]["rows"], data[name]["denominator"]
        if type(denominator) is not int or denominator < 1:
            raise ValueError(f"{name}: bad denominator")
        if len(matrix) != rows or any(len(row) != columns for row in matrix):
            raise ValueError(f"{name} must be {rows} x {columns}")
        if any(type(value) is not int for row in matrix for value in row):
            raise ValueError(f"{name} holds something that is not an integer")
        factors.append([[(c, Fraction(x, denominator)) for c, x in enumerate(row) if x] for row in matrix])
    return data, (n, m, p), rank, factors


def characteristic(ring):
    if ring in ("Z", "Q"):
        return 0
    if ring[:3] == "GF(" and ring[-1] == ")":
        return int(ring[3:-1])
    raise ValueError(f"unknown ring {ring!r}")


def wrong_entries(data, form, rank, factors):
    n, m, p = form
    U, V, W = factors
    char = characteristic(data["ring"])
    if data["ring"] != "Q" and any(x.denominator != 1 for F in factors for row in F for _, x in row):
        raise ValueError(f"fractions over the ring {data['ring']}")
    outputs_of_product = [[] for _ in range(rank)]
    for k, row in enumerate(W):
        for r, x in row:
            outputs_of_product[r].append((k, x))
    total = {}
    for r in range(rank):
        for i, x in U[r]:
            for j, y in V[r]:
                for k, z in outputs_of_product[r]:
                    total[i, j, k] = total.get((i, j, k), 0) + x * y * z
    for row in range(n):
        for inner in range(m):
            for column in range(p):
                key = (row * m + inner, inner * p + column, row * p + column)
                total[key] = total.get(key, 0) - 1
    return sorted(key for key, x in total.items() if (x % char if char else x) != 0)


def digest(data):
    """SHA-256 of target, ring and factors in lowest terms, as grokkit's certificates state it."""
    from math import gcd

    content = {"format": data["format"], "ring": data["ring"]}
    char = characteristic(data["ring"])
    for name in "UVW":
        rows, denominator = data[name]["rows"], data[name]["denominator"]
        common = gcd(denominator, *(x for row in rows for x in row))
        rows = [[x // common % char if char else x // common for x in row] for row in rows]
        content[name] = {"denominator": denominator // common, "rows": rows}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def main(paths):
    status = 0
    for path in paths:
        try:
            data, form, rank, factors = read(path)
            wrong = wrong_entries(data, form, rank, factors)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            print(f"{path}: unreadable: {error}")
            status = 2
            continue
        name = "<{},{},{};{}> over {}".format(*form, rank, data["ring"])
        if wrong:
            print(f"{path}: refuted: {name}: {len(wrong)} entries are wrong, the first at {wrong[0]}")
            status = max(status, 1)
        else:
            print(f"{path}: exact: {name}, sha256 {digest(data)}")
    return status


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python verify_standalone.py FILE...")
    sys.exit(main(sys.argv[1:]))
