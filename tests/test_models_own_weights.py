"""Weights files that somebody brings: read without rights, kept under their hash, counted."""

import hashlib
import os
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file

from core.errors import InputError, WeightsError
from core.home import at
from core.jobs.launch import cancel
from core.models.bringing import read_numbers
from core.models.network import build_network
from core.models.own_weights import (
    bring_weights,
    delete_brought,
    list_brought,
    list_own_weights,
    weights_path,
)
from core.models.spec import NetworkSpec
from core.people import welcome
from core.runs.store import RunStore
from tests.runs import make


class Runs:
    """What a pickle would run if it were opened."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch ran",)


def weights_file(path: Path, seed: int = 0) -> Path:
    """A file as torchvision's own are: its names, and a classifier for 1 000 classes."""
    torch.manual_seed(seed)
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    return path


def test_a_file_that_is_brought_is_kept_under_its_hash_and_a_run_starts_from_it(
    tmp_path: Path, home: Path
) -> None:
    path = weights_file(tmp_path / "my net (best).pth")
    fitting = bring_weights(path)
    assert fitting.networks == ["SqueezeNet 1.1"]
    [brought] = list_brought()
    assert brought.name == fitting.name
    kept = weights_path(brought.name)
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    assert brought.name == f"my-net-best-{digest[:16]}.safetensors"
    assert brought.bytes == kept.stat().st_size
    assert list_own_weights() == [brought.name]
    assert bring_weights(path).name == brought.name
    assert len(list_brought()) == 1
    spec = NetworkSpec(image_size=32, weights=f"file:{brought.name}")
    network, sentence = build_network(spec, 5, seed=0)
    given = torch.load(path, weights_only=True)
    for mine, theirs in network.torchvision_names().items():
        assert torch.equal(network.state_dict()[mine], given[theirs])
    assert sentence.startswith(f"Weights from {brought.name}.")
    path.write_bytes(b"gone")
    delete_brought(brought.name)
    assert list_brought() == list_own_weights() == []
    with pytest.raises(InputError, match="no weights file"):
        delete_brought(brought.name)
    assert not [file for file in (home / "brought").iterdir() if file.is_file()]


def test_of_a_file_for_other_networks_that_is_said(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(3, dtype=torch.half)}, tmp_path / "a.pt")
    assert bring_weights(tmp_path / "a.pt").networks == []
    assert load_file(weights_path(list_brought()[0].name))["a.weight"].dtype == torch.half


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (Runs(), "never opened here"),
        ({"a": Runs()}, "never opened here"),
        ({"a": 3}, "named tensors only"),
        ({}, "holds no tensors"),
        ({"a": torch.tensor([1.0, float("nan")])}, "infinite or missing numbers in 'a'"),
        ({"a": torch.eye(3).to_sparse()}, "'a' packed"),
    ],
)
def test_what_is_no_weights_file_is_refused(
    content: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=says):
        read_numbers(tmp_path / "net.pth")
    assert not (tmp_path / "ran").exists()


def test_a_refusal_names_no_folder_and_keeps_nothing(tmp_path: Path) -> None:
    for name, content in (("words.pth", b"words"), ("words.safetensors", b"\xff" * 100)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"^{name} .*no weights file at all") as refused:
            bring_weights(tmp_path / name)
        assert str(tmp_path) not in str(refused.value)
    assert list_brought() == []


def test_no_room_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights_file(tmp_path / "net.pth")
    monkeypatch.setenv("GENECANVAS_LIMIT_GB", "0.009")
    assert bring_weights(path)
    (tmp_path / "other").mkdir()
    torch.save({"a": torch.ones(2_000_000)}, tmp_path / "other" / "net.pth")
    with pytest.raises(InputError, match=r"needs 8.0 MB, and 4.1 MB are left.*brought 4.9 MB"):
        bring_weights(tmp_path / "other" / "net.pth")
    assert len(list_brought()) == 1


def test_a_file_that_a_waiting_run_begins_with_is_not_deleted(tmp_path: Path) -> None:
    name = bring_weights(weights_file(tmp_path / "net.pth")).name
    spec = make("0" * 64, network={"image_size": 32, "weights": f"file:{name}"})
    record, _ = RunStore().submit(spec)
    assert record.job.inputs().files == (f"brought/{name}",)
    with pytest.raises(InputError, match=r"needed by .* which isn't done"):
        delete_brought(name)
    cancel(record.id)
    delete_brought(name)


def test_what_one_person_brings_is_theirs_and_one_name_is_one_content(
    tmp_path: Path, home: Path
) -> None:
    home.mkdir()
    (home / "people.yaml").write_text("admins: [anna@lab.org]\nquota: {disk_gb: 0.008}\n")
    anna, bert = (welcome(name).home for name in ("anna@lab.org", "bert@lab.org"))
    names = []
    for number, place in enumerate((anna, bert)):
        with at(place):
            names.append(bring_weights(weights_file(tmp_path / "net.pth", number)).name)
            assert list_own_weights() == [names[-1]]
            with pytest.raises(InputError, match="may be stored in your home"):
                bring_weights(tmp_path / "net.pth")
    assert names[0] != names[1]
    with at(bert):
        for ask in (weights_path, delete_brought):
            with pytest.raises((InputError, WeightsError)) as known:
                ask(names[0])
            with pytest.raises((InputError, WeightsError)) as unknown:
                ask("other")
            assert str(known.value).replace(names[0], "other") == str(unknown.value)
    with at(anna, looks=True):
        assert weights_path(names[0]).is_file()
        for change in (
            lambda: bring_weights(tmp_path / "net.pth"),
            lambda: delete_brought(names[0]),
        ):
            with pytest.raises(InputError, match="Nothing can be changed here"):
                change()
