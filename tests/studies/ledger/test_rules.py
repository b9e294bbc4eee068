"""The rules of claims: simulated measurements that agree, contradict, are too wide, undefined or missing."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokkit.studies.ledger import RULES, Figure, Measurement, Ruling, Verdict, rule_on

LAWS = ("Gaussian", "uniform [0, 1]", "uniform [-1, 1]")
SIZES = (2, 4, 8, 16, 32, 64)


def number(value):
    return value if isinstance(value, Figure) else Figure(*value) if isinstance(value, tuple) else Figure(float(value))


def relative(**by_law):
    """Relative errors by size: the same at all sizes but the largest."""
    laws = dict(zip(LAWS, by_law.values(), strict=True))
    return {
        f"{name}, {law}, {size}": value
        for name in ("Strassen", "learned")
        for law, value in laws.items()
        for size in SIZES
    }


def stated_over(typical, worst):
    kinds = {"typical": typical, "worst": worst}
    return {f"stated / {kind}, {law}, {size}": value for kind, value in kinds.items() for law in LAWS for size in SIZES}


def shaken(share):
    return {f"exact weights, {sigma}": share for sigma in (0.001, 0.005, 0.01, 0.05, 0.1)}


def permutations(coherent, one):
    return {"error, coherent": coherent} | {f"error, {side} alone": one for side in "UVW"}


def speeds(*values):
    return {f"speedup at {size}, one thread": value for size, value in zip((2048, 4096, 8192), values, strict=False)}


MEMORY = {
    "parameters": 384,
    "optimizer": 768,
    "per sample": 340,
    "counted at 128": 41.125,
    "counted at 1024": 321.125,
    "share of L3": 0.01,
}
GAUGE = {
    "p, norm": 0.6,
    "effect, norm": (0.002, 0, 0.01),
    "p, lattice_distance": 0.8,
    "effect, lattice_distance": (0, 0, 0.01),
}
ONE = {"one class at every batch size": True}
LEARNED = {"confidence, trained": (0.99, 0.98, 1), "confidence, untrained": (0, 0, 0)}
NO, YES = (0.0, 0.0, 0.03, 128), (1.0, 0.97, 1.0, 128)
NEITHER = {"only the identity is exact (coherent)": False, "only the identity is exact (one factor)": False}
IN_ORDER = {"spectrum_in_order": 0, "isometry": 0, "normalized norm": 0}

COMMUTES = {"commutes exactly over the integers": True, "random coefficients do, too": True}

CASES = [
    ("E01", relative(a=1e-6, b=1e-6, c=1e-6), {}, "reproduced"),
    ("E01", relative(a=9e-6, b=1e-6, c=9e-6), {}, "reproduced"),
    ("E01", relative(a=9e-6, b=9e-6, c=9e-6), {}, "refuted"),
    ("E01", relative(a=(2e-6, 1e-6, 3e-6, 25), b=9e-6, c=9e-6), {}, "open"),
    ("E02", stated_over(1.2, 9), {}, "reproduced"),
    ("E02", stated_over(9, 1.2), {}, "reproduced"),
    ("E02", stated_over(9, 0.01), {}, "refuted"),
    ("E02", stated_over((3, 2, 4, 25), 9), {}, "open"),
    ("E03", {}, COMMUTES, "tautological"),
    ("E03", {}, COMMUTES | {"commutes exactly over the integers": False}, "refuted"),
    ("E04", permutations(0, 2.2), NEITHER | {"only the identity is exact (one factor)": True}, "refuted"),
    ("E04", permutations(0, 0.75), NEITHER | {"only the identity is exact (one factor)": True}, "reproduced"),
    ("E04", permutations(0.74, 2.2), NEITHER | {"only the identity is exact (coherent)": True}, "reproduced"),
    ("E04", permutations(0.74, 0.74), NEITHER, "refuted"),
    ("E05", IN_ORDER, {}, "reproduced"),
    ("E05", IN_ORDER | {"spectrum_in_order": 0.6}, {}, "refuted"),
    ("E05", IN_ORDER | {"isometry": 0.1}, {}, "refuted"),
    ("E05", IN_ORDER | {"normalized norm": Figure(None, reason="norm 0")}, {}, "undefined"),
    ("E06", {}, {"base scheme unique up to slots": True, "embedding unique up to slots": True}, "reproduced"),
    ("E06", {}, {"base scheme unique up to slots": True, "embedding unique up to slots": False}, "refuted"),
    ("E06", {}, {"base scheme unique up to slots": False, "embedding unique up to slots": True}, "refuted"),
    ("E07", {"largest lattice distance": 0, "largest error": 1.3e-6}, {"every file is exact": True}, "reproduced"),
    ("E07", {"largest lattice distance": 0.4, "largest error": 1.3e-6}, {"every file is exact": True}, "refuted"),
    ("E07", {"largest lattice distance": 0, "largest error": 1.3e-6}, {"every file is exact": False}, "refuted"),
    ("E07", {}, {"not measured": "no files"}, "open"),
    ("E08", {}, {"a bound is known and holds": True}, "refuted"),
    ("E08", {}, {"a bound is known and holds": False}, "reproduced"),
    ("E09", LEARNED | {"rank 7 and ternary, trained": YES}, {}, "reproduced"),
    ("E09", LEARNED | {"rank 7 and ternary, trained": NO}, {}, "refuted"),
    ("E09", LEARNED | {"rank 7 and ternary, trained": (0.9, 0.7, 1, 9)}, {}, "open"),
    ("E09", LEARNED | {"rank 7 and ternary, trained": YES, "confidence, trained": (0, 0, 0)}, {}, "refuted"),
    ("G01", {"dimension left": 0}, {"scaling and slot order leave the map unchanged": True}, "reproduced"),
    ("G01", {"dimension left": 9}, {"scaling and slot order leave the map unchanged": True}, "refuted"),
    ("G01", {"dimension left": 0}, {"scaling and slot order leave the map unchanged": False}, "refuted"),
    ("P01", {}, {"the solutions found are one smooth orbit": True}, "refuted"),
    ("P01", {}, {"the solutions found are one smooth orbit": False}, "reproduced"),
    ("P02", {}, {"the quotient of the solutions found is one point": True}, "refuted"),
    ("P02", {}, {"the quotient of the solutions found is one point": False}, "reproduced"),
    ("P03", {"equivariant": 1}, {"T maps a space to itself": False}, "undefined"),
    ("P03", {"equivariant": 1}, {"T maps a space to itself": True}, "reproduced"),
    ("P04", {}, {"rounding is right up to 1/2 and wrong from there": True}, "refuted"),
    ("P04", {}, {"rounding is right up to 1/2 and wrong from there": False}, "reproduced"),
    ("N01", shaken(NO), {}, "reproduced"),
    ("N01", shaken(YES), {}, "refuted"),
    ("N01", shaken((0.1, 0.0, 0.4, 10)), {}, "open"),
    ("M01", MEMORY, {}, "reproduced"),
    ("M01", MEMORY | {"per sample": 900}, {}, "refuted"),
    ("M01", MEMORY | {"share of L3": 1.3}, {}, "refuted"),
    ("M01", MEMORY | {"share of L3": Figure(None, reason="unknown")}, {}, "undefined"),
    ("B01", speeds(1, 1, (1.95, 1.9, 2.0)), {}, "reproduced"),
    ("B01", speeds(1, 1, (1.2, 1.1, 1.3)), {}, "refuted"),
    ("B01", speeds(1, 1, (1.8, 1.5, 2.1, 3)), {}, "open"),
    ("B01", speeds(1, 1), {}, "open"),
    ("B02", {"speedup at 8192, all threads": 0.52}, {}, "reproduced"),
    ("B02", {"speedup at 8192, all threads": 1.1}, {}, "refuted"),
    ("B02", {}, {}, "open"),
    ("B03", speeds(0.98, 1.13, 1.95), {}, "reproduced"),
    ("B03", speeds(0.98, 1.13), {}, "open"),
    ("B03", speeds(0.98, 1.5), {}, "refuted"),
    ("B04", speeds(1.01, 0.99, 1.06), {}, "reproduced"),
    ("B04", speeds(1.01, 0.99, 1.3), {}, "refuted"),
    ("S04", {"converged, 6": NO, "exact, 6": NO}, {"6 products cannot be exact": True}, "reproduced"),
    ("S04", {"converged, 6": YES, "exact, 6": NO}, {"6 products cannot be exact": True}, "refuted"),
    ("S04", {"converged, 6": (0, 0, 0.4, 6), "exact, 6": NO}, {"6 products cannot be exact": True}, "open"),
    ("S17", {"exact, AdamW": YES, "exact, SGD": YES}, {}, "reproduced"),
    ("S17", {"exact, AdamW": NO, "exact, SGD": YES}, {}, "refuted"),
    ("S17", {"exact, AdamW": (1, 0.5, 1, 5), "exact, SGD": YES}, {}, "open"),
    ("A09", GAUGE, ONE, "reproduced"),
    ("A09", GAUGE | {"p, norm": 1e-9, "effect, norm": (0.2, 0.1, 0.3)}, ONE, "refuted"),
    ("A09", GAUGE | {"effect, norm": (0.05, 0, 0.1, 50)}, ONE, "open"),
    ("A09", GAUGE, {"one class at every batch size": False}, "refuted"),
    ("X07", {"carried over": 1}, {}, "reproduced"),
    ("X07", {"carried over": 0.5}, {}, "refuted"),
]


@pytest.mark.parametrize(("claim", "values", "facts", "verdict"), CASES)
def test_the_verdict_follows_from_the_measurement(claim, values, facts, verdict):
    made = {name: number(value) for name, value in values.items()}
    ruling = rule_on(claim, Measurement(claim, made, facts, scale="full"))
    assert ruling.verdict == verdict, str(ruling)
    assert ruling.reason.strip() and "\n" not in ruling.reason


def test_every_rule_of_these_topics_is_tried_both_ways():
    tried = {}
    for claim, _, _, verdict in CASES:
        tried.setdefault(claim, set()).add(verdict)
    assert all(len(found) > 1 for found in tried.values())
    from grokkit.studies.ledger._rules_expansion import EXPANSION
    from grokkit.studies.ledger._rules_numerics import NUMERICS
    from grokkit.studies.ledger._rules_solutions import SOLUTIONS
    from grokkit.studies.ledger._rules_structure import STRUCTURE

    assert set(tried) == {*EXPANSION, *NUMERICS, *SOLUTIONS, *STRUCTURE}


@pytest.mark.parametrize("claim", RULES)
def test_nothing_measured_is_open(claim):
    for measurement in (None, Measurement(claim), Measurement.unmeasured(claim, "no files here", "quick")):
        ruling = rule_on(claim, measurement)
        assert ruling.verdict == Verdict.OPEN and ruling.reason
    assert "no files here" in rule_on(claim, Measurement.unmeasured(claim, "no files here", "quick")).reason


values = st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-300])


@st.composite
def some_figure(draw):
    if draw(st.integers(0, 5)) == 0:
        return Figure(None, reason="0/0")
    low, high = sorted(draw(st.tuples(values, values)))
    interval = (low, high) if draw(st.booleans()) else (None, None)
    return Figure(draw(values), *interval, draw(st.none() | st.integers(0, 1000)))


pools = st.lists(some_figure(), min_size=1, max_size=8)


def measurement_of(claim, pool, random):
    """Figures of a pool under the names that the claim's rule reads; some names are left out."""
    rule = RULES[claim]
    found = {name: random.choice(pool) for name in rule.figures if random.random() < 0.9}
    facts = {name: random.choice([True, False, "text"]) for name in rule.facts if random.random() < 0.9}
    baselines = {name: random.choice(pool) for name in ("zero", "persistence") if random.random() < 0.5}
    return Measurement(claim, found, facts, baselines, "", random.choice(["quick", "full"]))


@settings(max_examples=25)
@given(pools, st.integers(0, 2**32))
def test_no_rule_raises_on_any_measurement_with_its_names(pool, seed):
    random = Random(seed)
    for claim, rule in RULES.items():
        measurement = measurement_of(claim, pool, random)
        ruling = rule(measurement)
        assert isinstance(ruling, Ruling) and isinstance(ruling.verdict, Verdict) and ruling.reason.strip()
        assert rule(measurement) == ruling
        assert rule(Measurement.from_json(measurement.to_json())) == ruling
