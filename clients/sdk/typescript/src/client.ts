import type { Credentials } from "./credentials.js";
import type { DeleteOptions, JsonPatchOperation, ListMeta, Status } from "./models.js";
import { apiVersion, type KubeObject, type Resource } from "./resource.js";
import { StatusError } from "./status.js";
import { watch, type WatchEvent, type WatchOptions } from "./watch.js";

/** What a client needs to know. */
export interface ClientOptions {
  /** `https://127.0.0.1:7443` */
  server: string;
  /** A bearer token that stays as it is. */
  token?: string;
  /** Used when there is no token: a source that may be asked again. */
  credentials?: Credentials;
  /** Used by namespaced calls that name none. */
  namespace?: string;
  /** Another `fetch`, for example one that knows a private authority (see `node.ts`). */
  fetch?: typeof fetch;
  /** How often one request is sent at most; 5 by default. */
  attempts?: number;
}

/** The query of a request; what is undefined is left out. */
export type Query = { [name: string]: string | number | boolean | undefined };

/** Of one request. */
export interface RequestOptions {
  query?: Query;
  /** Sent as JSON. */
  body?: unknown;
  /** `application/json` by default. */
  contentType?: string;
  /** Ends the request and every further attempt. */
  signal?: AbortSignal;
}

/** What is listed. */
export interface ListOptions {
  /** `tier=front,env in (test,dev)` */
  labelSelector?: string;
  /** `metadata.name=shop` */
  fieldSelector?: string;
  /** Objects a page; 500 by default. */
  limit?: number;
  /** `metadata.continue` of the page before. */
  continue?: string;
  /** Ends the request. */
  signal?: AbortSignal;
}

/** One page of a list. */
export interface List<T> {
  items: T[];
  metadata: ListMeta;
}

/** How a patch is meant. `strategic` works on built-in kinds only. */
export type PatchType = "merge" | "json" | "strategic";

/** Of a write. */
export interface WriteOptions {
  /** Who owns the fields that are set. */
  fieldManager?: string;
  /** Says what would happen; stores nothing. */
  dryRun?: boolean;
  /** What becomes of unknown fields. */
  fieldValidation?: "Ignore" | "Warn" | "Strict";
  /** `status`, for kinds that have one. */
  subresource?: string;
  /** Ends the request. */
  signal?: AbortSignal;
}

const PATCH_TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
} as const;

/** A connection to one server. Cheap; make one and share it. */
export class Client {
  /** Used by handles that name none. */
  readonly namespace: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.namespace = options.namespace ?? "default";
  }

  /** The objects of one kind, in `namespace`, or where the client is at home. `"*"` lists and watches all namespaces. */
  resource<T extends KubeObject>(resource: Resource<T>, namespace = this.namespace): Handle<T> {
    return new Handle(this, resource, namespace);
  }

  /** One request, retried where that is safe. Throws {@link StatusError}. */
  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.raw(method, path, options);
    return (await response.json()) as T;
  }

  /** As {@link request}, but the answer's body is not read yet. */
  async raw(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const url = new URL(path, this.#options.server);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const headers: { [name: string]: string } = { accept: "application/json" };
    const init: RequestInit = { method, headers };
    if (options.body !== undefined) {
      headers["content-type"] = options.contentType ?? "application/json";
      init.body = JSON.stringify(options.body);
    }
    if (options.signal !== undefined) init.signal = options.signal;
    const { token, credentials, fetch: send = fetch } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const last = attempt >= (this.#options.attempts ?? 5);
      let wait = backoff(attempt);
      const bearer = token ?? (await credentials?.token());
      if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`;
      try {
        const response = await send(url, init);
        if (response.ok) return response;
        const error = await StatusError.of(response);
        // What was not looked at by the server may be sent again: after 401 with a newer token, after 429, and after a 5xx that
        // says Retry-After. After another 5xx only a read may.
        const renewed = error.code === 401 && attempt === 1 && token === undefined && credentials !== undefined;
        const again = error.code === 429 || (error.code >= 500 && (method === "GET" || error.retryAfter !== undefined));
        if (last || !(again || renewed)) throw error;
        if (renewed) credentials.refused();
        if (renewed) wait = 0;
        else if (error.retryAfter !== undefined) wait = error.retryAfter * 1000;
      } catch (error) {
        if (error instanceof StatusError || last || method !== "GET" || options.signal?.aborted) throw error;
      }
      await pause(wait, options.signal);
    }
  }
}

/** The objects of one kind in one place. */
export class Handle<T extends KubeObject> {
  constructor(
    readonly client: Client,
    readonly resource: Resource<T>,
    readonly namespace: string,
  ) {}

  /** Of the collection, an object or a part of it. */
  path(name = "", subresource = ""): string {
    const { group, version, plural, namespaced } = this.resource;
    const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    const place = namespaced && this.namespace !== "*" ? `/namespaces/${encodeURIComponent(this.namespace)}` : "";
    const item = name === "" ? "" : `/${encodeURIComponent(name)}`;
    return `${root}${place}/${plural}${item}${subresource === "" ? "" : `/${subresource}`}`;
  }

  /** Reads one object. */
  get(name: string): Promise<T> {
    return this.client.request("GET", this.path(name));
  }

  /** One page. */
  list(options: ListOptions = {}): Promise<List<T>> {
    const { signal, ...query } = options;
    return this.client.request("GET", this.path(), { query: { limit: 500, ...query }, ...(signal && { signal }) });
  }

  /** Every page, as one is needed. */
  async *pages(options: ListOptions = {}): AsyncGenerator<List<T>> {
    let next: string | undefined;
    do {
      const page: List<T> = await this.list(next === undefined ? options : { ...options, continue: next });
      yield page;
      next = page.metadata.continue || undefined;
    } while (next !== undefined);
  }

  /** Every object. */
  async *all(options: ListOptions = {}): AsyncGenerator<T> {
    for await (const page of this.pages(options)) yield* page.items;
  }

  /** Makes an object; its `apiVersion` and `kind` are filled in. */
  create(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write("POST", this.path(), this.#typed(object), options);
  }

  /** Writes the whole object; refused with `Conflict` when it changed since it was read. */
  replace(object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write("PUT", this.path(object.metadata?.name, options.subresource), this.#typed(object), options);
  }

  /** Reads, changes and writes, again when somebody else was faster. */
  async update(name: string, change: (object: T) => void, options: WriteOptions = {}): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const object = await this.get(name);
      change(object);
      try {
        return await this.replace(object, options);
      } catch (error) {
        if (!StatusError.is(error, "Conflict") || attempt >= 5) throw error;
        await pause(backoff(attempt), options.signal);
      }
    }
  }

  /** Changes parts of an object: with an object for `merge` and `strategic`, with operations for `json`. */
  patch(name: string, type: PatchType, patch: object | JsonPatchOperation[], options: WriteOptions = {}): Promise<T> {
    return this.#write("PATCH", this.path(name, options.subresource), patch, options, PATCH_TYPES[type]);
  }

  /** Server-side apply: says what `manager` wants, and takes fields from others only with `force`. */
  apply(object: T, manager: string, options: { force?: boolean; dryRun?: boolean; subresource?: string } = {}): Promise<T> {
    const path = this.path(object.metadata?.name, options.subresource);
    const query = { fieldManager: manager, force: options.force, dryRun: options.dryRun ? "All" : undefined };
    const contentType = "application/apply-patch+yaml";
    return this.client.request("PATCH", path, { query, body: this.#typed(object), contentType });
  }

  /** Answers the object while finalizers hold it, else a Status. */
  delete(name: string, options: DeleteOptions = {}): Promise<T | Status> {
    return this.client.request("DELETE", this.path(name), { body: options });
  }

  /** Removes every object that is selected. */
  async deleteAll(options: Pick<ListOptions, "labelSelector" | "fieldSelector"> = {}): Promise<void> {
    await this.client.request("DELETE", this.path(), { query: { ...options } });
  }

  /** The current objects as ADDED, then every change, without end: see {@link watch}. */
  watch(options: WatchOptions = {}): AsyncGenerator<WatchEvent<T>> {
    return watch(this, options);
  }

  /** Waits until the object is as wanted. Without a signal it waits for ever. */
  async wait(name: string, wanted: (object: T) => boolean, signal?: AbortSignal): Promise<T> {
    const options = { fieldSelector: `metadata.name=${name}`, ...(signal && { signal }) };
    for await (const event of this.watch(options)) {
      if (event.type !== "DELETED" && event.type !== "BOOKMARK" && wanted(event.object)) return event.object;
    }
    throw signal?.reason ?? new Error("the watch ended");
  }

  #typed(object: T): T {
    return { ...object, apiVersion: apiVersion(this.resource), kind: this.resource.kind };
  }

  #write(method: string, path: string, body: unknown, options: WriteOptions, contentType?: string): Promise<T> {
    const { fieldManager, fieldValidation, signal } = options;
    const query = { fieldManager, fieldValidation, dryRun: options.dryRun ? "All" : undefined };
    return this.client.request(method, path, {
      query,
      body,
      ...(contentType !== undefined && { contentType }),
      ...(signal && { signal }),
    });
  }
}

/** Milliseconds before the next attempt: doubling from 100 ms to 10 s, with some chance in it. */
export function backoff(attempt: number): number {
  return Math.min(100 * 2 ** (attempt - 1), 10_000) * (0.5 + Math.random() / 2);
}

/** Waits; rejects when `signal` says stop. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}
