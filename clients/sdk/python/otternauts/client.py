"""The client that waits."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Callable, Generic, Iterator, Mapping, TypeVar, cast

import httpx

from . import core
from .config import Config
from .core import Event, Page, PatchType
from .errors import StatusError
from .resource import Resource

T = TypeVar("T")


class Client:
    """A connection to one server. Safe to share between threads."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config.load()
        verify = self.config.tls() if self.config.server.startswith("https") else False
        self._http = httpx.Client(
            base_url=self.config.server,
            headers=self.config.headers(),
            verify=verify,
            timeout=httpx.Timeout(30, read=None),
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def resource(self, resource: Resource[T], namespace: str | None = None) -> Handle[T]:
        """The objects of one kind, in ``namespace``, or where the client is at home. ``"*"``: everywhere."""
        place = namespace or self.config.namespace
        return Handle(self, resource, None if place == "*" else place)

    @contextmanager
    def stream(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None, media: str = "application/json"
    ) -> Iterator[httpx.Response]:
        """One request, retried where that is safe; its answer is not read yet. Raises :class:`StatusError`."""
        more: dict[str, Any] = {} if body is None else {"json": body, "headers": {"content-type": media}}
        request = self._http.build_request(method, path, params=dict(query or {}), **more)
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._http.send(request, stream=True)
            except httpx.TransportError:
                wait = core.wait_before_retry(None, method, attempt)
                if wait is None:
                    raise
            else:
                if response.is_success:
                    break
                error = StatusError.of(response.status_code, response.headers, response.read())
                wait = core.wait_before_retry(error, method, attempt)
                if wait is None:
                    raise error
            time.sleep(wait)
        try:
            yield response
        finally:
            response.close()

    def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None, media: str = "application/json"
    ) -> Any:
        """As :meth:`stream`, with the answer's JSON."""
        with self.stream(method, path, query, body, media) as response:
            response.read()
            return response.json()


class Handle(Generic[T]):
    """The objects of one kind in one place."""

    def __init__(self, client: Client, resource: Resource[T], namespace: str | None) -> None:
        self.client = client
        self.resource = resource
        self.namespace = namespace

    def path(self, name: str = "", subresource: str = "") -> str:
        return self.resource.path(self.namespace, name, subresource)

    def _typed(self, item: T) -> dict[str, Any]:
        fields = cast(dict[str, Any], item)
        return {**fields, "apiVersion": self.resource.api_version, "kind": self.resource.kind}

    def get(self, name: str) -> T:
        return cast(T, self.client.request("GET", self.path(name)))

    def list(self, limit: int = 500, **query: str) -> Page[T]:
        """One page. ``query``: labelSelector, fieldSelector, continue."""
        return core.page(self.client.request("GET", self.path(), {"limit": limit, **query}))

    def pages(self, limit: int = 500, **query: str) -> Iterator[Page[T]]:
        """Every page, as one is needed."""
        while True:
            found = self.list(limit, **query)
            yield found
            if found.next is None:
                return
            query["continue"] = found.next

    def all(self, limit: int = 500, **query: str) -> Iterator[T]:
        """Every object."""
        for found in self.pages(limit, **query):
            yield from found.items

    def create(self, item: T, field_manager: str | None = None, dry_run: bool = False) -> T:
        query = core.write_query(field_manager, dry_run)
        return cast(T, self.client.request("POST", self.path(), query, self._typed(item)))

    def replace(self, item: T, subresource: str = "", field_manager: str | None = None) -> T:
        """Writes the whole object; refused with ``Conflict`` when it changed since it was read."""
        body = self._typed(item)
        path = self.path(body["metadata"]["name"], subresource)
        return cast(T, self.client.request("PUT", path, core.write_query(field_manager), body))

    def update(self, name: str, change: Callable[[T], None]) -> T:
        """Reads, changes and writes, again when somebody else was faster."""
        attempt = 0
        while True:
            attempt += 1
            item = self.get(name)
            change(item)
            try:
                return self.replace(item)
            except StatusError as error:
                if error.reason != "Conflict" or attempt >= core.ATTEMPTS:
                    raise
            time.sleep(core.backoff(attempt))

    def patch(self, name: str, kind: PatchType, patch: Any, subresource: str = "", field_manager: str | None = None) -> T:
        path, media = self.path(name, subresource), core.PATCH_TYPES[kind]
        return cast(T, self.client.request("PATCH", path, core.write_query(field_manager), patch, media))

    def apply(self, item: T, manager: str, force: bool = False, subresource: str = "") -> T:
        """Server-side apply: says what ``manager`` wants, and takes fields from others only with ``force``."""
        body = self._typed(item)
        path, query = self.path(body["metadata"]["name"], subresource), core.write_query(manager, force=force)
        return cast(T, self.client.request("PATCH", path, query, body, core.APPLY))

    def delete(self, name: str, **options: Any) -> Any:
        """``options``: preconditions, propagationPolicy. Answers the object while finalizers hold it, else a Status."""
        return self.client.request("DELETE", self.path(name), body=options)

    def delete_all(self, **query: str) -> None:
        self.client.request("DELETE", self.path(), query)

    def watch(self, resource_version: str | None = None, bookmarks: bool = False, **query: str) -> Iterator[Event[T]]:
        """The current objects as ADDED, then every change, without end.

        A connection that breaks is made again where it was; when the server has forgotten that place (410), everything is
        listed and the differences come as events: nothing is lost, no deletion either.
        """
        state = core.Watching(resource_version, bookmarks)
        while True:
            try:
                if state.version is None:
                    found = list(self.pages(500, **query))
                    items = [item for part in found for item in part.items]
                    yield from state.listed(items, found[-1].resource_version)
                more = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": state.version, **query}
                with self.client.stream("GET", self.path(), more) as response:
                    for line in response.iter_lines():
                        if line and (event := state.line(line)):
                            yield event
            except StatusError as error:
                state.failed(error)
            except httpx.TransportError:
                pass  # Made again below.
            time.sleep(state.pause())

    def wait(self, name: str, wanted: Callable[[T], bool]) -> T:
        """Waits until the object is as wanted."""
        for event in self.watch(fieldSelector=f"metadata.name={name}"):
            if event.type != "DELETED" and wanted(event.object):
                return event.object
        raise AssertionError("a watch does not end")
