"""Devices that train, a worker each: those of GENECANVAS_DEVICES, else every GPU, else the CPU.

Torch-free, for pages: torch is asked in a process of its own. GENECANVAS_RAY names a Ray cluster,
whose computers then train instead of this one.
"""

import os
import re
from functools import cache
from importlib.util import find_spec
from threading import Lock

from core.errors import GeneCanvasError, InputError
from core.processes import run_module

NAME = re.compile(r"cpu(:\d+)?|cuda:\d+")
ADDRESS = re.compile(r"auto|[\w.-]+:\d{1,5}")
CLUSTER = "ray"
"""Stands for all devices of the cluster where a worker's device is named."""


def devices() -> tuple[str, ...]:
    """Names of the devices, as torch calls them.

    The first call may take the seconds that torch needs to load.

    Raises:
        InputError: GENECANVAS_DEVICES holds something else, or a GPU that isn't there.
    """
    named = named_devices()
    if named and all(name.startswith("cpu") for name in named):
        return named
    gpus = _ask_gpus()
    if missing := [name for name in named if name.startswith("cuda") and name not in gpus]:
        found = ", ".join(gpus) or "no GPU"
        raise InputError(
            f"GENECANVAS_DEVICES names {', '.join(missing)}, but torch finds {found}. Correct the "
            "variable, or unset it to use every GPU."
        )
    return named or gpus or ("cpu",)


def named_devices() -> tuple[str, ...]:
    """What GENECANVAS_DEVICES names, each once; nothing where it isn't set.

    Raises InputError when a name is not that of a device.
    """
    given = os.environ.get("GENECANVAS_DEVICES", "")
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if not NAME.fullmatch(name):
            raise InputError(
                "Expected GENECANVAS_DEVICES to name devices such as cuda:0,cuda:1 or cpu, got "
                f"{name!r}."
            )
    return names


def cluster() -> str | None:
    """The address of the Ray cluster that trains, GENECANVAS_RAY; None where it isn't set.

    Raises InputError when it is no address, or Ray isn't installed.
    """
    address = os.environ.get("GENECANVAS_RAY", "").strip()
    if not address:
        return None
    if not ADDRESS.fullmatch(address):
        raise InputError(
            "Expected GENECANVAS_RAY to be auto or the address of a Ray cluster such as "
            f"10.0.0.5:6379, got {address!r}."
        )
    if find_spec("ray") is None:
        raise InputError(
            "GENECANVAS_RAY is set, but Ray isn't installed. Install requirements-ray.txt, or "
            "unset the variable to train on this computer."
        )
    return address


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or torch's allocator of the CPU, had too little memory."""
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    )


_asking = Lock()
"""Sessions that all open a page of a new server ask torch once."""


def _ask_gpus() -> tuple[str, ...]:
    with _asking:
        return _ask_gpus_once()


@cache
def _ask_gpus_once() -> tuple[str, ...]:
    answer = run_module("core.training.device")
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise GeneCanvasError(f"torch can't be asked which GPUs there are: {last}")
    return tuple(answer.stdout.split())
