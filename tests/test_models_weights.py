"""Initial weights: downloads that work, fail or lie; files that fit, don't, or run code."""

import hashlib
import http.server
import json
import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from core.errors import WeightsError
from core.home import weights_folder
from core.models.backbones import BACKBONES, Backbone
from core.models.imagenet import fetch_imagenet
from core.models.network import build_network, save_network
from core.models.own_weights import weights_path
from core.models.spec import NetworkSpec
from core.models.weights import RunWeights

SQUEEZENET = NetworkSpec(head="position", backbone="squeezenet1_1", image_size=32)


def make_state(name: str = "squeezenet1_1", seed: int = 3) -> dict[str, Tensor]:
    """A random state dict of torchvision's real architecture."""
    torch.manual_seed(seed)
    return torchvision.models.get_model(name, weights=None).state_dict()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backbone]:
    """A folder with a published weights file, and the record that names it."""
    folder = tmp_path_factory.mktemp("published")
    torch.save(make_state(), folder / "new.pth")
    content = (folder / "new.pth").read_bytes()
    name = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / "new.pth").rename(folder / name)
    record = BACKBONES["squeezenet1_1"]
    return folder, replace(record, url=record.url.replace(record.file, name))


class _Handler(http.server.SimpleHTTPRequestHandler):
    sent = 1.0
    """The part of the file that arrives."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: int(len(content) * self.sent)])


@pytest.fixture
def server(
    published: tuple[Path, Backbone], monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[_Handler]]:
    """A web server of the published folder on a free port; its handler can cut answers short."""
    handler = type("Handler", (_Handler,), {})
    address = ("127.0.0.1", 0)
    web = http.server.ThreadingHTTPServer(
        address, lambda *a: handler(*a, directory=str(published[0]))
    )
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    monkeypatch.setenv("GENECANVAS_WEIGHTS_URL", f"http://127.0.0.1:{web.server_port}/")
    monkeypatch.setenv("GENECANVAS_PRIVATE_HOSTS", "127.0.0.1")
    yield handler
    web.shutdown()
    thread.join()
    web.server_close()


def test_download_with_progress_then_cache(
    published: tuple[Path, Backbone], server: type[_Handler]
) -> None:
    folder, record = published
    seen: list[tuple[int, int]] = []
    path = fetch_imagenet(record, lambda done, total: seen.append((done, total)))
    size = (folder / record.file).stat().st_size
    assert path == weights_folder() / record.file
    assert path.read_bytes() == (folder / record.file).read_bytes()
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    server.sent = 0  # from now on only the cache can answer
    seen.clear()
    assert fetch_imagenet(record, lambda *row: seen.append(row)) == path
    assert not seen


def test_imagenet_weights_arrive_in_the_network(
    published: tuple[Path, Backbone], server: type[_Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES._records, "squeezenet1_1", published[1])
    state = make_state()
    for head, random in (("position", "head.fire6_9.linear"), ("torchvision", "head.classifier.1")):
        spec = SQUEEZENET.model_copy(update={"weights": "imagenet", "head": head})
        network, sentence = build_network(spec, 5, seed=0)
        names, own = network.torchvision_names(), network.state_dict()
        stages = [name for name in own if name.startswith("stages.")]
        assert len(stages) == 50
        assert all(torch.equal(own[name], state[names[name]]) for name in stages)
        assert "ImageNet" in sentence
        assert published[1].file in sentence
        assert random in sentence


def test_a_truncated_answer_leaves_nothing(
    published: tuple[Path, Backbone], server: type[_Handler]
) -> None:
    server.sent = 0.5
    with pytest.raises(WeightsError, match=r"ended after \d+ of \d+ bytes.*5 MB"):
        fetch_imagenet(published[1])
    assert not list(weights_folder().iterdir())


def test_a_wrong_file_is_refused_and_leaves_nothing(
    published: tuple[Path, Backbone], server: type[_Handler]
) -> None:
    folder, record = published
    wrong = replace(record, url=record.url.replace(record.sha256_prefix, "00000000"))
    (folder / wrong.file).write_bytes((folder / record.file).read_bytes())
    with pytest.raises(WeightsError, match="begins with 00000000, got " + record.sha256_prefix):
        fetch_imagenet(wrong)
    assert not list(weights_folder().iterdir())


def test_a_damaged_file_in_the_cache_is_not_used(published: tuple[Path, Backbone]) -> None:
    record = published[1]
    path = weights_folder() / record.file
    path.write_bytes(b"not it")
    with pytest.raises(WeightsError, match="damaged or another file") as caught:
        fetch_imagenet(record)
    assert str(path) in str(caught.value)


def test_offline_says_which_file_how_large_and_where_to_put_it(
    published: tuple[Path, Backbone],
    server: type[_Handler],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = BACKBONES["vgg16"]
    with pytest.raises(WeightsError, match="Not Found"):  # the server doesn't have this one
        fetch_imagenet(record)
    monkeypatch.setenv("GENECANVAS_WEIGHTS_URL", "http://127.0.0.1:9")
    spec = NetworkSpec(backbone="vgg16", weights="imagenet", image_size=32)
    with pytest.raises(WeightsError) as caught:
        build_network(spec, 5, seed=0)
    message = str(caught.value)
    assert "http://127.0.0.1:9/vgg16-397923af.pth" in message
    assert "553 MB" in message
    assert str(weights_folder() / "vgg16-397923af.pth") in message


def test_scratch_says_so() -> None:
    assert "Random" in build_network(SQUEEZENET, 3, seed=0)[1]
    frozen = SQUEEZENET.model_copy(update={"freeze": "backbone"})
    assert (
        "stay random: everything up to and including fire6_9" in build_network(frozen, 3, seed=0)[1]
    )


@pytest.mark.parametrize("kind", ["pth", "legacy.pth", "safetensors"])
def test_a_file_of_torchvisions_architecture(kind: str, tmp_path: Path) -> None:
    state, path = make_state(), tmp_path / f"mine.{kind}"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "pth")
    spec = SQUEEZENET.model_copy(update={"weights": f"file:{path}"})
    network, sentence = build_network(spec, 5, seed=0)
    names, own = network.torchvision_names(), network.state_dict()
    assert all(torch.equal(own[mine], state[theirs]) for mine, theirs in names.items())
    assert path.name in sentence
    assert "head.fire6_9.linear" in sentence


def test_vggs_large_layers_are_taken_and_its_classifier_left_out(tmp_path: Path) -> None:
    spec = NetworkSpec(backbone="vgg16", head="torchvision", image_size=32)
    donor = build_network(spec, 1000, seed=4)[0]
    names, own = donor.torchvision_names(), donor.state_dict()
    path = tmp_path / "vgg16.safetensors"
    save_file({names[name]: value for name, value in own.items()}, path)
    spec = spec.model_copy(update={"weights": f"file:{path}"})
    network, sentence = build_network(spec, 1000, seed=0)
    mine = network.state_dict()
    same = {name for name in mine if torch.equal(mine[name], own[name])}
    assert set(mine) - same == {"head.classifier.6.weight"}  # the bias is 0 in both
    assert sentence.endswith("Random to begin with: head.classifier.6.")


@pytest.mark.parametrize(
    ("name", "other"), [("vgg16", "vgg19"), ("resnet50", "resnet101"), ("resnet101", "resnet50")]
)
def test_a_neighbours_file_is_refused(name: str, other: str, tmp_path: Path) -> None:
    donor = build_network(NetworkSpec(backbone=other, image_size=32), 2, seed=0)[0]
    names, own = donor.torchvision_names(), donor.state_dict()
    path = tmp_path / "other.safetensors"
    save_file({names[mine]: own[mine] for mine in names}, path)
    spec = NetworkSpec(backbone=name, weights=f"file:{path}", image_size=32)
    with pytest.raises(WeightsError, match=f"weights of {BACKBONES[name].title}: .* and .* more"):
        build_network(spec, 2, seed=0)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    for legacy in (False, True):
        torch.save(make_state(), path, _use_new_zipfile_serialization=not legacy)
        path.write_bytes(path.read_bytes()[:200_000])
        with pytest.raises(WeightsError, match="cut short"):
            build_network(SQUEEZENET.model_copy(update={"weights": f"file:{path}"}), 5, seed=0)


@pytest.mark.parametrize("content", [b"", b"gene,score\nTP53,1\n", b"\x00" * 1000])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="Expected a PyTorch state dict"):
        build_network(SQUEEZENET.model_copy(update={"weights": f"file:{path}"}), 5, seed=0)


class _Attack:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("attacked"),)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickle_that_would_run_code_is_refused(
    wrapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if wrapped:
        torch.save({"weight": _Attack()}, "attack.pth")
    else:
        Path("attack.pth").write_bytes(pickle.dumps(_Attack()))
    with pytest.raises(WeightsError, match=r"run code|damaged"):
        build_network(SQUEEZENET.model_copy(update={"weights": "file:attack.pth"}), 5, seed=0)
    assert not Path("attacked").exists()


def test_tensors_without_names_are_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": make_state()}, tmp_path / "a.pth")
    spec = SQUEEZENET.model_copy(update={"weights": f"file:{tmp_path / 'a.pth'}"})
    with pytest.raises(WeightsError, match="named tensors only"):
        build_network(spec, 5, seed=0)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"no weights file at .*nowhere\.pth"):
        build_network(SQUEEZENET.model_copy(update={"weights": "file:nowhere.pth"}), 5, seed=0)


def test_a_former_run(tmp_path: Path) -> None:
    run = "0123456789abcdef"
    spec = SQUEEZENET.model_copy(update={"weights": f"run:{run}"})
    with pytest.raises(WeightsError, match=f"a network of run {run} to start from, got none"):
        build_network(spec, 3, seed=0)
    donor = build_network(SQUEEZENET, 3, seed=8)[0]
    start = RunWeights(1, tmp_path / "model.safetensors")
    save_network(donor, start.path)
    own = donor.state_dict()

    network, sentence = build_network(spec, 3, seed=0, start=start)
    assert sentence == f"Weights of run {run}, fold 2, from model.safetensors."
    assert all(torch.equal(value, own[name]) for name, value in network.state_dict().items())

    network, sentence = build_network(spec, 4, seed=0, start=start)
    same = {name for name, value in network.state_dict().items() if name in own}
    assert all(
        torch.equal(network.state_dict()[name], own[name])
        for name in same
        if not name.startswith("head.fire6_9.linear")
    )
    assert sentence.endswith("Random to begin with: head.fire6_9.linear.")


def test_the_real_imagenet_file(real_data: Path) -> None:
    path = real_data.parent / "weights" / "squeezenet1_1_imagenet.pth"
    if not path.exists():
        pytest.skip("no real weights")
    spec = NetworkSpec(head="torchvision", weights=f"file:{path}", image_size=64)
    network, sentence = build_network(spec, 11, seed=0)
    state = torch.load(path, weights_only=True)
    own = network.state_dict()
    for mine, theirs in network.torchvision_names().items():
        assert torch.equal(own[mine], state[theirs]) != theirs.startswith("classifier")
    assert json.dumps(sentence)


class Runs:
    """What a pickle would run if it were opened."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch ran",)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"words\n", b"0.5,0.25\n", b"a" * 5000, b"\x80\x02.", b"(l.", b"]q", b"PK\x03\x04 cut",
     pickle.dumps({"features.0.weight": 3}), pickle.dumps(Runs())],
)  # fmt: skip
def test_what_is_no_weights_file_is_said_in_a_sentence_and_never_run(
    content: bytes, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    spec = SQUEEZENET.model_copy(update={"weights": f"file:{path}"})
    with pytest.raises(WeightsError, match="Expected a PyTorch state dict"):
        build_network(spec, 5, seed=0)
    assert not (tmp_path / "ran").exists()


def test_a_bare_name_is_a_file_of_the_weights_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or, where there is none, of the folder that the command line is used in."""
    monkeypatch.chdir(tmp_path)
    assert weights_path("net.pth").resolve() == tmp_path / "net.pth"
    (weights_folder() / "net.pth").write_bytes(b"")
    assert weights_path("net.pth") == weights_folder() / "net.pth"
