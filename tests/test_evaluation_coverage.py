"""The simulation of benchmarks/results/coverage.md in its quick setting: shows gross errors."""

from benchmarks.coverage import simulate_splits, simulate_test_sets


def test_intervals_of_one_test_set_and_mcnemar() -> None:
    table = simulate_test_sets(80, metrics=["accuracy"])
    coverage = table[table["figure"] == "coverage"].set_index(["patients", "statement"])["share"]
    assert (coverage.xs("Difference in accuracy, Bonett-Price", level=1) >= 0.88).all()
    assert (coverage.xs("Accuracy, BCa over patients", level=1) >= 0.85).all()
    assert (table.loc[table["figure"] == "false positives", "share"] <= 0.12).all()


def test_corrections_for_overlapping_splits() -> None:
    shares = simulate_splits(150).set_index("statement")["share"]
    assert shares["Difference, corrected t"] >= 0.88
    assert shares["corrected t"] <= 0.12
    assert shares["ranks of all, corrected"] <= 0.1
    assert shares["critical difference, any pair, corrected"] <= 0.1
    assert shares["t without correction"] > 0.2
    assert shares["Friedman (chi squared)"] > 0.4
