"""The client that waits."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Generator, Generic, Iterator, Mapping, Sequence, TypeVar, cast

import httpx

from . import core
from .config import Config
from .core import Event, Page, PatchType
from .errors import StatusError
from .models import DeleteOptions, JsonPatchOperation, Status
from .resource import Resource

T = TypeVar("T")


class Client:
    """A connection to one server. Safe to share between threads."""

    def __init__(self, config: Config | None = None) -> None:
        """For ``config``, or for what :meth:`Config.load` finds."""
        self.config = config or Config.load()
        verify = self.config.tls() if self.config.server.startswith("https") else False
        transport = httpx.HTTPTransport(verify=verify, socket_options=core.KEEP_ALIVE)
        self._http = httpx.Client(base_url=self.config.server, transport=transport, timeout=core.TIMEOUT, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of its connections."""
        self._http.close()

    def resource(self, resource: Resource[T], namespace: str | None = None) -> Handle[T]:
        """The objects of one kind, in ``namespace``, or where the client is at home. ``"*"``: everywhere."""
        place = namespace or self.config.namespace
        return Handle(self, resource, None if place == "*" else place)

    @contextmanager
    def stream(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, media: str = "application/json"
    ) -> Iterator[httpx.Response]:
        """One request, retried where that is safe; its answer is not read yet. Raises :class:`StatusError`."""
        attempt = 0
        while True:
            attempt += 1
            bearer = self.config.bearer()
            headers = core.headers(bearer, None if body is None else media)
            request = self._http.build_request(method, path, params=query, json=body, headers=headers)
            try:
                response = self._http.send(request, stream=True)
            except httpx.TransportError:
                wait = core.wait_before_retry(None, method, attempt, self.config, bearer)
                if wait is None:
                    raise
            else:
                if response.is_success:
                    break
                error = StatusError.of(response.status_code, response.headers, response.read())
                response.close()
                wait = core.wait_before_retry(error, method, attempt, self.config, bearer)
                if wait is None:
                    raise error
            time.sleep(wait)
        try:
            yield response
        finally:
            response.close()

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, media: str = "application/json"
    ) -> Any:
        """As :meth:`stream`, with the answer's JSON: for what has no method here."""
        with self.stream(method, path, query, body, media) as response:
            response.read()
            return response.json()


class Handle(Generic[T]):
    """The objects of one kind in one place."""

    def __init__(self, client: Client, resource: Resource[T], namespace: str | None) -> None:
        """Use :meth:`Client.resource`."""
        self.client = client
        self.resource = resource
        self.namespace = namespace

    def path(self, name: str = "", subresource: str = "") -> str:
        """Of the collection, an object or a part of it."""
        return self.resource.path(self.namespace, name, subresource)

    def get(self, name: str) -> T:
        """Reads one object."""
        return cast(T, self.client.request("GET", self.path(name)))

    def list(
        self,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
        continue_from: str | None = None,
    ) -> Page[T]:
        """One page; ``continue_from`` is :attr:`Page.next` of the one before."""
        query = {"limit": str(limit), **core.selection(label_selector, field_selector)}
        if continue_from is not None:
            query["continue"] = continue_from
        return core.page(self.client.request("GET", self.path(), query))

    def pages(self, label_selector: str | None = None, field_selector: str | None = None, limit: int = 500) -> Iterator[Page[T]]:
        """Every page, as one is needed."""
        found = self.list(label_selector, field_selector, limit)
        yield found
        while found.next is not None:
            found = self.list(label_selector, field_selector, limit, found.next)
            yield found

    def all(self, label_selector: str | None = None, field_selector: str | None = None, limit: int = 500) -> Iterator[T]:
        """Every object."""
        for found in self.pages(label_selector, field_selector, limit):
            yield from found.items

    def create(self, item: T, field_manager: str | None = None, dry_run: bool = False) -> T:
        """Makes an object; its ``apiVersion`` and ``kind`` are filled in."""
        query = core.write_query(field_manager, dry_run)
        return cast(T, self.client.request("POST", self.path(), query, self.resource.typed(item)))

    def replace(self, item: T, subresource: str = "", field_manager: str | None = None, dry_run: bool = False) -> T:
        """Writes the whole object; refused with ``Conflict`` when it changed since it was read."""
        body = self.resource.typed(item)
        path = self.path(body["metadata"]["name"], subresource)
        return cast(T, self.client.request("PUT", path, core.write_query(field_manager, dry_run), body))

    def update(self, name: str, change: Callable[[T], None], field_manager: str | None = None) -> T:
        """Reads, changes and writes, again when somebody else was faster."""
        attempt = 0
        while True:
            attempt += 1
            item = self.get(name)
            change(item)
            try:
                return self.replace(item, field_manager=field_manager)
            except StatusError as error:
                if error.reason != "Conflict" or attempt >= core.ATTEMPTS:
                    raise
            time.sleep(core.backoff(attempt))

    def patch(
        self,
        name: str,
        kind: PatchType,
        patch: Mapping[str, object] | Sequence[JsonPatchOperation],
        subresource: str = "",
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> T:
        """Changes parts of an object: a mapping for ``merge`` and ``strategic``, operations for ``json``."""
        path, media = self.path(name, subresource), core.PATCH_TYPES[kind]
        return cast(T, self.client.request("PATCH", path, core.write_query(field_manager, dry_run), patch, media))

    def apply(self, item: T, manager: str, force: bool = False, subresource: str = "", dry_run: bool = False) -> T:
        """Server-side apply: says what ``manager`` wants, and takes fields from others only with ``force``."""
        body = self.resource.typed(item)
        path, query = self.path(body["metadata"]["name"], subresource), core.write_query(manager, dry_run, force)
        return cast(T, self.client.request("PATCH", path, query, body, core.APPLY))

    def delete(self, name: str, options: DeleteOptions | None = None) -> T | Status:
        """Answers the object while finalizers hold it, else a Status."""
        return cast(T | Status, self.client.request("DELETE", self.path(name), body=options or {}))

    def delete_all(self, label_selector: str | None = None, field_selector: str | None = None) -> None:
        """Removes every object that is selected."""
        self.client.request("DELETE", self.path(), core.selection(label_selector, field_selector))

    def watch(
        self,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        bookmarks: bool = False,
    ) -> Watch[T]:
        """The current objects as ADDED, then every change; with ``resource_version`` only what changed after it. See :class:`Watch`."""
        return Watch(self, core.selection(label_selector, field_selector), core.Watching(resource_version, bookmarks))

    def wait(self, name: str, wanted: Callable[[T], bool]) -> T:
        """Waits until the object is as wanted."""
        with self.watch(field_selector=f"metadata.name={name}") as watch:
            for event in watch:
                if event.type in ("ADDED", "MODIFIED") and wanted(event.object):
                    return event.object
        raise AssertionError("a watch does not end")


class Watch(Generic[T]):
    """An iterator of events that ends only with :meth:`close`, from this or any other thread.

    A connection that breaks is made again where it was; when the server has forgotten that place (410), everything is
    listed and the differences come as events: nothing is lost, no deletion either.
    """

    def __init__(self, handle: Handle[T], selected: dict[str, str], state: core.Watching) -> None:
        """Use :meth:`Handle.watch`."""
        # The generator does not know this object: so it ends at once, on its own thread, when nobody holds this any more.
        self._wire = _Wire()
        self._events = _events(handle, selected, state, self._wire)

    def __iter__(self) -> Iterator[Event[T]]:
        return self

    def __next__(self) -> Event[T]:
        return next(self._events)

    def __enter__(self) -> Watch[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the iteration, also while it waits for an event."""
        self._wire.cut()
        try:
            self._events.close()
        except ValueError:
            pass  # It is running on another thread, and finds the connection gone.


class _Wire:
    """The connection of a watch, for whoever wants to end it."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._response: httpx.Response | None = None

    def cut(self) -> None:
        self.closed.set()
        with self._lock:
            stream = self._response.extensions.get("network_stream") if self._response else None
            connection = stream.get_extra_info("socket") if stream else None
            if connection is not None:
                try:
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
                except OSError:
                    pass  # It is broken already.

    @contextmanager
    def holding(self, response: httpx.Response) -> Iterator[None]:
        with self._lock:
            self._response = response
        try:
            yield
        finally:
            with self._lock:
                self._response = None


def _events(
    handle: Handle[T], selected: dict[str, str], state: core.Watching, wire: _Wire
) -> Generator[Event[T], None, None]:
    while not wire.closed.is_set():
        try:
            if state.version is None:
                found = list(handle.pages(selected.get("labelSelector"), selected.get("fieldSelector")))
                items = [item for part in found for item in part.items]
                yield from state.listed(items, found[-1].resource_version)
            with handle.client.stream("GET", handle.path(), state.query(selected)) as response, wire.holding(response):
                lines = iter(()) if wire.closed.is_set() else response.iter_lines()
                for line in lines:
                    if line and (event := state.line(line)):
                        yield event
        except StatusError as error:
            state.failed(error)
        except (httpx.TransportError, ValueError):
            pass  # Broken, perhaps in the middle of a line: made again below.
        wire.closed.wait(state.pause())
