"""Pages of a server that several people share: nobody finds what is another's, by whatever link."""

import ast
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from itsdangerous import TimestampSigner
from starlette.datastructures import Headers
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core import sharing
from core.data.choices import Choices, save_choices
from core.data.cohort import Cohort
from core.data.groups import keep_group
from core.data.simulate import simulate
from core.data.store import add_dataset, delete_dataset, list_datasets, load_dataset
from core.errors import InputError
from core.explain.methods import Recipe
from core.files import read_json, write_json
from core.home import at, dataset_folder, home, run_folder, serve_one, serve_people, server_home
from core.images.references import add_reference
from core.people import list_people, welcome
from core.predict.predicting import request_match
from core.predict.request import PredictRequest
from core.runs.doctor import reopen, set_aside_decisions
from core.runs.explaining import request_explanation
from core.runs.fitting import request_baselines
from core.runs.silenced import request_silence
from core.runs.store import RunStore
from core.runs.whatif import other_seed
from core.stories import create_story, list_stories, pin
from core.tissue.simulate import simulate_tissue
from core.tissue.store import add_tissue
from core.transfer.asked import transfer_folder
from core.transfer.methods.image_folder import Images
from core.transfer.pictures import keep_images
from core.transfer.spec import TransferSpec
from core.transfer.transferring import TransferJob
from tests.earlier_homes import HOMES, LATEST, unpack_home
from tests.pages import MAIN, button, open_page, words
from tests.runs import make
from tests.test_stories import make_view
from tests.transfers import add_pair
from tests.workers import in_place_of_the_worker
from ui import signin
from ui.kept import cache_data

ANNA, BERT, ADMIN = "anna@lab.org", "bert@lab.org", "admin@lab.org"
SECRET, COHORT = "Secret", "Secret cohort"


class Seat:
    """Who sits before the pages."""

    name: str | None = ANNA


@pytest.fixture
def seat(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seat]:
    home.mkdir()
    (home / "people.yaml").write_text(f"admins: [{ADMIN}]\n")
    found = Seat()
    monkeypatch.setenv("GENECANVAS_SIGN_IN", "openid")
    monkeypatch.setattr(signin, "_name_in", lambda _: found.name)
    signin._places.clear()
    serve_people(signin.find_place)
    yield found
    serve_one()


@pytest.fixture
def ids(seat: Seat, tmp_path: Path) -> dict[str, str]:
    """What stands in Anna's home, each thing called a secret."""
    unpack_home(LATEST, tmp_path / "unpacked" / "home")
    with at(server_home()):
        place = welcome(ANNA).home
    for path in (tmp_path / "unpacked" / "home").iterdir():
        shutil.move(path, place / path.name)
    with at(place):
        [old] = list_datasets()
        record = read_json(dataset_folder(old.id) / "record.json")
        write_json(dataset_folder(old.id) / "record.json", record | {"name": COHORT})
        dataset = add_dataset(simulate(50, 200, seed=7)[0], COHORT)
        keep_group(dataset.id, SECRET, list(load_dataset(dataset.id).obs_names[:5]))
        for run in RunStore().list():
            RunStore().label(run.id, name=SECRET, note=SECRET, tags=SECRET)
        model = "ab" * 8
        write_json(home() / "models" / model / "listing.json", {"name": SECRET})
        return {
            "dataset": dataset.id[:12],
            "run": next(run.id for run in RunStore().list() if run.state == "done"),
            "story": create_story(SECRET).id,
            "tissue": add_tissue(simulate_tissue(spots=20), SECRET).id,
            "model": model,
            "study": SECRET,
            **keep_things(SECRET, tmp_path),
        }


LINKS = [
    ("data", {"dataset": "dataset"}),
    ("images", {"dataset": "dataset"}),
    ("train", {"dataset": "dataset"}),
    ("train", {"run": "run"}),
    ("run", {"id": "run"}),
    ("compare", {"runs": "run", "detail": "run", "study": "study"}),
    ("explain", {"run": "run", "sets": "sets"}),
    ("predict", {"run": "run", "samples": "dataset"}),
    ("predict", {"run": "model"}),
    ("tissue", {"tissue": "tissue", "sections": "tissue"}),
    ("transfer", {"target": "dataset", "source": "dataset", "id": "transfer"}),
    ("transfer", {"ask": "images", "images": "pictures"}),
    ("story", {"id": "story"}),
    ("present", {"story": "story"}),
]
"""Page -> the parts of its link that name a thing, and what of the ids stands there."""
NAMELESS = {"computers", "docs", "lab", "people"}
"""Pages whose links name nothing of a home."""
VIEWS = {
    "class", "cohort", "distorted", "gene", "method", "metric", "notes", "other section", "read",
    "sample", "section", "slide", "spot", "together", "two_groups", "view",
}  # fmt: skip
"""Parts of links that choose within what a page shows already."""
RANDOM = re.compile(r'file_id: "\w+"|uuid: "\w+"|T_[0-9a-f]{5}')
"""Names of downloads and of coloured tables, others each time."""
DOORS = {"guest", "in"}
"""Parts that say whose home is looked at; tests of their own."""


def link_parts() -> set[str]:
    """All parts of links that the pages read, found in their code."""
    found = set()
    for path in [*(MAIN.parents[2] / "ui").rglob("*.py"), *(MAIN.parents[2] / "pages").glob("*")]:
        tree = ast.parse(path.read_text()) if path.suffix == ".py" else ast.Module([], [])
        names = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }  # fmt: skip
        for node in ast.walk(tree):
            said: list[ast.expr] = []
            if isinstance(node, ast.Subscript) and _is_link(node.value):
                said = [node.slice]
            elif isinstance(node, ast.Compare) and _is_link(node.comparators[0]):
                said = [node.left]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("pick"):
                said = [word.value for word in node.keywords if word.arg == "key"]
                said += node.args[3:4] if ast.unparse(node.func) == "pick" else []
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                reads = _is_link(node.func.value) and node.func.attr in ("get", "get_all", "pop")
                said = node.args[:1] if reads else []
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("pick"):
                named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                said = [default for one, default in named if one.arg == "key" and default]
            for one in said:
                part = names.get(one.id) if isinstance(one, ast.Name) else ast.literal_eval(one)
                found.add(part or ast.unparse(one))
    return found - {"key", "GENE", "LINK"}  # handed through `pick`; named by another module


def _is_link(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "query_params"


def test_every_page_and_every_part_of_a_link_is_walked() -> None:
    """Whoever adds one says here what of another's it could name."""
    pages = {path.stem for path in (MAIN.parents[2] / "pages").glob("*.py")}
    assert pages == {page for page, _ in LINKS} | NAMELESS
    assert link_parts() == {part for _, link in LINKS for part in link} | VIEWS | DOORS


def look(page: str, **query: str) -> AppTest:
    """As `open_page`, with what the caches hold of other sessions."""
    app = AppTest.from_file(str(MAIN), default_timeout=300)
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(f"../../pages/{page}.py").run()


def everything(app: AppTest) -> str:
    """All that a page says, sends or lets choose from."""
    said = [words(app)]
    said += [str(getattr(element, "proto", "")) for element in app.main]
    said += [str(box.options) for box in app.selectbox] + [str(box.value) for box in app.text_input]
    said += [str(table.value.to_dict()) for table in app.dataframe]
    return "\n".join(said)


@pytest.fixture
def bert(seat: Seat, tmp_path: Path) -> Path:
    """Bert's home, with things of his own, so that pages get as far as they can.

    No dataset: of one pages measure by themselves how long a training takes, which ends when it
    will.
    """
    unpack_home(HOMES[0], tmp_path / "earlier" / "home")
    with at(server_home()):
        place = welcome(BERT).home
    for path in (tmp_path / "earlier" / "home").iterdir():
        shutil.move(path, place / path.name)
    with at(place):
        keep_things("of Bert", tmp_path)
        create_story("of Bert")
        add_tissue(simulate_tissue(spots=20, seed=1), "of Bert")
        for dataset in list_datasets():
            delete_dataset(dataset.id)
    return place


def keep_things(name: str, folder: Path) -> dict[str, str]:
    """Gene sets, images and a question of transfer, under a name; gives their ids."""
    sets = folder / "sets.gmt"
    sets.write_text(f"{name.upper()}\tx\t{name}A\t{name}B\n")
    pixels, labels = np.full((8, 4, 4, 3), len(name), np.uint8), np.arange(8) % 2
    classes, names = (f"{name} a", f"{name} b"), tuple(f"{name} {n}" for n in range(8))
    images = Images(names, pixels, classes, labels, np.array(names))
    pair = add_pair()
    spec = TransferSpec(**pair, seed=len(name))
    key = TransferJob(spec=spec).key
    write_json(transfer_folder(key) / "spec.json", spec.model_dump(mode="json"))
    return {
        "sets": add_reference(sets, name), "pictures": keep_images(images, name)[:12],
        "transfer": key,
    }  # fmt: skip


def test_no_page_tells_whether_anothers_thing_exists(
    seat: Seat, ids: dict[str, str], bert: Path
) -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
    seen = set()
    for page, link in LINKS:
        seat.name = ANNA
        own = look(page, **{key: ids.get(kind, kind) for key, kind in link.items()})
        assert not own.exception, (page, own.exception)
        seen |= {page} if SECRET in everything(own) else set()
        seat.name = BERT
        asked = {key: ids.get(kind, kind) for key, kind in link.items()}
        unknown = {
            key: ("f0" * 32)[: len(ids[kind])] if kind in ids else kind
            for key, kind in link.items()
        }
        his, none = look(page, **asked), look(page, **unknown)
        assert not his.exception, (page, his.exception)
        assert SECRET not in everything(his), page
        said, expected = (RANDOM.sub("", everything(app)) for app in (his, none))
        for key in link:
            for size in (64, 20, 16, 12, 8, 6):
                said = said.replace(asked[key][:size], "ID")
                expected = expected.replace(unknown[key][:size], "ID")
        assert said == expected, page
    assert seen == {page for page, _ in LINKS}, "Anna sees what is hers, so the caches know it"
    assert not [path for path in bert.rglob("*") if SECRET in path.name]


def test_who_has_not_signed_in_sees_a_button_and_nothing_else(
    seat: Seat, ids: dict[str, str]
) -> None:
    seat.name = None
    for page, link in LINKS:
        app = look(page, **{key: ids.get(kind, kind) for key, kind in link.items()})
        assert [button.label for button in app.button] == ["Sign in"], page
        assert SECRET not in everything(app)
    assert [person.name for person in list_people()] == [ANNA]


def test_who_may_not_come_is_told_so(
    seat: Seat, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "people.yaml").write_text(f"admins: [{ADMIN}]\nmembers: ['*@lab.org']\n")
    seat.name = "eve@evil.org"
    app = look("data")
    assert "may not use this server" in words(app)
    assert [button.label for button in app.button] == ["Sign in as somebody else"]
    monkeypatch.setenv("GENECANVAS_SIGN_IN", "header")
    app = look("data")
    assert "may not use this server" in words(app)
    assert not app.button, "who has signed them in is the proxy"


def test_a_run_is_shared_and_taken(seat: Seat, ids: dict[str, str]) -> None:
    app = look("run", id=ids["run"])
    with at(welcome_home(ANNA)):
        sharing.share("run", ids["run"])
    seat.name = BERT
    app = look("lab")
    assert not app.exception
    assert SECRET in everything(app)
    app = look("run", id=ids["run"], **{"in": "lab"})
    assert not app.exception
    assert "held-out samples are right" in words(app)
    assert "You are looking at what the lab shares" in words(app)
    button(app, "Take it").click().run()
    with at(welcome_home(BERT)):
        taken = RunStore().get(ids["run"])
        assert (taken.name, taken.note, taken.tags) == (SECRET, "", "")
        assert not (run_folder(ids["run"]) / "log.txt").exists()
        assert list_datasets() == []
    app = look("run", id=ids["run"])
    assert "held-out samples are right" in words(app)


MAY_LOOK = {
    "Back to my own", "Take it", "What the lab shares", "See gene-images →", "See its last run →",
    "More about its genes →", "Compare runs →", "Open the run →", "Present", "Open this view →",
    "All runs",
}  # fmt: skip
"""Buttons of whoever only looks: none of them changes what is looked at."""


def lab_links(ids: dict[str, str], explained: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every page, and those views of it on which something is made."""
    for page, link in LINKS:
        yield page, {key: ids.get(kind, kind) for key, kind in link.items()}
    for view in ("Overview", "Groups", "Prepare"):
        yield "data", {"dataset": ids["dataset"], "data view": view}
    yield "images", {"dataset": ids["dataset"], "image view": "Compare layouts"}
    for view in ("Genes", "Trust card", "Gene sets", "Known markers", "Side by side"):
        yield "explain", {"run": explained, "method": "saliency", "explain view": view}


def test_who_only_looks_is_not_offered_what_is_refused(seat: Seat, ids: dict[str, str]) -> None:
    with at(welcome_home(ANNA)):
        explained = next(home().glob("runs/*/attributions/saliency.npz")).parts[-3]
        pin(ids["story"], make_view(), "KRT5 is high")
        for run in {ids["run"], explained}:
            sharing.share("run", run)
        for dataset in list_datasets():
            sharing.share("dataset", dataset.id)
        sharing.share("story", ids["story"])
    seat.name = BERT
    st.cache_data.clear()
    st.cache_resource.clear()
    for page, link in lab_links(ids, explained):
        app = look(page, **link, **{"in": "lab"})
        assert not app.exception, (page, link)
        assert {button.label for button in app.button} <= MAY_LOOK, (page, link)
        assert not app.get("file_uploader"), (page, link)
        assert not [area.label for area in app.text_area if not area.disabled], (page, link)
        assert "Nothing can be changed here: you" not in words(app), (page, link)
    app = look("run", id=ids["run"], **{"in": "lab"})
    assert "It can be computed in a home of your own" in words(app)
    assert "What-ifs can be asked of it in a home of your own" in words(app)


def test_the_core_refuses_what_is_not_offered(seat: Seat, ids: dict[str, str]) -> None:
    with at(welcome_home(ANNA)):
        dataset = next(one.id for one in list_datasets() if one.id.startswith(ids["dataset"]))
        run = RunStore().get(ids["run"])
        before = sorted(home().rglob("*"))
    recipe = Recipe("integrated_gradients")
    with at(welcome_home(ANNA), looks=True):
        for refused in (
            lambda: request_explanation(run.id, recipe),
            lambda: request_explanation(run.id, recipe, evidence=True),
            lambda: RunStore().submit(other_seed(run.spec, 9), "x", parent=run.id),
            lambda: RunStore().label(run.id, name="x"),
            lambda: RunStore().resume(run.id),
            lambda: RunStore().delete(run.id),
            lambda: reopen(run.id),
            lambda: request_baselines([run.id]),
            lambda: request_silence(run.id, ("TP53",)),
            lambda: keep_group(dataset, "x", ["a"]),
            lambda: save_choices(dataset, Choices()),
            lambda: set_aside_decisions(dataset),
            lambda: pin(ids["story"], make_view(), "x"),
            lambda: create_story("x"),
            lambda: request_match(PredictRequest(model=run.id, cohort=Cohort(dataset=dataset))),
        ):
            with pytest.raises(InputError, match="Nothing can be changed here"):
                refused()
        assert sorted(home().rglob("*")) == before


def test_a_guest_is_not_offered_what_is_refused(seat: Seat, ids: dict[str, str]) -> None:
    with at(welcome_home(ANNA)):
        [dataset] = [one.id for one in list_datasets() if one.id.startswith(ids["dataset"])]
        pin(ids["story"], make_view(), "KRT5 is high")
        tokens = {
            "data": sharing.invite("dataset", dataset),
            "run": sharing.invite("run", ids["run"]),
            "story": sharing.invite("story", ids["story"]),
        }
    seat.name = None
    app = look("data", dataset=ids["dataset"], guest=tokens["data"])
    assert COHORT in everything(app)
    assert not app.button
    for page, kind in (("run", "run"), ("story", "story"), ("present", "story")):
        link = {"run": {"id": ids["run"]}, "story": {"id": ids["story"]},
                "present": {"story": ids["story"]}}[page]  # fmt: skip
        app = look(page, **link, guest=tokens[kind])
        assert not app.exception
        assert {button.label for button in app.button} <= {"Present"}, page


def test_a_guest_looks_at_one_run_and_changes_nothing(seat: Seat, ids: dict[str, str]) -> None:
    with at(welcome_home(ANNA)):
        token = sharing.invite("run", ids["run"])
        before = sorted(home().rglob("*"))
    seat.name = None
    app = look("run", id=ids["run"], guest=token)
    assert not app.exception
    assert "held-out samples are right" in words(app)
    assert "You are a guest" in words(app)
    other = look("data", dataset=ids["dataset"], guest=token)
    assert COHORT not in everything(other)
    with at(server_home()):
        place = sharing.guest_home(sharing.find_invitation(token))
    with at(place, looks=True):
        assert not RunStore().get(ids["run"]).starred
        assert list_datasets() == list_stories() == []
    with at(welcome_home(ANNA)):
        assert not RunStore().get(ids["run"]).starred
        assert sorted(home().rglob("*")) == before
        sharing.end_invitation(sharing.list_invitations()[0].key)
    signin._places.clear()
    app = look("run", id=ids["run"], guest=token)
    assert "leads nowhere any more" in words(app)
    assert SECRET not in everything(app)


def test_only_admins_have_the_page_of_people(seat: Seat, ids: dict[str, str]) -> None:
    for name, there in ((BERT, False), (ADMIN, True)):
        seat.name = name
        app = AppTest.from_file(str(MAIN), default_timeout=300).run()
        if not there:
            with pytest.raises(ValueError, match="Could not find a navigation page"):
                app.switch_page("../../pages/people.py")
            continue
        app = app.switch_page("../../pages/people.py").run()
        assert not app.exception
        assert ANNA in everything(app)
        assert SECRET not in everything(app)


@pytest.fixture
def overview(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """What an admin sees of Bert, who has data, shares it, and has two runs in the queue.

    They stay there: a page that measures what a run would cost has workers started for all that
    waits.
    """
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    with at(welcome_home(BERT)):
        dataset = add_dataset(simulate(50, 200)[0], COHORT).id
        sharing.share("dataset", dataset)
        sharing.invite("dataset", dataset)
        for seed in (1, 2):
            RunStore().submit(make(dataset, seed=seed), SECRET)
    with at(welcome_home(ANNA)):
        add_dataset(simulate(50, 200, seed=1)[0], "of Anna")
    seat.name = ADMIN
    app = look("people")
    bert = next(n for n, name in enumerate(app.dataframe[0].value["name"]) if name == BERT)
    app.session_state["people"] = {"selection": {"rows": [bert], "columns": [], "cells": []}}
    with ExitStack() as stack:
        with at(server_home()):
            stack.enter_context(in_place_of_the_worker())
        yield app.run()


def test_an_admin_stops_work_and_takes_back_and_clears(overview: AppTest) -> None:
    app = overview
    assert not app.exception
    assert "At work: 2" in words(app).replace("**", "")
    assert "2 × train, queued" in words(app)
    assert "Shares 1 with the lab, 1 by guests' links." in words(app)
    assert COHORT not in everything(app)
    assert SECRET not in everything(app)
    app.checkbox[0].check().run()
    assert button(app, "Clear their home").disabled, "their work goes on"
    app = button(app, "Stop all of it").click().run()
    with at(welcome_home(BERT)):
        assert [run.state for run in RunStore().list()] == ["cancelled"] * 2
        assert len(list_datasets()) == 1
    app = button(app, "Take that back").click().run()
    with at(welcome_home(BERT)):
        assert sharing.list_shared() == sharing.list_invitations() == []
        assert len(list_datasets()) == 1, "it is still theirs"
    assert "Take that back" not in {one.label for one in app.button}
    app.checkbox[0].uncheck().run()
    assert button(app, "Clear their home").disabled
    app.checkbox[0].check().run()
    app = button(app, "Clear their home").click().run()
    assert not app.exception
    with at(welcome_home(BERT)):
        assert list_datasets() == RunStore().list() == []
    with at(welcome_home(ANNA)):
        assert len(list_datasets()) == 1
    assert [person.name for person in list_people()] == [ADMIN, ANNA, BERT]


def test_an_admin_gives_a_person_limits_which_hold_at_once(overview: AppTest, seat: Seat) -> None:
    app = overview

    def limit(title: str):
        return next(box for box in app.number_input if box.label == title)

    limit("Runs in the queue").set_value(2.5)
    app = button(app, "Set them").click().run()
    assert "whole" in app.error[0].value
    limit("Runs in the queue").set_value(2)
    limit("Hours of a device in 7 days").set_value(8)
    app = button(app, "Set them").click().run()
    assert not app.exception
    assert not app.error
    with at(welcome_home(BERT)):
        [dataset] = list_datasets()
        with pytest.raises(InputError, match="2 runs of yours wait or run"):
            RunStore().submit(make(dataset.id, seed=3))
    seat.name = BERT
    app = look("data")
    app.session_state["account"] = True
    app.run()
    assert "of 8 hours that you may take" in words(app)
    assert "2 runs wait or run of 2" in words(app)
    app = look("train")
    assert "2 runs of yours wait or run, 3 more are asked for, and 2 may" in words(app)
    assert button(app, "Start training").disabled
    app.segmented_control(key="level").set_value("study").run()
    assert "2 runs of yours wait or run" in words(app)
    assert button(app, "Start the study").disabled


def test_who_lost_the_right_can_press_nothing_that_is_still_shown(
    overview: AppTest, home: Path
) -> None:
    (home / "people.yaml").write_text("admins: [other@lab.org]\n")
    app = button(overview, "Stop all of it").click().run()
    assert BERT not in everything(app)
    with at(welcome_home(BERT)):
        assert [run.state for run in RunStore().list()] == ["queued"] * 2


def test_a_person_ends_their_guests_link(seat: Seat) -> None:
    with at(welcome_home(ANNA)):
        story = create_story(SECRET).id
        token = sharing.invite("story", story)
    app = look("data")
    app.session_state["account"] = True
    app.run()
    button(app, "End it").click().run()
    assert sharing.find_invitation(token) is None


def test_one_person_alone_sees_nothing_of_all_this(home: Path) -> None:
    add_dataset(simulate(50, 200)[0], "mine")
    app = open_page("data")
    assert not app.exception
    assert {"Share", "Account", "Lab", "People"}.isdisjoint(everything(app).split())
    assert not list(home.glob("people*"))
    assert not list(home.glob("lab"))


def welcome_home(name: str) -> Path:
    with at(server_home()):
        return welcome(name).home


def test_what_pages_remember_is_of_a_home(seat: Seat) -> None:
    asked = []

    @cache_data(show_spinner=False)
    def read(id: str, _more: object = None) -> str:
        asked.append(id)
        return f"{home().name} {id}"

    for name in (ANNA, BERT, ANNA):
        with at(welcome_home(name)):
            assert read("x", _more=object()) == f"{home().name} x"
            assert read("x") == read("x", _more=1)
    assert len(asked) == 2
    read.clear()


def test_what_a_session_left_that_is_gone_is_nobodys(seat: Seat, monkeypatch) -> None:
    """Its files stay for a while: who has not signed in was taken for who began it."""
    user = {"is_logged_in": True}
    sessions = {"anna": SimpleNamespace(session=SimpleNamespace(_user_info=user))}
    files = SimpleNamespace(
        _files_by_session_and_coord={"anna": {"0": "f1"}}, _storage=MemoryMediaFileStorage("/media")
    )
    runtime = SimpleNamespace(
        _session_mgr=SimpleNamespace(get_session_info=sessions.get), media_file_mgr=files
    )
    monkeypatch.setattr(signin, "get_instance", lambda: runtime)
    monkeypatch.setattr(signin, "_name_in", lambda said: ANNA if said else None)
    upload, file = "/_stcore/upload_file/anna/1", "/media/f1.csv"

    def refused(name: str | None) -> list[bool]:
        monkeypatch.setattr(signin, "name_of_request", lambda _: name)
        return [
            bool(signin.refuse({"type": "http", "path": path, "headers": []}))
            for path in (upload, file)
        ]

    assert [refused(ANNA), refused(BERT), refused(None)] == [[False] * 2, [True] * 2, [True] * 2]
    sessions.clear()
    assert [refused(ANNA), refused(BERT), refused(None)] == [[True] * 2] * 3


def test_a_cookie_that_has_expired_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_SIGN_IN", "openid")
    monkeypatch.setattr(starlette_websocket, "get_cookie_secret", lambda: "s" * 64)
    said = json.dumps({"is_logged_in": True, "email": ANNA, "email_verified": True})
    for days, name in ((0, ANNA), (29, ANNA), (32, None)):
        with monkeypatch.context() as patch:
            then = int(time.time()) - days * 86_400
            patch.setattr(TimestampSigner, "get_timestamp", lambda _, then=then: then)
            cookie = create_signed_value("s" * 64, USER_COOKIE_NAME, said)
        headers = {"cookie": f"{USER_COOKIE_NAME}={cookie.decode()}"}
        assert signin.name_of_request(Headers(headers)) == name
