"""Every network on offer: shapes, heads, freezing, initial weights, saving."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torchvision
from pydantic import ValidationError
from torch import nn

from core.errors import WeightsError
from core.models.backbones import BACKBONES, REGION_CELLS
from core.models.heads import AveragePool, Dropout, PositionBranch
from core.models.network import (
    GeneImageNetwork,
    build_network,
    restore_network,
    save_network,
)
from core.models.spec import OF_GENES, NetworkSpec

HEADS = ("scales", "position", "torchvision")
LIGHT = NetworkSpec(backbone="squeezenet1_1", image_size=64)


def build(spec: NetworkSpec, classes: int = 3, seed: int = 0) -> GeneImageNetwork:
    return build_network(spec, classes, seed=seed)[0]


@pytest.mark.parametrize("name", BACKBONES.names)
def test_records_agree_with_torchvision(name: str) -> None:
    record = BACKBONES[name]
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    assert record.url == weights.url
    assert record.megabytes == weights.meta["_file_size"]
    assert record.parameters == weights.meta["num_params"]
    assert len(record.sha256_prefix) == 8
    assert set(record.sha256_prefix) <= set("0123456789abcdef")
    assert record.help.endswith(".")


@pytest.mark.parametrize("name", BACKBONES.names)
def test_sides_of_the_maps_are_known_without_building_the_network(name: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None).eval()
    for size in (32, 33, 64, 100, 224):
        sides, maps = {}, torch.empty(1, 3, size, size, device="meta")
        for stage in BACKBONES[name].blocks:
            for layer in stage.layers:
                maps = model.get_submodule(layer)(maps)
            sides[stage.name] = maps.shape[2]
        assert BACKBONES[name].map_sides(size) == sides


def test_region_methods_look_at_the_last_map_that_is_not_too_coarse() -> None:
    squeezenet = BACKBONES["squeezenet1_1"]
    assert [squeezenet.region_stage(size) for size in (32, 64, 128, 224)] == [
        "fire2_3", "fire4_5", "fire6_9", "fire6_9",
    ]  # fmt: skip
    for record in BACKBONES:
        assert record.region_stage(224) == record.stages[-1]
        for size in range(32, 257):
            assert record.map_sides(size)[record.region_stage(size)] >= REGION_CELLS


def reach(network: GeneImageNetwork) -> torch.Tensor:
    """(size, size): how much each pixel adds to the scores where every weight adds the same.

    Nothing is negative and nothing is chosen: of a window all is averaged, so that no pixel is
    missed by chance. 0 is a pixel that no window of the network reaches.
    """
    for part in (network.eval(), *network.modules()):
        for name, module in part.named_children():
            if isinstance(module, nn.MaxPool2d):
                same = module.kernel_size, module.stride, module.padding, module.ceil_mode
                part._modules[name] = nn.AvgPool2d(*same)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.fill_(1 / module.weight[0].numel())
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
    network.requires_grad_(False)
    size = network.spec.image_size
    image = torch.ones(1, 3, size, size, requires_grad=True)
    network(image).sum().backward()
    return image.grad.sum((0, 1))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", BACKBONES.names)
def test_every_pixel_reaches_every_network(name: str, head: str) -> None:
    for size in (32, 47):
        network = build(NetworkSpec(backbone=name, head=head, image_size=size))
        assert (reach(network) > 0).all(), size


@pytest.mark.parametrize("size", range(32, 48))
def test_every_pixel_reaches_a_squeezenet_whatever_the_size(size: int) -> None:
    spec = NetworkSpec(image_size=size)
    assert (reach(build(spec)) > 0).all()
    assert spec.unseen == 0
    cut = NetworkSpec(image_size=size, edge="cut")
    missed = reach(build(cut)) == 0
    assert cut.unseen == (1 - size % 2)
    expected = torch.zeros(size, size, dtype=torch.bool)
    expected[size - cut.unseen :] = expected[:, size - cut.unseen :] = True
    assert torch.equal(missed, expected)


def test_63_of_1024_pixels_were_cut_off() -> None:
    assert (reach(build(NetworkSpec(image_size=32, edge="cut"))) == 0).sum() == 63


def test_padding_leaves_all_that_was_there_in_its_place() -> None:
    """The maps get a row and a column; what the stem saw before, it sees as before."""
    padded, cut = (
        build(NetworkSpec(image_size=32, edge=edge)).eval() for edge in ("padded", "cut")
    )
    own = padded.stages.state_dict()
    assert own.keys() == cut.stages.state_dict().keys()
    cut.stages.load_state_dict(own)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        more, less = padded.stage_module("stem")(image), cut.stage_module("stem")(image)
    assert (more.shape[2:], less.shape[2:]) == ((16, 16), (15, 15))
    torch.testing.assert_close(more[:, :, :15, :15], less)
    assert padded.torchvision_names().keys() == cut.torchvision_names().keys()


@pytest.mark.parametrize("edge", ["padded", "cut"])
def test_sides_of_the_maps_are_those_of_the_image_that_is_seen(edge: str) -> None:
    for size in (32, 33, 64, 224):
        spec = NetworkSpec(image_size=size, edge=edge)
        maps, sides = torch.zeros(1, 3, size, size), {}
        for name, stage in build(spec).eval().stages.named_children():
            maps = stage(maps)
            sides[name] = maps.shape[2]
        assert sides == spec.map_sides
    padded = NetworkSpec(image_size=32)
    assert padded.map_sides == {"stem": 16, "fire2_3": 8, "fire4_5": 4, "fire6_9": 2}


def test_only_squeezenet_has_an_edge_to_choose() -> None:
    for name in BACKBONES.names:
        spec = NetworkSpec(backbone=name, image_size=32, edge="cut")
        assert spec.edge == ("cut" if name == "squeezenet1_1" else "padded")
    assert NetworkSpec(image_size=33, edge="cut").edge == "padded"


def test_a_linear_head_has_every_gene_before_it_whatever_the_stages_see() -> None:
    spec = NetworkSpec(image_size=32, head="linear", freeze="backbone", edge="cut")
    assert spec.unseen == 0
    network = build(spec).eval()
    with torch.no_grad():
        for name, weight in network.head.named_parameters():
            weight.fill_(name.startswith("image"))
    image = torch.ones(1, 3, 32, 32, requires_grad=True)
    network(image).sum().backward()
    assert (image.grad[0, 0] > 0).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", BACKBONES.names)
def test_every_network_builds_and_answers(name: str, head: str) -> None:
    """On the smallest images."""
    record = BACKBONES[name]
    network = build(NetworkSpec(backbone=name, head=head, image_size=32), classes=3).eval()
    with torch.no_grad():
        scores = network(torch.randn(2, 3, 32, 32))
    assert scores.shape == (2, 3)
    assert scores.std() > 0
    assert scores.abs().max() < 10
    assert tuple(dict(network.stages.named_children())) == record.stages
    assert not any(isinstance(m, nn.ReLU) and m.inplace for m in network.modules())
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    if head == "torchvision":
        with torch.device("meta"):
            model = torchvision.models.get_model(name, weights=None, num_classes=3)
        theirs = {key: value.shape for key, value in model.state_dict().items()}
        own = network.state_dict()
        assert {t: own[o].shape for o, t in network.torchvision_names().items()} == theirs


@pytest.mark.parametrize("name", ["squeezenet1_1", "vgg16", "resnet50"])
def test_torchvision_head_computes_what_torchvision_computes(name: str) -> None:
    spec = NetworkSpec(backbone=name, head="torchvision", image_size=64, edge="cut")
    network = build(spec).eval()
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, num_classes=3)
    names, own = network.torchvision_names(), network.state_dict()
    model.load_state_dict({names[key]: own[key] for key in own}, assign=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), model.eval()(images), rtol=1e-4, atol=1e-5)


def test_only_the_head_of_all_scales_sees_the_first_stage() -> None:
    """Of maps of all stages, a change in the first one alone changes the scores."""
    images, changes = torch.rand(1, 3, 64, 64), {}
    for head in ("scales", "position"):
        network = build(LIGHT.model_copy(update={"head": head, "freeze": "backbone"})).eval()
        with torch.no_grad():
            maps = network.frozen_maps(images)
            before = network.score_frozen(maps)
            changes[head] = len(maps), (before - network.score_frozen([maps[0] + 1, *maps[1:]]))
    assert {head: maps for head, (maps, _) in changes.items()} == {"scales": 4, "position": 1}
    assert all(change.abs().max() > 1e-3 for _, change in changes.values())


@pytest.mark.parametrize("freeze", ["nothing", "stem", "fire4_5", "backbone"])
@pytest.mark.parametrize("head", HEADS)
def test_frozen_part_and_the_rest_are_the_whole(head: str, freeze: str) -> None:
    spec = NetworkSpec(head=head, freeze=freeze, image_size=32)
    network, images = build(spec).eval(), torch.rand(2, 3, 32, 32)
    whole = build(spec.model_copy(update={"freeze": "nothing"})).eval()
    with torch.no_grad():
        maps = network.frozen_maps(images)
        torch.testing.assert_close(network.score_frozen(maps), whole(images))
    assert not any(kept.requires_grad for kept in maps)


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("weighted", [(), ("stem",), ("fire4_5",)])
def test_stages_without_any_weight_are_not_computed(
    weighted: tuple[str, ...], products: bool
) -> None:
    """The scores and the gradients keep their bits."""
    spec = NetworkSpec(head="linear", freeze="backbone", image_size=32, products=products)
    whole, computed, found = build(spec).eval(), [], []
    counted = [name for name in whole.head if name in weighted or name in OF_GENES]
    for name, branch in whole.head.items():
        if name not in counted:
            nn.init.zeros_(branch.linear.weight)
    part = deepcopy(whole)
    part.head.counted = counted
    for name, stage in part.stages.named_children():
        stage.register_forward_hook(lambda *_, name=name: computed.append(name))
    for network in (whole, part):
        images = torch.linspace(0, 1, 2 * 3 * 32**2).view(2, 3, 32, 32).requires_grad_()
        scores = network(images)
        scores[:, 0].sum().backward()
        found.append((scores.detach(), images.grad))
    assert all(map(torch.equal, *found))
    until = max((spec.record.stages.index(name) for name in weighted), default=-1)
    assert computed == list(spec.record.stages[: until + 1])


@pytest.mark.parametrize(("side", "places"), [(7, 7), (5, 3), (2, 7), (6, 4), (1, 1)])
def test_average_pool_is_torchs(side: int, places: int) -> None:
    maps = torch.randn(2, 3, side, side)
    expected = nn.AdaptiveAvgPool2d(places)(maps)
    torch.testing.assert_close(AveragePool(side, places)(maps), expected)


def test_a_branch_is_its_modules_in_a_row() -> None:
    branch = PositionBranch(5, 3, 4, 2, dropout=0.0)
    row = nn.Sequential(branch.reduce, branch.norm, nn.ReLU(), nn.Flatten(), branch.linear)
    maps, gradients = torch.randn(6, 5, 3, 3), []
    for module in (branch, row):
        module.zero_grad()
        scores = module(maps)
        (scores * torch.arange(12.0).view(6, 2)).sum().backward()
        gradients.append([scores, *(p.grad.clone() for p in branch.parameters())])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dropout_leaves_a_share_out_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.rand(7, 30_001).requires_grad_()
    dropout = Dropout(0.25)
    kept = dropout(x)
    kept.sum().backward()
    left = x.grad != 0
    assert float(left.float().mean()) == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(kept, torch.where(left, x / 0.75, 0))
    torch.testing.assert_close(x.grad, left / 0.75)
    assert dropout.eval()(x) is x


def test_position_head_sees_where_and_torchvisions_does_not() -> None:
    """Two maps that differ by a shift only: one head tells them apart, the other can't."""
    maps = torch.zeros(2, 512, 4, 4)
    maps[0, :, 0, 0] = maps[1, :, 3, 3] = torch.rand(512)
    with torch.no_grad():
        position = build(LIGHT.model_copy(update={"head": "position"})).eval().head([maps])
        pooled = build(LIGHT.model_copy(update={"head": "torchvision"})).eval().head(maps)
    assert (position[0] - position[1]).abs().max() > 1e-3
    torch.testing.assert_close(pooled[0], pooled[1])


def test_same_seed_same_bits_and_global_random_state_untouched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = build(LIGHT, seed=1).state_dict()
    assert torch.equal(torch.rand(1), expected)
    second, other = build(LIGHT, seed=1).state_dict(), build(LIGHT, seed=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.stem.linear.weight"], other["head.stem.linear.weight"])


@pytest.mark.parametrize("freeze", ["nothing", "stem", "layer2", "backbone"])
def test_frozen_stages_stay_bit_identical(freeze: str) -> None:
    spec = NetworkSpec(backbone="resnet50", image_size=32, freeze=freeze)
    network = build(spec)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    trained = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.1)
    for _ in range(2):  # the blocks' zero start lets some layers move only from the second step
        loss = nn.functional.cross_entropy(network(torch.randn(4, 3, 32, 32)), torch.arange(4) % 3)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    frozen = {f"stages.{stage}." for stage in spec.frozen_stages}
    assert len(frozen) == {"nothing": 0, "stem": 1, "layer2": 3, "backbone": 5}[freeze]
    for name, value in network.state_dict().items():
        kept = any(name.startswith(stage) for stage in frozen)
        assert torch.equal(value, before[name]) == kept, name


def test_frozen_stages_stay_in_evaluation_mode() -> None:
    network = build(LIGHT.model_copy(update={"freeze": "fire2_3"})).train()
    assert not network.stage_module("stem").training
    assert not network.stage_module("fire2_3").training
    assert network.stage_module("fire4_5").training
    assert network.head.training


def test_dropout_reaches_every_head() -> None:
    for name in ("vgg16", "resnet50", "squeezenet1_1"):
        for head in HEADS:
            spec = NetworkSpec(backbone=name, head=head, dropout=0.7, image_size=32)
            rates = {m.p for m in build(spec).head.modules() if isinstance(m, nn.Dropout)}
            assert rates == {0.7}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"backbone": "alexnet"}, ["alexnet", "vgg16", "squeezenet1_1"]),
        ({"freeze": "layer1"}, ["layer1", "fire2_3", "backbone"]),
        ({"weights": "imagnet"}, ["imagnet", "imagenet", "file:PATH"]),
        ({"weights": "run:../../etc"}, ["run:ID"]),
        ({"image_size": 20}, ["32"]),
        ({"pools": 3}, ["pools"]),
    ],
)
def test_a_wrong_spec_says_what_is_known(fields: dict, words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        NetworkSpec(**fields)
    assert all(word in str(caught.value) for word in words)


def test_save_and_restore(tmp_path: Path) -> None:
    spec = NetworkSpec(backbone="resnet50", image_size=32)
    network = build(spec).to(memory_format=torch.channels_last)
    network(torch.randn(4, 3, 32, 32))  # moves the statistics of batch normalisation
    save_network(network, tmp_path / "model.safetensors")
    other = build(spec, seed=9)
    restore_network(other, tmp_path / "model.safetensors")
    expected = network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in other.state_dict().items())


def test_restoring_refuses_other_architectures_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_network(build(LIGHT, classes=3), path)
    with pytest.raises(WeightsError, match=r"head.stem.linear.weight has shape \(3, 6272\)"):
        restore_network(build(LIGHT, classes=4), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="can't be read"):
        restore_network(build(LIGHT), path)
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        restore_network(build(LIGHT), tmp_path / "missing.safetensors")


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_vgg_without_batch_norm_learns_from_scratch(name: str) -> None:
    """16 random gene-images by heart; the loss of a network that learns nothing stays at 1.39."""
    torch.manual_seed(0)
    network = build(NetworkSpec(backbone=name, image_size=32, dropout=0), classes=4).train()
    coarse = torch.randn(16, 1, 8, 8)
    images = nn.functional.interpolate(coarse, scale_factor=4).expand(-1, 3, -1, -1)
    labels = torch.arange(16) % 4
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    for _ in range(5):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    assert loss.item() < 0.9
