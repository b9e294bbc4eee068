"""Prices that grokkit ships, by instruction set: used where the machine has not been measured.

AVX2, on an AMD EPYC (Zen 3, 512 KiB and 32 MiB of cache), with NumPy 2.4 (OpenBLAS 0.3.31) and torch 2.13 (MKL 2024.2),
what a vendor's call costs counted into its flops. One thread: between three runs of ``grokkit doctor --tune`` and a fit
to seven splits of each of 32 random shapes with sides from 1,500 to 5,000, in all layouts; torch's in proportion to
NumPy's of the same hour. Two threads: such runs, flops as measured there and the rest in proportion; what float64 costs
NumPy lies between that run and two later ones (1.33e-11, 1.35e-11, 1.43e-11), and the doubt of 0.06 asks for what is
predicted from 2048 up, where one explicit over one fused level was from 0.95 to 1.13 times as fast as NumPy at 2048,
2100 and 2500 (12 comparisons, mean 1.05), and leaves most below to NumPy (0.90 to 1.16, mean 1.00 of 8).

AVX-512: not measured; the same prices for memory, flops at the ratio of 0.97 to MKL that an earlier kernel had on a
Xeon. Other instruction sets have none: products are the vendor's until they are measured. The doubts of one thread are
no smaller than those that tuning found there, so that fewer products are predicted to gain on machines that nobody has
measured.
"""

from __future__ import annotations

from typing import Final

from grokkit.execution._profile import Prices

SHIPPED: Final[dict[str, tuple[Prices, ...]]] = {
    "avx2": (
        Prices("float32", 1, "numpy", (1.17e-11, 4.0e-10, 1.9e-10, 5.0e-10, 2.9e-10), (1.215e-11, 1.5e-10, 0.0), 0.05),
        Prices("float32", 1, "torch", (1.17e-11, 4.0e-10, 1.9e-10, 5.0e-10, 2.9e-10), (1.28e-11, 0.0, 0.0), 0.10),
        Prices("float64", 1, "numpy", (2.46e-11, 5.0e-10, 7.0e-10, 7.4e-10, 5.6e-10), (2.50e-11, 3.0e-10, 0.0), 0.05),
        Prices("float64", 1, "torch", (2.46e-11, 5.0e-10, 7.0e-10, 7.4e-10, 5.6e-10), (2.46e-11, 1.75e-9, 0.0), 0.08),
        Prices("float32", 2, "numpy", (7.0e-12, 1.8e-10, 1.6e-10, 3.2e-10, 1.9e-10), (6.7e-12, 5.0e-10, 0.0), 0.06),
        Prices("float32", 2, "torch", (7.0e-12, 1.8e-10, 1.6e-10, 3.2e-10, 1.9e-10), (8.0e-12, 0.0, 0.0), 0.10),
        Prices("float64", 2, "numpy", (1.4e-11, 4.5e-10, 3.7e-10, 4.5e-10, 3.9e-10), (1.36e-11, 7.0e-10, 0.0), 0.06),
        Prices("float64", 2, "torch", (1.4e-11, 4.5e-10, 3.7e-10, 4.5e-10, 3.9e-10), (1.35e-11, 2.0e-9, 0.0), 0.10),
    ),
    "avx512": (
        Prices("float32", 1, "numpy", (6.5e-12, 2.0e-10, 4.0e-10, 5.3e-10, 2.2e-10), (6.3e-12, 0.0, 0.0), 0.10),
        Prices("float32", 1, "torch", (6.5e-12, 2.0e-10, 4.0e-10, 5.3e-10, 2.2e-10), (6.3e-12, 0.0, 0.0), 0.10),
        Prices("float64", 1, "numpy", (1.3e-11, 4.0e-10, 8.0e-10, 1.06e-9, 4.4e-10), (1.26e-11, 0.0, 0.0), 0.10),
        Prices("float64", 1, "torch", (1.3e-11, 4.0e-10, 8.0e-10, 1.06e-9, 4.4e-10), (1.26e-11, 0.0, 0.0), 0.10),
    ),
}
"""Prices by instruction set. Those of the nearest number of threads serve for others, as both sides gain alike."""
