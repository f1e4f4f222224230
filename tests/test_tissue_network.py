"""Networks that look at tiles of tissue."""

import numpy as np
import torch

from core.tissue.frozen import frozen_features, images, symmetries
from core.tissue.learning import learn
from core.tissue.network import TileNetwork, predict_tiles, trainer
from core.tissue.result import summarise
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.targets import choose_others

SPEC = TissueSpec(
    tissue="0" * 16, genes=4, backbone="squeezenet1_1", weights="scratch", train=True, epochs=1
)


def test_a_tile_may_lie_in_eight_ways() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (1, 4, 4, 3), np.uint8)
    ways = {way.numpy().tobytes() for way in symmetries(images(tiles))}
    assert len(ways) == 8
    turned = np.ascontiguousarray(np.rot90(tiles, 1, (1, 2)))
    assert {way.numpy().tobytes() for way in symmetries(images(turned))} == ways


def test_features_of_the_mean_over_symmetries_know_no_direction() -> None:
    tiles = simulate_tissue(1, 4, 4, driven=0, side=32).tiles
    told = []
    turned = np.rot90(tiles, 1, (1, 2))
    features = [
        frozen_features(
            some, "squeezenet1_1", "scratch", symmetric=True,
            progress=lambda done, total: told.append((done, total)),
        )
        for some in (tiles, turned)
    ]  # fmt: skip
    assert features[0].shape == (4, 512)
    np.testing.assert_allclose(*features, rtol=1e-3, atol=1e-5)
    assert told == [(4, 4), (4, 4)]


def test_a_network_begins_at_the_training_mean() -> None:
    network = TileNetwork(torch.nn.Identity(), 3, 5, 2)
    tiles = simulate_tissue(1, 4, 4, driven=0, side=8).tiles
    np.testing.assert_array_equal(predict_tiles(network, tiles, "cpu"), np.zeros((4, 5)))


def test_a_network_is_trained_for_each_patient_with_the_other_genes_beside() -> None:
    tissue = simulate_tissue(2, 12, 10, driven=2, side=32)
    seen = []
    train = trainer(tissue.tiles, SPEC, "cpu")

    def watch(*given: np.ndarray) -> np.ndarray:
        seen.append([part.shape for part in given[2:]])
        return train(*given)

    genes, learned = learn(tissue, SPEC, None, train_network=watch)
    assert seen == [[(12, 4), (12, 6)]] * 6, "two patients, three targets; 6 other genes"
    result, _ = summarise(SPEC, genes, learned, tissue.patients)
    assert result.main == "trained"
    assert "by the trained squeezenet1_1" in result.verdict()[1]
    again = trainer(tissue.tiles, SPEC, "cpu")
    rows = np.arange(24) < 12
    z, others = np.ones((12, 4)), np.ones((12, 6))
    first, second = (make(rows, ~rows, z, others) for make in (train, again))
    np.testing.assert_array_equal(first, second)
    alone = trainer(tissue.tiles, SPEC.changed(auxiliary=0), "cpu")(rows, ~rows, z, others)
    assert not np.array_equal(alone, first), "the auxiliary genes change what is learned"


def test_auxiliary_genes_are_those_that_many_training_spots_have() -> None:
    counts = np.zeros((20, 4))
    counts[:, 0] = counts[:2, 1] = counts[:1, 2] = 1
    assert choose_others(counts, np.array([0])).tolist() == [1]
