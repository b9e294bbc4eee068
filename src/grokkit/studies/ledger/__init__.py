"""The ledger settles every claim of the source documents: measured values with intervals, and verdicts that follow.

A verdict follows from a measurement by the claim's rule and can never be typed in.
"""

from grokkit.studies.ledger._claim import Claim, Document, claims, find_claim
from grokkit.studies.ledger._ledger import Entry, ledger, protocol_of, protocols_of, rule_on, run_claims
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol, load_study, study_names
from grokkit.studies.ledger._results import Results, load_results, save_results
from grokkit.studies.ledger._rules import RULES
from grokkit.studies.ledger._verdicts import Rule, Ruling, Verdict
from grokkit.studies.ledger.protocols import PROTOCOLS

__all__ = [
    "PROTOCOLS",
    "RULES",
    "Claim",
    "Context",
    "Document",
    "Entry",
    "Figure",
    "Measurement",
    "Protocol",
    "Results",
    "Rule",
    "Ruling",
    "Verdict",
    "claims",
    "find_claim",
    "ledger",
    "load_results",
    "load_study",
    "protocol_of",
    "protocols_of",
    "rule_on",
    "run_claims",
    "save_results",
    "study_names",
]
