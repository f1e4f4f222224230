"""Public datasets: fetched from a mirror on loopback, kept, read, forgotten; the disk's limit."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from core.cli import main
from core.data import quota
from core.data.catalogue import CATALOGUE, PublicDataset
from core.data.fetched import (
    describe_file,
    fetch,
    find_entry,
    forget,
    kept,
    kept_files,
    own_entries,
    own_entry,
    read_entry,
)
from core.data.simulate import read_symbols, simulate
from core.data.store import add_dataset, list_datasets
from core.download import unfinished
from core.errors import Cancelled, InputError
from core.home import download_folder
from core.images.references import (
    add_public_sets,
    list_references,
    read_gene_sets,
    reference_file,
)
from tests.test_download import Site, site  # noqa: F401

SYMBOLS = read_symbols()[:30]
VALUES = np.random.default_rng(0).gamma(2, 3, (12, 30)).round(3)
TYPES = ["BRCA", "KIRC", "LUAD", "LUSC", "UCEC"]


def write_table(corner: str, rows: list[str], columns: list[str], values: np.ndarray) -> bytes:
    lines = ["\t".join([corner, *columns])]
    lines += ["\t".join([row, *map(str, found)]) for row, found in zip(rows, values, strict=True)]
    return ("\n".join(lines) + "\n").encode()


def make_mendeley() -> dict[str, bytes]:
    """A MATLAB file in a zip: a column more than genes, which numbers the class; names in cells."""
    codes = np.sort(np.arange(12) % 5)
    matlab = io.BytesIO()
    scipy.io.savemat(
        matlab,
        {
            "data": np.column_stack([VALUES, codes + 1]),
            "cancerTypes": np.array([[TYPES[code]] for code in codes], dtype=object),
            "geneIds": np.array([SYMBOLS], dtype=object),
        },
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("sf5n64hydt-1/cancer types.mat", matlab.getvalue())
    return {"sf5n64hydt-1.zip": packed.getvalue()}


def make_uci() -> dict[str, bytes]:
    """Two CSV files in a folder of a tar.gz; genes and samples have numbers for names."""
    header = ",".join(["", *(f"gene_{i}" for i in range(30))])
    rows = [f"sample_{i}," + ",".join(map(str, row)) for i, row in enumerate(VALUES)]
    labels = [",Class", *(f"sample_{i},{['BRCA', 'PRAD'][i % 2]}" for i in range(12))]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, lines in (("data.csv", [header, *rows]), ("labels.csv", labels)):
            content = ("\n".join(lines) + "\n").encode()
            info = tarfile.TarInfo(f"TCGA-PANCAN-HiSeq-801x20531/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return {"TCGA-PANCAN-HiSeq-801x20531.tar.gz": packed.getvalue()}


def make_tcga() -> dict[str, bytes]:
    samples = [f"TCGA-AA-{1000 + i // 2}-{['01', '11'][i % 2]}" for i in range(12)]
    matrix = write_table("sample", SYMBOLS, samples, np.log2(VALUES + 1).round(4).T)
    described = ["sample\tsample_type_id\tsample_type\t_primary_disease"]
    for i, sample in enumerate(samples):
        kind = ["1\tPrimary Tumor", "11\tSolid Tissue Normal"][i % 2]
        disease = "breast invasive carcinoma" if i < 6 else "lung adenocarcinoma"
        described.append(f"{sample}\t{kind}\t{disease}")
    described.append("TCGA-ZZ-9999-01\t1\tPrimary Tumor\tthymoma")  # without expression
    return {
        "HiSeqV2.gz": gzip.compress(matrix),
        "TCGA_phenotype_denseDataOnlyDownload.tsv.gz": gzip.compress(
            ("\n".join(described) + "\n").encode()
        ),
    }


def make_gtex() -> dict[str, bytes]:
    samples = [f"GTEX-{1000 + i}-0226-SM-{i}ABC" for i in range(12)]
    genes = [f"ENSG{i:011d}.{i % 7 + 1}" for i in range(30)]
    matrix = write_table("sample", genes, samples, np.log2(VALUES + 0.001).round(4).T)
    described = [
        "Sample\tbody_site_detail (SMTSD)\t_primary_site\t_gender\t_patient\t_cohort",
        *(
            f"{sample}\tLung\t{['Lung', 'Liver'][i % 2]}\tmale\t{sample[:9]}\tGTEX"
            for i, sample in enumerate(samples)
        ),
    ]
    return {
        "gtex_RSEM_gene_tpm.gz": gzip.compress(matrix),
        "GTEX_phenotype.gz": gzip.compress(("\n".join(described) + "\n").encode()),
    }


def make_hgnc() -> dict[str, bytes]:
    return {"hgnc_complete_set.txt": b"hgnc_id\tsymbol\tprev_symbol\nHGNC:26077\tMARCHF1\tMARCH1\n"}


def make_sets(file: str) -> dict[str, bytes]:
    return {file: b"FIRST\tabout\tTP53\tEGFR\nSECOND\tabout\tKLK3\n"}


def make_reactome() -> dict[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ReactomePathways.gmt", "Apoptosis\tR-HSA-109581\tTP53\tBAX\n")
    return {"ReactomePathways.gmt.zip": packed.getvalue()}


MAKERS = {
    "hallmark": lambda: make_sets("h.all.v2024.1.Hs.symbols.gmt"),
    "go": lambda: make_sets("c5.go.bp.v2024.1.Hs.symbols.gmt"),
    "reactome": make_reactome,
    "wikipathways": lambda: make_sets("c2.cp.wikipathways.v2024.1.Hs.symbols.gmt"),
    "mendeley": make_mendeley,
    "uci": make_uci,
    "tcga": make_tcga,
    "gtex": make_gtex,
    "hgnc": make_hgnc,
}


def shrink(entry: PublicDataset) -> PublicDataset:
    """The entry without the sizes and hashes of the real files."""
    return replace(entry, files=tuple(replace(f, size=None, digest=None) for f in entry.files))


@pytest.fixture
def mirror(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:  # noqa: F811
    """A mirror of the whole catalogue, with tiny files of the public ones' structure."""
    site.files = {
        f"/{name}/{file}": content
        for name, make in MAKERS.items()
        for file, content in make().items()
    }
    monkeypatch.setenv("GENECANVAS_CATALOGUE_URL", f"{site.address}/")
    return site


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_CATALOGUE_URL", "http://127.0.0.1:9")


@pytest.mark.parametrize("name", CATALOGUE.names)
def test_every_record_is_whole(name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.page.startswith("https://")
    assert entry.licence
    assert entry.citation
    assert entry.traps
    assert entry.unverified
    names = [file.name for file in entry.files]
    assert len(set(names)) == len(names) > 0
    assert set(MAKERS[name]()) == set(names)
    for file in entry.files:
        assert file.url.startswith("https://")
        assert file.size is None or file.size > 0
        if file.digest:
            algorithm, _, digits = file.digest.partition(":")
            assert len(bytes.fromhex(digits)) == hashlib.new(algorithm).digest_size
    assert sum(n for _, n in entry.classes) in (0, entry.samples)


@pytest.mark.parametrize("name", CATALOGUE.names)
def test_fetched_once_then_used_without_network(
    name: str, mirror: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = shrink(CATALOGUE[name])
    seen: list[tuple[str, int, int | None]] = []
    assert kept_files(entry) == []
    assert kept(entry) == 0
    paths = fetch(entry, lambda *now: seen.append(now))
    assert [path.name for path in paths] == [file.name for file in entry.files]
    contents = [mirror.files[f"/{name}/{path.name}"] for path in paths]
    assert [path.read_bytes() for path in paths] == contents
    assert {row[0] for row in seen} == {path.name for path in paths}
    assert all(
        (path.name, len(content), len(content)) in seen
        for path, content in zip(paths, contents, strict=True)
    )
    for path, content in zip(paths, contents, strict=True):
        note = describe_file(path)
        assert note["bytes"] == len(content)
        assert note["sha256"] == hashlib.sha256(content).hexdigest()
        assert note["url"] == f"{mirror.address}/{name}/{path.name}"
        assert note["fetched"]
    assert kept_files(entry) == paths
    assert kept(entry) == sum(map(len, contents))
    go_offline(monkeypatch)
    assert fetch(entry) == paths
    forget(entry)
    assert kept(entry) == 0
    assert not download_folder(name).exists()
    forget(entry)
    with pytest.raises(InputError, match="can't be reached"):
        fetch(entry)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hallmark", {"FIRST": ["TP53", "EGFR"], "SECOND": ["KLK3"]}),
        ("reactome", {"Apoptosis": ["TP53", "BAX"]}),
    ],
)
def test_fetched_gene_sets_are_kept_with_their_name(
    name: str, expected: dict, mirror: Site
) -> None:
    entry = CATALOGUE[name]
    with pytest.raises(InputError, match=rf"not on this computer yet.*data fetch {name}"):
        add_public_sets(entry)
    fetch(entry)
    before = set(download_folder(name).iterdir())
    reference = add_public_sets(entry)
    assert read_gene_sets(reference_file(reference)) == expected
    assert [kept.name for kept in list_references("sets")] == [entry.title]
    assert set(download_folder(name).iterdir()) == before


def test_what_is_no_gene_sets_is_said(mirror: Site) -> None:
    with pytest.raises(InputError, match=r"holds no gene sets. These do: hallmark, go, reactome"):
        add_public_sets(CATALOGUE["uci"])
    mirror.files["/go/c5.go.bp.v2024.1.Hs.symbols.gmt"] = b"not found, sorry"
    fetch(CATALOGUE["go"])
    with pytest.raises(InputError, match="expected a GMT file"):
        add_public_sets(CATALOGUE["go"])


@pytest.mark.parametrize(
    "name",
    [
        "mendeley",
        "uci",
        "tcga",
        "gtex",
    ],
)
def test_the_files_become_one_dataset(name: str, mirror: Site) -> None:
    entry = shrink(CATALOGUE[name])
    fetch(entry)
    before = set(download_folder(name).iterdir())
    data = read_entry(entry)
    assert data.uns["source"] == entry.title
    assert set(entry.traps) <= set(data.uns["notes"])
    assert set(download_folder(name).iterdir()) == before
    expected, genes, classes = {
        "mendeley": (VALUES, SYMBOLS, 5),
        "uci": (VALUES, [f"gene_{i}" for i in range(30)], 2),
        "tcga": (np.log2(VALUES + 1), SYMBOLS, 2),
        "gtex": (np.log2(VALUES + 0.001), [f"ENSG{i:011d}" for i in range(30)], 2),
    }[name]
    assert data.shape == (12, 30)
    assert [gene.partition(".")[0] for gene in data.var_names] == genes
    np.testing.assert_allclose(data.X, expected, atol=1e-3)
    assert data.obs[entry.label].nunique() == classes
    if name == "gtex":
        assert "_patient" in data.obs


def test_gene_symbols_are_not_a_dataset(mirror: Site) -> None:
    fetch(CATALOGUE["hgnc"])
    with pytest.raises(InputError, match="no expression"):
        read_entry(CATALOGUE["hgnc"])


def test_reading_before_fetching_says_so() -> None:
    with pytest.raises(InputError, match="not on this computer yet"):
        read_entry(CATALOGUE["uci"])


def test_a_file_of_another_hash_or_size_is_refused(mirror: Site) -> None:
    with pytest.raises(InputError, match="begins with e6ea3628"):
        fetch(CATALOGUE["uci"])
    with pytest.raises(InputError, match="expected were 545,614,848"):
        fetch(CATALOGUE["gtex"])
    assert kept(CATALOGUE["uci"]) == kept(CATALOGUE["gtex"]) == 0


def test_interrupted_between_and_within_files(mirror: Site) -> None:
    entry = shrink(CATALOGUE["tcga"])
    seen: list[str] = []
    with pytest.raises(Cancelled):
        fetch(entry, lambda name, *_: seen.append(name), cancelled=lambda: bool(seen))
    first, second = (download_folder("tcga") / file.name for file in entry.files)
    assert first.exists()
    assert not second.exists()
    assert kept(entry) == 0
    mirror.cut = 20
    with pytest.raises(InputError, match="goes on there"):
        fetch(entry)
    assert unfinished(second) == 20
    mirror.cut = None
    mirror.asked.clear()
    fetch(entry)
    assert mirror.asked == [(f"/tcga/{second.name}", "bytes=20-")]
    assert kept(entry)


def test_a_file_put_in_place_by_hand(mirror: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)
    entry = shrink(CATALOGUE["mendeley"])
    path = download_folder("mendeley") / entry.files[0].name
    with pytest.raises(InputError, match=f"put it at {path}"):
        fetch(entry)
    path.write_bytes(make_mendeley()[path.name])
    assert fetch(entry) == [path]
    assert read_entry(entry).n_obs == 12
    for file, wrong in (
        (replace(entry.files[0], size=5), "expected 5 bytes, got"),
        (replace(entry.files[0], digest="md5:" + 32 * "0"), r"expected a hash \(MD5\)"),
    ):
        forget(entry)
        path.parent.mkdir()
        path.write_bytes(make_mendeley()[path.name])
        with pytest.raises(InputError, match=wrong):
            fetch(replace(entry, files=(file,)))
        assert path.exists()  # it is the user's


def test_a_kept_file_that_has_changed_is_not_used(mirror: Site) -> None:
    entry = shrink(CATALOGUE["uci"])
    path = fetch(entry)[0]
    path.write_bytes(path.read_bytes()[:-10])
    for use in (fetch, read_entry):
        with pytest.raises(InputError, match="has changed since it was fetched: expected"):
            use(entry)
    path.unlink()
    fetch(entry)
    assert read_entry(entry).n_obs == 12


@pytest.mark.parametrize("name", ["../../escaped/cancer types.mat", "/escaped/cancer types.mat"])
def test_an_archive_writes_nowhere_else(name: str, mirror: Site, home: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, zipfile.ZipFile(io.BytesIO(make_mendeley()["sf5n64hydt-1.zip"]))
                         .read("sf5n64hydt-1/cancer types.mat"))  # fmt: skip
    mirror.files["/mendeley/sf5n64hydt-1.zip"] = packed.getvalue()
    fetch(CATALOGUE["mendeley"])
    before = {*home.rglob("*"), home / "tmp"}
    assert read_entry(CATALOGUE["mendeley"]).n_obs == 12
    assert set(home.rglob("*")) == before
    assert not list(home.parent.glob("escaped"))


def test_an_archive_without_the_file(mirror: Site) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "moved")
    mirror.files["/mendeley/sf5n64hydt-1.zip"] = packed.getvalue()
    fetch(CATALOGUE["mendeley"])
    with pytest.raises(InputError, match=r"Expected cancer types.mat in sf5n64hydt-1.zip"):
        read_entry(CATALOGUE["mendeley"])


def test_an_address_of_ones_own(mirror: Site) -> None:
    url = f"{mirror.address}/lab/my%20cohort.tsv?version=2"
    mirror.files["/lab/my%20cohort.tsv?version=2"] = write_table(
        "sample", [f"s{i}" for i in range(12)], SYMBOLS, VALUES
    )
    entry = find_entry(url)
    assert entry == own_entry(url)
    assert own_entries() == []
    fetch(entry)
    assert kept_files(entry)[0].name == "my_cohort.tsv"
    assert own_entries() == [entry]
    assert find_entry(entry.name) == entry
    np.testing.assert_allclose(read_entry(entry).X, VALUES, atol=1e-3)
    forget(entry)
    assert own_entries() == []


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("http://a.b/", "data"),
        ("http://a.b/..", "data"),
        ("http://a.b/x/%2e%2e%2f%2e%2e%2fetc", "etc"),
        ("http://a.b/.hidden", "hidden"),
        ("http://a.b/a%00b.csv", "a_b.csv"),
        ("http://a.b/" + 300 * "x" + ".csv.gz", 93 * "x" + ".csv.gz"),
    ],
)
def test_names_of_own_files_stay_in_their_folder(url: str, file: str) -> None:
    assert own_entry(url).files[0].name == file


def test_unknown_names_and_addresses() -> None:
    with pytest.raises(InputError, match="Known: mendeley, uci, tcga, gtex, hgnc"):
        find_entry("tcgaa")
    with pytest.raises(InputError, match="begins with http"):
        find_entry("ftp://a.b/c.csv")


def test_the_limit_on_what_is_kept(mirror: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quota.usage() == {"datasets": 0, "downloads": 0, "brought": 0}
    assert quota.limit() == quota.require_room(0, "nothing") == 50 * 10**9
    entry = shrink(CATALOGUE["uci"])
    fetch(entry)
    data = simulate(60, 500)[0]
    add_dataset(data, "one")
    used = quota.usage()
    assert used["downloads"] >= kept(entry)
    assert used["datasets"] > 4 * 60 * 500
    assert quota.taken(anew=True) == sum(used.values())

    monkeypatch.setenv("GENECANVAS_LIMIT_GB", str((sum(used.values()) + 1000) / 1e9))
    assert quota.require_room(0, "nothing") == pytest.approx(1000, abs=2)
    data.X = data.X + 1
    with pytest.raises(
        InputError, match=r"'two' needs 0.2 MB, and 0.0 MB are left.*raise GENECANV"
    ):
        add_dataset(data, "two")
    assert [record.name for record in list_datasets()] == ["one"]
    with pytest.raises(InputError, match=r"more than the [\d,]+ there is room for"):
        fetch(shrink(CATALOGUE["mendeley"]))
    with pytest.raises(InputError, match=r"gtex_RSEM_gene_tpm.gz needs 0.5 GB.*downloads"):
        fetch(CATALOGUE["gtex"])
    assert fetch(entry)  # what is kept can be used
    add_dataset(simulate(60, 500)[0], "one")
    forget(entry)
    assert quota.usage()["downloads"] == 0


@pytest.mark.parametrize("limit", ["", "lots", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_LIMIT_GB", limit)
    with pytest.raises(InputError, match="Expected GENECANVAS_LIMIT_GB"):
        quota.limit()


def test_an_unfinished_download_counts_but_does_not_stand_in_its_own_way(
    mirror: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.files["/hgnc/hgnc_complete_set.txt"] = bytes(500_000)
    mirror.cut = 300_000
    with pytest.raises(InputError):
        fetch(CATALOGUE["hgnc"])
    mirror.cut = None
    assert quota.usage()["downloads"] >= 300_000
    monkeypatch.setenv("GENECANVAS_LIMIT_GB", "0.000501")
    fetch(CATALOGUE["hgnc"])
    assert kept(CATALOGUE["hgnc"]) == 500_000


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_catalogue_and_fetch_on_the_command_line(
    mirror: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = document(capsys, "data", "catalogue")
    assert [entry["name"] for entry in listed["datasets"]] == CATALOGUE.names
    assert all(entry["kept"] == 0 and entry["licence"] for entry in listed["datasets"])
    assert listed["limit"] == 50 * 10**9
    fetched = document(capsys, "data", "fetch", "mendeley")
    assert fetched["matrix"] == "cancer types.mat"
    (file,) = fetched["files"]
    assert Path(file["path"]).stat().st_size == file["bytes"]
    assert {"path", "url", "bytes", "sha256", "fetched"} == set(file)
    listed = document(capsys, "data", "catalogue")
    sizes = {entry["name"]: entry["kept"] for entry in listed["datasets"]}
    assert sizes["mendeley"] == file["bytes"]
    assert listed["usage"]["downloads"] >= file["bytes"]

    assert main(["data", "catalogue"]) == 0
    text = capsys.readouterr().out
    assert "CC BY 4.0" in text
    assert "545.7 MB" in text
    assert main(["data", "fetch", "hgnc"]) == 0
    heard = capsys.readouterr()
    assert "hgnc_complete_set.txt" in heard.err
    assert "CC0" in heard.out
    assert main(["data", "fetch", "nothing"]) == 2
    assert "Unknown public dataset 'nothing'. Known: mendeley" in capsys.readouterr().err
