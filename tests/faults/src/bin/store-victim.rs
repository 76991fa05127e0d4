//! `store-victim live PATH SEED SESSION...`: see `victim.rs` and `starved.rs`; `judge PATH`: see `lies.rs`.

use anyhow::{Context as _, Result, bail};
use otternauts_faults::lies::judge_state;
use otternauts_faults::starved;
use otternauts_faults::victim::{Session, live};
use std::io::Write as _;
use std::path::Path;

fn main() -> Result<()> {
    // A runtime that cannot start one of its threads panics, and then waits for the others for ever (A7, no memory).
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
    starved::as_asked();
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
        ["judge", path] => {
            let said = std::io::read_to_string(std::io::stdin())?;
            let word = judge_state(Path::new(path), &said).await?;
            writeln!(std::io::stdout(), "{word}")?;
            Ok(())
        }
        _ => bail!("live PATH SEED SESSION..., or judge PATH"),
    }
}
