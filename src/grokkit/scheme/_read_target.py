"""Targets as people and as files name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from grokkit.scheme._errors import InvalidInput
from grokkit.scheme._files import short
from grokkit.scheme._target import MatrixProduct, Target
from grokkit.scheme._targets import (
    ComplexProduct,
    CyclicConvolution,
    PolynomialProduct,
    QuaternionProduct,
    ToeplitzProduct,
)

UNDERSTOOD: Final = "2x2x2 (n x m x p), poly:3, poly:3x2, cyclic:5, toeplitz:3, toeplitz:3x4, complex or quaternion"
_KINDS: Final[Mapping[str, Any]] = {
    kind.kind: kind
    for kind in (PolynomialProduct, CyclicConvolution, ToeplitzProduct, ComplexProduct, QuaternionProduct)
}


def parse_target(text: str) -> Target:
    """The target that a text names: ``2x3x4`` and what else `MatrixProduct.parse` reads, or another kind of product.

    Those are ``poly:3``, ``poly:3x2``, ``cyclic:5``, ``toeplitz:3``, ``toeplitz:3x4``, ``complex`` and
    ``quaternion``, in angle brackets or not. Law: ``parse_target(target.name) == target``. Raises `InvalidInput`.

    >>> parse_target("poly:3x2"), parse_target("<2,2,2>")
    (PolynomialProduct(n=3, m=2), MatrixProduct(n=2, m=2, p=2))
    """
    bare = text.strip()
    bare = bare[1:-1].strip() if bare.startswith("<") and bare.endswith(">") else bare
    if re.fullmatch(r"[0-9]{1,6}(\s*[x,]\s*[0-9]{1,6}){2}", bare):
        return MatrixProduct.parse(bare)
    match = re.fullmatch(
        r"(complex|quaternion)|(cyclic)\s*:\s*([0-9]{1,6})"
        r"|(poly|toeplitz)\s*:\s*([0-9]{1,6})(?:\s*[x,]\s*([0-9]{1,6}))?",
        bare.lower(),
    )
    if match is None:
        raise InvalidInput(f"target {short(text)} is not understood; write {UNDERSTOOD}")
    algebra, cyclic, length, two, n, m = match.groups()
    if algebra:
        return _KINDS[algebra]()
    if cyclic:
        return CyclicConvolution(int(length))
    kind = PolynomialProduct if two == "poly" else ToeplitzProduct
    return kind(int(n), int(m) if m else None)


def target_from_json(content: Any) -> Target:
    """The target that the value of the key ``target`` of a scheme file describes. Raises `InvalidInput`."""
    kinds = ", ".join(_KINDS)
    if not isinstance(content, dict):
        raise InvalidInput(f"target is {short(content)}; an object with a kind is needed")
    kind = _KINDS.get(content["kind"]) if isinstance(content.get("kind"), str) else None
    if kind is None:
        raise InvalidInput(f"target: kind is {short(content.get('kind'))}; one of {kinds} is needed")
    keys = {"kind", kind.size_key} - {""}
    if content.keys() != keys:
        raise InvalidInput(f"target: a {kind.kind} target has the keys {', '.join(sorted(keys))} and no others")
    if not kind.size_key:
        return kind()
    count = len(fields(kind))
    sizes = content[kind.size_key]
    listed = [sizes] if count == 1 else sizes
    if not isinstance(listed, list) or len(listed) != count or not all(type(size) is int for size in listed):
        needed = "an integer is" if count == 1 else f"a list of {count} integers is"
        raise InvalidInput(f"target: {kind.size_key} is {short(sizes)}; {needed} needed")
    return kind(*listed)
