"""A scheme as an ONNX network that multiplies matrices of any size that its format divides."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from grokkit.scheme._errors import InvalidInput, need_extra
from grokkit.scheme._kronecker import expand
from grokkit.scheme._scheme import Scheme
from grokkit.scheme._target import MatrixProduct

MAX_ENTRIES: Final = 2**24
"""Largest number of coefficients written into a network."""
OPSET: Final = 18
IR_VERSION: Final = 8


def onnx_network(scheme: Scheme, levels: int = 1, dtype: Any = np.float32) -> bytes:
    """The bytes of an ONNX model with inputs A (N × M) and B (M × P) and output C (N × P).

    The sides are multiples of n^levels, m^levels and p^levels; at the base size the network is the bilinear map
    c = W((U a) ∘ (V b)) itself. `levels` recursive steps are written as the expanded scheme. Coefficients are rounded
    to `dtype`, float32 or float64. Needs the package onnx.
    """
    if not isinstance(scheme.target, MatrixProduct):
        raise InvalidInput(f"{scheme.name}: ONNX networks are written for schemes of matrix products only")
    if not scheme.ring.rational:
        raise InvalidInput(f"{scheme.name}: ONNX has no arithmetic over {scheme.ring}")
    if levels < 1:
        raise InvalidInput(f"levels is {levels}; at least 1 is needed")
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise InvalidInput(f"dtype {kind} is not written as ONNX; use float32 or float64")
    n, m, p = scheme.target.format
    if scheme.rank**levels * max(n * m, m * p, n * p) ** levels > MAX_ENTRIES:
        raise InvalidInput(f"{scheme.name} to the power {levels} is too large for a network; use fewer levels")
    need_extra("writing ONNX", "onnx", extra="onnx")
    return _model(expand(scheme, levels), kind, f"grokkit {scheme.name}, levels {levels}, sha256 {scheme.digest}")


def _model(scheme: Scheme, kind: np.dtype, description: str) -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    assert isinstance(scheme.target, MatrixProduct)
    n, m, p = scheme.target.format
    u, v, w = scheme.floats(kind)
    constants = {"U": u, "V": v, "W": w}
    nodes = []

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(name: str, values: list[int]) -> str:
        constants[name] = np.array(values, dtype=np.int64)
        return name

    def sizes(letter: str, rows: int, columns: int) -> tuple[str, str]:
        """The two sides of a block of an input."""
        shape = node("Shape", [letter], f"{letter}.shape")
        block = node("Div", [shape, constant(f"{letter}.format", [rows, columns])], f"{letter}.block")
        parts = [f"{letter}.rows", f"{letter}.columns"]
        nodes.append(helper.make_node("Split", [block], parts, axis=0, num_outputs=2))
        return parts[0], parts[1]

    def blocks(letter: str, rows: int, columns: int, sides: tuple[str, str]) -> str:
        """An input as (rows · columns) × (entries of a block)."""
        r, c = constant(f"{letter}.n", [rows]), constant(f"{letter}.m", [columns])
        grid = node("Concat", [r, sides[0], c, sides[1]], f"{letter}.grid", axis=0)
        split = node("Reshape", [letter, grid], f"{letter}.split")
        turned = node("Transpose", [split], f"{letter}.blocks", perm=[0, 2, 1, 3])
        return node("Reshape", [turned, constant(f"{letter}.flat", [rows * columns, -1])], f"{letter}.vectors")

    sides_a, sides_b = sizes("A", n, m), sizes("B", m, p)
    rank = constant("rank", [scheme.rank])
    operands = []
    for letter, factor, rows, columns, sides in (("A", "U", n, m, sides_a), ("B", "V", m, p, sides_b)):
        sums = node("MatMul", [factor, blocks(letter, rows, columns, sides)], f"{letter}.sums")
        shape = node("Concat", [rank, *sides], f"{letter}.sums.shape", axis=0)
        operands.append(node("Reshape", [sums, shape], f"{letter}.operands"))
    products = node("MatMul", operands, "products")
    flat = node("Reshape", [products, constant("C.flat", [scheme.rank, -1])], "products.flat")
    outputs = node("MatMul", ["W", flat], "C.vectors")
    rows, columns = sides_a[0], sides_b[1]
    n_, p_ = constant("C.n", [n]), constant("C.p", [p])
    grid = node("Concat", [n_, p_, rows, columns], "C.grid", axis=0)
    turned = node("Transpose", [node("Reshape", [outputs, grid], "C.blocks")], "C.turned", perm=[0, 2, 1, 3])
    high, wide = node("Mul", [n_, rows], "C.rows"), node("Mul", [p_, columns], "C.columns")
    node("Reshape", [turned, node("Concat", [high, wide], "C.shape", axis=0)], "C")

    element = TensorProto.FLOAT if kind == np.float32 else TensorProto.DOUBLE
    graph = helper.make_graph(
        nodes,
        "matmul",
        [helper.make_tensor_value_info(name, element, list(sides)) for name, sides in (("A", "NM"), ("B", "MP"))],
        [helper.make_tensor_value_info("C", element, ["N", "P"])],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, producer_name="grokkit", opset_imports=[helper.make_opsetid("", OPSET)])
    model.doc_string, model.ir_version = description, IR_VERSION
    checker.check_model(model)
    return model.SerializeToString()
