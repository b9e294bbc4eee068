"""Exact bilinear algorithms: targets, schemes, proof, symmetry, composition and files. No torch.

The catalog of known schemes is `grokkit.scheme.catalog`; it is not imported here, so that code which
must find schemes by itself cannot see it.
"""

from grokkit.scheme._counts import Additions, additions, frobenius_growth, growth_factor, scalings, typical_growth
from grokkit.scheme._equivalence import Equivalence, Inequivalent, Undecided, equivalent, stabilizer
from grokkit.scheme._error_bound import ErrorBound, composed_error_bound, error_bound, unit_roundoff
from grokkit.scheme._errors import InvalidInput, MissingExtra, UnreadableFile, need_extra
from grokkit.scheme._files import read_bytes, undone_if_empty, write_atomically
from grokkit.scheme._formulas import formulas
from grokkit.scheme._json import check_claim, dumps, load, read_scheme, save
from grokkit.scheme._kronecker import compose, expand
from grokkit.scheme._lattice import TERNARY, lattice_distance, nearest
from grokkit.scheme._ring import Q, Ring, Z
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._symmetry import sandwiched
from grokkit.scheme._target import MatrixProduct, Target
from grokkit.scheme._verify import Certificate, Refuted, rational_text, verify
from grokkit.scheme._weights import Weights, find_factors, read_npz, read_weights

__all__ = [
    "TERNARY",
    "Additions",
    "Certificate",
    "Equivalence",
    "ErrorBound",
    "Inequivalent",
    "InvalidInput",
    "MatrixProduct",
    "MissingExtra",
    "Provenance",
    "Q",
    "Refuted",
    "Ring",
    "Scheme",
    "Target",
    "Undecided",
    "UnreadableFile",
    "Weights",
    "Z",
    "additions",
    "check_claim",
    "compose",
    "composed_error_bound",
    "dumps",
    "equivalent",
    "error_bound",
    "expand",
    "find_factors",
    "formulas",
    "frobenius_growth",
    "growth_factor",
    "lattice_distance",
    "load",
    "nearest",
    "need_extra",
    "rational_text",
    "read_bytes",
    "read_npz",
    "read_scheme",
    "read_weights",
    "sandwiched",
    "save",
    "scalings",
    "stabilizer",
    "typical_growth",
    "undone_if_empty",
    "unit_roundoff",
    "verify",
    "write_atomically",
]
