"""Honest statistics for studies of many training runs.

Every function takes a table of runs (a pandas DataFrame, or a mapping of names to columns) and the names of its
columns, and answers with a frozen value: figures with n, a 95 % interval and, where something was drawn, the seed;
`NotEstimable` with a reason where the data cannot say. Each has `to_json()` and prints as a table.
"""

from grokkit.scheme import need_extra

need_extra("grokkit.studies.statistics", "scipy", "pandas", "statsmodels", "sklearn")

from grokkit.studies.statistics._anova import Anova, Term, anova, welch_anova  # noqa: E402
from grokkit.studies.statistics._association import Association, Trend, association, trend  # noqa: E402
from grokkit.studies.statistics._assumptions import Assumptions  # noqa: E402
from grokkit.studies.statistics._bootstrap import Bootstrap, bootstrap  # noqa: E402
from grokkit.studies.statistics._clustered import ClusteredLogistic, ClusteredTerm, clustered_logistic  # noqa: E402
from grokkit.studies.statistics._columns import Data  # noqa: E402
from grokkit.studies.statistics._logistic import Coefficient, Logistic, logistic  # noqa: E402
from grokkit.studies.statistics._logrank import LogRank, Observed, log_rank  # noqa: E402
from grokkit.studies.statistics._mixed import FixedEffect, RandomIntercept, random_intercept  # noqa: E402
from grokkit.studies.statistics._multiplicity import Adjusted, Claim, Claims, Family, adjust, summarize  # noqa: E402
from grokkit.studies.statistics._permutation import (  # noqa: E402
    Permutation,
    permutation_of_correlation,
    permutation_of_means,
)
from grokkit.studies.statistics._post_hoc import Pair, Pairs, compare_pairs  # noqa: E402
from grokkit.studies.statistics._power import (  # noqa: E402
    Power,
    power_anova,
    power_correlation,
    power_odds_ratio,
    power_one_proportion,
    power_two_proportions,
)
from grokkit.studies.statistics._prediction import Prediction, Predictor, predict_success  # noqa: E402
from grokkit.studies.statistics._rates import (  # noqa: E402
    Rate,
    RateDifference,
    RateDifferences,
    Rates,
    compare_rates,
    compare_two_rates,
    success_rates,
)
from grokkit.studies.statistics._separation import Separation  # noqa: E402
from grokkit.studies.statistics._survival import Curve, Curves, Step, kaplan_meier  # noqa: E402
from grokkit.studies.statistics._tables import Randomization  # noqa: E402
from grokkit.studies.statistics._values import LEVEL, Estimate, NotEstimable, Test  # noqa: E402

__all__ = [
    "LEVEL",
    "Adjusted",
    "Anova",
    "Association",
    "Assumptions",
    "Bootstrap",
    "Claim",
    "Claims",
    "ClusteredLogistic",
    "ClusteredTerm",
    "Coefficient",
    "Curve",
    "Curves",
    "Data",
    "Estimate",
    "Family",
    "FixedEffect",
    "LogRank",
    "Logistic",
    "NotEstimable",
    "Observed",
    "Pair",
    "Pairs",
    "Permutation",
    "Power",
    "Prediction",
    "Predictor",
    "RandomIntercept",
    "Randomization",
    "Rate",
    "RateDifference",
    "RateDifferences",
    "Rates",
    "Separation",
    "Step",
    "Term",
    "Test",
    "Trend",
    "adjust",
    "anova",
    "association",
    "bootstrap",
    "clustered_logistic",
    "compare_pairs",
    "compare_rates",
    "compare_two_rates",
    "kaplan_meier",
    "log_rank",
    "logistic",
    "permutation_of_correlation",
    "permutation_of_means",
    "power_anova",
    "power_correlation",
    "power_odds_ratio",
    "power_one_proportion",
    "power_two_proportions",
    "predict_success",
    "random_intercept",
    "success_rates",
    "summarize",
    "trend",
    "welch_anova",
]
