"""Runs the steps of ../steps.json through the Python SDK: `runner.py sync|async STEPS FOLDER`. README.md says what each action means."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
import threading
from pathlib import Path
from typing import Any, Callable

from otternauts import AsyncClient, AsyncHandle, Client, Config, Event, Handle, Page, Resource, StatusError, models

Action = dict[str, Any]
Result = Any

KINDS: dict[str, Resource[Any]] = {
    "Namespace": models.NAMESPACES,
    "ConfigMap": models.CONFIG_MAPS,
    "Secret": models.SECRETS,
    "Stack": models.STACKS,
    "CustomResourceDefinition": models.CUSTOM_RESOURCE_DEFINITIONS,
    "Gadget": Resource[Any]("sdk.example.com", "v1", "Gadget", "gadgets", True),
}


class Failed(Exception):
    """An action that went another way than its step says."""


class Runner:
    """All the state between actions."""

    def __init__(self, mode: str, steps: dict[str, Any], folder: Path) -> None:
        self.asynchronous = mode == "async"
        self.namespace: str = steps["namespace"]
        self.folder = folder
        self.clients: dict[str, Client | AsyncClient] = {}
        self.saved: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}

    def client(self, name: str) -> Client | AsyncClient:
        if name not in self.clients:
            config = Config.load(self.folder / f"{name}.kubeconfig")
            self.clients[name] = AsyncClient(config) if self.asynchronous else Client(config)
        return self.clients[name]

    def handle(self, action: Action) -> Any:
        client = self.client(action.get("via") or action.get("as") or "admin")
        return client.resource(KINDS[action["kind"]], self.namespace)

    async def call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """The same call of either client."""
        if self.asynchronous:
            return await function(*args, **named)
        return await asyncio.to_thread(function, *args, **named)

    async def run(self, action: Action) -> None:
        """One action, compared with what the step says."""
        action = self.filled(action)
        try:
            result = await getattr(self, "do_" + action["do"])(action)
        except StatusError as error:
            if "error" not in action:
                raise
            compare({**error.status, "code": error.code, "reason": error.reason}, action["error"])
            return
        if "error" in action:
            raise Failed(f"it should have failed with {action['error']}")
        compare(result, action.get("expect", {}))
        for name, path in action.get("save", {}).items():
            self.saved[name] = at(result, path)
        if "keep" in action:
            self.kept[action["keep"]] = result

    def filled(self, value: Any) -> Any:
        """The value with what was saved in the places of `${NAME}`."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, str) and value.startswith("${"):
            return self.saved[value[2:-1]]
        return value

    async def do_create(self, a: Action) -> Result:
        return await self.call(self.handle(a).create, a["body"], dry_run=a.get("dryRun", False))

    async def do_get(self, a: Action) -> Result:
        return await self.call(self.handle(a).get, a["name"])

    async def do_replace(self, a: Action) -> Result:
        item = copy.deepcopy(self.kept[a["kept"]])
        change(a)(item)
        return await self.call(self.handle(a).replace, item, subresource=a.get("subresource", ""))

    async def do_update(self, a: Action) -> Result:
        return await self.call(self.handle(a).update, a["name"], change(a))

    async def do_patch(self, a: Action) -> Result:
        return await self.call(self.handle(a).patch, a["name"], a["type"], a["patch"], subresource=a.get("subresource", ""))

    async def do_apply(self, a: Action) -> Result:
        return await self.call(self.handle(a).apply, a["body"], a["manager"], force=a.get("force", False))

    async def do_delete(self, a: Action) -> Result:
        return await self.call(self.handle(a).delete, a["name"], a.get("options"))

    async def do_deleteAll(self, a: Action) -> Result:
        await self.call(self.handle(a).delete_all, **selection(a))
        return {}

    async def do_wait(self, a: Action) -> Result:
        def met(item: Any) -> bool:
            conditions = item.get("status", {}).get("conditions", [])
            return any(c["type"] == a["condition"] and c["status"] == "True" for c in conditions)

        return await self.call(self.handle(a).wait, a["name"], met)

    async def pages(self, a: Action) -> list[Page[Any]]:
        handle, limit = self.handle(a), a.get("limit", 500)
        if isinstance(handle, AsyncHandle):
            return [page async for page in handle.pages(**selection(a), limit=limit)]
        return await asyncio.to_thread(lambda: list(handle.pages(**selection(a), limit=limit)))

    async def do_list(self, a: Action) -> Result:
        pages = await self.pages(a)
        names = [item["metadata"]["name"] for page in pages for item in page.items]
        return {
            "names": " ".join(names),
            "count": len(names),
            "pages": len(pages),
            "resourceVersion": pages[-1].resource_version,
        }

    async def do_fill(self, a: Action) -> Result:
        for i in range(a["many"]):
            body = {"metadata": {"name": f"{a['prefix']}{i}", "labels": a["labels"]}}
            await self.call(self.handle(a).create, body)
        return {}

    async def events(self, a: Action) -> list[Event[Any]]:
        """As many events of a watch as the action counts."""
        handle, more = self.handle(a), {"resource_version": a.get("from"), "bookmarks": a.get("bookmarks", False)}
        if isinstance(handle, AsyncHandle):
            found: list[Event[Any]] = []
            async for event in handle.watch(**selection(a), **more):
                found.append(event)
                if len(found) == a["count"]:
                    break
            return found

        def read() -> list[Event[Any]]:
            with handle.watch(**selection(a), **more) as watch:
                return [event for _, event in zip(range(a["count"]), watch)]

        return await asyncio.to_thread(read)

    async def do_watch(self, a: Action) -> Result:
        seen = await self.events(a)
        return {"events": ", ".join(f"{event.type} {event.object['metadata'].get('name', '')}" for event in seen)}

    async def do_storm(self, a: Action) -> Result:
        reader = asyncio.create_task(self.events({**a, "count": a["writes"]}))
        handle = self.handle(a)
        for i in range(a["writes"]):
            name, turn = f"w{i % a['names']}", i // a["names"] % 4
            if turn == 0:
                await self.call(handle.create, {"metadata": {"name": name, "labels": a["labels"]}})
            elif turn == 1:
                await self.call(handle.patch, name, "merge", {"data": {"turn": str(i)}})
            elif turn == 2:
                await self.call(handle.patch, name, "json", [{"op": "add", "path": "/data/more", "value": str(i)}])
            else:
                await self.call(handle.delete, name)
        told: dict[str, str] = {}
        events = await reader
        for event in events:
            metadata = event.object["metadata"]
            if event.type == "DELETED":
                del told[metadata["name"]]
            else:
                told[metadata["name"]] = metadata["resourceVersion"]
        items = [item["metadata"] for page in await self.pages(a) for item in page.items]
        left = {metadata["name"]: metadata["resourceVersion"] for metadata in items}
        return {"events": len(events), "left": len(left), "same": told == left}

    async def do_cancel(self, a: Action) -> Result:
        handle = self.handle(a)
        if isinstance(handle, AsyncHandle):
            seen = asyncio.Event()

            async def follow() -> None:
                count = 0
                async for _ in handle.watch(**selection(a)):
                    count += 1
                    if count == a["count"]:
                        seen.set()

            task = asyncio.create_task(follow())
            await seen.wait()
            task.cancel()
            return {"ended": isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)}
        watch = handle.watch(**selection(a))
        arrived = threading.Event()

        def read() -> bool:
            for number, _ in enumerate(watch, 1):
                if number == a["count"]:
                    arrived.set()
            return True

        reader = asyncio.create_task(asyncio.to_thread(read))
        await asyncio.to_thread(arrived.wait)
        watch.close()
        return {"ended": await reader}

    async def do_whoami(self, a: Action) -> Result:
        client = self.client(a["as"])
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await self.call(client.request, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", None, body)
        user = answer["status"]["userInfo"]
        return {"username": user["username"], "groups": " ".join(user.get("groups", []))}

    async def do_fault(self, a: Action) -> Result:
        return await self.call(self.client("proxy").request, "POST", "/_faults", None, a["fault"])

    async def do_report(self, a: Action) -> Result:
        return await self.call(self.client("proxy").request, "GET", "/_report")


def selection(a: Action) -> dict[str, Any]:
    return {"label_selector": a.get("labelSelector"), "field_selector": a.get("fieldSelector")}


def change(a: Action) -> Callable[[Any], None]:
    """Sets the fields that the action names."""

    def apply(item: Any) -> None:
        for path, value in a.get("set", {}).items():
            *way, last = path.split(".")
            place = item
            for part in way:
                place = place.setdefault(part, {})
            place[last] = value

    return apply


def at(value: Any, path: str) -> Any:
    """What is at `a.0.b`; None where nothing is."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def compare(result: Any, expected: dict[str, Any]) -> None:
    for path, value in expected.items():
        if at(result, path) != value:
            raise Failed(f"{path} is {json.dumps(at(result, path))}, not {json.dumps(value)}")


async def main() -> int:
    mode, file, folder = sys.argv[1:]
    document = json.loads(Path(file).read_text())
    runner = Runner(mode, document, Path(folder))
    for number, step in enumerate(document["steps"], 1):
        for action in step["actions"]:
            try:
                await runner.run(action)
            except Exception as error:
                print(f"{number:2} FAILED {step['name']}\n   {json.dumps(action)}\n   {type(error).__name__}: {error}", flush=True)
                return 1
        print(f"{number:2} ok     {step['name']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
