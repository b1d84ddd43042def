"""The compiled CPU kernels: found in the package, or compiled from csrc/ on first use.

A wheel carries the library. A checkout compiles its own sources, once for each state of them, with
the C compiler that is there, in a few seconds. The interface is plain C, called through ctypes.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from sparx_nas.ground.errors import DeviceError
from sparx_nas.kernels.tasks import TASKS, Task

SOURCES = Path(__file__).parent / "csrc"
FLAGS = ("-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
"""As in pyproject.toml; no -ffast-math, which would lose NaN and infinity."""
COMPILE_SECONDS = 120
LARGE_BYTES = 2**22
SET_VARIABLE = "SPARX_NAS_INSTRUCTION_SET"


@dataclass(frozen=True)
class Library:
    """The loaded library; `sets` are the instruction sets this processor runs, best last."""

    path: Path
    handle: ctypes.CDLL
    sets: tuple[str, ...]
    chosen: int

    @property
    def instruction_set(self) -> str:
        """Return the name of the instruction set in use."""
        return self.sets[self.chosen]

    def call(self, function: str, task: Task) -> None:
        """Run a function of the library on a task.

        Raises: MemoryError if its scratch could not be had.
        """
        failed = getattr(self.handle, function)(ctypes.byref(task), self.chosen)
        if failed:
            raise MemoryError(f"{function}: no memory for the scratch of {task.threads} threads")


@cache
def library() -> Library:
    """Return the library, compiled if need be.

    Raises: DeviceError if there is none and it cannot be compiled, with the reason.
    """
    if sys.platform == "win32":
        raise DeviceError("the CPU kernels are not built for Windows")
    carried = sorted(Path(__file__).parent.glob("_cpu*.so"))
    checkout = (Path(__file__).parents[2] / "pyproject.toml").is_file()
    if carried and not checkout:
        return _opened(carried[0])
    try:
        return _opened(_compiled())
    except DeviceError:
        if not carried:
            raise
    return _opened(carried[0])


@cache
def why_missing() -> str:
    """Say why there is no library; empty if there is one. It is looked for once a process."""
    try:
        library()
    except DeviceError as error:
        return str(error)
    return ""


def fresh(like: Tensor, *shape: int) -> Tensor:
    """Return memory for a result of a shape, or that of a tensor: large pages where it is large."""
    out = like.new_empty(shape or like.shape)
    if out.nbytes >= LARGE_BYTES:
        library().handle.sparx_large_pages(out.data_ptr(), out.nbytes)
    return out


def cache_folder() -> Path:
    """Return where compiled kernels are kept: $XDG_CACHE_HOME or ~/.cache, in sparx_nas."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparx_nas"


def _compiled() -> Path:
    """Return the library of the present sources, compiled if it is not in the cache.

    Raises: DeviceError if there is no compiler, or it fails.
    """
    compiler = _compiler()
    texts = [source.read_bytes() for source in sorted(SOURCES.iterdir())]
    # The same home may be mounted on other kinds of machines.
    about = repr((compiler, FLAGS, os.uname().machine)).encode()
    digest = hashlib.sha256(b"\0".join([*texts, about])).hexdigest()[:16]
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"cpu-{digest}.so"
        if not path.is_file():
            _compile(compiler, path)
    # Where there is no home folder, that is a RuntimeError.
    except (OSError, RuntimeError) as error:
        hint = "XDG_CACHE_HOME names another place"
        raise DeviceError(f"cannot keep compiled kernels: {error}", hint=hint) from error
    return path


def _compiler() -> list[str]:
    """Return the command of the C compiler: $CC, or the first of cc, gcc and clang.

    Raises: DeviceError if there is none.
    """
    asked = shlex.split(os.environ.get("CC", ""))
    if asked and shutil.which(asked[0]):
        return asked
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise DeviceError(
        "no C compiler on the PATH for the CPU kernels",
        hint="install gcc or clang, or install sparx_nas from a wheel",
    )


def _compile(compiler: Sequence[str], path: Path) -> None:
    """Compile into a file of our own first, for other processes may do the same.

    Linked without an OpenMP library: the functions are those of torch's own, so that there is one
    pool of threads. A compiler without OpenMP still makes a library of one thread.

    Raises: DeviceError with what the compiler said.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        code, out = Path(place) / "library.o", Path(place) / path.name
        source = ["-fPIC", "-c", str(SOURCES / "library.c"), "-o", str(code)]
        command = [*compiler, *FLAGS, "-fopenmp", *source]
        if _run(command).returncode:
            command.remove("-fopenmp")
            _must_run(command)
        _must_run([*compiler, "-shared", str(code), "-o", str(out)])
        out.replace(path)


def _must_run(command: Sequence[str]) -> None:
    """Run a compiler.

    Raises: DeviceError with what it said if it fails.
    """
    done = _run(command)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line]
        reason = said[0] if said else f"exit code {done.returncode}"
        raise DeviceError(f"the CPU kernels do not compile: {shlex.join(command)}: {reason}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a compiler.

    Raises: DeviceError if it cannot be run or does not end.
    """
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"the C compiler cannot be run: {error}") from error


def _opened(path: Path) -> Library:
    """Load a library and choose the instruction set.

    Raises: DeviceError if it cannot be loaded, or the instruction set asked for is not there.
    """
    try:
        handle = _loaded(path)
        handle.sparx_task_size.restype = ctypes.c_int64
        handle.sparx_large_pages.argtypes = (ctypes.c_void_p, ctypes.c_int64)
        handle.sparx_set_name.restype = ctypes.c_char_p
        sizes = [handle.sparx_task_size(i) for i in range(len(TASKS) + 1)]
        names = [handle.sparx_set_name(i).decode() for i in range(handle.sparx_sets())]
    except (OSError, AttributeError) as error:
        raise DeviceError(f"the CPU kernels in {path} cannot be loaded: {error}") from error
    if sizes != [*(ctypes.sizeof(task) for task in TASKS), 0]:
        raise DeviceError(f"the CPU kernels in {path} are of another version", hint="delete it")
    sets = tuple(name for i, name in enumerate(names) if handle.sparx_set_runs(i))
    wanted = os.environ.get(SET_VARIABLE) or sets[-1]
    if wanted not in sets:
        known = ", ".join(sets)
        raise DeviceError(f"{SET_VARIABLE}={wanted}: this processor and library have {known}")
    return Library(path, handle, sets, names.index(wanted))


def _loaded(path: Path) -> ctypes.CDLL:
    """Load a library; its OpenMP functions are torch's, or the system's if torch has none.

    Raises: OSError if it cannot be loaded.
    """
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)
        return ctypes.CDLL(str(path))
