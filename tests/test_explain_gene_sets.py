"""Gene sets over the genes on an image: as they are, and made disjoint."""

import numpy as np
import pytest

from core.errors import InputError
from core.explain.gene_sets import REST, form_groups, share_out

GENES = [f"g{n}" for n in range(20)]
SETS = {
    "large": GENES[:10],
    "small": [*GENES[8:13], "elsewhere"],
    "covered": GENES[9:14],
    "tiny": GENES[:4],
}


def test_sets_that_are_too_small_are_left_out_and_the_rest_is_a_group() -> None:
    names, members = form_groups(SETS, GENES, partition=False, most=10)
    assert names == ["covered", "small", "large", REST]
    assert members.sum(axis=1).tolist() == [5, 5, 10, 6]
    assert [GENES[n] for n in np.flatnonzero(members[1])] == GENES[8:13]
    assert [GENES[n] for n in np.flatnonzero(members[3])] == GENES[14:]


def test_a_gene_goes_to_the_smallest_of_its_sets() -> None:
    """ "covered" and "small" are equally small: g9 to g12 go to the first by name."""
    names, members = form_groups(SETS, GENES, partition=True, most=10)
    held = {
        name: [GENES[n] for n in np.flatnonzero(row)]
        for name, row in zip(names, members, strict=True)
    }
    assert held == {
        "covered": GENES[9:14], "small": ["g8"], "large": GENES[:8], REST: GENES[14:],
    }  # fmt: skip
    assert (members.sum(axis=0) == 1).all()


def test_a_set_that_keeps_no_gene_is_no_group() -> None:
    sets = {"a": GENES[:5], "b": GENES[5:10], "both": GENES[:10], "all": GENES[:19]}
    names, members = form_groups(sets, GENES, partition=True, most=10)
    assert names == ["a", "b", "all", REST]
    assert members.sum(axis=1).tolist() == [5, 5, 9, 1]


def test_too_many_sets_are_said() -> None:
    with pytest.raises(InputError, match=r"3 sets have enough.*fewer than 3"):
        form_groups(SETS, GENES, partition=True, most=3)
    with pytest.raises(InputError, match=r"None of the 1 sets"):
        form_groups({"tiny": GENES[:4]}, GENES, partition=True, most=3)


def test_shares_of_disjoint_sets_add_up() -> None:
    _, members = form_groups(SETS, GENES, partition=True, most=10)
    values = np.array([[1.0, -2, 3, 4]])
    shares = share_out(values, members)
    np.testing.assert_allclose(shares.sum(axis=1), values.sum(axis=1), rtol=1e-6)
    assert shares[0, 8] == -2
    assert shares[0, 9] == pytest.approx(1 / 5)
