"""Weights files of one's own: in the weights folder for pages, anywhere for the command line."""

from pathlib import Path

from core.errors import WeightsError
from core.home import home, server_home, weights_folder
from core.people import is_shared

SUFFIXES = (".pth", ".pt", ".safetensors")


def list_own_weights() -> list[str]:
    """The names of the files in the weights folder, which a page may start a network from."""
    return sorted(
        path.name
        for path in weights_folder().iterdir()
        if path.suffix in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def weights_path(name: str) -> Path:
    """The file that `file:NAME` means: the one of the weights folder, else the one at that path.

    Raises WeightsError where several people share the server and it isn't in that folder: the
    server's files aren't theirs.
    """
    if name in list_own_weights():
        return weights_folder() / name
    if is_shared() or home() != server_home():
        require_own_weights(f"file:{name}")
    return Path(name).expanduser()


def require_own_weights(weights: str) -> None:
    """Refuse a file that isn't in the weights folder; nothing else is said about any path.

    Raises:
        WeightsError: with the same words whether there is such a file or not.
    """
    kind, _, name = weights.partition(":")
    if kind == "file" and name not in list_own_weights():
        raise WeightsError(
            f"{name} is not among the weights files that pages may use. Put it into "
            f"{weights_folder()} as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, or start the run "
            "on the command line."
        )
