"""What the sync and the async client share: no input, no output."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Generic, Iterator, Literal, Mapping, TypeVar, cast

from .errors import StatusError

T = TypeVar("T")
PatchType = Literal["merge", "json", "strategic"]
ATTEMPTS = 5
PATCH_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Event(Generic[T]):
    """One change. ``type`` is ADDED, MODIFIED, DELETED, or BOOKMARK if asked for."""

    type: str
    object: T


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list."""

    items: list[T]
    resource_version: str
    next: str | None


def page(document: Mapping[str, Any]) -> Page[Any]:
    metadata = document.get("metadata") or {}
    return Page(document["items"], metadata.get("resourceVersion", ""), metadata.get("continue") or None)


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: doubling from 0.1 to 10, with some chance in it."""
    return float(min(0.1 * 2 ** (attempt - 1), 10.0)) * random.uniform(0.5, 1.0)


def wait_before_retry(error: StatusError | None, method: str, attempt: int) -> float | None:
    """Seconds to wait before sending a request again; ``None``: do not. ``error`` is ``None`` for a broken connection.

    429 was not looked at by the server, so any request may be sent again; after a 5xx only a read may.
    """
    if attempt >= ATTEMPTS:
        return None
    if error is None:
        return backoff(attempt) if method == "GET" else None
    again = error.code == 429 or (error.code >= 500 and (method == "GET" or error.retry_after is not None))
    if not again:
        return None
    return error.retry_after if error.retry_after is not None else backoff(attempt)


def write_query(
    field_manager: str | None = None, dry_run: bool = False, field_validation: str | None = None, force: bool | None = None
) -> dict[str, Any]:
    query = {
        "fieldManager": field_manager,
        "dryRun": "All" if dry_run else None,
        "fieldValidation": field_validation,
        "force": None if force is None else str(force).lower(),
    }
    return {name: value for name, value in query.items() if value is not None}


def _key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    # One object is another when it was deleted and made again under the same name.
    metadata = item.get("metadata") or {}
    return metadata.get("namespace", ""), metadata.get("name", ""), metadata.get("uid", "")


def _version(item: Mapping[str, Any]) -> str:
    return cast(str, (item.get("metadata") or {}).get("resourceVersion", ""))


class Watching:
    """How far a watch has come, and what it knows: enough to say what was missed."""

    def __init__(self, version: str | None, bookmarks: bool) -> None:
        self.version = version
        self.failures = 0
        self._bookmarks = bookmarks
        self._known: dict[tuple[str, str, str], Any] = {}

    def listed(self, items: list[Any], version: str) -> Iterator[Event[Any]]:
        """The differences to what is known, as events."""
        self.version = version
        found = {_key(item): item for item in items}
        for key in [key for key in self._known if key not in found]:
            yield Event("DELETED", self._known.pop(key))
        for key, item in found.items():
            before = self._known.get(key)
            self._known[key] = item
            if before is None:
                yield Event("ADDED", item)
            elif _version(before) != _version(item):
                yield Event("MODIFIED", item)

    def line(self, text: str) -> Event[Any] | None:
        """One line of the stream. Raises the error it holds."""
        event = json.loads(text)
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise StatusError(item.get("code", 500), item)
        self.failures = 0
        self.version = _version(item) or self.version
        if kind == "BOOKMARK":
            return Event(kind, item) if self._bookmarks else None
        if kind == "DELETED":
            self._known.pop(_key(item), None)
        else:
            self._known[_key(item)] = item
        return Event(kind, item)

    def failed(self, error: StatusError) -> None:
        """Goes on after what passes: 410 means list again."""
        if error.code == 410:
            self.version = None
        elif error.code < 500 and error.code != 429:
            raise error

    def pause(self) -> float:
        """Seconds before the next connection. The first time none: servers end watches as a matter of course."""
        self.failures += 1
        return backoff(self.failures) if self.failures > 1 else 0.0
