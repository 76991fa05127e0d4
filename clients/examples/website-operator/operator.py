"""An operator: gives each Website (crd.yml) a Stack of the same name, and tells in its status how that Stack is.

    kubectl apply -f crd.yml
    KUBECONFIG=... python operator.py

It keeps nothing: started again at any time it lists what is there, and applying what is so already changes nothing. The Stack belongs
to its Website, so the server removes it together with the Website.
"""

from __future__ import annotations

import asyncio
import json
from typing import Required, TypedDict

from otternauts import AsyncClient, AsyncHandle, Resource, StatusError
from otternauts.models import STACKS, ObjectMeta, Stack

MANAGER = "website-operator"


class WebsiteSpec(TypedDict):
    """What the person wants."""

    image: str
    domain: str
    port: int
    replicas: int


class WebsiteStatus(TypedDict, total=False):
    """What is."""

    phase: str


class Website(TypedDict, total=False):
    """An object of our kind."""

    metadata: Required[ObjectMeta]
    spec: WebsiteSpec
    status: WebsiteStatus


WEBSITES: Resource[Website] = Resource("examples.otternauts.dev", "v1", "Website", "websites", True)


def stack_of(website: Website) -> Stack:
    """The Stack that a Website is to have."""
    spec, metadata = website["spec"], website["metadata"]
    service = {
        "image": spec["image"],
        "deploy": {"replicas": spec["replicas"]},
        "x-otternauts": {"domains": [spec["domain"]], "port": spec["port"]},
    }
    return {
        "metadata": {
            "name": metadata["name"],
            "ownerReferences": [
                {
                    "apiVersion": WEBSITES.api_version,
                    "kind": WEBSITES.kind,
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                }
            ],
        },
        # JSON is YAML: nothing that a person wrote can become more than a value.
        "spec": {"compose": {"inline": json.dumps({"services": {"web": service}})}},
    }


async def follow_websites(websites: AsyncHandle[Website], stacks: AsyncHandle[Stack]) -> None:
    """Gives every new or changed Website its Stack."""
    async for event in websites.watch():
        website = event.object
        if event.type == "DELETED" or "deletionTimestamp" in website["metadata"]:
            continue
        try:
            await stacks.apply(stack_of(website), MANAGER, force=True)
            print(f"applied {website['metadata']['name']}", flush=True)
        except StatusError as error:
            # Nothing to be done before somebody changes the Website, which is an event.
            await say(websites, website["metadata"]["name"], f"refused: {error}")


async def follow_stacks(websites: AsyncHandle[Website], stacks: AsyncHandle[Stack]) -> None:
    """Tells each Website how its Stack is."""
    async for event in stacks.watch():
        owners = event.object["metadata"].get("ownerReferences", [])
        owner = next((owner["name"] for owner in owners if owner["kind"] == WEBSITES.kind), None)
        if owner is not None and event.type != "DELETED":
            await say(websites, owner, event.object.get("status", {}).get("phase", "pending"))


async def say(websites: AsyncHandle[Website], name: str, phase: str) -> None:
    """Writes the status, unless the Website is gone by now."""
    try:
        await websites.patch(name, "merge", {"status": {"phase": phase}}, subresource="status")
    except StatusError as error:
        if error.reason != "NotFound":
            raise


async def main() -> None:
    """Follows both kinds until it is stopped."""
    async with AsyncClient() as client, asyncio.TaskGroup() as group:
        websites, stacks = client.resource(WEBSITES), client.resource(STACKS)
        group.create_task(follow_websites(websites, stacks))
        group.create_task(follow_stacks(websites, stacks))


if __name__ == "__main__":
    asyncio.run(main())
