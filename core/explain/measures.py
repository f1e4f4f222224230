"""The lines of the trust card, their limits and their lights, and what was found for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from core.explain.methods import METHODS
from core.records import Registry

Light = Literal["green", "amber", "red", "none"]
RANDOM_ORDERS = 20
"""Random orders of the genes that deletion and insertion are compared with."""
SENSITIVITY_RADIUS = 0.02
"""Largest change of a gene on the scale of [0, 1]: a sixth of the SD of a z-scored gene."""


@dataclass(frozen=True)
class Measure:
    """One line of the trust card, and the limits of its lights."""

    name: str
    title: str
    help: str
    reference: str
    green: float | None = None
    """Values at this limit or on its good side are green; None: the value has no light."""
    red: float | None = None
    """Values at this limit or beyond are red; amber lies between."""
    reason: str = ""
    """Why the limits are where they are."""
    of_genes: bool = False
    """Whether it compares lists of single genes, which only methods that rank genes give."""

    def light(self, value: float | None) -> Light:
        """The light of a value; "none" without limits or without a value."""
        if value is None or self.green is None or self.red is None:
            return "none"
        sign = 1 if self.green > self.red else -1
        if sign * value >= sign * self.green:
            return "green"
        return "red" if sign * value <= sign * self.red else "amber"


@dataclass(frozen=True)
class Evidence:
    """What one measure found for one attribution."""

    name: str
    title: str
    value: float | None
    """None where the measure can't be taken; the sentence says why."""
    light: Light
    green: float | None
    red: float | None
    sentence: str
    details: dict[str, Any] = field(default_factory=dict)
    """Curves and single numbers behind the value, as JSON can hold them."""


MEASURES: Registry[Measure] = Registry(
    "measure",
    [
        Measure(
            name="data",
            title="Do the data allow a conclusion?",
            help="What the page Data warns of in the samples of this run. Red: the classes could "
            "be told by something else, such as the batch, and no split of these data can show "
            "it. The genes may then be that other thing's genes.",
            reference="",
            reason="A list of genes is worth no more than the comparison that it comes from.",
        ),
        Measure(
            name="skill",
            title="Does the network know the classes?",
            help="Balanced accuracy on held-out samples, from chance (0) to perfect (1): the lower "
            "end of its 95 % interval. What a network that guesses looks at says nothing.",
            reference="",
            green=0.3,
            red=0.05,
            reason="A network that guesses stays below .05 in 97.5 % of cases; at .3 it is right "
            "well beyond the largest class.",
        ),
        Measure(
            name="signal",
            title="Is there a map?",
            help="Share of the samples for which the method found nothing at all.",
            reference="",
            green=0.05,
            red=0.5,
            reason="Maps of Grad-CAM's kind can be empty; a class mean over half of the samples is "
            "no longer a mean of the class.",
        ),
        Measure(
            name="completeness",
            title="Do the scores add up?",
            help="By how much the genes' scores miss the change of the class score from baseline "
            "to sample, as a share of that change (median).",
            reference="Sundararajan et al. 2017, arXiv:1703.01365",
            green=0.05,
            red=0.2,
            reason="Quadrature with 32 points misses 1 to 5 %; a fifth missing changes the order "
            "of the top genes.",
        ),
        Measure(
            name="randomisation",
            title="Does the map change when the weights are random? (parameter-randomisation test)",
            help="Rank correlation with the map of the same network after its layers were made "
            "random, from the head to the image: how like the map still is at the end.",
            reference="Adebayo et al. 2018, arXiv:1810.03292",
            green=0.2,
            red=0.4,
            reason="Gene methods that depend on the weights end at .04 to .2; guided "
            "backpropagation stays at .42 to .76.",
        ),
        Measure(
            name="untrained",
            title="Does an untrained network name the same genes?",
            help="Overlap of the classes' top genes with those of the same network with random "
            "weights: 0 as by chance, 1 the same genes.",
            reference="Adebayo et al. 2018, arXiv:1810.03292",
            green=0.2,
            red=0.5,
            reason="Genes with large deviations enter every list that multiplies by the input, so "
            "some overlap is normal; half of the list is not.",
            of_genes=True,
        ),
        Measure(
            name="class_mean",
            title="Are they just the genes that differ most?",
            help="Overlap of the classes' top genes with the genes whose class mean lies farthest "
            "from the others: 0 as by chance, 1 the same genes.",
            reference="",
            reason="No light: what differs most can be what matters. At 1 the network adds "
            "nothing to a table of means.",
            of_genes=True,
        ),
        Measure(
            name="deletion",
            title="Does the class score fall without the top genes?",
            help="Genes go to the baseline, the highest score first: by how much faster the class "
            f"score falls than in {RANDOM_ORDERS} random orders, as a share of its whole change "
            "(mean over the share of genes; lower end of the 95 % interval over samples).",
            reference="Samek et al. 2017, arXiv:1509.06321",
            green=0.05,
            red=0.0,
            reason="At 0 a random order does as well. Removal favours smooth maps "
            "(Hooker et al. 2019, arXiv:1806.10758): it can fail a map, never prove it.",
        ),
        Measure(
            name="insertion",
            title="Does the class score rise with the top genes?",
            help="The reverse: genes come back from the baseline, the highest score first.",
            reference="Petsiuk et al. 2018, arXiv:1806.07421",
            green=0.05,
            red=0.0,
            reason="As for deletion.",
        ),
        Measure(
            name="infidelity",
            title="Do scores say what the genes do together?",
            help="How badly the sum of the scores of random sets of genes tells the change of the "
            "class score without them, over the same for scores shuffled among the genes.",
            reference="Yeh et al. 2019, arXiv:1901.09392",
            green=0.7,
            red=0.95,
            reason="At 1 shuffled scores do as well.",
        ),
        Measure(
            name="sensitivity",
            title="Does the map hold when the sample changes a little?",
            help=f"Largest relative change of the scores when every gene moves by up to "
            f"{SENSITIVITY_RADIUS:g} on its scale of 0 to 1 (median over samples).",
            reference="Yeh et al. 2019, arXiv:1901.09392",
            green=0.5,
            red=1.0,
            reason="At 1 the change is as large as the map: the noise of a measurement decides.",
        ),
        Measure(
            name="agreement",
            title="Do other methods name the same genes?",
            help="Overlap of the classes' top genes with those of other methods that score genes "
            "one by one: 0 as by chance, 1 the same genes.",
            reference="Krishna et al. 2022, arXiv:2202.01602",
            green=0.3,
            red=0.1,
            reason="Gradient methods on one network share a third to two thirds of their top "
            "genes; maps of regions share hardly any.",
            of_genes=True,
        ),
        Measure(
            name="resampling",
            title="Would other samples name the same genes?",
            help="Overlap of a class's top genes between random halves of its explained samples: "
            "0 as by chance, 1 the same genes.",
            reference="Kuncheva 2007",
            green=0.5,
            red=0.25,
            reason="Below a half, most of a list belongs to the samples rather than to the class.",
            of_genes=True,
        ),
        Measure(
            name="stability",
            title="Would another training name the same genes?",
            help="Overlap of a class's top genes between the networks of the folds (Kuncheva's "
            "index: 0 as by chance, 1 the same genes).",
            reference="Kuncheva 2007; Nogueira et al. 2018, JMLR 18:174",
            green=0.4,
            red=0.15,
            reason="Nogueira et al. call values below .4 poor agreement.",
            of_genes=True,
        ),
        Measure(
            name="permuted",
            title="Does the recipe learn nothing where there is nothing?",
            help="The same run with every sample given another one's class: the lower end of the "
            "95 % interval of its balanced accuracy, from chance (0) to perfect (1).",
            reference="Ojala and Garriga 2010, JMLR 11:1833",
            green=0.05,
            red=0.2,
            reason="A network that guesses stays below .05 in 97.5 % of cases; more means that the "
            "classes leak from training to held-out samples.",
        ),
        Measure(
            name="planted",
            title="Does the recipe find genes that are known?",
            help="The same recipe on simulated data of the same size, whose genes are known: AUROC "
            "of planted genes against all others, mean over the classes (0.5 = at random).",
            reference="",
            green=0.85,
            red=0.65,
            reason="Integrated gradients of a well-trained network reach .93 to .97, Grad-CAM of "
            "the last stage .6 (benchmarks/results/recovery.md).",
            of_genes=True,
        ),
    ],
)


def judge_value(
    name: str, value: float | None, sentence: str, details: dict[str, Any] | None = None
) -> Evidence:
    """What was found for a measure, with the light of its value."""
    measure = MEASURES[name]
    value = None if value is None or not np.isfinite(value) else float(value)
    return Evidence(
        name=name,
        title=measure.title,
        value=value,
        light=measure.light(value),
        green=measure.green,
        red=measure.red,
        sentence=sentence,
        details=details or {},
    )


def without_control(name: str, sentence: str) -> Evidence:
    """A measure that needs another run, while there is none."""
    return judge_value(name, None, sentence)


def can_measure(name: str, method: str) -> bool:
    """Whether a measure, or a part of the card that is no measure, makes sense for a method."""
    known = name in MEASURES.names and MEASURES[name].of_genes
    return METHODS[method].ranks_genes or not known


def without_genes(name: str, method: str) -> Evidence:
    """A measure of lists of single genes, for a method that doesn't rank genes."""
    record = METHODS[method]
    return without_control(
        name,
        f"{record.title} scores {record.unit}s, whose genes are tied: there is no list of single "
        "genes to compare.",
    )


def judge_again(evidence: Evidence, method: str) -> Evidence:
    """What was measured once for a method, under the limits of today."""
    if not can_measure(evidence.name, method):
        return without_genes(evidence.name, method)
    measure = MEASURES[evidence.name]
    return replace(
        evidence, light=measure.light(evidence.value), green=measure.green, red=measure.red
    )


def judge(card: Sequence[Evidence]) -> Light:
    """The card's own light: the worst of its lights."""
    lights = {evidence.light for evidence in card}
    return next((light for light in ("red", "amber", "green") if light in lights), "none")
