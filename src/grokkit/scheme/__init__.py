"""Exact bilinear algorithms: targets, schemes, proof, symmetry, composition and files. No torch.

The catalog of known schemes is `grokkit.scheme.catalog`; it is not imported here, so that code which
must find schemes by itself cannot see it.
"""

from grokkit.scheme._alternative_basis import AlternativeBasis, alternative_basis
from grokkit.scheme._canonical import canonical
from grokkit.scheme._composition import direct_sum, extended, restricted
from grokkit.scheme._construct import Construction, best_known, construct, plans
from grokkit.scheme._counts import Additions, additions, frobenius_growth, growth_factor, scalings, typical_growth
from grokkit.scheme._equivalence import Equivalence, Inequivalent, Undecided, equivalent, stabilizer
from grokkit.scheme._error_bound import ErrorBound, composed_error_bound, error_bound, unit_roundoff
from grokkit.scheme._errors import InvalidInput, MissingExtra, UnreadableFile, need_extra
from grokkit.scheme._files import read_bytes, undone_if_empty, write_atomically
from grokkit.scheme._formulas import formulas
from grokkit.scheme._gaussian import Gaussian
from grokkit.scheme._interpolation import interpolated
from grokkit.scheme._invariants import Invariants, invariants, jacobian_rank
from grokkit.scheme._json import check_claim, dumps, read_scheme
from grokkit.scheme._kronecker import compose, expand
from grokkit.scheme._lattice import TERNARY, lattice_distance, nearest
from grokkit.scheme._orbit import improve
from grokkit.scheme._pictures import svg_picture, text_picture
from grokkit.scheme._program import LinearProgram, Program
from grokkit.scheme._read_target import parse_target
from grokkit.scheme._reduction import reduce_additions
from grokkit.scheme._ring import Q, Qi, Ring, Z
from grokkit.scheme._scheme import Provenance, Scheme
from grokkit.scheme._standard import standard, standard_scheme
from grokkit.scheme._symmetry import rescaled, rotated, sandwiched, symmetric_forms, transposed, with_format
from grokkit.scheme._target import MatrixProduct, Target
from grokkit.scheme._targets import (
    ComplexProduct,
    CyclicConvolution,
    PolynomialProduct,
    QuaternionProduct,
    ToeplitzProduct,
)
from grokkit.scheme._verify import Certificate, Refuted, rational_text, verify
from grokkit.scheme._weights import Weights, find_factors, read_npz, read_weights
from grokkit.scheme._words import suggestion
from grokkit.scheme.formats import Reading, SchemeFile, holds_weights, load, save, save_program

__all__ = [
    "TERNARY",
    "Additions",
    "AlternativeBasis",
    "Certificate",
    "ComplexProduct",
    "Construction",
    "CyclicConvolution",
    "Equivalence",
    "ErrorBound",
    "Gaussian",
    "Inequivalent",
    "InvalidInput",
    "Invariants",
    "LinearProgram",
    "MatrixProduct",
    "MissingExtra",
    "PolynomialProduct",
    "Program",
    "Provenance",
    "Q",
    "Qi",
    "QuaternionProduct",
    "Reading",
    "Refuted",
    "Ring",
    "Scheme",
    "SchemeFile",
    "Target",
    "ToeplitzProduct",
    "Undecided",
    "UnreadableFile",
    "Weights",
    "Z",
    "additions",
    "alternative_basis",
    "best_known",
    "canonical",
    "check_claim",
    "compose",
    "composed_error_bound",
    "construct",
    "direct_sum",
    "dumps",
    "equivalent",
    "error_bound",
    "expand",
    "extended",
    "find_factors",
    "formulas",
    "frobenius_growth",
    "growth_factor",
    "holds_weights",
    "improve",
    "interpolated",
    "invariants",
    "jacobian_rank",
    "lattice_distance",
    "load",
    "nearest",
    "need_extra",
    "parse_target",
    "plans",
    "rational_text",
    "read_bytes",
    "read_npz",
    "read_scheme",
    "read_weights",
    "reduce_additions",
    "rescaled",
    "restricted",
    "rotated",
    "sandwiched",
    "save",
    "save_program",
    "scalings",
    "stabilizer",
    "standard",
    "standard_scheme",
    "suggestion",
    "svg_picture",
    "symmetric_forms",
    "text_picture",
    "transposed",
    "typical_growth",
    "undone_if_empty",
    "unit_roundoff",
    "verify",
    "with_format",
    "write_atomically",
]
