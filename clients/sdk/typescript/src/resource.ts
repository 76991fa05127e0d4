import type { ObjectMeta } from "./models.js";

/** Where objects of a kind are served. For kinds of your own CRDs write one yourself. */
export interface Resource<T extends KubeObject> {
  /** Empty for the core group. */
  group: string;
  version: string;
  kind: string;
  plural: string;
  namespaced: boolean;
  /** Never set: it carries the type. */
  readonly object?: T;
}

/** What every object has. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/** GROUP/VERSION, or the version alone for the core group. */
export function apiVersion(resource: { group: string; version: string }): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}
