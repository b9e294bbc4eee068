"""Fast products inside PyTorch: an operator, and a context that reroutes a model's products to it.

Within this room, as everywhere, ``import torch`` means PyTorch.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.torch", "torch")

from grokkit.torch._matmul import matmul  # noqa: E402
from grokkit.torch._routing import fast_products  # noqa: E402

__all__ = ["fast_products", "matmul"]
