"""Names that somebody else chose, in Markdown, in charts and in spreadsheets."""

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.escape import (
    escape_all,
    escape_chart,
    escape_formulas,
    escape_markdown,
    escape_message,
    restore_formulas,
)

FORMULAS = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "＋1", "－a",
            "＠a"]  # fmt: skip
PLAIN = ["TP53", "-1.5", "+3", "-2e-5", "HLA-A", "a=b", "", "'quoted'", "5'UTR"]


def save(table: pd.DataFrame) -> str:
    return escape_formulas(table).to_csv(index=False)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_a_text_in_a_spreadsheet(name: str) -> None:
    table = escape_formulas(pd.DataFrame({name: [name, "a"], "n": [-1, 2]}))
    assert list(table) == [f"'{name}", "n"]
    assert table.iloc[0, 0] == f"'{name}"
    assert table["n"].tolist() == [-1, 2]


@pytest.mark.parametrize("name", PLAIN)
def test_other_texts_and_numbers_are_left_alone(name: str) -> None:
    assert escape_formulas(pd.DataFrame({"a": [name]}))["a"].item() == name


def test_categories_and_missing_values() -> None:
    table = pd.DataFrame({"a": pd.Categorical(["=1", "b"]), "b": ["=1", None], "c": [-0.5, None]})
    assert save(table) == "a,b,c\n'=1,'=1,-0.5\nb,,\n"
    assert table["b"].tolist() == ["=1", None]  # the table itself is as it was


@given(st.lists(st.text(alphabet="'=-+@＝1.e \ta", max_size=5), min_size=1, max_size=5))
def test_what_was_saved_is_read_back(names: list[str]) -> None:
    text = save(pd.DataFrame({"name": names, "=n": range(len(names))}))
    read = pd.read_csv(io.StringIO(text), dtype={"name": str}, keep_default_na=False)
    restored = restore_formulas(read)
    assert restored["name"].tolist() == names
    assert list(restored) == ["name", "=n"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("TP53", "TP53"),
        ("![x](http://h/p)", r"\!\[x\]\(http\://h/p\)"),
        ("<img src=x onerror=y>", r"\<img src=x onerror=y\>"),
        ("$a$ `b` &lt; :red[c]", r"\$a\$ \`b\` \&lt; \:red\[c\]"),
        ("1. a", r"1\. a"),
        ("a\n\n# b\t c", r"a \# b c"),
        ("stage -> grade", r"stage \-:red[]\> grade"),
        (":heart:", r"\::red[]heart\:"),
        (":material/home:", r"\::red[]material/home\:"),
        ("significant at 5 %", "significant at 5\xa0%"),
        ("jo_x@lab.example", r"jo\_x:red[]@lab.example"),
    ],
)
def test_markdown(name: str, shown: str) -> None:
    assert escape_markdown(name) == shown


def test_commands_in_a_sentence_are_code_and_names_are_not() -> None:
    said = escape_message("There is no run `a*b`. `runs list` shows *all*; ` is one")
    assert said == r"There is no run `a*b`. `runs list` shows \*all\*; \` is one"


def test_charts() -> None:
    name = '<a href="http://h">x</a> & %{y}'
    shown = '&lt;a href="http://h"&gt;x&lt;/a&gt; &amp; %&#123;y}'
    assert escape_chart(name) == shown
    assert escape_all([name, 3]).tolist() == [shown, "3"]
