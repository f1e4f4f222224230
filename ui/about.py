"""About these numbers: what a chart shows, of how many, how it was computed, how it is read."""

from typing import NamedTuple

import streamlit as st

from core.escape import escape_markdown


class About(NamedTuple):
    """What stands behind a chart, in sentences of Markdown; names from files come escaped."""

    shown: str
    """What is shown: 'How many held-out samples of each class were taken for which.'"""
    n: str
    """Of how many, with the number wherever it is known: 'Of 121 held-out samples.'"""
    computed: str
    """How the numbers came about, with what was held out and how an interval is drawn."""
    read: str
    """How to read it: what speaks for what, and what can't be concluded from it."""


def show_about(about: About, *, key: str) -> None:
    """The button that says it, beside a chart or table.

    Args:
        about: what is said.
        key: the button's, one of its own on the page.
    """
    with st.popover(
        "About", type="tertiary", icon=":material/info:", key=f"{key} about",
        help="About these numbers",
    ):  # fmt: skip
        st.markdown("**About these numbers**")
        st.markdown(
            f"**Shown.** {about.shown}\n\n**Of how many.** {about.n}\n\n"
            f"**Computed.** {about.computed}\n\n**To read it.** {about.read}"
        )


def about_confusion(n: int, held: str) -> About:
    """Of true against predicted classes.

    Args:
        n: samples.
        held: what they are, such as 'held-out samples'.
    """
    return About(
        "How many samples of each class, a row, were taken for which class, a column.",
        f"{n:,} {held}.",
        "Each sample was called once, by a network that had not learned from it, as the class of "
        "the highest probability.",
        "What is right stands on the diagonal. A cell beside it says which classes are mistaken "
        "for each other; with few samples in a row one sample is many percent.",
    )


def about_observed(n: int, held: str) -> About:
    """Of predicted against observed values; arguments as of `about_confusion`."""
    return About(
        "Each sample's predicted value against its observed one; the line is where both are equal.",
        f"{n:,} {held}.",
        "Each value was predicted once, by a network that had not learned from the sample.",
        "The nearer to the line, the better. A cloud that is flatter than the line is usual: "
        "predictions are drawn towards the mean where little is known.",
    )


def about_reliability(n: int, held: str) -> About:
    """Of the share that is right against the probability; arguments as of `about_confusion`."""
    return About(
        "Samples in bins by the probability of their call, and the share of each that is right.",
        f"{n:,} {held}; bins without any are left out.",
        "Probabilities are after dividing by the temperature, which was set on validation "
        "samples. Bars are 95 % Wilson intervals of a share.",
        "On the diagonal probabilities are as high as calls are right; below it they are too "
        "high. A bin of few samples has a long bar and says little.",
    )


def about_map(method: str, cls: str, n: int) -> About:
    """Of the scores of a class's genes on the gene-image.

    Args:
        method: what computed them.
        cls: the class, or the number that was predicted.
        n: explained samples.
    """
    cls = escape_markdown(cls)
    return About(
        f"Each pixel is a gene; its colour is how much it spoke for {cls} (red) or against it "
        "(blue). The first genes of the list are named.",
        f"The mean of {n:,} held-out samples of that class, 40 at most.",
        f"{method}, by the network that had not seen the sample, from a baseline which is the mean "
        "training sample unless another was chosen.",
        "It says what this network used, not what causes the class: genes that go together share "
        "a score or take it from each other. The trust card says how far to believe it.",
    )


def about_sets(n: int, test: str) -> About:
    """Of tested gene sets.

    Args:
        n: sets that were tested.
        test: how each was tested, in a sentence.
    """
    return About(
        "Gene sets, those of the lowest p first; the larger a dot, the more genes.",
        f"{n:,} sets were tested; the background are the genes on the image.",
        f"{test} FDR by Benjamini and Hochberg over all sets that were tested.",
        "An FDR below 5 % is called significant. Sets share genes, so several hits may be one "
        "finding; and a set says what genes have in common, not what they do here.",
    )
