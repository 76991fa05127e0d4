/** A client of the Otternauts API. Start with {@link Client}, or in Node with `fromKubeconfig` of `@otternauts/client/node`. */
export * from "./client.js";
export * from "./credentials.js";
export * from "./models.js";
export * from "./resource.js";
export * from "./status.js";
export * from "./watch.js";
