"""Published stores: who looks for `mist-train@1` finds its address, its digest and its recipe.

A catalog is a folder of small JSON files, one for every version of every store. An entry is never
edited; a change is a new version. Three catalogs are looked through: the folder that
MISTDATA_CATALOGS names, and those that come with mistdata. A copy at hand, as NAME-VERSION in the
folder that MISTDATA_STORES names, goes before the address.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

import mistdata
from mistdata.errors import MistdataError, NotAStore, VerificationFailed, did_you_mean
from mistdata.store import card, catalog, ledger
from mistdata.store.catalog import Table
from mistdata.store.commit import create_exclusively
from mistdata.store.document import has_type
from mistdata.store.ledger import Manifest
from mistdata.store.origin import LICENCE, derived_of
from mistdata.store.place import place, require_address
from mistdata.store.seal import content_digest

FORMAT = 1
CATALOGS, STORES = "MISTDATA_CATALOGS", "MISTDATA_STORES"
_NAME = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)@(?P<version>[0-9]+)")


@dataclass(frozen=True)
class Entry:
    """What a catalog says of one version of a store.

    Attributes:
        name: of the store.
        version: of it.
        url: where it can be read; None where everybody makes it.
        licence: of the data, an SPDX identifier.
        digest: of the content: plan, shards and labels.
        plan: hash of the plan.
        recipe_sha256: of the recipe.
        recipe: verbatim.
        mistdata: version that made it.
        fingerprint: how the machine computed that made it.
        datasets: of every split.
        values: float32 values in all.
        bytes: of all files.
    """

    name: str
    version: int
    url: str | None
    licence: str
    digest: str
    plan: str
    recipe_sha256: str
    recipe: str
    mistdata: str
    fingerprint: dict[str, str]
    datasets: dict[str, int]
    values: int
    bytes: int

    @property
    def title(self) -> str:
        """Name and version, as `mistdata.open` takes them."""
        return f"{self.name}@{self.version}"

    @property
    def file(self) -> str:
        """What the file of the entry is called."""
        return f"{self.name}-{self.version}.json"


def publish(store: Path, path: Path, *, url: str | None, licence: str | None = None) -> Entry:
    """Write the entry of a sealed store.

    Args:
        store: the store.
        path: of the entry, NAME-VERSION.json; it must not exist.
        url: where the store will be read; None if everybody is to make it.
        licence: an SPDX identifier; None for that of what was generated.

    Raises:
        NotAStore: the store is not sealed.
        MistdataError: it is only a part of what its recipe says; it has no recipe, and no URL; it
            was imported, and no licence is named; the URL is none; or the path is not that of its
            entry or exists: a published version is never edited.
    """
    record, manifest = ledger.read_record(store), ledger.read_manifest(store)
    if record.limit is not None:
        raise MistdataError(
            f"{store}: made with --limit {record.limit}, so not all that"
            f" {record.name}@{record.version} says; give it a recipe of its own"
        )
    if url is None and derived_of(record.recipe) is not None:
        raise MistdataError(f"{store}: has no recipe to make it from; say with --url where it is")
    entry = Entry(
        name=record.name,
        version=record.version,
        url=url,
        licence=licence or _own_licence(store),
        digest=manifest.digest,
        plan=record.plan,
        recipe_sha256=hashlib.sha256(record.recipe.encode()).hexdigest(),
        recipe=record.recipe,
        mistdata=record.mistdata,
        fingerprint=record.fingerprint,
        datasets=manifest.datasets,
        values=manifest.values,
        bytes=sum(file["size"] for file in manifest.files.values()),
    )
    if path.name != entry.file:
        raise MistdataError(f"{path}: the entry of {entry.title} is called {entry.file}")
    if url is not None:
        require_address(url)
    content = json.dumps({"format": FORMAT, **asdict(entry)}, indent=2) + "\n"
    if not create_exclusively(path, content.encode()):
        raise MistdataError(f"{path}: exists, and a published version is never edited")
    return entry


def _own_licence(store: Path) -> str:
    if card.is_imported(catalog.read_catalog(store / ledger.CATALOG)):
        raise MistdataError(f"{store}: some of it was imported; name its licence with --licence")
    return LICENCE


def entries() -> Iterator[Entry]:
    """Run through the catalogs; of two entries of one version the first counts.

    Raises:
        MistdataError: a file there is no entry.
    """
    seen = set()
    for folder in _folders():
        for path in sorted(folder.glob("*.json")):
            entry = _read(path)
            if entry.title not in seen:
                seen.add(entry.title)
                yield entry


def is_published_name(where: Any) -> bool:
    """Tell whether something is a name and a version rather than a place."""
    return isinstance(where, str) and bool(_NAME.fullmatch(where)) and not Path(where).exists()


def find(title: str) -> Entry:
    """Look a version up.

    Args:
        title: as 'mist-train@1'.

    Raises:
        NotAStore: no catalog has it.
    """
    known = {entry.title: entry for entry in entries()}
    if title not in known:
        hint = did_you_mean(title, known) or f"; there are {', '.join(known) or 'none'}"
        raise NotAStore(f"{title}: not in the catalogs{hint}")
    return known[title]


def place_of(entry: Entry) -> tuple[Path, Manifest]:
    """Return where a version can be read, and the manifest there.

    Raises:
        NotAStore: nowhere; saying how to make it.
        VerificationFailed: what is there has another digest.
    """
    own = os.environ.get(STORES)
    at_hand = Path(own) / f"{entry.name}-{entry.version}" if own else None
    found = place(entry.url) if entry.url is not None else None
    if at_hand is not None and ledger.is_sealed(at_hand):
        found = at_hand
    if found is not None:
        manifest = ledger.read_manifest(found)
        _require_digest(found, entry, manifest.digest)
        return found, manifest
    raise NotAStore(f"{entry.title}: has no address; make it from its recipe: `{to_make(entry)}`")


def to_make(entry: Entry) -> str:
    """Return a line for a shell that makes a version and puts it where it is looked for."""
    own, folder = os.environ.get(STORES), f"{entry.name}-{entry.version}"
    recipe, store = f"{folder}.toml", shlex.quote(f"{own or 'STORES'}/{folder}")
    portable = " --portable" if entry.fingerprint.get("portable") == "yes" else ""
    return (
        f"mistdata catalogs {entry.title} --recipe > {recipe} && mistdata generate {recipe}"
        f" {store}{portable}" + ("" if own else f' && export {STORES}="$PWD/STORES"')
    )


def require_published(store: Path, entry: Entry, manifest: Manifest, table: Table) -> None:
    """Hold a store against its entry: plan, shards and labels.

    Raises:
        VerificationFailed: it is another.
    """
    shards = [shard.file for shard in ledger.shards_of(table)]
    hashes = [(name, str(manifest.files.get(name, {}).get("sha256"))) for name in shards]
    _require_digest(store, entry, content_digest(manifest.plan, hashes, table))


def _require_digest(store: Path, entry: Entry, found: str) -> None:
    if found != entry.digest:
        raise VerificationFailed(
            f"{store}: has the digest {found[:12]}, that of {entry.title} is {entry.digest[:12]}"
        )


def _folders() -> list[Path]:
    """The catalogs: the user's, the package's, and that of a checkout."""
    own = os.environ.get(CATALOGS)
    package = Path(mistdata.__file__).parent
    found = [Path(own)] if own else []
    if own and not found[0].is_dir():
        raise MistdataError(f"{own}: {CATALOGS} must name a folder")
    return [*found, package / "catalogs", package.parent / "catalogs"]


def _read(path: Path) -> Entry:
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"format must be {FORMAT}")
        entry = Entry(**content)
        for name, hint in get_type_hints(Entry).items():
            if not has_type(getattr(entry, name), hint):
                raise ValueError(f"{name} must be {Entry.__annotations__[name]}")
        if path.name != entry.file:
            raise ValueError(f"that of {entry.title} is called {entry.file}")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise MistdataError(f"{path}: not an entry of a catalog: {error}") from None
    return entry
