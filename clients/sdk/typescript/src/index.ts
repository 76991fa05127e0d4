export * from "./client.js";
export * from "./models.js";
export * from "./resource.js";
export * from "./status.js";
export * from "./watch.js";
