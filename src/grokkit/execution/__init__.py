"""A verified scheme, executed: the NumPy reference recursion."""

from grokkit.execution._matmul import matmul
from grokkit.execution._recursion import recursive_product

__all__ = ["matmul", "recursive_product"]
