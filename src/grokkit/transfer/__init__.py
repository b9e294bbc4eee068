"""Carrying a learned structure to a larger model: exact growth, spectral operators, fusion, control of conservation.

Subpackages are imported by their own names: `grokkit.transfer.embed`, `.operators`, `.fusion`, `.control`, `.geometry`.
"""

from __future__ import annotations

from grokkit.scheme import need_extra

need_extra("grokkit.transfer", "torch", "scipy")
