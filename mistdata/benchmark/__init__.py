"""The benchmark of estimators: any estimator over a store, one row per dataset, tables by stratum.

`benchmark` estimates and keeps a resumable result, `summarise` judges one, `compare` several on
the same datasets.
"""

from mistdata.benchmark.comparison import compare, comparison_text
from mistdata.benchmark.estimators import Spec
from mistdata.benchmark.report import summarise, summary_text
from mistdata.benchmark.results import read_result
from mistdata.benchmark.run import Selection, benchmark

__all__ = [
    "Selection",
    "Spec",
    "benchmark",
    "compare",
    "comparison_text",
    "read_result",
    "summarise",
    "summary_text",
]
