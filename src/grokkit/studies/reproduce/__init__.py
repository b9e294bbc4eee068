"""Everything that the source reports, run again with one call: both protocols, every claim, tables and figures."""

from grokkit.scheme import need_extra

need_extra("grokkit.studies.reproduce", "pyarrow", "joblib", "statsmodels", "matplotlib", "jinja2")

from grokkit.studies.reproduce._account import write_account  # noqa: E402
from grokkit.studies.reproduce._combined import Combined, combined  # noqa: E402
from grokkit.studies.reproduce._film import Film, load_film  # noqa: E402
from grokkit.studies.reproduce._report import write_report  # noqa: E402
from grokkit.studies.reproduce._reproduce import Reproduction, open_reproduction, reproduce, tables  # noqa: E402
from grokkit.studies.reproduce._tables import Table  # noqa: E402

__all__ = [
    "Combined",
    "Film",
    "Reproduction",
    "Table",
    "combined",
    "load_film",
    "open_reproduction",
    "reproduce",
    "tables",
    "write_account",
    "write_report",
]
