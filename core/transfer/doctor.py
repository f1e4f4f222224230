"""What is damaged among the transfers, and mending what can be computed again."""

from __future__ import annotations

from collections.abc import Iterator

from core.download import hash_file
from core.errors import InputError
from core.files import UNREADABLE, read_json
from core.home import DATASET_ID, RUN_ID, home
from core.runs.doctor import Finding
from core.transfer.asked import SPEC
from core.transfer.enquiring import REPLY, load_reply, parse_enquiry
from core.transfer.pictures import list_images, load_images
from core.transfer.spec import TransferSpec
from core.transfer.transferring import RESULT, load_transfer


def examine_transfers(repair: bool) -> Iterator[Finding]:
    """Look at every transfer's question and answer, and at the ortholog tables.

    Args:
        repair: remove answers that can't be read. Their rows stay, so that asking once more puts
            the answer together again and computes nothing that is there.
    """
    for folder in sorted(home().glob("transfers/*")):
        if not RUN_ID.fullmatch(folder.name):
            continue
        thing, readable = f"Transfer {folder.name}", True
        try:
            document = read_json(folder / SPEC)
            asked = "question" in document
            if asked:
                parse_enquiry(document)
            else:
                TransferSpec.model_validate(document)
        except FileNotFoundError:
            readable = not ((folder / RESULT).exists() or (folder / REPLY).exists())
            asked = False
        except (*UNREADABLE, InputError):
            readable = False
        if not readable:
            problem = f"{SPEC} is missing or damaged, so that nothing says what was asked"
            remedy = f"remove its folder {folder} and ask again"
            yield Finding(thing, problem, remedy, mended=False)
            continue
        answer = REPLY if asked else RESULT
        if not (folder / answer).exists():
            continue
        try:
            (load_reply if asked else load_transfer)(folder.name)
        except InputError:
            if repair:
                (folder / answer).unlink()
            remedy = "removed" if repair else "--repair removes it"
            remedy += ": open the transfer and let it go on, which makes the answer of its rows"
            yield Finding(thing, f"{answer} is damaged", remedy, mended=repair)
    for path in sorted(home().glob("orthologs/*.csv")):
        if DATASET_ID.fullmatch(path.stem) and hash_file(path, "sha256") != path.stem:
            yield Finding(f"Ortholog table {path.stem[:12]}…", f"{path} is not what was added",
                          "delete it and add the file again", mended=False)  # fmt: skip
    for kept in list_images():
        try:
            load_images(kept.id)
        except InputError as error:
            yield Finding(f"Images {kept.id[:12]}…", str(error),
                          "bring the folder again", mended=False)  # fmt: skip
