//! `store-victim live PATH SEED SESSION...`: see `victim.rs`.

use anyhow::{Context as _, Result, bail};
use otternauts_faults::victim::{Session, live};
use std::path::Path;

fn main() -> Result<()> {
    // A runtime that cannot start one of its threads panics, and then waits for the others for ever (A7, no memory).
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
    run()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["live", path, seed, ref sessions @ ..] => {
            let sessions: Vec<Session> = sessions.iter().map(|text| Session::parse(text)).collect::<Result<_>>()?;
            live(Path::new(path), seed.parse().context("a seed")?, &sessions).await
        }
        _ => bail!("live PATH SEED SESSION..."),
    }
}
