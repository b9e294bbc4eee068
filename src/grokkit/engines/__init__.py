"""Where independent pieces of work run: threads, processes of this machine, or a cluster, all through joblib.

Sweeps of studies and searches share it: lost workers cost what they had in hand, and nothing else.
"""

from grokkit.engines._workers import ENGINES, LostWorkers, Workers, check_engine, each

__all__ = ["ENGINES", "LostWorkers", "Workers", "check_engine", "each"]
