"""Sentences that tell what charts show, each on numbers whose answer is known."""

import numpy as np
import pandas as pd

from core.evaluation.metrics import METRICS
from core.plots import findings

AB = np.array(["a", "a", "b", "b"])


def test_class_sizes() -> None:
    assert findings.say_class_sizes({"a": 3, "b": 1200}) == (
        "Samples of each of 2 classes: from 3 (a) to 1,200 (b)."
    )
    assert findings.say_class_sizes({"a": 3}) == "All 3 samples are a."


def test_maps_of_samples() -> None:
    points = np.array([[0, 1], [0, -1], [10, 1], [10, -1.0]])
    said = findings.say_sample_map(points, AB, "type")
    assert said == "4 samples on a map by type: it explains 96% of their spread; 2 are a, 2 b."
    three = findings.say_sample_map(
        np.array([[0, 0], [0, 0], [1, 0], [1, 0], [9, 0], [9, 0.0]]), list("aabbcc"), "type"
    )
    assert "The centres of a and b are nearest to each other, c is farthest" in three
    assert findings.say_sample_map(points, list("wxyz"), "id").endswith("by id, with 4 values.")
    said = findings.say_value_map(points, np.array([1, 1, 3, 3.0]), "KRT5")
    assert said.endswith("from 1 to 3: it rises along the horizontal axis (r = 1.00).")
    assert findings.say_value_map(points, np.ones(4), "KRT5").endswith("it is the same in all.")


def test_values_of_samples() -> None:
    said = findings.say_heat_map(np.array([[0, 0, 1, 1], [-1, -1, 2, 2.0]]), ["G", "H"], AB)
    assert said.endswith("H differs most, from -1.0 SD in a to +2.0 SD in b.")
    assert findings.say_heat_map(np.zeros((1, 4)), ["G"], [""] * 4).endswith("side by side.")
    said = findings.say_ranges(np.array([1, 2, 5, 6.0]), AB)
    assert said == (
        "Medians of 4 samples lie between 1 and 6; a lies lowest (1.5), b highest (5.5)."
    )
    said = findings.say_missing(np.array([0, 0, 1, 1]), 10, AB)
    assert said == "5.00% of the values are missing, most in b (10.00%)."


def test_a_gene_by_class() -> None:
    said = findings.say_expression(np.array([1, 3, 7, np.nan]), AB, "KRT5")
    assert said == ("KRT5 is highest in b (median 7.00 log2 expression) and lowest in a (2.00).")
    assert findings.say_expression(np.full(4, np.nan), AB, "X") == "X: no value is known."


def test_gene_images() -> None:
    genes = ["A", "B", "C", "D"]
    said = findings.say_gene_image(np.array([1, -5, 9, 2.0]), genes, "Mean of x", signed=True)
    assert said == "Mean of x, 4 genes: highest at C, D, A, lowest at B, A, D."
    said = findings.say_images(np.array([[0, 0], [0, 0], [0, 6.0]]), list("xyz"), "GH", "SD")
    assert "z is farthest from the others, 3 SD a gene" in said
    assert said.endswith("H differs most, from 0 SD in x to 6 SD in z.")
    assert "by chance" not in findings.say_canvas("modules", np.nan, np.nan)
    assert "40% have the same one" in findings.say_canvas("modules", 0.4, 0.1)
    said = findings.say_attributions(np.array([3, 0, -2.0]), list("ABC"), "x")
    assert said == "Genes of x on the gene-image: most for it spoke A, most against it C."


def test_two_groups() -> None:
    table = pd.DataFrame({"gene": list("ABC"), "log2fc": [2, -1, 1.0], "fdr": [0.01, 0.02, 0.5]})
    said = findings.say_differences(table, "x", "y")
    assert said == (
        "x against y: 2 of 3 genes differ (FDR below 5 %): 1 higher in x, first A; 1 lower in x, "
        "first B."
    )
    none = findings.say_differences(table.assign(fdr=0.4), "x", "y")
    assert none.endswith("0 of 3 genes differ (FDR below 5 %); A comes nearest (FDR 0.4).")


def test_answers_of_networks() -> None:
    said = findings.say_confusion(np.array([[4, 1], [0, 5]]), ["x", "y"])
    assert said.startswith("9 of 10 samples are right. Most confused: x and y.")
    said = findings.say_observed(np.array([1, 3.0]), np.array([1, 2.0]), "age")
    assert said == "Predicted against observed age of 2 samples: R² is 0.50, the mean error 0.5."
    bins = {"Network": pd.DataFrame({"n": [1, 3], "confidence": 0.9, "accuracy": [0.0, 1.0]})}
    assert "Network is 90.0% sure and 75.0% right on average, surer than right" in (
        findings.say_reliability(bins)
    )
    rows = pd.DataFrame({"fold": [0, 0], "train_loss": [1, 0.5], "validation_loss": [1, 0.75]})
    assert "epoch 2 were kept. At the end the training loss was 0.5, that of the validation" in (
        findings.say_training(rows, [2])
    )
    table = pd.DataFrame({"model": ["n", "m"], "score": [0.8, 0.9], "low": [np.nan, 0.85],
                          "high": [np.nan, 0.95]})  # fmt: skip
    assert findings.say_scores(table, METRICS["accuracy"]) == (
        "Accuracy, the best first: m 90.0% (85.0% to 95.0%), n 80.0%."
    )


def test_gene_sets() -> None:
    table = pd.DataFrame({"set": ["S", "T"], "fdr": [0.01, 0.2]})
    assert findings.say_sets(table) == "1 of 2 gene sets have an FDR below 5 %, first S."
    assert findings.say_sets(table[1:]).endswith("first T.")


def test_transfers() -> None:
    table = pd.DataFrame(
        {"line": ["A", "B"], "n": [6, 12], "gain": [0.1, -0.2], "low": [0.05, -0.4],
         "high": [0.15, 0.1], "verdict": ["helps", "no difference"]}
    )  # fmt: skip
    assert findings.say_gains(table) == (
        "1 of 2 gains in AUROC over the target alone are significant (p below 5 % by Holm, 95 % "
        "intervals); the largest difference is B with 12 labelled patients: -0.200 (-0.400 to "
        "+0.100)."
    )
    scores = pd.DataFrame({"line": ["A", "B", "A"], "n": [6, 6, 12], "auroc": [0.5, 0.7, 0.8]})
    assert findings.say_budgets(scores, "auroc") == (
        "Mean AUROC. A: 0.50 with 6 labelled patients, 0.80 with 12. B: 0.70 with 6 labelled "
        "patients, 0.70 with 6."
    )
