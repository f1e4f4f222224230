"""Giving up rights: a process that reads a stranger's file keeps none that it doesn't need.

Memory, processor time and bytes written are limited everywhere. On Linux the process also loses the
network (a network namespace of its own, where it may make one) and every file but those that
are named (Landlock, from Linux 5.13 on; Salaün, "Landlock: unprivileged access control", kernel
documentation). What the system can't do is left out; the readers don't rest on it.
"""

import ctypes
import errno
import os
import resource
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import GeneCanvasError

_READ = 1 << 2 | 1 << 3
"""Landlock: reading files and listing folders."""
_WRITE = sum(1 << bit for bit in (1, 4, 5, 7, 8))
"""Landlock: writing files, removing and making files and folders."""
_TRUNCATE = 1 << 14
_OF_FILES = 1 << 1 | 1 << 2 | _TRUNCATE
"""The rights that a rule about a single file may name."""
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The system calls of Landlock, the same on every processor."""
_NO_NEW_PRIVILEGES = 38
_NEW_USERS, _NEW_NETWORK = 0x10000000, 0x40000000


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


@contextmanager
def alone_with(
    path: Path, place: Path, what: str, *, memory: int, too_much: str, written: int, seconds: int
) -> Iterator[None]:
    """Leave this process what somebody brought, and a folder to write to, and no other right.

    What goes wrong within is one sentence on standard error, as `core.processes.read_alone` expects
    it, and ends the process with status 2. To be called before there are threads.

    Args:
        path: a file or folder.
        place: the folder.
        what: such as "weights file".
        memory: bytes that the process may take.
        too_much: how more is called, such as "more than 16 GB of memory".
        written: bytes that a file may have that it writes.
        seconds: of a processor.
    """
    give_up_network()
    give_up_files([path, *interpreter_files()], [place])
    limit_resources(memory=memory, written=written, seconds=seconds)
    tempfile.tempdir = str(place)
    try:
        yield
    except GeneCanvasError as error:
        _end(str(error))
    except MemoryError:
        _end(f"{path.name} needs {too_much} to be read.")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _end("The disk is full. Free some room, and try again.")
        _end(f"{path.name} can't be read: {error.strerror or error}.")
    except Exception as error:  # a damaged file has the libraries raise anything
        _end(f"{path.name} can't be read as a {what}: {error!s:.300}.")


def _end(message: str) -> None:
    print(" ".join(message.split()), file=sys.stderr, flush=True)
    sys.exit(2)


def limit_resources(*, memory: int, written: int, seconds: int) -> None:
    """Limit this process for ever: bytes of memory, bytes of one file, seconds of a processor.

    Beyond them: MemoryError, OSError (EFBIG), and the signal SIGXCPU.
    """
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # a limit that this system doesn't know
            resource.setrlimit(kind, (least, least))


def give_up_network() -> bool:
    """Leave this process without a network; False where the system doesn't allow it.

    To be called before there are threads.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return not libc.unshare(_NEW_NETWORK) or not libc.unshare(_NEW_USERS | _NEW_NETWORK)


def give_up_files(readable: Iterable[Path], writable: Sequence[Path]) -> bool:
    """Leave this process only these files and folders; False where the system can't do it.

    What is open stays open. Nothing can be executed. To be called before there are threads, because
    others keep their rights.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    writing = _WRITE | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset((1 << 13) - 1 | (writing & _TRUNCATE), 3 if version >= 4 else 0,
                     3 if version >= 6 else 0)  # fmt: skip
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return False
    for paths, rights in ((readable, _READ), (writable, _READ | writing)):
        for path in paths:
            _allow(libc, ruleset, path, rights)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    done = not libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return done


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system, so there is nothing to allow
    rule = _PathBeneath(rights if path.is_dir() else rights & _OF_FILES, place)
    libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
    os.close(place)


def interpreter_files() -> list[Path]:
    """What Python and its packages read of this system: libraries, processor, time zones.

    Of packages that lie elsewhere than Python (PYTHONPATH, a cluster's module) those that are
    loaded, since they import parts of themselves later.
    """
    system = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache",
              "/usr/share/zoneinfo", "/sys/devices/system/cpu", "/sys/devices/system/node",
              "/proc/cpuinfo", "/proc/meminfo", "/dev/null", "/dev/urandom")  # fmt: skip
    code = (sys.prefix, sys.base_prefix, Path(__file__).parent)
    loaded = [module for name, module in list(sys.modules.items()) if "." not in name]
    packages = [path for module in loaded for path in getattr(module, "__path__", ())]
    return [Path(path) for path in (*system, *code, *packages)]
