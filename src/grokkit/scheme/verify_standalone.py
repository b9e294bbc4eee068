#!/usr/bin/env python3
"""Check a grokkit scheme file with nothing but the Python standard library.

    python verify_standalone.py FILE...

A second, independent proof, short enough to read in five minutes. It shares no code with the rest of
grokkit. A scheme of rank r for the product C = A B of an n x m by an m x p matrix says

    c = W ((U a) * (V b)),     a, b, c = A, B, C read row by row,

with U (r x nm), V (r x mp), W (np x r). It is right for all matrices, over any commutative ring in
which its coefficients make sense, exactly if for all i, j, k

    sum over r of  U[r][i] V[r][j] W[k][r]   =   1 if a_i b_j is a term of c_k, else 0,

which is what is checked here, in integers over the common denominator, or modulo p over GF(p). What
else the file claims (ternary, certificate) must be true as well. Exit status: 0 all exact, 1 one is
not, 2 one could not be read.
"""

import hashlib
import json
import math
import re
import sys

REQUIRED = {"U", "V", "W", "format", "grokkit", "rank", "ring", "version"}
OPTIONAL = {"certificate", "provenance", "ternary"}


def need(condition, message):
    if not condition:
        raise ValueError(message)


def integer(value, low, high):
    return type(value) is int and low <= value <= high


def unique(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "a key appears twice")
    return dict(pairs)


def finite(text):
    need(math.isfinite(float(text)), "a number is not finite")
    return float(text)


def parse(path):
    with open(path, "rb") as stream:  # noqa: PTH123
        text = stream.read(48 * 2**20 + 1)
    need(len(text) <= 48 * 2**20 and all(text.count(mark) <= 2**20 for mark in (b"[", b"{", b'"')), "too large")
    return json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_constant=finite, parse_float=finite)


def characteristic(ring):
    """0 for Z, Q and Q(i), p for GF(p) with a prime p below 2^31."""
    if ring in ("Z", "Q", "Q(i)"):
        return 0
    match = re.fullmatch(r"GF\(([1-9][0-9]{0,9})\)", ring)
    p = int(match.group(1)) if match else 0
    need(1 < p < 2**31 and all(p % d for d in range(2, math.isqrt(p) + 1)), "the ring is not Z, Q, Q(i) or GF(prime)")
    return p


def factor(content, name, rows, columns, ring):
    """One factor in lowest terms, its coefficients over GF(p) in 0..p-1."""
    need(isinstance(content, dict) and content.keys() == {"denominator", "rows"}, f"{name} is malformed")
    matrix, denominator = content["rows"], content["denominator"]
    need(type(denominator) is int and denominator > 0, f"{name}: bad denominator")
    need(isinstance(matrix, list) and len(matrix) == rows, f"{name} does not have {rows} rows")
    need(
        all(isinstance(row, list) and len(row) == columns for row in matrix), f"{name}: a row has not {columns} entries"
    )
    if ring == "Q(i)":  # [re, im] is re + im i
        pairs = [x for row in matrix for x in row if type(x) is not int]
        need(all(isinstance(x, list) and len(x) == 2 for x in pairs), f"{name} holds something that is no number")
        matrix = [[x[0] if type(x) is list and x[1] == 0 else x for x in row] for row in matrix]
    numbers = []
    for row in matrix:
        for x in row:
            numbers += x if ring == "Q(i)" and type(x) is list else [x]
    need(all(type(x) is int for x in numbers), f"{name} holds something that is not an integer")
    common = math.gcd(denominator, *numbers)
    need(ring in ("Q", "Q(i)") or common == denominator, f"{name} has fractions, which need the ring Q")
    p = characteristic(ring)

    def lowest(x):
        return [y // common for y in x] if type(x) is list else x // common % p if p else x // common

    matrix = [[lowest(x) for x in row] for row in matrix]
    return {"denominator": denominator // common, "rows": matrix}


def depth(value):
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def read(path):
    """The file's content, checked for form, and the scheme in lowest terms."""
    data = parse(path)
    need(isinstance(data, dict) and data.get("grokkit") == "scheme", "not a grokkit scheme file")
    need(data.keys() >= REQUIRED and data.keys() <= REQUIRED | OPTIONAL, "keys are missing or unknown")
    need(integer(data["version"], 1, 1), "not version 1")
    form, rank, ring = data["format"], data["rank"], data["ring"]
    need(isinstance(form, list) and len(form) == 3 and all(integer(x, 1, 1024) for x in form), "bad format")
    need(integer(rank, 0, 2**31), "bad rank")
    need(isinstance(ring, str), "bad ring")
    n, m, p = form
    need(n * m * p <= 2**24, "the format is too large to check")
    scheme = {"format": form, "ring": ring}
    for name, rows, columns in (("U", rank, n * m), ("V", rank, m * p), ("W", n * p, rank)):
        scheme[name] = factor(data[name], name, rows, columns, ring)
    if "ternary" in data:
        need(data["ternary"] is ternary(scheme), "ternary is not what the factors say")
    need(isinstance(data.get("certificate", {}), dict), "the certificate is not an object")
    origin = data.get("provenance", {})
    need(isinstance(origin, dict) and origin.keys() <= {"configuration", "method", "seed", "version"}, "bad provenance")
    need(all(isinstance(origin.get(key, ""), str) for key in ("method", "version")), "bad provenance")
    need(origin.get("seed") is None or integer(origin["seed"], -(2**63), 2**64), "bad provenance")
    need(
        isinstance(origin.get("configuration", {}), dict) and depth(origin.get("configuration")) <= 64, "bad provenance"
    )
    return data, scheme


def ternary(scheme):
    entries = [x for f in "UVW" for r in scheme[f]["rows"] for x in r]
    whole = all(scheme[f]["denominator"] == 1 for f in "UVW")
    return whole and all(type(x) is int and -1 <= x <= 1 for x in entries)


def times(x, y):
    """The product of two complex numbers (re, im)."""
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def wrong_entries(scheme):
    """The (i, j, k) where the sum is not what it must be."""
    n, m, p = scheme["format"]
    # every number as (re, im); im is 0 but over Q(i)
    U, V, W = (
        [[(c, tuple(x) if type(x) is list else (x, 0)) for c, x in enumerate(row) if x] for row in scheme[name]["rows"]]
        for name in "UVW"
    )
    one = math.prod(scheme[name]["denominator"] for name in "UVW")
    outputs_of_product = [[] for _ in U]
    for k, row in enumerate(W):
        for r, x in row:
            outputs_of_product[r].append((k, x))
    total = {}
    for u, v, w in zip(U, V, outputs_of_product):  # noqa: B905
        for i, x in u:
            for j, y in v:
                for k, z in w:
                    re, im = total.get((i, j, k), (0, 0))
                    more = times(times(x, y), z)
                    total[i, j, k] = re + more[0], im + more[1]
    for row in range(n):
        for inner in range(m):
            for column in range(p):
                key = (row * m + inner, inner * p + column, row * p + column)
                re, im = total.get(key, (0, 0))
                total[key] = re - one, im
    char = characteristic(scheme["ring"])
    return sorted(key for key, (re, im) in total.items() if (re % char if char else re) != 0 or im != 0)


def proven(scheme):
    """What a certificate for this scheme says; its digest is the SHA-256 of the scheme in lowest terms."""
    n, m, p = scheme["format"]
    text = json.dumps(scheme, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    facts = {"digest": digest, "equations": n * n * m * m * p * p, "rank": len(scheme["U"]["rows"])}
    return facts | {"format": scheme["format"], "ring": scheme["ring"], "ternary": ternary(scheme)}


def check(path):
    data, scheme = read(path)
    facts = proven(scheme)
    name = "<{},{},{};{}> over {}".format(*scheme["format"], facts["rank"], facts["ring"])
    wrong = wrong_entries(scheme)
    if wrong:
        return 1, f"refuted: {name}: {len(wrong)} entries are wrong, the first at {wrong[0]}"
    if "certificate" in data:
        claimed = dict(data["certificate"])
        need(isinstance(claimed.pop("version", None), str), "the certificate has no version")
        # compared as text: 7, 7.0 and true differ
        need(json.dumps(claimed, sort_keys=True) == json.dumps(facts, sort_keys=True), "the certificate is not true")
    return 0, f"exact: {name}, sha256 {facts['digest']}"


def main(paths):
    worst = 0
    for path in paths:
        try:
            status, verdict = check(path)
        except (OSError, ValueError, RecursionError) as error:
            status, verdict = 2, f"unreadable: {error}"
        print(f"{path}: {verdict}")
        worst = max(worst, status)
    return worst


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python verify_standalone.py FILE...")
    sys.exit(main(sys.argv[1:]))
