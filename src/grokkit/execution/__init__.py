"""A verified scheme, executed: the NumPy reference recursion."""

from grokkit.execution._matmul import matmul
from grokkit.execution._recursion import full_depth, recursive_product

__all__ = ["full_depth", "matmul", "recursive_product"]
