"""A child process whose disk fails it: it ends before a system call, or the calls fail.

The calls that change a disk are numbered. From a number on the child is gone, or every call that
needs room fails. For a power cut, what the child had not made durable by fsync is taken away:
entries of folders, and content of files.
"""

import os
import shutil
import traceback
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mistdata.errors import Incomplete
from mistdata.pipeline.run import InProcess, generate

CRASHED, REFUSED = 9, 10
NEED_ROOM = ("open", "write", "fsync", "link", "mkdir")
CHANGING = ("open", "write", "fsync", "replace", "link", "unlink", "mkdir")


@dataclass
class Disk:
    """What is not durable yet, as a file system may order it: only fsync orders anything.

    Attributes:
        entries: names whose folder was not synced since they appeared.
        contents: files that were not synced since they were written.
    """

    entries: set[Path] = field(default_factory=set)
    contents: set[Path] = field(default_factory=set)

    def note(self, name, arguments):
        """Take account of a call that was made."""
        if name in ("open", "mkdir"):
            self.entries.add(Path(arguments[0]))
        if name in ("write", "fsync"):
            path = Path(f"/proc/self/fd/{arguments[0]}").readlink()
            if name == "write":
                self.contents.add(path)
            else:
                self.contents.discard(path)
                self.entries -= {entry for entry in self.entries if entry.parent == path}
        if name in ("replace", "link"):
            source, target = map(Path, arguments[:2])
            self.entries.add(target)
            if source in self.contents:
                self.contents.add(target)
        if name in ("replace", "unlink"):
            self.entries.discard(Path(arguments[0]))
            self.contents.discard(Path(arguments[0]))

    def cut_power(self):
        """Take away what is not durable: half of a content, and whole entries."""
        for path in self.contents:
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        for path in sorted(self.entries, reverse=True):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


class Watch:
    """Numbers the calls from now on; from number `point` on the disk fails.

    Args:
        point: the first call that does not succeed; None for none.
        power_cut: whether a crash takes away what is not durable.
        error: the number of an error that calls raise; None for a crash.
    """

    def __init__(self, point, power_cut=False, error=None):
        self.point, self.power_cut, self.error = point, power_cut, error
        self.disk, self.count = Disk(), 0
        self.originals = {name: getattr(os, name) for name in CHANGING}
        for name, original in self.originals.items():
            setattr(os, name, partial(self.call, name, original))

    def call(self, name, original, *arguments, **options):
        """Stand in for a system call."""
        if name == "open" and not arguments[1] & os.O_CREAT:
            return original(*arguments, **options)
        if self.point is not None and self.count >= self.point:
            if self.error is None:
                self.crash(name, arguments)
            elif name in NEED_ROOM:
                raise OSError(self.error, os.strerror(self.error), str(arguments[0]))
        self.count += 1
        result = original(*arguments, **options)
        self.disk.note(name, arguments)
        return result

    def crash(self, name, arguments):
        """End, in the middle of a write and before any other call."""
        for each, original in self.originals.items():
            setattr(os, each, original)
        if name == "write":
            os.write(arguments[0], memoryview(arguments[1])[: len(arguments[1]) // 2])
            self.disk.note(name, arguments)
        if self.power_cut:
            self.disk.cut_power()
        os._exit(CRASHED)


def run_in_child(plan, store, *watched):
    """Generate in a child.

    Args:
        plan: of the store.
        store: its folder.
        *watched: the arguments of `Watch`.

    Returns:
        Whether it crashed or gave up, and how many calls it made if not.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            watch = Watch(*watched)
            generate(plan, store, InProcess())
            with os.fdopen(writing, "w") as pipe:
                pipe.write(str(watch.count))
            code = 0
        except (Incomplete, OSError):
            assert watch.error is not None
            code = REFUSED
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, CRASHED, REFUSED)
    return code != 0, int(said or 0)
