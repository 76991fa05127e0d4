/** What needs Node: kubeconfig files, private authorities, client certificates. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { Client, type ClientOptions } from "./client.js";
import { Credentials, type Token } from "./credentials.js";
import { parse } from "./yaml.js";

/** PEM texts. */
export interface Tls {
  /** Without it Node's authorities are trusted. */
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

type Named = { name: string; [section: string]: unknown };
type Section = { [key: string]: unknown };

/** A client for the current context of a kubeconfig: `path`, `KUBECONFIG`, or `~/.kube/config`. */
export function fromKubeconfig(path?: string, options: Partial<ClientOptions> = {}): Client {
  const file = resolve(path ?? process.env["KUBECONFIG"] ?? join(homedir(), ".kube", "config"));
  const folder = dirname(file);
  const config = parse(readFileSync(file, "utf8")) as Section;
  const pick = (list: string, section: string, name: string | undefined): Section => {
    const found = (config[list] as Named[] | undefined)?.find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`${file}: no ${section} named ${name}`);
    return found[section] as Section;
  };
  const context = pick("contexts", "context", text(config, "current-context"));
  const cluster = pick("clusters", "cluster", text(context, "cluster"));
  const user = pick("users", "user", text(context, "user"));
  const pem = (from: Section, key: string): string | undefined => {
    const data = text(from, `${key}-data`);
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    const name = text(from, key);
    return name === undefined ? undefined : readFileSync(resolve(folder, name), "utf8");
  };
  const tls = {
    ca: pem(cluster, "certificate-authority"),
    cert: pem(user, "client-certificate"),
    key: pem(user, "client-key"),
  };
  const token = text(user, "token");
  const credentials = credentialsOf(user, folder);
  const namespace = text(context, "namespace");
  return new Client({
    server: text(cluster, "server") ?? "",
    fetch: nodeFetch(tls),
    ...(token && { token }),
    ...(credentials && { credentials }),
    ...(namespace && { namespace }),
    ...options,
  });
}

function text(from: Section, key: string): string | undefined {
  const value = from[key];
  return typeof value === "string" ? value : undefined;
}

function credentialsOf(user: Section, folder: string): Credentials | undefined {
  const tokenFile = text(user, "tokenFile");
  if (tokenFile !== undefined) {
    const file = resolve(folder, tokenFile);
    return new Credentials(() => Promise.resolve({ value: readFileSync(file, "utf8").trim() }));
  }
  const exec = user["exec"] as Plugin | undefined;
  return exec && new Credentials(() => runPlugin(exec, folder));
}

interface Plugin {
  apiVersion: string;
  command: string;
  args?: string[] | null;
  env?: { name: string; value: string }[] | null;
}

/** What an exec plugin of a kubeconfig prints. A command with a slash is meant relative to the file. */
function runPlugin({ apiVersion, command, args, env }: Plugin, folder: string): Promise<Token> {
  const program = command.includes("/") ? resolve(folder, command) : command;
  const info = JSON.stringify({ apiVersion, kind: "ExecCredential", spec: { interactive: false } });
  const more = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const environment = { ...process.env, ...more, KUBERNETES_EXEC_INFO: info };
  return new Promise((resolvePromise, reject) => {
    const child = execFile(program, args ?? [], { env: environment }, (error, stdout, stderr) => {
      if (error) return reject(new Error(`the credential plugin ${command} failed: ${stderr.trim()}`, { cause: error }));
      try {
        const { status } = JSON.parse(stdout) as { status?: { token?: string; expirationTimestamp?: string } };
        if (status?.token === undefined) throw new Error("no token in it (certificates are not taken from plugins)");
        const expires = status.expirationTimestamp;
        resolvePromise({ value: status.token, ...(expires && { expires: new Date(expires) }) });
      } catch (cause) {
        reject(new Error(`cannot use what the credential plugin ${command} printed`, { cause }));
      }
    });
    child.stdin?.end();
  });
}

/** A `fetch` that trusts `tls.ca` and shows `tls.cert`: Node's own cannot be told to. */
export function nodeFetch(tls: Tls): typeof fetch {
  return (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    return new Promise<Response>((resolvePromise, reject) => {
      const headers: Record<string, string | number> = { ...(init.headers as Record<string, string>) };
      const body = init.body as string | undefined;
      // Node sends the body of a DELETE without its length, which servers take for none: its preconditions would not count.
      if (body !== undefined) headers["content-length"] = Buffer.byteLength(body);
      const options: RequestOptions = { method: init.method ?? "GET", headers };
      if (init.signal) options.signal = init.signal;
      if (tls.ca !== undefined) options.ca = tls.ca;
      if (tls.cert !== undefined) options.cert = tls.cert;
      if (tls.key !== undefined) options.key = tls.key;
      const answered = (message: IncomingMessage): void => {
        const headers = new Headers();
        for (const [name, value] of Object.entries(message.headers)) headers.set(name, String(value));
        const code = message.statusCode ?? 500;
        const empty = code === 204 || code === 304;
        const content = empty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>);
        resolvePromise(new Response(content, { status: code, headers }));
      };
      const send = url.protocol === "https:" ? httpsRequest : httpRequest;
      const request = send(url, options, answered);
      request.on("error", reject);
      // A watch says nothing while nothing happens: the kernel finds out that the other side is gone.
      request.on("socket", (socket) => socket.setKeepAlive(true, 30_000));
      request.end(body);
    });
  };
}
