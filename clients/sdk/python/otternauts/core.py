"""What the sync and the async client share: no input, no output."""

from __future__ import annotations

import json
import random
import socket
from dataclasses import dataclass
from typing import Any, Generic, Iterator, Literal, Mapping, TypeVar, cast

import httpx

from .config import Config
from .errors import StatusError

T = TypeVar("T")

PatchType = Literal["merge", "json", "strategic"]
"""How a patch is meant. ``strategic`` works on built-in kinds only."""

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
"""What an event tells."""

ATTEMPTS = 5
"""How often one request is sent at most."""

PATCH_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
APPLY = "application/apply-patch+yaml"
TIMEOUT = httpx.Timeout(30, read=None)
KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_KEEPIDLE"):
    # A watch says nothing while nothing happens: the kernel finds out that the other side is gone.
    KEEP_ALIVE += [(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30), (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)]


@dataclass(frozen=True)
class Event(Generic[T]):
    """One change. BOOKMARK comes only if asked for, and says only how far the watch has come."""

    type: EventType
    object: T


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list."""

    items: list[T]
    resource_version: str
    next: str | None
    """What to ask the next page with; ``None`` on the last one."""


def page(document: Mapping[str, Any]) -> Page[Any]:
    """The page that an answer is."""
    metadata = document.get("metadata") or {}
    return Page(document["items"], metadata.get("resourceVersion", ""), metadata.get("continue") or None)


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: doubling from 0.1 to 10, with some chance in it."""
    return float(min(0.1 * 2 ** (min(attempt, 10) - 1), 10.0)) * random.uniform(0.5, 1.0)


def wait_before_retry(error: StatusError | None, method: str, attempt: int, config: Config, bearer: str | None) -> float | None:
    """Seconds to wait before sending a request again; ``None``: do not. ``error`` is ``None`` for a broken connection.

    After 401 a source of tokens is asked once more. 429, and a 5xx that says Retry-After, was not looked at by the server, so
    any request may be sent again; after another 5xx only a read may.
    """
    if attempt >= ATTEMPTS:
        return None
    if error is None:
        return backoff(attempt) if method == "GET" else None
    if error.code == 401 and attempt == 1 and config.credentials and bearer and not config.token:
        config.credentials.refused(bearer)
        return 0.0
    again = error.code == 429 or (error.code >= 500 and (method == "GET" or error.retry_after is not None))
    if not again:
        return None
    return error.retry_after if error.retry_after is not None else backoff(attempt)


def headers(bearer: str | None, media: str | None) -> dict[str, str]:
    """Those of every request."""
    found = {"accept": "application/json", "user-agent": "otternauts-python/0.1"}
    if bearer:
        found["authorization"] = f"Bearer {bearer}"
    if media:
        found["content-type"] = media
    return found


def selection(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    """The query of a selection."""
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in query.items() if value is not None}


def write_query(field_manager: str | None = None, dry_run: bool = False, force: bool | None = None) -> dict[str, str]:
    """The query of a write."""
    query = {
        "fieldManager": field_manager,
        "dryRun": "All" if dry_run else None,
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

    def query(self, selected: Mapping[str, str]) -> dict[str, str]:
        """Of the next connection."""
        return {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": self.version or "", **selected}

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
