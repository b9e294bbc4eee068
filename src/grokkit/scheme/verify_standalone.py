#!/usr/bin/env python3
"""Check a grokkit scheme file with nothing but the Python standard library.

    python verify_standalone.py FILE...

A second, independent proof, short enough to read in five minutes. It shares no code with the rest of
grokkit. A scheme of rank r for the product C = A B of an n x m by an m x p matrix says

    c = W ((U a) * (V b)),     a, b, c = A, B, C read row by row,

with U (r x nm), V (r x mp), W (np x r). It is right for all matrices, over any commutative ring in
which its coefficients make sense, exactly if for all i, j, k

    sum over r of  U[r][i] V[r][j] W[k][r]   =   1 if a_i b_j is a term of c_k, else 0,

which is what is checked here, in integers over the common denominator, or modulo p over GF(p). Other
bilinear maps of vectors a and b to c (the key "target" instead of "format") have other right-hand sides,
-1 among them: see `tensor`. What else the file claims (ternary, certificate) must be true as well.
Exit status: 0 all exact, 1 one is not, 2 one could not be read.
"""

import hashlib
import json
import math
import re
import sys

REQUIRED = {"U", "V", "W", "grokkit", "rank", "ring", "version"}
OPTIONAL = {"certificate", "provenance", "ternary"}
KEYS = {"polynomial": "terms", "toeplitz": "shape", "cyclic": "length", "complex": "", "quaternion": ""}
MINUS = {(1, 1), (2, 2), (3, 3), (2, 1), (3, 2), (1, 3)}  # e_i e_j = -e_(i xor j); e = 1, i, j, k


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


def tensor(target):
    """Lengths of a, b and c, and each (i, j, k) where the sum has to be 1 or -1 with that value; elsewhere 0."""
    if "format" in target:
        kind, sizes = "", target["format"]
    else:
        what = target["target"]
        need(isinstance(what, dict) and isinstance(what.get("kind"), str) and what["kind"] in KEYS, "unknown target")
        kind = what["kind"]
        need(what.keys() == {"kind", KEYS[kind]} - {""}, "bad target")
        fixed = {"cyclic": [what.get("length")] * 2, "complex": [2, 2], "quaternion": [4, 4]}
        sizes = fixed.get(kind) or what[KEYS[kind]]
    count, limit = (2, 2**16) if kind else (3, 1024)
    need(isinstance(sizes, list) and len(sizes) == count and all(integer(x, 1, limit) for x in sizes), "bad sizes")
    need(math.prod(sizes) <= 2**24, "too large to check")
    n, m, *p = sizes
    pairs = ((i, j) for i in range(n) for j in range(m))
    if p:  # entry (i, j) of A times entry (j, k) of B
        (p,) = p
        return (n * m, m * p, n * p), (((i * m + j, j * p + k, i * p + k), 1) for i, j in pairs for k in range(p))
    if kind == "polynomial":  # a_i x^i times b_j x^j
        return (n, m, n + m - 1), (((i, j, i + j), 1) for i, j in pairs)
    if kind == "toeplitz":  # entry (i, j) of the n x m matrix is a[i - j + m - 1]; times b_j
        return (n + m - 1, m, n), (((i - j + m - 1, j, i), 1) for i, j in pairs)
    if kind == "cyclic":
        return (n, n, n), (((i, j, (i + j) % n), 1) for i, j in pairs)
    return (n, n, n), (((i, j, i ^ j), -1 if (i, j) in MINUS else 1) for i, j in pairs)


def read(path):
    """The file's content, checked for form, and the scheme in lowest terms."""
    data = parse(path)
    need(isinstance(data, dict) and data.get("grokkit") == "scheme", "not a grokkit scheme file")
    what = {key: data[key] for key in data.keys() & {"format", "target"}}
    known = REQUIRED <= data.keys() <= REQUIRED | OPTIONAL | what.keys()
    need(known and len(what) == 1, "keys are missing or unknown, or not just one of format and target")
    need(integer(data["version"], 1, 1), "not version 1")
    (a, b, c), rank, ring = tensor(what)[0], data["rank"], data["ring"]
    need(integer(rank, 0, 2**31) and isinstance(ring, str), "bad rank or ring")
    scheme = dict(what, ring=ring)
    for name, rows, columns in (("U", rank, a), ("V", rank, b), ("W", c, rank)):
        scheme[name] = factor(data[name], name, rows, columns, ring)
    if "ternary" in data:
        need(data["ternary"] is ternary(scheme), "ternary is not what the factors say")
    need(isinstance(data.get("certificate", {}), dict), "the certificate is not an object")
    origin = data.get("provenance", {})
    need(isinstance(origin, dict) and origin.keys() <= {"configuration", "method", "seed", "version"}, "bad provenance")
    need(all(isinstance(origin.get(key, ""), str) for key in ("method", "version")), "bad provenance")
    need(origin.get("seed") is None or integer(origin["seed"], -(2**63), 2**64), "bad provenance")
    configuration = origin.get("configuration", {})
    need(isinstance(configuration, dict) and depth(configuration) <= 64, "bad provenance")
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
    for key, value in tensor(scheme)[1]:
        re, im = total.get(key, (0, 0))
        total[key] = re - value * one, im
    char = characteristic(scheme["ring"])
    return sorted(key for key, (re, im) in total.items() if (re % char if char else re) != 0 or im != 0)


def proven(scheme):
    """What a certificate for this scheme says; its digest is the SHA-256 of the scheme in lowest terms."""
    text = json.dumps(scheme, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    facts = {key: scheme[key] for key in scheme.keys() - set("UVW")} | {"digest": digest, "ternary": ternary(scheme)}
    return facts | {"equations": math.prod(tensor(scheme)[0]), "rank": len(scheme["U"]["rows"])}


def check(path):
    data, scheme = read(path)
    facts = proven(scheme)
    what = json.dumps(scheme.get("format") or scheme.get("target"), separators=(",", ":"))[1:-1].replace('"', "")
    name = f"<{what};{facts['rank']}> over {facts['ring']}"
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
