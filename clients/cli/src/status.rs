//! `otter status` and `otter version`, and the forms of output every command shares.

use crate::args::{Format, Global, Output, Status};
use crate::exit::Code;
use crate::{client, server, table, terminal, voice};
use anyhow::Context as _;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use otternauts_types::{Server, Stack};
use serde::Serialize;
use serde_json::{Value, json};

pub async fn run(global: &Global, args: &Status) -> anyhow::Result<Code> {
    let session = client::open(global).await?;
    let stacks: Api<Stack> = match args.all_namespaces {
        true => Api::all(session.client.clone()),
        false => Api::namespaced(session.client.clone(), &session.namespace),
    };
    if let Some(name) = &args.stack {
        let stack = stacks.get(name).await.with_context(|| format!("cannot read stack {name:?}"))?;
        match args.output.output {
            Format::Table => terminal::data(&detail(&stack))?,
            format => print(format, "stack", std::slice::from_ref(&stack))?,
        }
        return Ok(Code::Ok);
    }
    let stacks = stacks.list(&ListParams::default()).await.context("cannot list stacks")?.items;
    // Servers belong to the cluster's people; others see their stacks only.
    let servers: Api<Server> = Api::all(session.client.clone());
    let servers = match servers.list(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(kube::Error::Api(status)) if status.code == 403 => Vec::new(),
        Err(error) => return Err(error).context("cannot list servers"),
    };
    match args.output.output {
        Format::Table if servers.is_empty() && stacks.is_empty() => terminal::note(voice::EMPTY),
        Format::Table => terminal::data(&overview(&servers, &stacks))?,
        Format::Name => {
            print(Format::Name, "server", &servers)?;
            print(Format::Name, "stack", &stacks)?;
        }
        format => {
            let clusters = server::clusters(&session).await.unwrap_or_default();
            write(format, &json!({"clusters": clusters, "servers": servers, "stacks": stacks}))?;
        }
    }
    Ok(Code::Ok)
}

fn overview(servers: &[Server], stacks: &[Stack]) -> String {
    let mut out = String::new();
    if !servers.is_empty() {
        out.push_str(&server::table(servers));
        out.push('\n');
    }
    if stacks.is_empty() {
        out.push_str(voice::EMPTY);
        out.push('\n');
        return out;
    }
    let row = |s: &Stack| {
        let status = s.status.clone().unwrap_or_default();
        let services: Vec<String> =
            status.services.iter().map(|v| format!("{} {}/{}", v.name, v.running, v.desired)).collect();
        vec![
            s.namespace().unwrap_or_default(),
            s.name_any(),
            word(&status.phase),
            status.current_version.map(|v| v.to_string()).unwrap_or_default(),
            services.join(", "),
            age(s.creation_timestamp().map(|t| t.0)),
            status.last_error.unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = stacks.iter().map(row).collect();
    let headers = ["NAMESPACE", "STACK", "PHASE", "VERSION", "SERVICES", "AGE", "MESSAGE"];
    out.push_str(&table::table(&headers, &rows));
    out
}

fn detail(stack: &Stack) -> String {
    let status = stack.status.clone().unwrap_or_default();
    let mut out = format!("{}: {}", stack.name_any(), word(&status.phase));
    if let Some(version) = status.current_version {
        out.push_str(&format!(", version {version}"));
    }
    out.push('\n');
    if let Some(error) = &status.last_error {
        out.push_str(&format!("{error}\n"));
    }
    if let Some(drift) = &status.drift {
        out.push_str(&format!("{drift}\n"));
    }
    if !status.domains.is_empty() {
        out.push_str(&format!("domains: {}\n", status.domains.join(", ")));
    }
    let row = |s: &otternauts_types::stack::ServiceStatus| {
        let failure = s.last_failure.as_ref().map(|f| f.reason.clone()).unwrap_or_default();
        vec![s.name.clone(), format!("{}/{}", s.running, s.desired), s.image.clone().unwrap_or_default(), failure]
    };
    let rows: Vec<Vec<String>> = status.services.iter().map(row).collect();
    out + "\n" + &table::table(&["SERVICE", "RUNNING", "IMAGE", "LAST FAILURE"], &rows)
}

/// A value of an enum as it stands in the API.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

pub fn age(since: Option<jiff::Timestamp>) -> String {
    since.map(|t| table::age(jiff::Timestamp::now().as_second() - t.as_second())).unwrap_or_default()
}

/// Objects in a form for programs. `kind` stands before the name.
pub fn print<K: Resource + Serialize>(format: Format, kind: &str, objects: &[K]) -> anyhow::Result<()> {
    match format {
        Format::Name => {
            let names: String = objects.iter().map(|o| format!("{kind}/{}\n", o.name_any())).collect();
            terminal::data(&names)
        }
        format => write(format, &json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects})),
    }
}

pub fn write(format: Format, value: &Value) -> anyhow::Result<()> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(value).context("cannot write YAML")?,
        _ => serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n",
    };
    terminal::data(&text)
}

/// Ours always; the server's when it answers.
pub async fn version(global: &Global, args: &Output) -> anyhow::Result<Code> {
    let ours = env!("CARGO_PKG_VERSION");
    let server = match client::open(global).await {
        Ok(session) => {
            let asked = session.client.apiserver_version();
            let answer = tokio::time::timeout(std::time::Duration::from_secs(3), asked).await;
            answer.ok().and_then(Result::ok).map(|v| v.git_version)
        }
        Err(_) => None,
    };
    match args.output {
        Format::Table | Format::Name => {
            let server = server.map(|v| format!("server {v}\n")).unwrap_or_default();
            terminal::data(&format!("otter {ours}\n{server}"))?;
        }
        format => write(format, &json!({"client": ours, "server": server}))?,
    }
    Ok(Code::Ok)
}
