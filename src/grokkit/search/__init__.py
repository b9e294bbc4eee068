"""Schemes from nothing: walks in flip graphs, and lifting to the integers and rationals."""

from grokkit.search._flips import FlipSearch, FlipSettings
from grokkit.search._lifting import Lifting, lift

__all__ = ["FlipSearch", "FlipSettings", "Lifting", "lift"]
