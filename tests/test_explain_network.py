"""The network of gene sets: which are linked, where they lie."""

import numpy as np
import pytest

from core.explain.network import arrange_sets, link_sets
from core.plots.explain import set_network

SETS = {
    "broad": list("abcdefgh"),
    "narrow": list("abcdx"),
    "other": list("ghuvwz"),
    "alone": list("pqrst"),
    "copy": list("pqrst"),
    "third": list("pqrmn"),
}


def test_sets_are_linked_by_what_the_smaller_one_shares() -> None:
    """broad and narrow share 4 of the smaller's 5, broad and other 2 of 6, third 3 of 5."""
    links = link_sets(SETS)
    found = {(row.first, row.second): (row.shared, row.overlap) for row in links.itertuples()}
    assert found == {
        ("broad", "narrow"): (4, 0.8), ("alone", "copy"): (5, 1.0), ("alone", "third"): (3, 0.6),
        ("copy", "third"): (3, 0.6),
    }  # fmt: skip


def test_linked_sets_lie_together_and_have_one_group() -> None:
    links = link_sets(SETS)
    table = arrange_sets(SETS, links)
    assert table["set"].tolist() == list(SETS)
    assert table["group"].tolist() == [1, 1, 2, 0, 0, 0]
    assert table.equals(arrange_sets(SETS, links))
    place = table.set_index("set")[["x", "y"]].to_numpy()
    near = np.linalg.norm(place[3] - place[4])
    assert near < np.linalg.norm(place[3] - place[0])
    assert near < np.linalg.norm(place[3] - place[2])


@pytest.mark.parametrize("names", [list(SETS), ["other", "alone"]])
def test_the_figure_holds_every_set_and_link(names: list[str]) -> None:
    sets = {name: SETS[name] for name in names}
    links = link_sets(sets)
    table = arrange_sets(sets, links).assign(size=[len(SETS[n]) for n in names], fdr=0.01)
    table["genes"] = [SETS[name] for name in names]
    figure = set_network(table, links)
    [points] = [trace for trace in figure.data if trace.name == "sets"]
    assert [row[0] for row in points.customdata] == names
    ends = [x for trace in figure.data if trace.mode == "lines" for x in trace.x]
    assert np.isfinite(ends).sum() == 2 * len(links) if len(links) else not ends
