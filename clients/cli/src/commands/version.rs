//! Which version this is, and which the server is.

use crate::args::{Global, Version};
use crate::connect;
use crate::exit::Code;
use crate::output::{self, Format};
use anyhow::Context as _;
use serde_json::json;

const CLIENT: &str = env!("CARGO_PKG_VERSION");

/// The client's version is printed even when the server does not answer.
pub async fn run(global: &Global, args: &Version) -> anyhow::Result<Code> {
    if args.client {
        return print(args.output.format, None).map(|()| Code::Ok);
    }
    match server(global).await {
        Ok(server) => print(args.output.format, Some(&server)).map(|()| Code::Ok),
        Err(error) => {
            print(args.output.format, None)?;
            Err(error)
        }
    }
}

async fn server(global: &Global) -> anyhow::Result<String> {
    let session = connect::open(global).await?;
    let info = session.client.apiserver_version().await.context("cannot ask for the server's version")?;
    Ok(info.git_version)
}

fn print(format: Format, server: Option<&str>) -> anyhow::Result<()> {
    match format {
        Format::Json | Format::Yaml => {
            let mut document = json!({"client": {"version": CLIENT}});
            if let Some(server) = server {
                document["server"] = json!({"version": server});
            }
            output::document(format, &document)
        }
        Format::Name => output::data(format!("{CLIENT}\n").as_bytes()),
        Format::Table => {
            let server = server.map(|s| format!("server  {s}\n")).unwrap_or_default();
            output::data(format!("client  {CLIENT}\n{server}").as_bytes())
        }
    }
}
