"""Schemes from nothing: walks in flip graphs, and lifting to the integers and rationals."""

from grokkit.engines import ENGINES
from grokkit.search._bounds import lower_bound
from grokkit.search._cheapen import cheapen
from grokkit.search._engines import make_engine
from grokkit.search._flips import FlipSearch, FlipSettings
from grokkit.search._lifting import Lifting, lift
from grokkit.search._numeric import NumericSearch, NumericSettings
from grokkit.search._record import SearchRecord, WalkRecord, open_search
from grokkit.search._search import RINGS, ROUTES, SearchResult, find_scheme, scheme_name

__all__ = [
    "ENGINES",
    "RINGS",
    "ROUTES",
    "FlipSearch",
    "FlipSettings",
    "Lifting",
    "NumericSearch",
    "NumericSettings",
    "SearchRecord",
    "SearchResult",
    "WalkRecord",
    "cheapen",
    "find_scheme",
    "lift",
    "lower_bound",
    "make_engine",
    "open_search",
    "scheme_name",
]
