//! `store-victim live PATH SEED SESSION...` and `store-victim read PATH`: see `victim.rs` and `reading.rs`.

use anyhow::{Context as _, Result, bail};
use otternauts_faults::victim::{Session, live};
use std::path::Path;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
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
