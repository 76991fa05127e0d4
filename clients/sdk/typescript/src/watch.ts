import { backoff, pause, type Handle } from "./client.js";
import type { Status } from "./models.js";
import type { KubeObject } from "./resource.js";
import { StatusError } from "./status.js";

/** One change. BOOKMARK comes only if asked for, and says only how far the watch has come. */
export interface WatchEvent<T> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  object: T;
}

/** What is watched. */
export interface WatchOptions {
  /** `tier=front,env in (test,dev)` */
  labelSelector?: string;
  /** `metadata.name=shop` */
  fieldSelector?: string;
  /** Begin after this version, without the current objects. */
  resourceVersion?: string;
  /** Yield BOOKMARK events too; they only say how far the watch has come. */
  bookmarks?: boolean;
  /** Ends the watch. */
  signal?: AbortSignal;
}

/**
 * Yields changes until `signal` says stop. A connection that breaks is made again where it was; when the server has forgotten
 * that place (410), everything is listed and the differences come as events: nothing is lost, no deletion either.
 */
export async function* watch<T extends KubeObject>(handle: Handle<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
  const { labelSelector, fieldSelector, signal } = options;
  const selection = { ...(labelSelector && { labelSelector }), ...(fieldSelector && { fieldSelector }) };
  const known = new Map<string, T>();
  let version = options.resourceVersion;
  let failures = 0;
  while (!signal?.aborted) {
    try {
      if (version === undefined) {
        const found = new Map<string, T>();
        for await (const page of handle.pages({ ...selection, ...(signal && { signal }) })) {
          for (const item of page.items) found.set(key(item), item);
          version = page.metadata.resourceVersion;
        }
        yield* differences(known, found);
      }
      const query = { ...selection, watch: true, allowWatchBookmarks: true, resourceVersion: version };
      const response = await handle.client.raw("GET", handle.path(), { query, ...(signal && { signal }) });
      for await (const line of lines(response)) {
        const event = JSON.parse(line) as { type: string; object: T & Status };
        if (event.type === "ERROR") throw new StatusError(event.object.code ?? 500, event.object);
        failures = 0;
        version = event.object.metadata?.resourceVersion ?? version;
        const seen = event as WatchEvent<T>;
        if (seen.type === "DELETED") known.delete(key(seen.object));
        else if (seen.type !== "BOOKMARK") known.set(key(seen.object), seen.object);
        if (seen.type !== "BOOKMARK" || options.bookmarks) yield seen;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (error instanceof StatusError) {
        if (error.code === 410) version = undefined;
        else if (error.code < 500 && error.code !== 429) throw error;
      }
    }
    failures++;
    // The first time at once: servers end watches as a matter of course.
    if (failures > 1) await pause(backoff(failures), signal).catch(() => undefined);
  }
}

function* differences<T extends KubeObject>(known: Map<string, T>, found: Map<string, T>): Generator<WatchEvent<T>> {
  for (const [name, object] of [...known]) {
    if (!found.has(name)) {
      known.delete(name);
      yield { type: "DELETED", object };
    }
  }
  for (const [name, object] of found) {
    const before = known.get(name);
    known.set(name, object);
    if (before === undefined) yield { type: "ADDED", object };
    else if (before.metadata?.resourceVersion !== object.metadata?.resourceVersion) yield { type: "MODIFIED", object };
  }
}

/** One object is another when it was deleted and made again under the same name. */
function key(object: KubeObject): string {
  return `${object.metadata?.namespace ?? ""}/${object.metadata?.name ?? ""}/${object.metadata?.uid ?? ""}`;
}

async function* lines(response: Response): AsyncGenerator<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) if (line.trim() !== "") yield line;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
