"""Torchvision's files of ImageNet weights: fetched once, checked, and readable without torch."""

import os
from collections.abc import Callable
from pathlib import Path

from core.download import describe_digest, download
from core.errors import InputError, WeightsError
from core.home import weights_folder
from core.models.backbones import Published


def fetch_imagenet(record: Published, progress: Callable[[int, int], None] | None = None) -> Path:
    """The network's ImageNet file in the weights folder, downloaded if it isn't there yet.

    The environment variable GENECANVAS_WEIGHTS_URL names another folder on the web to take it from.

    Raises:
        WeightsError: no network, a broken download, or a file whose SHA-256 is another; says
            which file is needed, how large it is, and where to put it by hand.
    """
    path = weights_folder() / record.file
    mirror = os.environ.get("GENECANVAS_WEIGHTS_URL")
    url = f"{mirror.rstrip('/')}/{record.file}" if mirror else record.url
    digest = f"sha256:{record.sha256_prefix}"
    if path.exists():
        if wrong := describe_digest(path, digest):
            raise WeightsError(
                f"{path} is damaged or another file: {wrong}. Delete it to have {url} "
                f"({record.bytes / 1e6:.0f} MB) downloaded again, or choose other initial weights."
            )
        return path
    try:
        download(
            url,
            path,
            digest=digest,
            progress=progress and (lambda done, total: progress(done, total or record.bytes)),
        )
    except InputError as error:
        raise WeightsError(
            f"The ImageNet weights of {record.title} are not on this computer. {error} The file "
            f"has {record.bytes / 1e6:.0f} MB. Then start the run again, or choose other initial "
            "weights."
        ) from None
    return path
