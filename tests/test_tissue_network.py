"""Networks that look at tiles of tissue."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from core.errors import InputError, WeightsError
from core.models.backbones import BACKBONES
from core.models.network import save_network
from core.tissue.body import Body, build_body
from core.tissue.fitted import FoldModel
from core.tissue.frozen import frozen_features, images, lie_as, symmetries
from core.tissue.gradcam import map_genes
from core.tissue.learning import learn
from core.tissue.look import looker
from core.tissue.network import (
    Genes,
    TileNetwork,
    fit_network,
    network_path,
    predict_tiles,
    smallest_group,
    trainer,
)
from core.tissue.networks import LIGHT, NETWORKS, PUBLISHED, has_maps, kept_parameters, seen_side
from core.tissue.result import answer_folder, summarise
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.targets import Scaling, choose_others

SPEC = TissueSpec(
    tissue="0" * 16, genes=4, backbone="squeezenet1_1", weights="scratch", train=True, epochs=1
)


def test_a_tile_may_lie_in_eight_ways() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (1, 4, 4, 3), np.uint8)
    ways = {way.numpy().tobytes() for way in symmetries(images(tiles))}
    assert len(ways) == 8
    turned = np.ascontiguousarray(np.rot90(tiles, 1, (1, 2)))
    assert {way.numpy().tobytes() for way in symmetries(images(turned))} == ways


def test_each_tile_of_a_batch_lies_in_its_own_way() -> None:
    batch = torch.arange(8 * 3 * 25.0).reshape(8, 3, 5, 5)
    found = lie_as(batch, torch.arange(8))
    for number, way in enumerate(symmetries(batch)):
        torch.testing.assert_close(found[number], way[number], rtol=0, atol=0)


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
    network = TileNetwork(Body(torch.nn.Identity(), 8, 3), 5, 2)
    tiles = simulate_tissue(1, 4, 4, driven=0, side=8).tiles
    np.testing.assert_array_equal(predict_tiles(network, tiles, "cpu"), np.zeros((4, 5)))


def test_answers_from_before_are_found_but_those_of_a_trained_b5() -> None:
    """Who changes the numbers of a question changes the name of its folder."""
    question = TissueSpec(tissue="0" * 16, backbone="efficientnet_b5", weights="scratch")
    asked = [question, question.changed(train=True), TissueSpec(tissue="0" * 16)]
    assert [answer_folder(one).name for one in asked] == [
        "382a0054882051a4", "0f61057af5877f0c", "83a86d3a7e26ad21",
    ]  # fmt: skip


def test_a_network_is_trained_for_each_patient_with_the_other_genes_beside(tmp_path: Path) -> None:
    tissue = simulate_tissue(2, 12, 10, driven=2, side=32)
    seen = []
    train = trainer(SPEC, tmp_path, tmp_path, "cpu")

    def watch(*given: np.ndarray, **which: object) -> np.ndarray:
        seen.append([part.shape for part in given[4:]])
        return train(*given, **which)

    genes, learned = learn(tissue, SPEC, None, train_network=watch)
    assert seen == [[(12, 4), (12, 6)]] * 6, "two patients, three targets; 6 other genes"
    result, _ = summarise(SPEC, genes, learned, tissue.patients)
    assert result.main == "trained"
    assert "by the trained SqueezeNet 1.1" in result.verdict()[1]
    assert len(list(tmp_path.glob("*_*.npy"))) == 6
    look = looker(SPEC, tmp_path, 32, "cpu")
    for fold, model in enumerate(learned["normalised"].models):
        test = np.isin(tissue.spots["patient"], model.left_out)
        said = look(fold, model, tissue.tiles[test])
        wanted = learned["normalised"].predicted["trained"][test]
        np.testing.assert_allclose(said, wanted[:, np.isfinite(wanted[0])], atol=1e-5)

    def refuse(done: int, total: int) -> None:
        raise AssertionError("trained again")

    _, again = learn(tissue, SPEC, train_network=trainer(SPEC, tmp_path, tmp_path, "cpu", refuse))
    for target, found in learned.items():
        np.testing.assert_array_equal(
            found.predicted["trained"], again[target].predicted["trained"]
        )


def test_the_auxiliary_genes_change_what_is_learned_and_equal_questions_nothing(
    tmp_path: Path,
) -> None:
    tiles = simulate_tissue(1, 12, 4, driven=0, side=32).tiles
    z, others, groups = np.ones((12, 4)), np.ones((12, 6)), np.repeat(["a", "b"], [8, 4])

    def fit(name: str, **changes: object) -> tuple[TileNetwork, list]:
        spec = SPEC.changed(**changes)
        return fit_network(tiles, groups, z, others, spec, tmp_path / name, "cpu")

    (first, history), (second, _), (alone, _) = fit("1"), fit("2"), fit("3", auxiliary=0)
    said = [predict_tiles(network, tiles, "cpu") for network in (first, second, alone)]
    np.testing.assert_array_equal(said[0], said[1])
    assert alone.heads.out_features == 4
    assert not np.array_equal(said[0], said[2])
    assert len(history) == 1
    assert np.isfinite(history[0]["validation_loss"])
    fit("4", keep="best")  # group b chooses the epoch
    assert smallest_group(groups).tolist() == [False] * 8 + [True] * 4
    with pytest.raises(InputError, match="none is left that could choose the epoch"):
        smallest_group(groups[:8])


def test_the_loss_is_that_of_the_genes_plus_the_weighted_one_of_the_others() -> None:
    said, wanted = torch.tensor([[1.0, 2, 3]]), torch.tensor([[0.0, 0, 0]])
    assert float(Genes(1, 0.5).loss(said, wanted, None, None)) == 1 + 0.5 * (4 + 9) / 2
    assert float(Genes(1, 0).loss(said, wanted, None, None)) == 1
    assert Genes(1, 0.5).measure(said, wanted) == {"validation_loss": 1.0}
    assert Genes(1, 0.5).answers(said).tolist() == [[1.0]]


@pytest.mark.parametrize("name", sorted({*PUBLISHED, *LIGHT}))
def test_every_network_takes_small_tiles_and_carries_both_heads(name: str) -> None:
    """A step forwards and backwards, without weights of a file."""
    network = TileNetwork(build_body(name, "scratch", 32, seed=0), 3, 2).train()
    tiles = torch.rand(2, 3, 32, 32)
    torch.nn.init.ones_(network.heads.weight)
    Genes(3, 1).loss(network(tiles), torch.ones(2, 5), None, None).backward()
    first = next(network.body.parameters())
    assert first.grad is not None
    assert network.heads.weight.grad.abs().sum(dim=1).gt(0).all(), "the others' head learns too"
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.momentum >= 0.1 for norm in norms), "few steps move their usual means"


@pytest.mark.parametrize("name", ["vgg16", "vgg19", "squeezenet1_1", "vit_b_32"])
def test_what_is_kept_of_a_network_is_known_before(name: str) -> None:
    with torch.device("meta"):
        kept = sum(weight.numel() for weight in build_body(name, "scratch", 32, 0).parameters())
    assert kept <= kept_parameters(name) < 1.1 * kept + 1_000_000


def test_networks_of_tiles_are_those_that_torchvision_publishes() -> None:
    assert seen_side("vit_b_16", 50) == 64
    assert seen_side("vit_b_32", 16) == 32
    assert seen_side("inception_v3", 64) == 75
    assert seen_side("squeezenet1_1", 16) == 32
    for record in NETWORKS:
        if record.name not in BACKBONES:
            known = torchvision.models.get_model_weights(record.name).IMAGENET1K_V1
            assert record.url == known.url
            assert record.parameters == known.meta["num_params"]
            assert record.megabytes == known.meta["_file_size"]


def test_weights_of_a_file_are_taken_and_those_of_another_network_refused(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = torchvision.models.efficientnet_b0(weights=None)
    path = tmp_path / "own.pth"
    torch.save(model.state_dict(), path)
    body = build_body("efficientnet_b0", f"file:{path}", 32, seed=0)
    tiles = torch.rand(1, 3, 32, 32)
    wanted = model.eval().features(tiles).mean(dim=(2, 3))
    torch.testing.assert_close(body.eval()(tiles), wanted)
    for other in ("inception_v3", "vit_b_32", "squeezenet1_1"):
        with pytest.raises(WeightsError, match="does not hold the weights of"):
            build_body(other, f"file:{path}", 32, seed=0)


def test_auxiliary_genes_are_those_that_many_training_spots_have() -> None:
    counts = np.zeros((20, 4))
    counts[:, 0] = counts[:2, 1] = counts[:1, 2] = 1
    assert choose_others(counts, np.array([0])).tolist() == [1]


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_b0", "inception_v3"])
def test_grad_cam_adds_up_to_what_the_network_says_and_turns_with_the_tile(name, tmp_path) -> None:
    draw, side = np.random.default_rng(0), 112
    spec = TissueSpec(tissue="0" * 16, backbone=name, weights="scratch", train=True)
    network = TileNetwork(build_body(name, "scratch", side, seed=0), 3, 2)
    torch.nn.init.normal_(network.heads.weight)
    network.eval()
    save_network(network, network_path(tmp_path, 0))
    scaling = Scaling(np.zeros(3), np.ones(3))
    model = FoldModel(np.array(["P"]), np.array(list("ABC")), scaling, None, None)
    tile = draw.integers(0, 256, (side, side, 3)).astype(np.uint8)
    found = map_genes(spec, tmp_path, 0, model, tile, "cpu")
    assert found.shape[0] == found.shape[1] > 1
    said = predict_tiles(network, tile[None], "cpu")[0] - network.heads.bias[:3].detach().numpy()
    size = abs(found).sum(axis=(0, 1))
    np.testing.assert_allclose(found.sum(axis=(0, 1)) / size, said / size, atol=1e-4)
    turned = map_genes(spec, tmp_path, 0, model, np.rot90(tile).copy(), "cpu")
    np.testing.assert_allclose(turned, np.rot90(found), atol=1e-4 * abs(found).max())


def test_transformers_have_no_maps() -> None:
    assert [name for name in NETWORKS.names if not has_maps(name)] == ["vit_b_16", "vit_b_32"]
