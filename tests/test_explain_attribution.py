"""Attribution methods on networks whose exact answer is worked out by hand."""

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from core.errors import InputError
from core.explain.attribution import attribute, back_project
from core.explain.methods import METHODS, OCCLUSION_GENES
from core.images.imager import IMAGENET_MEAN, IMAGENET_SD, GeneImager
from core.images.layout import GeneLayout
from core.models.network import build_network
from core.models.spec import NetworkSpec


def make_layout(places: list[tuple[int, int]], side: int) -> GeneLayout:
    """Genes g0, g1, ... on the places given."""
    row, col = np.array(places).T
    return GeneLayout("order", np.array([f"g{i}" for i in range(len(row))]), row, col, (side, side))


class Linear(nn.Module):
    """Class scores that are weighted sums of the image's values; the maps are the image."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Identity())
        self.weight = nn.Parameter(weight)
        """(classes, 3, S, S)"""

    def forward(self, images: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", self.stages(images), self.weight)


class TwoMaps(nn.Module):
    """Two feature maps, v and v / 2 for pixel values v in [0, 1], and a linear layer on them."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        first = nn.Conv2d(3, 2, 1)
        self.stages = nn.Sequential(first)
        undo = torch.tensor(IMAGENET_SD) / 3
        shift = sum(IMAGENET_MEAN) / 3
        first.weight = nn.Parameter(torch.stack([undo, undo / 2])[:, :, None, None])
        first.bias = nn.Parameter(torch.tensor([shift, shift / 2]))
        self.head = nn.Linear(8, 2, bias=False)
        self.head.weight = nn.Parameter(weight.reshape(2, 8))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(images).flatten(1))


@pytest.fixture
def squeezenet() -> tuple[nn.Module, GeneImager, np.ndarray]:
    """A real network with random weights, its imager, and 5 samples of 250 genes."""
    rng = np.random.default_rng(0)
    places = rng.permutation(256)[:250]
    layout = make_layout(list(zip(places // 16, places % 16, strict=True)), 16)
    network = build_network(NetworkSpec(image_size=64), 3, seed=0)[0]
    return network, GeneImager(layout, 64), rng.random((5, 250), dtype=np.float32)


def test_integrated_gradients_of_a_linear_network_by_hand() -> None:
    """Three genes on a canvas of 2 x 2, each painted on 2 x 2 pixels of the image.

    Let w be a class's weight, equal in all pixels and channels of a gene. A change d of the gene
    changes 4 pixels of channel c by d / SD_c each, so the class score by 4 w d (1/.229 + 1/.224 +
    1/.225) = 4 w d 13.2755.
    """
    imager = GeneImager(make_layout([(0, 0), (0, 1), (1, 1)], 2), 4)
    canvas = torch.tensor([[[1.0, -2.0], [50.0, 0.5]], [[0.0, 3.0], [50.0, -1.0]]])
    weight = canvas.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None].repeat(1, 3, 1, 1)
    x = np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.2]], dtype=np.float32)
    baseline = np.array([0.5, 0.4, 0.3], dtype=np.float32)
    unit = 4 * (1 / 0.229 + 1 / 0.224 + 1 / 0.225)
    by_hand = unit * np.array([[0.4 * 1, 0.1 * -2, -0.2 * 0.5], [-0.3 * 0, -0.2 * 3, -0.1 * -1]])
    found = attribute(
        "integrated_gradients", Linear(weight), imager, x, np.array([0, 1]), baseline, device="cpu"
    )
    np.testing.assert_allclose(found.scores, by_hand, rtol=1e-5, atol=1e-5)
    assert found.scores.dtype == np.float32
    assert found.maps is None
    assert found.completeness.max() < 1e-4

    saliency = attribute(
        "saliency", Linear(weight), imager, x, np.array([0, 1]), baseline, device="cpu"
    )
    np.testing.assert_allclose(
        saliency.scores, unit * np.array([[1, 2, 0.5], [0, 3, 1]]), rtol=1e-5
    )
    assert saliency.completeness is None


def test_gradcam_and_hirescam_by_hand() -> None:
    """Maps A1 = v and A2 = v / 2, class 0 weighs the places of A1 [4 0; 0 0], of A2 [-1 -1; 0 0].

    Grad-CAM averages the weights over places: 1 and -1/2, so its map is v - v/4 = 3v/4, bright
    even in the lower row, which the network ignores. HiResCAM multiplies place by place:
    4 v - v/2 in the first place, -v/2 in the second, 0 below. Class 1 has the negative weights:
    Grad-CAM's map is empty.
    """
    imager = GeneImager(make_layout([(0, 0), (0, 1), (1, 0)], 2), 2)
    own = torch.tensor([[[4.0, 0], [0, 0]], [[-1, -1], [0, 0]]])
    network = TwoMaps(torch.stack([own, -own]))
    x = np.array([[0.5, 0.2, 0.8]] * 2, dtype=np.float32)
    free = sum(IMAGENET_MEAN) / 3  # what a free pixel, 0 for the network, is worth as v
    v = np.array([[0.5, 0.2], [0.8, free]])
    targets, baseline = np.array([0, 1]), np.zeros(3, np.float32)

    found = attribute("gradcam", network, imager, x, targets, baseline, device="cpu")
    np.testing.assert_allclose(found.maps, [0.75 * v, 0 * v], atol=1e-6)
    np.testing.assert_allclose(found.scores, [[0.375, 0.15, 0.6], [0, 0, 0]], atol=1e-6)

    found = attribute("hirescam", network, imager, x, targets, baseline, device="cpu")
    by_hand = np.array([[1.75, -0.1], [0, 0]])
    np.testing.assert_allclose(found.maps, [by_hand, -by_hand], atol=1e-6)
    np.testing.assert_allclose(found.scores, [[1.75, -0.1, 0], [-1.75, 0.1, 0]], atol=1e-6)


WEIGHT = torch.tensor([[[1.0, -2.0], [50.0, 0.5]], [[0.0, 3.0], [50.0, -1.0]]])
"""(classes, rows, columns); genes stand on all places but the lower left one."""
UNIT = 1 / 0.229 + 1 / 0.224 + 1 / 0.225
"""By how much the class score changes when a gene of weight 1 on one pixel changes by 1."""
X = np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.2]], dtype=np.float32)
MEAN = np.array([0.5, 0.4, 0.3], dtype=np.float32)


def make_linear() -> tuple[nn.Module, GeneImager]:
    """Three genes on a canvas of 2 x 2, one image pixel each; weights of WEIGHT."""
    imager = GeneImager(make_layout([(0, 0), (0, 1), (1, 1)], 2), 2)
    return Linear(WEIGHT[:, None].repeat(1, 3, 1, 1)), imager


@pytest.mark.parametrize(
    "method",
    ["integrated_gradients", "gradient_shap", "input_x_gradient", "occlusion", "patch_occlusion"],
)
def test_a_linear_network_gives_weight_times_distance_from_the_baseline(method: str) -> None:
    """With one baseline as background; patches are single pixels on a canvas of 2 x 2."""
    network, imager = make_linear()
    found = attribute(method, network, imager, X, np.array([0, 1]), MEAN, device="cpu")
    by_hand = UNIT * np.array([[0.4 * 1, 0.1 * -2, -0.2 * 0.5], [-0.3 * 0, -0.2 * 3, -0.1 * -1]])
    np.testing.assert_allclose(found.scores, by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["saliency", "smoothgrad", "guided_backprop"])
def test_a_linear_network_has_the_same_slope_everywhere(method: str) -> None:
    network, imager = make_linear()
    found = attribute(method, network, imager, X, np.array([0, 1]), MEAN, device="cpu")
    np.testing.assert_allclose(found.scores, UNIT * np.array([[1, 2, 0.5], [0, 3, 1]]), rtol=1e-4)


def test_why_this_class_and_not_that() -> None:
    """Sample 0: class 0 less class 1, weights 1 - 0, -2 - 3, .5 + 1; sample 1 the other way."""
    network, imager = make_linear()
    targets = np.array([0, 1])
    found = attribute(
        "integrated_gradients", network, imager, X, targets, MEAN, against=1 - targets, device="cpu"
    )
    by_hand = UNIT * np.array([[0.4 * 1, 0.1 * -5, -0.2 * 1.5], [-0.3 * -1, -0.2 * 5, -0.1 * -1.5]])
    np.testing.assert_allclose(found.scores, by_hand, rtol=1e-4)
    assert found.completeness.max() < 1e-4


def test_each_sample_may_have_a_baseline_of_its_own() -> None:
    network, imager = make_linear()
    baselines = np.stack([X[0], MEAN])
    found = attribute(
        "integrated_gradients", network, imager, X, np.zeros(2, int), baselines, device="cpu",
        batch_size=1,
    )  # fmt: skip
    np.testing.assert_allclose(found.scores[0], 0, atol=1e-6)
    np.testing.assert_allclose(found.scores[1], UNIT * np.array([-0.3, 0.4, -0.05]), rtol=1e-4)
    np.testing.assert_allclose(found.completeness, 0, atol=1e-4)


def test_gradient_shap_starts_from_every_background_sample() -> None:
    """On a linear network the score is weight x (sample - mean of those drawn)."""
    network, imager = make_linear()
    background = np.array([[0.0, 0, 0], [1, 1, 1]], dtype=np.float32)
    found = attribute(
        "gradient_shap", network, imager, X, np.zeros(2, int), MEAN, background=background,
        steps=400, device="cpu",
    )  # fmt: skip
    assert np.abs(found.scores[:, 0] / UNIT - (X[:, 0] - 0.5)).max() < 0.1


def test_occlusion_is_offered_up_to_a_number_of_genes() -> None:
    network, imager = make_linear()
    x = np.zeros((1, OCCLUSION_GENES + 1), dtype=np.float32)
    with pytest.raises(InputError, match=r"2,048 genes.*2,049.*integrated gradients"):
        attribute("occlusion", network, imager, x, np.zeros(1, int), x[0], device="cpu")


def test_patches_hold_the_genes_of_their_cell() -> None:
    """16 x 16 genes of weight 1 on 8 x 8 patches: each of 4 genes, and each gene a quarter."""
    places = [(row, column) for row in range(16) for column in range(16)]
    imager = GeneImager(make_layout(places, 16), 16)
    network = Linear(torch.ones(2, 3, 16, 16))
    x = np.random.default_rng(0).random((2, 256), dtype=np.float32)
    found = attribute(
        "patch_occlusion", network, imager, x, np.zeros(2, int), np.zeros(256), device="cpu"
    )
    patches = x.reshape(2, 8, 2, 8, 2).sum(axis=(2, 4))
    np.testing.assert_allclose(found.maps, UNIT * patches, rtol=1e-3)
    np.testing.assert_allclose(found.scores.sum(axis=1), UNIT * x.sum(axis=1), rtol=1e-3)


SETS = np.array([[1, 1, 0], [0, 1, 1]])
"""(sets, genes): both hold the second gene."""


def test_a_set_is_occluded_by_itself_with_all_its_genes() -> None:
    """A linear network: the fall is the sum over the set's genes of weight x distance.

    A gene's score is the mean of its sets' equal shares: (fall 1) / 2 for the first gene,
    ((fall 1) / 2 + (fall 2) / 2) / 2 for the one in both.
    """
    network, imager = make_linear()
    found = attribute(
        "set_occlusion", network, imager, X, np.array([0, 1]), MEAN, sets=SETS, device="cpu"
    )
    first = UNIT * np.array([0.4 * 1 + 0.1 * -2, -0.3 * 0 - 0.2 * 3])
    second = UNIT * np.array([0.1 * -2 - 0.2 * 0.5, -0.2 * 3 - 0.1 * -1])
    np.testing.assert_allclose(found.sets, np.stack([first, second], axis=1), rtol=1e-4)
    np.testing.assert_allclose(
        found.scores, np.stack([first / 2, (first + second) / 4, second / 2], axis=1), rtol=1e-4
    )
    assert found.maps is None


class Product(nn.Module):
    """Class 0: the product of the first two pixels' values, plus the third; 0 for class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        undo, shift = torch.tensor(IMAGENET_SD)[0], IMAGENET_MEAN[0]
        a, b, c = (self.stages(images)[:, 0] * undo + shift).flatten(1)[:, :3].T
        return torch.stack([a * b + c, 0 * a], dim=1)


def test_shapley_values_of_sets_by_hand() -> None:
    """a b + c from 0 to (.8, .5, .3), the sets {a}, {b}, {c}: a and b share their product.

    Whichever of a and b comes second adds all of it, .4, so each adds .2 on average over all
    orders; c adds .3 in every order. With the sets {a, b} and {c} the first adds all of it.
    """
    imager = GeneImager(make_layout([(0, 0), (0, 1), (1, 0)], 2), 2)
    x = np.tile(np.array([[0.8, 0.5, 0.3]], dtype=np.float32), (40, 1))
    found = attribute(
        "set_shapley", Product(), imager, x, np.zeros(40, int), np.zeros(3), sets=np.eye(3),
        device="cpu", batch_size=8,
    )  # fmt: skip
    assert set(np.round(found.sets[:, 0] * 160).astype(int)) - {32}  # samples have own orders
    np.testing.assert_allclose(found.sets.mean(axis=0), [0.2, 0.2, 0.3], atol=0.02)
    np.testing.assert_allclose(found.sets[:, 2], 0.3, rtol=1e-4)
    np.testing.assert_allclose(found.sets.sum(axis=1), 0.7, rtol=1e-4)
    np.testing.assert_allclose(found.completeness, 0, atol=1e-4)
    together = attribute(
        "set_shapley", Product(), imager, x[:1], np.zeros(1, int), np.zeros(3),
        sets=np.array([[1, 1, 0], [0, 0, 1]]), device="cpu",
    )  # fmt: skip
    np.testing.assert_allclose(together.sets, [[0.4, 0.3]], rtol=1e-4)
    np.testing.assert_allclose(together.scores, [[0.2, 0.2, 0.3]], rtol=1e-4)


def test_random_orders_start_from_a_seed_of_their_own() -> None:
    imager = GeneImager(make_layout([(0, 0), (0, 1), (1, 0)], 2), 2)
    x = np.tile(np.array([[0.8, 0.5, 0.3]], dtype=np.float32), (3, 1))
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(
            attribute(
                "set_shapley", Product(), imager, x, np.zeros(3, int), np.zeros(3),
                sets=np.eye(3), device="cpu",
            ).sets
        )  # fmt: skip
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("method", ["set_occlusion", "set_shapley"])
def test_disjoint_sets_of_a_linear_network_get_the_sum_of_their_genes(method: str) -> None:
    network, imager = make_linear()
    found = attribute(
        method, network, imager, X, np.array([0, 1]), MEAN, sets=np.array([[1, 0, 1], [0, 1, 0]]),
        device="cpu", batch_size=3,
    )  # fmt: skip
    by_hand = UNIT * np.array([[0.4 - 0.1, -0.2], [0.1, -0.6]])
    np.testing.assert_allclose(found.sets, by_hand, rtol=1e-4)


def test_a_method_that_scores_sets_needs_sets() -> None:
    network, imager = make_linear()
    with pytest.raises(InputError, match="needs gene sets"):
        attribute("set_shapley", network, imager, X, np.zeros(2, int), MEAN, device="cpu")


class Rectified(nn.Module):
    """Class 0: relu(first pixel) - 2 relu(second pixel), of the mean of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        shown = self.stages(images).mean(1).flatten(1)
        return torch.stack([shown[:, 0] - 2 * shown[:, 1], shown[:, 2]], dim=1)


def test_guided_backpropagation_hides_what_spoke_against_the_class() -> None:
    imager = GeneImager(make_layout([(0, 0), (0, 1)], 2), 2)
    x, network = np.array([[0.9, 0.8]], dtype=np.float32), Rectified()
    scores = {
        method: attribute(
            method, network, imager, x, np.zeros(1, int), np.zeros(2), device="cpu"
        ).scores[0]
        for method in ("saliency", "guided_backprop")
    }
    np.testing.assert_allclose(scores["saliency"], [UNIT / 3, 2 * UNIT / 3], rtol=1e-5)
    np.testing.assert_allclose(scores["guided_backprop"], [UNIT / 3, 0], rtol=1e-5)
    assert METHODS["guided_backprop"].warning


def test_layercam_by_hand() -> None:
    """The positive part of each map by itself: 4 v of the first, v / 2 of the second for class 1.

    See test_gradcam_and_hirescam_by_hand for the weights.
    """
    imager = GeneImager(make_layout([(0, 0), (0, 1), (1, 0)], 2), 2)
    own = torch.tensor([[[4.0, 0], [0, 0]], [[-1, -1], [0, 0]]])
    network = TwoMaps(torch.stack([own, -own]))
    x = np.array([[0.5, 0.2, 0.8]] * 2, dtype=np.float32)
    found = attribute("layercam", network, imager, x, np.array([0, 1]), x[0], device="cpu")
    by_hand = [[[4 * 0.5, 0], [0, 0]], [[0.5 / 2, 0.2 / 2], [0, 0]]]
    np.testing.assert_allclose(found.maps, by_hand, atol=1e-6)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
def test_region_methods_look_at_any_stage(
    method: str, squeezenet: tuple[nn.Module, GeneImager, np.ndarray]
) -> None:
    network, imager, x = squeezenet
    sides = [
        attribute(
            method, network, imager, x[:1], np.zeros(1, int), x[0], stage=stage, device="cpu"
        ).maps.shape[1]
        for stage in ("fire2_3", "fire4_5", None)
    ]
    assert sides == [16, 8, 4]


def test_integrated_gradients_are_captums_and_complete(
    squeezenet: tuple[nn.Module, GeneImager, np.ndarray],
) -> None:
    network, imager, x = squeezenet
    targets, baseline = np.array([0, 1, 2, 1, 0]), x.mean(axis=0)
    calls: list[tuple[int, int]] = []
    found = attribute(
        "integrated_gradients",
        network,
        imager,
        x,
        targets,
        baseline,
        device="cpu",
        batch_size=2,
        steps=64,
        progress=lambda *row: calls.append(row),
    )
    expected = captum.attr.IntegratedGradients(nn.Sequential(imager, network).eval()).attribute(
        torch.tensor(x), torch.tensor(baseline)[None], torch.tensor(targets), n_steps=64
    )
    # other kernels put a ReLU's input of about 0 on its other side: single scores move
    difference = np.linalg.norm(found.scores - expected.detach().numpy())
    assert difference < 5e-3 * np.linalg.norm(found.scores)
    assert found.completeness.shape == (5,)
    assert np.median(found.completeness) < 0.2
    assert calls == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("method", METHODS.names)
def test_every_method_leaves_the_network_as_it_was(method: str) -> None:
    imager = GeneImager(make_layout([(i // 4, i % 4) for i in range(15)], 4), 32)
    x = np.random.default_rng(0).random((5, 15), dtype=np.float32)
    spec = NetworkSpec(backbone="resnet50", image_size=32, freeze="backbone")
    network = build_network(spec, 3, seed=0)[0].train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    first, again = (
        attribute(
            method,
            network,
            imager,
            x[:2],
            np.array([0, 2]),
            x.mean(axis=0),
            device="cpu",
            steps=4,
            sets=np.repeat(np.eye(5), 3, axis=1),
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.scores, again.scores)  # no dropout
    assert np.abs(first.scores).max() > 0
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[n]) for n, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    record = METHODS[method]
    assert first.scores.shape == (2, 15)
    assert (first.maps is not None) == (record.unit == "region")
    assert (first.completeness is not None) == record.complete
    assert record.signed or first.scores.min() >= 0


def test_modes_come_back_after_an_error(
    squeezenet: tuple[nn.Module, GeneImager, np.ndarray],
) -> None:
    network, imager, x = squeezenet
    network.train()
    with pytest.raises(RuntimeError):  # there is no class 9
        attribute("gradcam", network, imager, x, np.full(5, 9), x[0], device="cpu")
    assert network.head.training


def test_an_unknown_method_lists_the_known(
    squeezenet: tuple[nn.Module, GeneImager, np.ndarray],
) -> None:
    network, imager, x = squeezenet
    with pytest.raises(InputError, match=r"'lime'.*integrated_gradients, .*saliency, .*gradcam"):
        attribute("lime", network, imager, x, np.zeros(5, int), x[0], device="cpu")


def test_back_projection_by_hand() -> None:
    """2 x 2 cells over 3 x 3 pixels: a corner pixel has 4/9 of a cell, the centre 1/9 of each."""
    layout = make_layout([(0, 0), (1, 1), (0, 1), (2, 2), (2, 2)], 3)
    maps = np.array([[[9.0, 18], [27, 36]]], dtype=np.float32)
    expected = [[4, 1 + 2 + 3 + 4, 2 + 4, 16 / 2, 16 / 2]]
    np.testing.assert_allclose(back_project(maps, layout), expected)


@given(
    maps=arrays(
        np.float32, st.tuples(st.just(2), st.integers(1, 9), st.integers(1, 9)),
        elements=st.floats(-4, 4, width=16),
    ),
    side=st.integers(1, 12),
    data=st.data(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_back_projection_conserves_the_sum(
    maps: np.ndarray, side: int, data: st.DataObject
) -> None:
    genes = data.draw(
        st.lists(st.tuples(st.integers(0, side - 1), st.integers(0, side - 1)), min_size=1)
    )
    taken = set(genes)
    free = [(r, c) for r in range(side) for c in range(side) if (r, c) not in taken]
    scores = back_project(maps, make_layout(genes + free, side))
    np.testing.assert_allclose(scores.sum(axis=1), maps.sum(axis=(1, 2)), atol=1e-2)
    only_genes = back_project(maps, make_layout(genes, side))
    np.testing.assert_allclose(only_genes, scores[:, : len(genes)], atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", METHODS.names)
def test_gpu_and_cpu_agree(
    method: str, squeezenet: tuple[nn.Module, GeneImager, np.ndarray]
) -> None:
    network, imager, x = squeezenet
    found = {
        device: attribute(
            method,
            network,
            imager,
            x,
            np.zeros(5, int),
            x.mean(axis=0),
            device=device,
            sets=np.repeat(np.eye(5), 50, axis=1),
        )
        for device in ("cpu", "cuda")
    }
    scale = np.abs(found["cpu"].scores).max()
    np.testing.assert_allclose(found["cuda"].scores, found["cpu"].scores, atol=1e-3 * scale)
