"""Augmentations: profiles stay profiles, images stay images, and each does what it says."""

import numpy as np
import pytest
import torch

from core.data.prepare import PreparationSpec, Preprocessor, Reads, check_reads
from core.errors import InputError
from core.training import augmentations
from core.training.augmentations import (
    AUGMENTATIONS,
    DROPPED,
    FEWEST_READS,
    MIXING,
    NOISE,
    Known,
)
from core.training.repeats import FEWEST, repeat_sd

ON_EXPRESSION = [record.name for record in AUGMENTATIONS if record.on_expression]
ON_IMAGES = [record.name for record in AUGMENTATIONS if record.on_images]
GENES, CLASSES = 16, 3
COUNTS = np.random.default_rng(0).negative_binomial(4, 0.02, (12, GENES)).astype(np.float32)
NAMES = [f"G{n}" for n in range(GENES)]
FITTED = Preprocessor.fit(COUNTS, NAMES, "counts", PreparationSpec())


def reads_of(counts: np.ndarray) -> Reads:
    found = FITTED.reads(counts.astype(np.float32), NAMES)
    return Reads(**{name: torch.as_tensor(array) for name, array in vars(found).items()})


def thin(counts: np.ndarray) -> torch.Tensor:
    """Thinned values of (samples, 16 genes), made log2 counts per million + 1 again."""
    x = torch.from_numpy(FITTED.transform(counts.astype(np.float32), NAMES))
    known = Known(torch.ones(GENES), torch.ones(GENES), reads=reads_of(counts))
    varied, _ = AUGMENTATIONS["thinning"].on_expression(x, x, known)
    return varied


@pytest.mark.parametrize("name", ON_EXPRESSION)
def test_a_varied_profile_keeps_its_class(name: str) -> None:
    torch.manual_seed(0)
    x, targets = torch.rand(9, GENES), torch.eye(CLASSES)[torch.arange(9) % CLASSES]
    sd, reads = torch.full((GENES,), 0.1), reads_of(np.full((9, GENES), 50.0))
    known = Known(sd, torch.full((GENES,), 0.5), repeat_sd=sd, reads=reads)
    varied, soft = AUGMENTATIONS[name].on_expression(x, targets, known)
    assert varied.shape == x.shape
    assert not torch.equal(varied, x)
    assert torch.allclose(soft.sum(1), torch.ones(9))
    assert (soft.argmax(1) == targets.argmax(1)).all()


def test_dropped_genes_take_their_mean() -> None:
    x, mean = torch.ones(200, GENES), torch.arange(GENES) / 100
    known = Known(torch.ones(GENES), mean)
    dropped, _ = AUGMENTATIONS["gene_dropout"].on_expression(x, x, known)
    assert ((dropped == 1) | (dropped == mean)).all()
    assert 0.26 < (dropped != 1).float().mean() < 0.34


def test_all_reads_kept_are_the_values_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentations, "FEWEST_READS", 1.0)
    holes = COUNTS.copy()
    holes[2, 3] = np.nan
    torch.testing.assert_close(thin(holes), torch.from_numpy(FITTED.transform(holes, NAMES)))


def test_thinned_reads_are_binomial_and_scaled_to_the_same_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of the reads: the same counts per million on average, with the spread of a coin."""
    monkeypatch.setattr(augmentations, "FEWEST_READS", 0.5)
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.zeros(size))
    reads = COUNTS[0]
    values = thin(np.repeat(reads[None], 20_000, axis=0)).double().numpy()
    assert values.min() > 0
    assert values.max() < 1  # nothing is clipped
    per_million = 2 ** (FITTED.low + values * (FITTED.high - FITTED.low)) - 1
    thinned = per_million * reads.sum() / 1e6 / 2
    assert thinned.mean(axis=0) == pytest.approx(reads / 2, rel=0.01)
    assert thinned.var(axis=0) == pytest.approx(reads / 4, rel=0.06)


def test_thinning_keeps_samples_with_their_own_reads() -> None:
    known = Known(torch.ones(GENES), torch.ones(GENES), reads=reads_of(COUNTS))
    some = known.of(torch.tensor([5, 2]))
    assert np.array_equal(some.reads.counts.numpy(), COUNTS[[5, 2]])
    library = 1e6 / COUNTS[[5, 2]].sum(axis=1, keepdims=True)
    assert some.reads.per_million.numpy() == pytest.approx(library)


def test_noise_between_repeats_has_their_sd() -> None:
    torch.manual_seed(0)
    sd = torch.linspace(0.01, 0.3, GENES)
    x = torch.zeros(20_000, GENES)
    known = Known(torch.ones(GENES), torch.ones(GENES), repeat_sd=sd)
    varied, _ = AUGMENTATIONS["repeat_noise"].on_expression(x, x, known)
    assert varied.std(0) == pytest.approx(sd, rel=0.03)


def test_repeats_are_samples_of_one_patient_and_class() -> None:
    """Patients differ by 100, classes by 10, repeats by 2 in the first gene and not in the second:
    two samples that differ by 2 have a variance of 2.
    """
    patients = np.repeat(np.arange(FEWEST).astype(str), 4)
    y = np.tile([0, 0, 1, 1], FEWEST)
    x = np.zeros((len(y), 2))
    x[:, 0] = 100 * patients.astype(int) + 10 * y + np.tile([0, 2], 2 * FEWEST)
    x[:, 1] = 100 * patients.astype(int)
    assert repeat_sd(x, y, patients) == pytest.approx([2**0.5, 0])
    with pytest.raises(InputError, match=r"at least 10 training samples .*, found 9"):
        repeat_sd(x[:19:2], np.zeros(10), np.repeat("one", 10))
    with pytest.raises(InputError, match="no patient column is chosen"):
        repeat_sd(x, y, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scale": "log2"}, "the values are log2"),
        ({"across": "quantile"}, "with across: quantile"),
        ({"scaling": "rank"}, "with scaling: rank"),
    ],
    ids=str,
)
def test_thinning_is_refused_without_counts_of_their_own(fields: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_reads(PreparationSpec(**fields), "counts")


def test_another_strength_is_another_version() -> None:
    """Change both lines together: runs of another strength must get another id."""
    strengths = (NOISE, DROPPED, MIXING, FEWEST_READS)
    assert strengths == (0.7, 0.3, 1.0, 0.25)
    assert {record.name: record.version for record in AUGMENTATIONS if record.version > 1} == {}


@pytest.mark.parametrize("name", ON_IMAGES)
def test_a_varied_image_is_an_image(name: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(6, 3, 12, 12)
    varied = AUGMENTATIONS[name].on_images(images)
    assert varied.shape == images.shape
    assert not torch.equal(varied, images)
    assert varied.min() >= 0
    assert varied.max() <= 1


@pytest.mark.parametrize("name", ["flip", "geometric"])
def test_turned_images_hold_the_same_pixels(name: str) -> None:
    images = torch.arange(8 * 3 * 4 * 4, dtype=torch.float32).view(8, 3, 4, 4)
    turned = AUGMENTATIONS[name].on_images(images)
    assert torch.equal(turned.flatten(2).sort().values, images.flatten(2).sort().values)


def test_cutout_empties_one_square_of_a_quarter_of_the_side() -> None:
    empty = AUGMENTATIONS["cutout"].on_images(torch.ones(5, 3, 16, 16))[:, 0] == 0
    assert (empty.flatten(1).sum(1) == 16).all()
    assert (empty.any(2).sum(1) == 4).all()


@pytest.mark.parametrize("name", ["rotate", "shift", "zoom"])
def test_a_moved_image_keeps_its_middle(name: str) -> None:
    torch.manual_seed(0)
    images = torch.zeros(20, 1, 21, 21)
    images[:, :, 7:14, 7:14] = 1
    moved = AUGMENTATIONS[name].on_images(images)
    assert (moved[:, 0, 10, 10] > 0.9).all()
    assert (moved[:, 0, [0, 0, 20, 20], [0, 20, 0, 20]] == 0).all()


def test_what_moves_genes_warns() -> None:
    for record in AUGMENTATIONS:
        moves = record.on_images is not None and record.name != "cutout"
        assert (record.warning is not None) == moves, record.name
