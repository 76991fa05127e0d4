/** What a kubeconfig is written in: maps, lists and plain values of YAML in block form, or JSON. Refuses everything else. */
export function parse(text: string): unknown {
  if (text.trimStart().startsWith("{")) return JSON.parse(text);
  const lines = text
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#") && line !== "---");
  let at = 0;
  const indent = (line: string): number => line.length - line.trimStart().length;

  function block(depth: number): unknown {
    return lines[at]?.slice(depth).match(/^-( |$)/) ? list(depth) : map(depth);
  }
  function list(depth: number): unknown[] {
    const out: unknown[] = [];
    for (let line = lines[at]; line !== undefined && indent(line) === depth && /^-( |$)/.test(line.slice(depth)); line = lines[at]) {
      const rest = line.slice(depth + 1);
      if (rest.trim() === "") {
        at++;
        out.push(block(indent(lines[at] ?? "")));
      } else if (/^\s+[^\s"':]+:( |$)/.test(rest)) {
        // `- name: x` begins a map two columns in.
        lines[at] = " ".repeat(depth + 1) + rest;
        out.push(map(indent(lines[at] ?? "")));
      } else {
        at++;
        out.push(scalar(rest.trim()));
      }
    }
    return out;
  }
  function map(depth: number): { [key: string]: unknown } {
    const out: { [key: string]: unknown } = {};
    for (let line = lines[at]; line !== undefined && indent(line) === depth; line = lines[at]) {
      const found = /^("[^"]*"|[^\s:][^:]*):(?: (.*))?$/.exec(line.slice(depth));
      if (found === null) break;
      const key = String(scalar(found[1] ?? ""));
      const value = (found[2] ?? "").trim();
      at++;
      const next = lines[at];
      const inner = next === undefined ? -1 : indent(next);
      if (value !== "") out[key] = scalar(value);
      else if (inner > depth || (inner === depth && next?.slice(depth).startsWith("- "))) out[key] = block(inner);
      else out[key] = null;
    }
    return out;
  }
  const value = block(0);
  if (at < lines.length) throw new Error(`cannot read this YAML: ${lines[at]?.trim()}`);
  return value;
}

function scalar(text: string): unknown {
  if (text === "{}") return {};
  if (text === "[]") return [];
  if (text.startsWith('"')) return JSON.parse(text);
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'");
  if (/^[&*|>{[!]/.test(text)) throw new Error(`cannot read this YAML value: ${text}`);
  if (text === "true" || text === "false") return text === "true";
  return text;
}
