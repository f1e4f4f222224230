"""Samples that networks get wrong, over several runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.runs.outcome import NETWORK, Outcome, shared_reference


def find_wrong_samples(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Samples that at least one network got wrong, the most often wrong first.

    Returns:
        Columns sample, patient, true, tested (by how many of the runs), wrong (in how many),
        mistaken_for (the class named most often instead), p_true (mean probability that the
        networks gave to the true class), and the reference model's name with _wrong (in how many),
        such as tuned_linear_wrong. A sample that is always wrong, with a low p_true, may be
        mislabelled: look at it, don't remove it.
    """
    reference, parts = shared_reference(outcomes), []
    plain_wrong = f"{reference}_wrong"
    for outcome in outcomes:
        named, classes = outcome.proba[NETWORK].argmax(axis=1), np.array(outcome.result.classes)
        parts.append(
            pd.DataFrame(
                {
                    "sample": outcome.samples,
                    "patient": outcome.patients,
                    "true": classes[outcome.y],
                    "named": classes[named],
                    "wrong": named != outcome.y,
                    "p_true": outcome.proba[NETWORK][np.arange(len(outcome.y)), outcome.y],
                    plain_wrong: ~outcome.right(reference),
                }
            )
        )
    table = pd.concat(parts)
    by_sample = table.groupby(["sample", "true"])
    found = by_sample.agg(
        patient=("patient", "first"),
        tested=("wrong", "size"),
        wrong=("wrong", "sum"),
        p_true=("p_true", "mean"),
        **{plain_wrong: (plain_wrong, "sum")},
    )
    named = table[table["wrong"]].groupby(["sample", "true"])["named"].value_counts()
    mistaken = named.reset_index().groupby(["sample", "true"])["named"].first()
    found = found[found["wrong"] > 0].assign(mistaken_for=mistaken).reset_index()
    columns = ["sample", "patient", "true", "tested", "wrong", "mistaken_for", "p_true",
               plain_wrong]  # fmt: skip
    return (
        found.assign(share=found["wrong"] / found["tested"])
        .sort_values(["share", "wrong", "p_true"], ascending=[False, False, True])[columns]
        .reset_index(drop=True)
    )
