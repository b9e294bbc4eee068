"""The list of claims, and their entries."""

from collections import Counter

import pytest

from grokkit.scheme import InvalidInput
from grokkit.studies.ledger import PROTOCOLS, RULES, Rule, Ruling, Verdict, claims, find_claim, ledger

SERIES = {"S": 17, "E": 9, "G": 1, "P": 4, "N": 1, "A": 11, "M": 2, "B": 4, "L": 1, "X": 8, "K": 15, "C": 8, "T": 6}


def test_every_claim_is_there():
    found = claims()
    assert len(found) == 87
    assert Counter(name[0] for name in found) == SERIES
    for letter, count in SERIES.items():
        assert {f"{letter}{number:02d}" for number in range(1, count + 1)} <= set(found)
    for name, claim in found.items():
        assert claim.id == name and claim.statement.strip() and claim.stated.strip()
        assert claim.document.title and claim.document.author


def test_documents_are_cited_with_their_dois():
    assert str(find_claim("M02").document).endswith("(doi:10.5281/zenodo.18263654)")
    assert str(find_claim("K01").document).endswith("(doi:10.5281/zenodo.18072859)")
    assert find_claim("S01").to_json()["document"] == {
        "key": "D4",
        "title": "Trajectory Geometry Determines Algorithmic Structure",
        "doi": None,
    }


def test_the_list_cannot_be_changed_from_outside():
    claims().clear()
    assert len(claims()) == 87


@pytest.mark.parametrize(("name", "near"), [("X99", "X0"), ("E1", "E01"), ("p5", "P0"), ("", ""), ("zzz" * 99, "")])
def test_an_unknown_claim_names_the_nearest(name, near):
    with pytest.raises(InvalidInput, match=rf"no claim .*; did you mean {near}[A-Z0-9]*\?") as caught:
        find_claim(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 120


def test_case_does_not_matter():
    assert find_claim(" e04 ") is claims()["E04"]


def test_every_claim_has_an_entry_and_open_ones_say_why_and_how():
    entries = ledger()
    assert [each.claim.id for each in entries] == list(claims())
    for entry in entries:
        assert isinstance(entry.ruling, Ruling) and entry.ruling.reason.strip()
        assert entry.command == f"grokkit claims {entry.claim.id} --run --full"
        if entry.measurement is None:
            assert entry.ruling.verdict == Verdict.OPEN
        if entry.ruling.verdict == Verdict.OPEN and entry.protocol is None:
            assert "no protocol" in entry.ruling.reason


def test_protocols_rules_and_claims_fit_together():
    settled = [claim for protocol in PROTOCOLS for claim in protocol.claims]
    assert len(settled) == len(set(settled)), "two protocols settle one claim"
    assert set(settled) <= set(claims())
    assert set(RULES) == set(settled), "a protocol without a rule, or a rule without a protocol"
    assert all(isinstance(each, Rule) and (each.figures or each.facts) for each in RULES.values())
    names = [protocol.name for protocol in PROTOCOLS]
    assert len(names) == len(set(names))
    assert all(name == name.lower() and name.count("-") <= 1 and name.isascii() for name in names)


def test_shipped_results_hold_every_protocol_run_in_full():
    """What is shipped was measured at full scale; the protocols that cost too much to ship stay open."""
    for entry in ledger():
        if entry.measurement is not None:
            assert entry.measurement.scale == "full", entry.claim.id
            assert entry.machine and entry.measured_with
