//! `otter server`: add, confirm, list, remove.

mod add;
mod confirm;
mod key;
mod remove;

use super::status::{list, names, server_table};
use crate::args::{Global, Output, ServerCommand};
use crate::connect::{self, Session};
use crate::exit::Code;
use crate::output::{self, Format};
use crate::voice;
use anyhow::Context as _;
use kube::Api;
use kube::api::ListParams;
use otternauts_types::Server;

pub async fn run(global: &Global, command: ServerCommand, line: &mut clap::Command) -> anyhow::Result<Code> {
    match command {
        ServerCommand::Add(args) => add::run(global, &args, line).await,
        ServerCommand::Confirm(args) => confirm::run(global, &args).await,
        ServerCommand::List(args) => list_all(global, args).await,
        ServerCommand::Remove(args) => remove::run(global, &args).await,
    }
}

fn servers(session: &Session) -> Api<Server> {
    Api::all(session.client.clone())
}

async fn list_all(global: &Global, args: Output) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    let found = servers(&session).list(&ListParams::default()).await.context("cannot list servers")?.items;
    match args.format {
        Format::Table if found.is_empty() => output::note(voice::EMPTY),
        Format::Table => output::data(server_table(&found).as_bytes())?,
        Format::Name => names("server.otternauts.dev", &found)?,
        format => list(format, &found)?,
    }
    Ok(Code::Ok)
}
