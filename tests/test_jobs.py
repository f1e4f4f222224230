"""Jobs of every kind keep one contract; a new kind has it all for being written down."""

import errno
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec
from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.devices import devices
from core.errors import InputError
from core.explain.methods import Recipe
from core.files import read_json, write_json
from core.home import home as open_home
from core.home import run_folder
from core.images.layouts import LayoutSpec
from core.images.references import add_reference
from core.images.trial import LayoutJob, Trial
from core.jobs import launch
from core.jobs.here import do_here
from core.jobs.job import KINDS, Inputs, Job, Lane, Pace, job_class
from core.jobs.launch import answer_state, ensure_workers, foresee, request
from core.jobs.queue import Queue
from core.jobs.record import JobState, Worker, read_log
from core.jobs.store import JobStore
from core.jobs.worker import Stop, run_one, run_waiting
from core.predict.exporting import ExportJob
from core.predict.predicting import MatchJob, PredictJob, WhyJob
from core.predict.request import PredictRequest
from core.predict.robustness import RobustnessJob
from core.processes import ROOT
from core.runs.estimate import estimate_job
from core.runs.execute import Silent, execute
from core.runs.explaining import EvidenceJob, ExplainJob
from core.runs.fitting import BaselinesJob
from core.runs.silenced import SilenceJob
from core.runs.spec import RunSpec
from core.runs.speed import SpeedJob, load_speeds
from core.runs.store import RunStore, drop_dataset
from core.runs.training import TrainJob
from core.tissue.job import PredictTissueJob, SeeTissueJob, TissueJob, job_of
from core.tissue.predicting import effects_path, prediction_folder
from core.tissue.result import answer_folder
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.store import add_tissue, list_tissues
from core.transfer.enquiring import AnyEnquiry, EnquiryJob, parse_enquiry
from core.transfer.spec import TransferSpec
from core.transfer.transferring import TransferJob
from tests.counting import CountJob, PreparedCount, QueuedCount, told
from tests.held import has_stopped, held
from tests.workers import LONG, wait_until

FOLDS = ("predictions.csv", "model.safetensors", "preprocessor.npz", "layout.npz")
LEFT = {
    "baselines": "baselines/*",
    "silence": "silenced/*",
    "robustness": "robustness.json",
    "match": "predictions/*/*.*",
    "predict": "predictions/*/*.*",
    "why": "predictions/*/*.*",
    "export": "model.zip",
}
"""What other jobs than attributions leave in a run's folder."""
TYPES = {"tumour_type": ["BRCA", "KIRC"]}
"""Of the simulated ones; two are quicker than five."""


@pytest.fixture(autouse=True)
def count_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a new kind needs; this machine has one device, whatever it has."""
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")


def the_worker(lane: Lane = Lane.INTERACTIVE) -> subprocess.Popen:
    """The worker that this process started last for a lane."""
    return launch._started[JobStore().lease_path("cpu", lane, 0)][0]


def test_a_new_kind_of_job_has_queue_progress_cancel_resume_and_log(slow_start: None) -> None:
    store, job = JobStore(), CountJob(to=3000, wait=0.01)
    record = request(job)
    assert (record.id, record.name) == (job.key, "Counting to 3000")
    assert request(job).id == record.id, "the same question, the same job"
    wait_until(lambda: store.get(record.id).done >= 3)
    assert store.get(record.id).message.startswith("counted ")
    assert [row["number"] for _, row in store.events(record.id)][:3] == [1, 2, 3]
    launch.cancel(record.id)
    wait_until(lambda: store.get(record.id).state == JobState.CANCELLED)
    assert the_worker().wait(LONG) == 0
    before = len(read_json(record.folder / "counted.json"))
    assert 3 <= before < 3000
    request(job)
    wait_until(lambda: store.get(record.id).done > before)
    store.stop_early(record.id)
    wait_until(lambda: store.get(record.id).state == JobState.DONE)
    log = read_log(record.folder, 5000)
    assert log.count("counted 3\n") == 1, "it went on from where it was"
    assert log.count(f"count {record.id} on cpu, Counting to 3000") == 2
    assert len(inspect.getsource(CountJob).splitlines()) < 30


# --- One contract for every kind --------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a dataset and a finished run."""
    place = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENECANVAS_HOME", str(place))
        dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
        small_enquiry(dataset)
        add_tissue(simulate_tissue(4, 60, 60), "planted")
        do_here(TissueJob(asked=small_question()), lambda *_: None)
        spec = make_spec(dataset)
        store = RunStore()
        run = store.submit(spec)[0].id
        store.claim("cpu")
        execute(spec, run_folder(run), Silent())
        store.finish(run, JobState.DONE)
    return place


def small_question() -> TissueSpec:
    """A frozen network on a few spots, which are stored."""
    tissue = add_tissue(simulate_tissue(2, 12, 6, driven=2, side=32), "small").id
    return TissueSpec(tissue=tissue, genes=4, backbone="squeezenet1_1", weights="scratch")


def small_enquiry(dataset: str) -> AnyEnquiry:
    """Programs of a few genes; their sets are kept."""
    genes = list(load_dataset(dataset).var_names)
    sets = "".join(f"set {n}\t\t" + "\t".join(genes[n : n + 30]) + "\n" for n in range(0, 90, 30))
    path = open_home() / "sets.gmt"
    path.write_text(sets)
    cohort = {"dataset": dataset, "where": TYPES}
    return parse_enquiry({"question": "programs", "source": cohort, "target": cohort,
                          "gene_sets": add_reference(path)})  # fmt: skip


def make_spec(dataset: str, epochs: int = 2) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {
                "dataset": dataset,
                "label": "tumour_type",
                "group": "patient",
                "where": TYPES,
            },
            "preparation": {"genes": 60},
            "network": {"image_size": 32, "pool": 2},
            "training": {"epochs": epochs, "batch_size": 16, "precision": "float32"},
        }
    )


def make_job(kind: str) -> Job:
    """A small job of a kind, in the template's home or a copy of it."""
    [record] = RunStore().list()
    dataset, run = record.spec.cohort.dataset, record.id
    trial = Trial(
        cohort=Cohort(dataset=dataset, label="tumour_type"),
        preparation=PreparationSpec(genes=50),
        layout=LayoutSpec(name="tsne"),
    )
    asked = PredictRequest(model=run, cohort=Cohort(dataset=dataset, label="tumour_type"))
    about = {"about": run, "asked": asked}
    site = {"dataset": dataset, "label": "tumour_type", "group": "patient"}
    transfer = TransferSpec.parse(
        {
            "sources": [{**site, "where": {**TYPES, "batch": ["batch 2", "batch 3"]}}],
            "target": {**site, "where": {**TYPES, "batch": ["batch 1", "batch 4"]}},
            "budgets": [5, "all"],
            "draws": 4,
        }
    )
    planted = next(tissue.id for tissue in list_tissues() if tissue.name == "planted")
    return {
        "count": lambda: CountJob(to=200, wait=0.005),
        "train": lambda: TrainJob(spec=make_spec(dataset, epochs=8)),
        "explain": lambda: ExplainJob(about=run, recipe=Recipe("integrated_gradients")),
        "evidence": lambda: EvidenceJob(about=run, recipe=Recipe("gradcam")),
        "baselines": lambda: BaselinesJob(about=(run,)),
        "silence": lambda: SilenceJob(about=run, genes=tuple(load_dataset(dataset).var_names[:9])),
        "layout": lambda: LayoutJob(trial=trial),
        "robustness": lambda: RobustnessJob(about=run),
        "match": lambda: MatchJob(**about),
        "predict": lambda: PredictJob(**about),
        "transfer": lambda: TransferJob(spec=transfer),
        "enquiry": lambda: EnquiryJob(enquiry=small_enquiry(dataset)),
        "export": lambda: ExportJob(about=run),
        "speed": lambda: SpeedJob(networks=("squeezenet1_1",), sizes=(32,)),
        "estimate": lambda: estimate_job(make_spec(dataset, epochs=8)),
        "tissue": lambda: TissueJob(asked=TissueSpec(tissue=planted, genes=30)),
        "tissue_train": lambda: job_of(small_question().changed(train=True, epochs=1)),
        "tissue_predict": lambda: PredictTissueJob(asked=small_question(), section=planted),
        "tissue_see": lambda: SeeTissueJob(asked=small_question(), spot="S1_0x0"),
        "why": lambda: WhyJob(**about, samples=tuple(load_dataset(dataset).obs_names[:2])),
    }[kind]()


ALL_KINDS = ["count", *[kind for kind in KINDS if kind != "count"]]


@pytest.fixture(params=ALL_KINDS)
def job(request: pytest.FixtureRequest, template: Path, home: Path) -> Job:
    """A small job of each kind, in a home of its own."""
    shutil.copytree(template, home)
    return make_job(request.param)


def results(job: Job, id: str) -> dict[str, object]:
    """All that a job leaves, but for the time that it took."""
    if job.kind == "count":
        return {"counted": read_json(job.folder(id) / "counted.json")}
    if job.kind == "speed":
        return {"measured": load_speeds().table()["network"].tolist()}
    if job.kind == "estimate":
        return {"parameters": job.known().parameters}
    if job.kind == "layout":
        return {
            "layout": job.trial.layout_path.read_bytes(),
            "quality": read_json(job.trial.quality_path)["quality"],
        }
    if job.kind in ("tissue", "tissue_train"):
        paths = [*answer_folder(job.asked).iterdir()]
    elif job.kind == "tissue_predict":
        paths = [*prediction_folder(job.asked, job.section).iterdir()]
    elif job.kind == "tissue_see":
        paths = [effects_path(job.asked, job.spot)]
    elif job.kind in ("transfer", "enquiry"):
        paths = [*job.place.glob("*.*")]
    elif job.kind == "train":
        paths = [job.folder(id) / "folds/0" / name for name in FOLDS]
    else:
        run = job.about[0] if job.kind == "baselines" else job.about
        pattern = LEFT.get(job.kind, "attributions/*.*")
        paths = [*run_folder(run).glob(pattern)]
    whole = [path for path in paths if not path.name.startswith(".")]  # what was half written stays
    assert whole
    return {path.name: path.read_bytes() for path in whole}


def run_here(job: Job) -> str:
    """Run the first job of the lane in this process; gives its id."""
    store = JobStore()
    record = store.claim("cpu", job.lane)
    run_one(store, record, "cpu", Stop())
    return record.id


@pytest.fixture(scope="module")
def done_homes() -> dict[str, Path]:
    """The homes that `done` has made, by the kind of their job."""
    return {}


@pytest.fixture
def done(
    job: Job, template: Path, done_homes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A home in which the job was done and nothing happened to it; each kind is done once."""
    if job.kind not in done_homes:
        place = tmp_path_factory.mktemp(job.kind) / "home"
        shutil.copytree(template, place)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GENECANVAS_HOME", str(place))
            JobStore().submit(job)
            id = run_here(job)
            assert JobStore().get(id).state == JobState.DONE, JobStore().get(id).reason
        done_homes[job.kind] = place
    return done_homes[job.kind]


@pytest.fixture
def undisturbed(job: Job, done: Path) -> dict[str, object]:
    """What the job leaves when nothing happens to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENECANVAS_HOME", str(done))
        return results(job, job.key)


def test_a_killed_and_a_cancelled_job_ends_with_the_same_bits(
    job: Job, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the first of its files is about to be there."""
    store = JobStore()
    id = store.submit(job)[0].id
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, job.kind, held(job.kind)[job.kind])
        ensure_workers()
    wait_until(lambda: has_stopped(job.folder(id)))
    the_worker(job.lane).kill()
    the_worker(job.lane).wait()
    store.reconcile()
    assert store.get(id).state == JobState.QUEUED
    assert read_log(job.folder(id)).startswith("worker ")

    store.claim("cpu", job.lane)
    store.cancel(id)
    run_one(store, store.get(id), "cpu", Stop())
    assert store.get(id).state == JobState.CANCELLED

    store.resume(id)
    assert run_here(job) == id
    assert store.get(id).state == JobState.DONE, store.get(id).reason
    assert results(job, id) == undisturbed


def test_a_full_disk_fails_a_job_and_it_is_resumed_when_there_is_room(
    job: Job, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore()
    id = store.submit(job)[0].id

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("core.files.os.fsync", refuse)
        run_here(job)
    assert store.get(id).state == JobState.FAILED
    assert "Is the disk full? It can be resumed." in store.get(id).reason
    store.resume(id)
    run_here(job)
    assert store.get(id).state == JobState.DONE, store.get(id).reason
    assert results(job, id) == undisturbed


def test_a_job_is_one_document_and_says_what_it_needs(job: Job) -> None:
    again = job_class(job.kind).restore(job.content())
    assert (again, again.key) == (job, job.key)
    assert job.title()
    [run] = RunStore().list()
    needs = job.inputs()
    about_data = not job.kind.startswith(("count", "speed", "estimate", "tissue"))
    assert needs.datasets == ((run.spec.cohort.dataset,) if about_data else ())
    about_run = about_data and job.kind not in ("train", "layout", "transfer", "enquiry")
    assert needs.jobs == ((run.id,) if about_run else ())
    JobStore().submit(job)
    if needs.datasets:
        with pytest.raises(InputError, match=f"{job.kind} {job.key} .queued."):
            drop_dataset(run.spec.cohort.dataset)
    if needs.jobs:
        with pytest.raises(InputError, match=f"{job.kind} {job.key} .queued."):
            RunStore().delete(run.id)
        JobStore().cancel(job.key)
        RunStore().delete(run.id)
        assert job.key not in JobStore().ids(), "answers about a run go with it"


def test_a_result_that_stands_is_not_asked_for_again(job: Job, done: Path, home: Path) -> None:
    if job.kind in ("count", "train"):
        pytest.skip("kept by its record, not by a file elsewhere")
    shutil.rmtree(home)
    shutil.copytree(done, home)
    with_result = job.stands()
    JobStore().delete(job.key)
    request(job)
    assert with_result
    assert JobStore().look_up(job) is None
    assert not launch._started.get(JobStore().lease_path("cpu", job.lane, 0))


class EndsWhileLookedAt(CountJob):
    """Its result comes right after somebody has looked for it."""

    kind = "ends while looked at"

    def stands(self) -> bool:
        stood = (path := self.folder(self.key) / "counted.json").exists()
        write_json(path, [1])
        record = JobStore().claim("cpu", self.lane)
        if record is not None:
            JobStore().finish(record.id, JobState.DONE)
        return stood


def test_an_answer_that_comes_in_this_moment_is_not_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(KINDS, EndsWhileLookedAt.kind, f"{__name__}:EndsWhileLookedAt")
    job = EndsWhileLookedAt(to=1)
    JobStore().submit(job)
    assert [answer_state(job).state for _ in range(2)] == ["working", "done"]


def test_kinds_that_say_so_need_no_torch(template: Path, home: Path) -> None:
    """All of them in one process, which never loads torch."""
    shutil.copytree(template, home)
    jobs = [job for job in map(make_job, ALL_KINDS) if not job.uses_torch]
    store = JobStore()
    for job in jobs:
        store.submit(job)
    code = (
        "from core.jobs.job import KINDS; KINDS['count'] = 'tests.counting:CountJob'\n"
        "from core.jobs.worker import Stop, run_one; from core.jobs.store import JobStore\n"
        "store = JobStore()\n"
        "while record := store.claim('cpu', 'interactive'): run_one(store, record, 'cpu', Stop())\n"
        "import sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    for job in jobs:
        record = store.get(job.key)
        assert record.state == JobState.DONE, (record.kind, record.reason)


# --- Jobs that the asking process does itself ----------------------------------------------------


def test_a_job_done_here_is_listed_and_kept_by_its_lease() -> None:
    store, job, seen = JobStore(), CountJob(to=3), []

    def look(share: float, text: str) -> None:
        store.reconcile()
        record = store.get(job.key)
        seen.append((record.state, text))
        assert record.slot >= launch.WORKERS[job.lane], "no worker's place is taken"

    assert do_here(job, look) == job.key
    assert seen == [(JobState.RUNNING, f"counted {n}") for n in (1, 2, 3)]
    assert store.get(job.key).state == JobState.DONE
    assert "counted 3" in read_log(job.folder(job.key))
    do_here(job, look)
    assert len(seen) == 3, "the same question, the same job"


def test_a_job_done_here_is_cancelled_from_a_page_and_its_process_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CountJob, "patience", 0.0)
    store, job = JobStore(), CountJob(to=9, wait=0.1)
    with pytest.raises(InputError, match=r"Counting to 9: cancelled\. Cancelled by the user\."):
        do_here(job, lambda *_: launch.cancel(job.key))
    assert store.get(job.key).state == JobState.CANCELLED

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_here(job, interrupt)
    assert store.get(job.key).state == JobState.CANCELLED
    assert "interrupted" in store.get(job.key).reason
    do_here(job, lambda *_: None)
    assert store.get(job.key).state == JobState.DONE


def test_a_job_that_a_worker_has_is_waited_for_and_a_dead_process_s_is_done() -> None:
    store, job = JobStore(), CountJob(to=100, wait=0.01)
    request(job)
    wait_until(lambda: store.get(job.key).done > 0)
    do_here(job, lambda *_: None)
    assert read_log(job.folder(job.key), 5000).count("worker ") == 1
    dead = CountJob(to=2)
    store.begin(dead, Worker("cpu", Lane.INTERACTIVE, launch.WORKERS[Lane.INTERACTIVE]))
    do_here(dead, lambda *_: None)
    assert store.get(dead.key).state == JobState.DONE


# --- Lanes, order and warm workers ------------------------------------------------------------


class Needy(QueuedCount):
    """A job that starts after another."""

    kind = "needy"

    after: str

    def inputs(self) -> Inputs:
        return Inputs(jobs=(self.after,))


def test_a_job_waits_for_those_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "needy", f"{__name__}:Needy")
    store, first = JobStore(), CountJob(to=1)
    needy = Needy(to=1, after=first.key)
    store.submit(first)
    store.submit(needy)
    assert store.claim("cpu", Lane.QUEUE) is None
    assert store.waiting(Lane.QUEUE) == 0
    store.claim("cpu", Lane.INTERACTIVE)
    store.finish(first.key, JobState.FAILED, "whatever")
    assert store.claim("cpu", Lane.QUEUE).job == needy, "it says by itself what it lacks"


def test_a_follower_is_queued_when_its_job_is_done_and_only_then() -> None:
    store, first, follower = JobStore(), CountJob(to=1), CountJob(to=2)
    store.submit(first)
    store.let_follow(first.key, follower)
    for state in (JobState.FAILED, JobState.DONE):
        assert store.look_up(follower) is None
        store.claim("cpu", Lane.INTERACTIVE)
        store.finish(first.key, state)
        if state.resumable:
            store.resume(first.key)
    assert store.look_up(follower).state == JobState.QUEUED
    store.claim("cpu", Lane.INTERACTIVE)
    store.finish(follower.key, JobState.CANCELLED)
    store.let_follow(first.key, follower)
    assert store.get(follower.key).state == JobState.QUEUED, "that job is done already"


@pytest.fixture
def two_devices(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu:0,cpu:1")
    monkeypatch.setitem(KINDS, "queued count", "tests.counting:QueuedCount")
    yield ["cpu:0", "cpu:1"]
    for device in devices():
        worker, _ = launch._started.get(JobStore().lease_path(device), (None, 0))
        if worker:
            worker.kill()
            worker.wait()


def test_every_device_has_a_worker_and_one_may_die(two_devices: list[str]) -> None:
    store = JobStore()
    long = [store.submit(QueuedCount(to=to, wait=0.01))[0].id for to in (90_000, 90_001)]
    ensure_workers()
    wait_until(lambda: all(store.get(job).done for job in long))
    assert {store.get(job).device for job in long} == set(two_devices)
    short = [store.submit(QueuedCount(to=to))[0].id for to in (2, 3)]
    doomed = next(job for job in long if store.get(job).device == "cpu:0")
    [other] = set(long) - {doomed}
    launch._started[store.lease_path("cpu:0")][0].kill()
    launch._started[store.lease_path("cpu:0")][0].wait()
    store.reconcile()
    assert store.get(doomed).state == JobState.QUEUED
    store.cancel(doomed)
    seen = store.get(other).done
    wait_until(lambda: store.get(other).done > seen)
    assert store.get(other).state == JobState.RUNNING

    ensure_workers()
    wait_until(lambda: "cpu:0" in {store.get(job).device for job in short})
    store.cancel(other)
    wait_until(lambda: all(store.get(job).state == JobState.DONE for job in short))
    for job, to in zip(short, (2, 3), strict=True):
        log = read_log(store.get(job).folder)
        assert log.count(f": queued count {job} on cpu") == 1
        assert len(store.events(job)) == to


def test_an_answer_never_waits_behind_trainings(home: Path) -> None:
    store, spec = JobStore(), RunSpec(cohort=Cohort(dataset="0" * 64, label="x"))
    for seed in range(3):
        RunStore().submit(spec.model_copy(update={"seed": seed}))
    RunStore().claim("cpu")
    job = CountJob(to=1)
    store.submit(job)
    assert store.position(job.key) == 1
    assert store.claim("cpu", Lane.INTERACTIVE, 1).id == job.key
    assert Worker("cpu", Lane.INTERACTIVE, 1) in store.running().values()
    store.reconcile()  # nobody holds a lease: each goes back to its own lane
    assert (store.waiting(Lane.QUEUE), store.waiting(Lane.INTERACTIVE)) == (3, 1)


def test_a_warm_worker_takes_the_next_job_and_ends_with_its_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_WARM_MINUTES", "5")
    store = JobStore()
    for number in (1, 2):
        request(CountJob(to=number))
        wait_until(lambda n=number: store.get(CountJob(to=n).key).state == JobState.DONE)
    logs = [read_log(CountJob.folder(CountJob(to=number).key)) for number in (1, 2)]
    first, second = (log.partition(":")[0] for log in logs)
    assert first == second, "one process did both"
    assert the_worker().poll() is None
    worker = the_worker()
    # in one step: in the midst of a slower one the worker would make the list of jobs anew
    shutil.rmtree(home.rename(home.with_name("deleted")))
    assert worker.wait(LONG) == 0
    assert not home.exists()


def test_a_warm_worker_gives_way_to_a_later_version_of_the_store(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setenv("GENECANVAS_WARM_MINUTES", "5")
    store, job = JobStore(), CountJob(to=1)
    request(job)
    wait_until(lambda: store.get(job.key).state == JobState.DONE)
    worker = the_worker()
    with sqlite3.connect(open_home() / "runs.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    assert worker.wait(LONG) != 0
    assert "store version 99" in (home / "worker.log").read_text()


def test_a_worker_loads_what_a_foreseen_job_needs_and_does_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "prepared count", "tests.counting:PreparedCount")
    foresee(PreparedCount)  # workers don't stay here: none is started
    monkeypatch.setenv("GENECANVAS_WARM_MINUTES", "5")
    store, job = JobStore(), PreparedCount(to=1)
    for _ in range(2):  # as a page that is shown again
        foresee(PreparedCount)
        wait_until(lambda: bool(told()) and store.lease_path("cpu") in launch._started)
    worker = the_worker(Lane.QUEUE)
    assert told() == [f"loaded by {worker.pid}"]
    request(job)
    wait_until(lambda: len(told()) == 4)
    assert told()[1:] == ["counted to 1", "part one after 1", "part two after 1"]
    assert read_log(store.get(job.key).folder).startswith(f"worker {worker.pid}:")
    worker.terminate()
    assert worker.wait(LONG) == 0


def test_what_follows_a_result_waits_for_jobs_that_wait(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "prepared count", "tests.counting:PreparedCount")
    store, later = JobStore(), PreparedCount(to=3)
    for to in (1, 2):
        store.submit(PreparedCount(to=to))
    ask = PreparedCount.afterwards

    def ask_between(job: PreparedCount, folder: Path) -> Iterator[None]:
        """Somebody asks for another count while the first part is done."""
        for _ in ask(job, folder):
            store.submit(later)
            yield

    monkeypatch.setattr(PreparedCount, "afterwards", ask_between)
    run_waiting(Queue(), Worker("cpu", Lane.QUEUE, 0), Stop())
    assert told() == [
        "counted to 1", "counted to 2", "part one after 1", "counted to 3", "part two after 1",
        *(f"part {part} after {to}" for to in (2, 3) for part in ("one", "two")),
    ]  # fmt: skip


def test_a_wrong_number_of_warm_minutes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_WARM_MINUTES", "long")
    with pytest.raises(InputError, match="0 to 1440, got 'long'"):
        request(CountJob(to=1))


def test_the_time_left_is_told_by_the_work_since_it_was_first_told() -> None:
    """Ten seconds of loading say nothing: half of 10 parts took 8 seconds."""
    now = 10.0
    pace = Pace(lambda: now)
    assert pace.say_left(0, 10) == ""
    assert pace.say_left(1, 10) == ""
    now = 11.0
    assert pace.say_left(2, 10) == "", "a second tells too little"
    now = 18.0
    assert pace.say_left(5, 10) == ", about 8 seconds left"
    assert pace.say_left(10, 10) == ""


def test_a_job_says_how_long_it_goes_on_itself_or_nothing() -> None:
    """What a job took until now tells nothing of its rest where most of that was loading."""
    store, job = JobStore(), CountJob(to=100)
    record, _ = store.submit(job)
    store.claim("cpu", Lane.INTERACTIVE)
    store.set_progress(record.id, 50, 100, "half of it")
    assert answer_state(job)[:3] == ("working", 0.5, "half of it")
