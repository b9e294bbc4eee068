"""Message passing trained on 2x2 products: is there an algorithm in it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from grokkit.studies._statistics import Proportion
from grokkit.studies.ledger._measurement import Figure, Measurement
from grokkit.studies.ledger._protocol import Context, Protocol

SEED: Final = 20260512
STEPS: Final = {"quick": 250, "full": 2500}
SEEDS: Final = {"quick": 2, "full": 5}
RUNS: Final = {"quick": 64, "full": 400}
"""Bilinear networks."""


def messages(context: Context) -> dict[str, Measurement]:
    """Claim K15: message passing trained on 2x2 products, beside the bilinear network."""
    import torch

    from grokkit.scheme.catalog import catalog
    from grokkit.studies.ledger.protocols import _geometry_models as gm
    from grokkit.studies.ledger.protocols._networks import networks
    from grokkit.training import CONVERGED

    seed, count = SEED + context.seed, SEEDS[context.scale]
    target = torch.tensor(catalog["strassen"].target.tensor(), dtype=torch.float64)
    exact, rounds, errors, larger, left = 0, 0, [], [], []
    for turn in range(count):
        context.progress(f"message passing, seed {turn}")
        generator = torch.Generator().manual_seed(seed + turn)
        data, test = gm.product_pairs(8192, 2 * (seed + turn)), gm.product_pairs(2048, 2 * (seed + turn) + 1)
        weights = gm.fit(
            gm.message_passing, gm.message_start(generator), data, 3e-3, STEPS[context.scale], generator, 128
        )
        with torch.no_grad():
            error = _relative(gm.message_passing(weights, test[0]), test[1])
            a, b = test[0]
            larger.append(_relative(gm.message_passing(weights, (3 * a, 3 * b)), 9 * test[1]))
            part = _bilinear_part(lambda x, w=weights: gm.message_passing(w, x))
            answer = gm.message_passing(weights, test[0])
        own = torch.einsum("na,nb,abc->nc", a, b, part)
        left.append(float((answer - own).square().mean() / answer.square().mean()))
        exact += int(error < CONVERGED)
        rounds += int(torch.equal(part.round(), target))
        errors.append(error)
    context.progress("bilinear networks")
    runs = RUNS[context.scale]
    found = networks("source", runs, seed, slots=7, prune_to=0).crystallized
    schemes = sum(run.scheme is not None and run.path.converged_before_polish for run in found)
    figures = {
        "exact scheme, message passing": Figure.of(
            Proportion(exact, count), "share of message-passing networks with a relative squared error below 1e-6"
        ),
        "bilinear part rounds to the product": Figure.of(
            Proportion(rounds, count), "share whose second differences round to the product"
        ),
        "error": gm.typical([*errors], "squared error over that of predicting zero, message passing"),
        "error, three times as large": gm.typical([*larger], "the same of operands three times as large"),
        "not bilinear": gm.typical([*left], "share of the answer that its second differences do not explain"),
        "products": Figure(0.0, what="products of two numbers that both depend on the operands, in one pass"),
        "multiplications": Figure(float(gm.multiplications()), what="multiplications of one pass (schoolbook: 8)"),
    }
    baselines = {
        "exact scheme, bilinear network": Figure.of(
            Proportion(schemes, runs), "share of bilinear networks of 7 slots that converge and crystallize to a scheme"
        )
    }
    facts: dict[str, bool | str] = {"bilinear networks find schemes": schemes > 0}
    note = (
        f"Two rounds of messages through tanh units between 8 nodes of entries and 4 of answers, Adam on 8192 pairs, "
        f"{STEPS[context.scale]} steps. The document does not describe its model: this one is ours. A network "
        "whose messages are products of learned sums, with 7 nodes, is the bilinear network itself."
    )
    told = f"root seed {seed}, {count} message-passing networks, {runs} bilinear networks"
    return {"K15": Measurement("K15", figures, facts, baselines, told, context.scale, note)}


def _relative(answer: Any, target: Any) -> float:
    return float((answer - target).square().mean() / target.square().mean())


def _bilinear_part(function: Callable[[Any], Any]) -> Any:
    """f(e_i, e_j) − f(e_i, 0) − f(0, e_j) + f(0, 0) for all entries i of A and j of B, (4, 4, outputs)."""
    import torch

    unit, none = torch.eye(4, dtype=torch.float64), torch.zeros(4, 4, dtype=torch.float64)
    rows, columns = unit.repeat_interleave(4, 0), unit.repeat(4, 1)
    zero = none.repeat(4, 1)
    both = function((rows, columns)) - function((rows, zero)) - function((zero, columns)) + function((zero, zero))
    return both.reshape(4, 4, -1)


PROTOCOLS = (
    Protocol("messages", "Message passing on 2x2 products", ("K15",), messages, ("torch", "scipy", "matplotlib")),
)
