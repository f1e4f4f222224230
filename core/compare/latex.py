"""Tables for papers."""

import re
from typing import Any

import numpy as np
import pandas as pd


def latex_table(table: pd.DataFrame) -> str:
    """A table as LaTeX for booktabs; numbers with three digits behind the point."""
    lines = [r"\begin{tabular}{" + "l" * table.shape[1] + "}", r"\toprule"]
    for number, row in enumerate([table.columns, *table.itertuples(index=False)]):
        lines.append(" & ".join(_escape_latex(value) for value in row) + r" \\")
        if number == 0:
            lines.append(r"\midrule")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escape_latex(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3f}"
    text = str(value).replace("\\", r"\textbackslash ")
    return re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"\textasciitilde ")
