"""The same bytes on every x86-64 machine: libraries held to what all of them can do.

NumPy, OpenBLAS and the C library choose at start, by the type of the processor, among routines
that differ in the last bit. The variables here make all of them choose what every x86-64 processor
has. They act only on a process that starts with them:

    eval "$(python -m mistdata.pipeline.portable)"

prints them for a shell, for workers that mistdata does not start itself. What is left to differ,
the versions of the libraries, the numeric fingerprint tells.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import import_module

from mistdata.errors import MistdataError

MARK = "MISTDATA_PORTABLE"
_NUMPY, _LIBC = "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES"
_FIXED = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "ATEN_CPU_CAPABILITY": "default",  # torch
    "MKL_CBWR": "COMPATIBLE",
    MARK: "1",
}
_HWCAPS = "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F"


def is_portable() -> bool:
    """Tell whether this process was started to compute portably."""
    return os.environ.get(MARK) == "1"


def portable_environment() -> dict[str, str]:
    """Return the variables that a process must start with to compute portably.

    Raises:
        MistdataError: it is not known how, on this kind of machine.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise MistdataError(
            f"portable bytes are known for Linux on x86_64, this is {platform.system()} on"
            f" {platform.machine()}"
        )
    umath = import_module("numpy._core._multiarray_umath")  # NumPy has no public name for this
    optional = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)]
    disabled = {*os.environ.get(_NUMPY, "").replace(",", " ").split(), *optional}
    tunables = os.environ.get(_LIBC, "").split(":")
    kept = [each for each in tunables if each and not each.startswith("glibc.cpu.hwcaps")]
    return _FIXED | {_NUMPY: " ".join(sorted(disabled)), _LIBC: ":".join([*kept, _HWCAPS])}


def start_again() -> None:
    """Start this program again, portably, unless it is; on success this does not return.

    Raises:
        MistdataError: it is not known how, on this kind of machine.
    """
    if is_portable():
        return
    environment = os.environ | portable_environment()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


if __name__ == "__main__":
    for name, value in portable_environment().items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
