"""Where a store lies: in a folder, or as objects under a URL.

`place` turns what a user names into a `pathlib.Path`, or into a `Remote`, which has the methods of
a path that stores use. Nothing else of mistdata knows the difference, but for durable writes
(`commit.py`) and for reading tables and values.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast

from mistdata.errors import MissingExtra, MistdataError, Unreachable

CONNECTING = timedelta(seconds=10)
ANSWERING = timedelta(seconds=120)  # for one object
RETRYING = timedelta(seconds=180)  # in all
RETRIES = 8
WEB = ("http", "https")
_LIKE_URL = re.compile(r"(s3|gs|az|https?):|[A-Za-z][A-Za-z0-9+.-]*://")
_URL = re.compile(r"(s3|gs|az|https?)://[^/\s]+(/\S*)?")
_INSTANCE = "169.254.169.254"  # where a machine in the cloud would find its own credentials
_CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REFUSED = ("PermissionDeniedError", "UnauthenticatedError")


def place(where: str | os.PathLike[str] | Remote) -> Path:
    """Return the place that a user means.

    Args:
        where: a folder, or a URL: s3://BUCKET/NAME, gs:// or az:// likewise, https:// to read.

    Returns:
        A path, or a `Remote`, which has the methods of a path that a store needs.

    Raises:
        MistdataError: it is meant as a URL and is none.
    """
    if isinstance(where, Remote):
        return cast(Path, where)
    text = os.fspath(where)
    if not _LIKE_URL.match(text):
        return Path(text)
    require_address(text)
    return cast(Path, Remote(text.rstrip("/")))


def require_address(text: str) -> None:
    """Refuse what is meant as the URL of a store and is none.

    Raises:
        MistdataError: saying what an address looks like.
    """
    if not _URL.fullmatch(text):
        raise MistdataError(
            f"{text}: not an address of a store; write s3://BUCKET/NAME, gs:// or az:// likewise,"
            " or https://HOST/NAME"
        )


class Status(NamedTuple):
    """What is known of an object without reading it."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, order=True)
class Remote:
    """An object, or all objects below a name, in a bucket or on a web server.

    Credentials, region and endpoint are those of the environment: AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL and so on. Requests that fail are repeated, with a limit; an object that
    cannot be had after that is named.

    A web server is only read, and cannot say which objects it has: it has no folders here.

    Args:
        url: as s3://bucket/name.

    Raises:
        Unreachable: from any method, if the server does not answer.
        MistdataError: likewise, if there is no such bucket, or it refuses the credentials.
        MissingExtra: likewise, if obstore is not installed.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> Remote:
        """What lies one step up."""
        return Remote(self.url.rpartition("/")[0])

    @property
    def is_web(self) -> bool:
        """Whether a web server is asked."""
        return self.url.partition("://")[0] in WEB

    @property
    def _root(self) -> str:
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"

    @property
    def key(self) -> str:
        """The name of the object within its bucket."""
        return self.url[len(self._root) + 1 :]

    @property
    def client(self) -> Any:
        """The bucket, as obstore knows it."""
        return _client(self._root)

    def resolve(self) -> Remote:
        """Return the same: a URL is absolute."""
        return self

    def relative_to(self, other: Remote) -> PurePosixPath:
        """Return the path from another place to this one below it."""
        return PurePosixPath(self.url).relative_to(other.url)

    def stat(self) -> Status:
        """Ask for size and time.

        Raises:
            FileNotFoundError: there is no such object.
        """
        with _asking(self) as obstore:
            found = obstore.head(self.client, self.key)
        return Status(found["size"], int(found["last_modified"].timestamp() * 1e9))

    def is_file(self) -> bool:
        """Tell whether there is such an object."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Tell whether there are objects below this name."""
        return next(self.rglob("*"), None) is not None

    def exists(self) -> bool:
        """Tell whether there is such an object, or one below this name."""
        return self.is_file() or self.is_dir()

    def rglob(self, pattern: str) -> Iterator[Remote]:
        """Run through all objects below this name; a web server shows none.

        Args:
            pattern: '*'.
        """
        if pattern != "*":
            raise ValueError(f"pattern must be '*', got {pattern!r}")
        if self.is_web:
            return
        with _asking(self) as obstore:
            for batch in obstore.list(self.client, prefix=f"{self.key}/"):
                yield from (Remote(f"{self._root}/{each['path']}") for each in batch)

    def iterdir(self) -> Iterator[Remote]:
        """Run through the objects and folders right below this name."""
        names = {str(each.relative_to(self)).partition("/")[0] for each in self.rglob("*")}
        return (self / name for name in sorted(names))

    def read_bytes(self) -> bytes:
        """Read an object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        with _asking(self) as obstore:
            return bytes(obstore.get(self.client, self.key).bytes())

    def open(self, mode: str = "rb") -> io.BytesIO:
        """Read an object as a file; it is in memory."""
        if mode != "rb":
            raise ValueError(f"mode must be 'rb', got {mode!r}")
        return io.BytesIO(self.read_bytes())

    def write(self, content: bytes) -> None:
        """Write an object, replacing an older one; it is durable when this returns."""
        self._require_writable()
        with _asking(self) as obstore:
            obstore.put(self.client, self.key, content, use_multipart=False)

    def create(self, content: bytes) -> bool:
        """Write an object unless it exists; return whether this call created it."""
        self._require_writable()
        with _asking(self) as obstore:
            try:
                obstore.put(self.client, self.key, content, use_multipart=False, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                return False
        return True

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove an object."""
        self._require_writable()
        if not missing_ok:
            self.stat()
        with _asking(self) as obstore:
            obstore.delete(self.client, self.key)

    def _require_writable(self) -> None:
        if self.is_web:
            raise MistdataError(f"{self.url}: a web server is only read; write to a bucket")


@cache
def _client(root: str) -> Any:
    _obstore()
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(
            root,
            client_options={
                "allow_http": True,  # to an endpoint that was named as http://
                "connect_timeout": CONNECTING,
                "timeout": ANSWERING,
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": RETRYING},
        )
    except (BaseError, ValueError) as error:
        raise MistdataError(f"{root}: cannot be asked: {_one_line(error)}") from None


def _obstore() -> Any:
    try:
        import obstore
    except ImportError:
        raise MissingExtra(
            "stores under a URL need obstore: pip install 'mistdata[remote]'"
        ) from None
    return obstore


@contextmanager
def _asking(remote: Remote) -> Iterator[Any]:
    """Say in the words of paths what went wrong, and with which object."""
    obstore = _obstore()
    try:
        yield obstore
    except FileNotFoundError as error:
        _require_bucket(remote, error)
        raise FileNotFoundError(errno.ENOENT, "there is no such object", remote.url) from None
    except obstore.exceptions.BaseError as error:
        _require_bucket(remote, error)
        if _INSTANCE in str(error):
            raise MistdataError(f"{remote.url}: no credentials; set {_CREDENTIALS}") from None
        if type(error).__name__ in _REFUSED:
            raise MistdataError(
                f"{remote.url}: refused; it needs credentials that may read it"
            ) from None
        raise Unreachable(f"{remote.url}: {_one_line(error)}") from None


def _require_bucket(remote: Remote, error: Exception) -> None:
    if "NoSuchBucket" in str(error):
        raise MistdataError(f"{remote.url}: there is no such bucket") from None


def _one_line(error: Exception) -> str:
    text = str(error).partition("\n\nDebug source")[0].partition(": <?xml")[0]
    return " ".join(text.split())[:400]
