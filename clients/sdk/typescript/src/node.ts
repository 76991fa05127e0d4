/** What needs Node: kubeconfig files, private authorities, client certificates. */
import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { Client, type ClientOptions } from "./client.js";
import { parse } from "./yaml.js";

export interface Tls {
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

type Named = { name: string; [section: string]: unknown };
type Section = { [key: string]: string | undefined };

/** A client for the current context of a kubeconfig: `path`, `KUBECONFIG`, or `~/.kube/config`. */
export function fromKubeconfig(path?: string, options: Partial<ClientOptions> = {}): Client {
  const file = path ?? process.env["KUBECONFIG"] ?? join(homedir(), ".kube", "config");
  const config = parse(readFileSync(file, "utf8")) as { [key: string]: unknown };
  const pick = (list: string, section: string, name: string | undefined): Section => {
    const found = (config[list] as Named[] | undefined)?.find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`${file}: no ${section} named ${name}`);
    return found[section] as Section;
  };
  const context = pick("contexts", "context", config["current-context"] as string);
  const cluster = pick("clusters", "cluster", context["cluster"]);
  const user = pick("users", "user", context["user"]);
  const pem = (from: Section, key: string): string | undefined => {
    const data = from[`${key}-data`];
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    const name = from[key];
    return name === undefined ? undefined : readFileSync(resolve(dirname(file), name), "utf8");
  };
  const tokenFile = user["tokenFile"];
  const token = user["token"] ?? (tokenFile && readFileSync(resolve(dirname(file), tokenFile), "utf8").trim());
  const tls = {
    ca: pem(cluster, "certificate-authority"),
    cert: pem(user, "client-certificate"),
    key: pem(user, "client-key"),
  };
  return new Client({
    server: cluster["server"] ?? "",
    fetch: nodeFetch(tls),
    ...(token && { token }),
    ...(context["namespace"] && { namespace: context["namespace"] }),
    ...options,
  });
}

/** A `fetch` that trusts `tls.ca` and shows `tls.cert`: Node's own cannot be told to. */
export function nodeFetch(tls: Tls): typeof fetch {
  return (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    return new Promise<Response>((resolvePromise, reject) => {
      const options: RequestOptions = { method: init.method ?? "GET", headers: { ...(init.headers as Record<string, string>) } };
      if (init.signal) options.signal = init.signal;
      if (tls.ca !== undefined) options.ca = tls.ca;
      if (tls.cert !== undefined) options.cert = tls.cert;
      if (tls.key !== undefined) options.key = tls.key;
      const answered = (message: IncomingMessage): void => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(message.headers)) headers.set(name, String(value));
        const code = message.statusCode ?? 500;
        const empty = code === 204 || code === 304;
        const body = empty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>);
        resolvePromise(new Response(body, { status: code, headers }));
      };
      const send = url.protocol === "https:" ? httpsRequest : httpRequest;
      const request = send(url, options, answered);
      request.on("error", reject);
      request.end(init.body as string | undefined);
    });
  };
}
