// Runs the steps of ../steps.json through the TypeScript SDK: `runner.js STEPS FOLDER`. README.md says what each action means.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import * as sdk from "@otternauts/client";
import { fromKubeconfig } from "@otternauts/client/node";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Fields = { [key: string]: Json };
type Metadata = { name?: string; resourceVersion?: string };

interface Action {
  do: string;
  kind: string;
  name: string;
  as?: string;
  via?: string;
  body: sdk.KubeObject;
  patch: object;
  type: sdk.PatchType;
  set?: Fields;
  options?: sdk.DeleteOptions;
  subresource?: string;
  dryRun?: boolean;
  manager: string;
  force?: boolean;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  from?: string;
  bookmarks?: boolean;
  count: number;
  many: number;
  prefix: string;
  labels: { [key: string]: string };
  writes: number;
  names: number;
  condition: string;
  fault: Json;
  expect?: Fields;
  error?: Fields;
  save?: { [name: string]: string };
  keep?: string;
  kept: string;
}

interface Steps {
  namespace: string;
  steps: { name: string; actions: Action[] }[];
}

const GADGETS: sdk.Resource<sdk.KubeObject> = {
  group: "sdk.example.com",
  version: "v1",
  kind: "Gadget",
  plural: "gadgets",
  namespaced: true,
};

const KINDS: { [kind: string]: sdk.Resource<sdk.KubeObject> } = {
  Namespace: sdk.NAMESPACES,
  ConfigMap: sdk.CONFIG_MAPS,
  Secret: sdk.SECRETS,
  Stack: sdk.STACKS,
  CustomResourceDefinition: sdk.CUSTOM_RESOURCE_DEFINITIONS,
  Gadget: GADGETS,
};

const [, , file, folder] = process.argv;
const document = JSON.parse(readFileSync(file ?? "", "utf8")) as Steps;
const clients = new Map<string, sdk.Client>();
const saved = new Map<string, Json>();
const kept = new Map<string, Json>();

function client(name: string): sdk.Client {
  const found = clients.get(name) ?? fromKubeconfig(`${folder}/${name}.kubeconfig`);
  clients.set(name, found);
  return found;
}

function handle(a: Action): sdk.Handle<sdk.KubeObject> {
  const resource = KINDS[a.kind];
  if (resource === undefined) throw new Error(`no kind ${a.kind}`);
  return client(a.via ?? a.as ?? "admin").resource(resource, document.namespace);
}

function selection(a: Action): { labelSelector?: string; fieldSelector?: string } {
  return { ...(a.labelSelector && { labelSelector: a.labelSelector }), ...(a.fieldSelector && { fieldSelector: a.fieldSelector }) };
}

function writing(a: Action): sdk.WriteOptions {
  return { ...(a.subresource && { subresource: a.subresource }), ...(a.dryRun && { dryRun: true }) };
}

/** Sets the fields that the action names. */
function change(a: Action): (object: sdk.KubeObject) => void {
  return (object) => {
    for (const [path, value] of Object.entries(a.set ?? {})) {
      const way = path.split(".");
      const last = way.pop() ?? "";
      let place = object as Fields;
      for (const part of way) place = (place[part] ??= {}) as Fields;
      place[last] = value;
    }
  };
}

async function pages(a: Action): Promise<sdk.List<sdk.KubeObject>[]> {
  const found = [];
  for await (const page of handle(a).pages({ ...selection(a), ...(a.limit && { limit: a.limit }) })) found.push(page);
  return found;
}

async function events(a: Action, count: number): Promise<sdk.WatchEvent<sdk.KubeObject>[]> {
  const found: sdk.WatchEvent<sdk.KubeObject>[] = [];
  const options = { ...selection(a), ...(a.from && { resourceVersion: a.from }), ...(a.bookmarks && { bookmarks: true }) };
  for await (const event of handle(a).watch(options)) {
    found.push(event);
    if (found.length === count) break;
  }
  return found;
}

async function storm(a: Action): Promise<unknown> {
  const reader = events(a, a.writes);
  const objects = handle(a);
  for (let i = 0; i < a.writes; i++) {
    const name = `w${i % a.names}`;
    const turn = Math.floor(i / a.names) % 4;
    if (turn === 0) await objects.create({ metadata: { name, labels: a.labels } });
    else if (turn === 1) await objects.patch(name, "merge", { data: { turn: String(i) } });
    else if (turn === 2) await objects.patch(name, "json", [{ op: "add", path: "/data/more", value: String(i) }]);
    else await objects.delete(name);
  }
  const told = await reader;
  const state: { [name: string]: string | undefined } = {};
  for (const { type, object } of told) {
    const { name, resourceVersion } = object.metadata as Metadata;
    if (type === "DELETED") delete state[name ?? ""];
    else state[name ?? ""] = resourceVersion;
  }
  const left: { [name: string]: string | undefined } = {};
  for (const page of await pages(a)) {
    for (const item of page.items) left[item.metadata?.name ?? ""] = item.metadata?.resourceVersion;
  }
  return { events: told.length, left: Object.keys(left).length, same: isDeepStrictEqual(state, left) };
}

async function cancel(a: Action): Promise<unknown> {
  const controller = new AbortController();
  let count = 0;
  const follow = async (arrived: () => void): Promise<void> => {
    for await (const _ of handle(a).watch({ ...selection(a), signal: controller.signal })) if (++count === a.count) arrived();
  };
  let ended: Promise<void> | undefined;
  await new Promise<void>((arrived) => (ended = follow(arrived)));
  controller.abort();
  await ended;
  return { ended: true };
}

async function act(a: Action): Promise<unknown> {
  switch (a.do) {
    case "create":
      return handle(a).create(a.body, writing(a));
    case "get":
      return handle(a).get(a.name);
    case "replace": {
      const object = structuredClone(kept.get(a.kept)) as sdk.KubeObject;
      change(a)(object);
      return handle(a).replace(object, writing(a));
    }
    case "update":
      return handle(a).update(a.name, change(a));
    case "patch":
      return handle(a).patch(a.name, a.type, a.patch, writing(a));
    case "apply":
      return handle(a).apply(a.body, a.manager, { force: a.force ?? false });
    case "delete":
      return handle(a).delete(a.name, a.options);
    case "deleteAll":
      return handle(a).deleteAll(selection(a));
    case "wait":
      return handle(a).wait(a.name, (object) => {
        const { status } = object as sdk.CustomResourceDefinition;
        return (status?.conditions ?? []).some((c) => c.type === a.condition && c.status === "True");
      });
    case "list": {
      const found = await pages(a);
      const names = found.flatMap((page) => page.items.map((item) => item.metadata?.name ?? ""));
      const resourceVersion = found.at(-1)?.metadata.resourceVersion;
      return { names: names.join(" "), count: names.length, pages: found.length, resourceVersion };
    }
    case "fill":
      for (let i = 0; i < a.many; i++) await handle(a).create({ metadata: { name: `${a.prefix}${i}`, labels: a.labels } });
      return {};
    case "watch": {
      const seen = await events(a, a.count);
      return { events: seen.map(({ type, object }) => `${type} ${object.metadata?.name ?? ""}`).join(", ") };
    }
    case "storm":
      return storm(a);
    case "cancel":
      return cancel(a);
    case "whoami": {
      const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
      const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
      type Review = { status: { userInfo: { username: string; groups?: string[] } } };
      const { userInfo } = (await client(a.as ?? "admin").request<Review>("POST", path, { body })).status;
      return { username: userInfo.username, groups: (userInfo.groups ?? []).join(" ") };
    }
    case "fault":
      return client("proxy").request("POST", "/_faults", { body: a.fault });
    case "report":
      return client("proxy").request("GET", "/_report");
    default:
      throw new Error(`no action ${a.do}`);
  }
}

/** What is at `a.0.b`; null where nothing is. */
function at(value: Json, path: string): Json {
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null) return null;
    value = (Array.isArray(value) ? value[Number(part)] : value[part]) ?? null;
  }
  return value;
}

function compare(result: unknown, expected: Fields): void {
  // As JSON: what is undefined is absent.
  const json = JSON.parse(JSON.stringify(result ?? {})) as Json;
  for (const [path, value] of Object.entries(expected)) {
    const found = at(json, path);
    if (!isDeepStrictEqual(found, value)) throw new Error(`${path} is ${JSON.stringify(found)}, not ${JSON.stringify(value)}`);
  }
}

function filled(action: Action): Action {
  const fill = (_: string, value: Json): Json =>
    typeof value === "string" && value.startsWith("${") ? (saved.get(value.slice(2, -1)) ?? null) : value;
  return JSON.parse(JSON.stringify(action), fill) as Action;
}

async function run(unfilled: Action): Promise<void> {
  const action = filled(unfilled);
  let result: unknown;
  try {
    result = await act(action);
  } catch (error) {
    if (!(error instanceof sdk.StatusError) || action.error === undefined) throw error;
    return compare({ ...error.status, code: error.code, reason: error.reason }, action.error);
  }
  if (action.error !== undefined) throw new Error(`it should have failed with ${JSON.stringify(action.error)}`);
  compare(result, action.expect ?? {});
  for (const [name, path] of Object.entries(action.save ?? {})) saved.set(name, at(result as Json, path));
  if (action.keep !== undefined) kept.set(action.keep, result as Json);
}

for (const [index, step] of document.steps.entries()) {
  for (const action of step.actions) {
    try {
      await run(action);
    } catch (error) {
      console.log(`${index + 1} FAILED ${step.name}\n   ${JSON.stringify(action)}\n  `, error);
      process.exit(1);
    }
  }
  console.log(`${String(index + 1).padStart(2)} ok     ${step.name}`);
}
process.exit(0);
