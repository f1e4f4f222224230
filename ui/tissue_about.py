"""About these numbers, of the charts of the page Histology."""

from core.escape import escape_markdown
from core.tissue.result import TissueAnswer
from ui.about import About


def _held(answer: TissueAnswer) -> str:
    result = answer.result
    return (
        f"{result.spots:,} spots of {result.sections} sections; each {result.spec.held_out} was "
        "left out in turn."
    )


def about_models(answer: TissueAnswer) -> About:
    """Of how many genes each model predicts."""
    return About(
        "For how many genes the median r over held-out sections is above 0.3, by each model, under "
        "three targets.",
        f"{answer.result.genes} genes. {_held(answer)}",
        "r is Pearson's correlation over the spots of a section. Genes, their scaling and every "
        "penalty are of the training spots alone.",
        "The number of reads needs no image: what it reaches too is depth, not tissue. With "
        "shuffled tiles nothing should be left. Where each spot is divided by its reads most of "
        "the depth is gone, not all of it.",
    )


def about_ranks(answer: TissueAnswer) -> About:
    """Of all genes by r."""
    return About(
        "Each gene's median r over held-out sections, the highest first; beside it what reads "
        "alone and shuffled tiles reach on the same gene.",
        f"{answer.result.genes} genes. {_held(answer)}",
        "Each spot was divided by its reads. The interval of a gene, in the table, is Student's "
        f"over {answer.result.patients} patients.",
        "A gene is seen in the tissue where its point lies clearly above that of reads. The first "
        "of many genes are first by luck too; the sign test over patients corrects for it.",
    )


def about_section(gene: str, spots: int) -> About:
    """Of a gene on a section."""
    return About(
        f"{escape_markdown(gene)} in each spot, in SD of the training spots from their mean.",
        f"{spots:,} spots of this section, which was held out.",
        "Predicted from the tile by the model that has not seen this patient (or section).",
        "Strongest colours stand for 2 SD and more. Predictions are paler than what was measured: "
        "they are drawn towards the mean where little is known.",
    )


def about_tile(gene: str) -> About:
    """Of a spot's tile."""
    return About(
        "What the image shows around the spot; on request by how much the prediction of "
        f"{escape_markdown(gene)} falls when a place is covered, or, of networks that have maps, "
        "what each place of the last one adds to it (Grad-CAM).",
        "One spot; 64 places, each covered in turn, or the places of the network's last map.",
        "A place is painted in the tile's mean colour, and the model that has not seen this "
        "patient is asked again. Grad-CAM: each channel of the map times its mean gradient, both "
        "signs. In SD of the training spots.",
        "Red places raise the prediction. It says where the model looks, not which cells make the "
        "gene; small effects everywhere mean that the whole tile counts. A place of the last map "
        "has seen much of the tile around it.",
    )


def about_other(gene: str, spots: int) -> About:
    """Of a gene predicted on another section."""
    return About(
        f"{escape_markdown(gene)} as it was predicted, in SD of this section's own spots.",
        f"{spots:,} spots. Nothing of it was measured here.",
        "The mean over the models of all folds.",
        "How far to believe it stands in the verdict above. Another stain, scanner or laboratory "
        "may make it worse.",
    )
