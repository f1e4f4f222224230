"""What is damaged among stored spots and their answers, and mending what can be computed again."""

import shutil
from collections.abc import Iterator

import numpy as np
from pydantic import ValidationError

from core.errors import DamageError, InputError
from core.files import UNREADABLE
from core.home import RUN_ID
from core.runs.doctor import Finding
from core.tissue.fitted import FoldModel
from core.tissue.result import RESULT, TissueResult, load_answer
from core.tissue.store import load_tissue, tissue_folder, tissues_folder


def examine_tissues(repair: bool) -> Iterator[Finding]:
    """Look at every tissue's spots, and at the answers to what was asked of it.

    Args:
        repair: remove answers that can't be read; they are computed again when they are asked for.
    """
    for folder in sorted(tissues_folder().glob("*")):
        if not RUN_ID.fullmatch(folder.name):
            continue
        try:
            load_tissue(folder.name)
        except (InputError, DamageError) as error:
            remedy = f"remove its folder {folder} and bring the spots again"
            yield Finding(f"Tissue {folder.name}", str(error), remedy, mended=False)
            continue
        for answer in sorted(tissue_folder(folder.name).glob(f"answers/*/{RESULT}")):
            try:
                result = TissueResult.model_validate_json(answer.read_bytes())
                load_answer(result.spec)
                for path in answer.parent.glob("*.npy"):
                    np.load(path, mmap_mode="r", allow_pickle=False)
                for path in answer.parent.glob("model_*.npz"):
                    FoldModel.load(path)
            except (*UNREADABLE, ValidationError, DamageError, InputError):
                if repair:
                    shutil.rmtree(answer.parent)
                remedy = "removed" if repair else "--repair removes it"
                yield Finding(
                    f"Answer {answer.parent.name} about tissue {folder.name}",
                    "a file of it is damaged", f"{remedy}: ask again", mended=repair,
                )  # fmt: skip
