"""A verified scheme, executed: plans, the native product, and the NumPy reference recursion."""

from grokkit.execution._array import FastArray, asfast
from grokkit.execution._convolve import convolve
from grokkit.execution._matmul import matmul
from grokkit.execution._plan import SMALLEST_PRODUCT, Plan, plan
from grokkit.execution._profile import Profile, current_profile
from grokkit.execution._recursion import full_depth, recursive_product
from grokkit.execution._tune import store as store_profile
from grokkit.execution._tune import tune

__all__ = [
    "SMALLEST_PRODUCT",
    "FastArray",
    "Plan",
    "Profile",
    "asfast",
    "convolve",
    "current_profile",
    "full_depth",
    "matmul",
    "plan",
    "recursive_product",
    "store_profile",
    "tune",
]
