//! `otter heal test`: a rule and what was recorded, judged as the controller would have judged it. Offline.

mod recording;
mod replay;

use crate::args::{HealCommand, HealTest};
use crate::exit::Code;
use crate::output::{self, Format};
use anyhow::Context as _;
use replay::{Replay, Step};
use std::io::Read as _;

/// A recording is read whole.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

pub fn run(command: &HealCommand) -> anyhow::Result<Code> {
    let HealCommand::Test(args) = command;
    test(args)
}

fn test(args: &HealTest) -> anyhow::Result<Code> {
    let shown = args.file.display();
    let file = std::fs::File::open(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).with_context(|| format!("cannot read {shown}"))?;
    anyhow::ensure!(text.len() as u64 <= MOST_BYTES, "{shown} is larger than 16 MiB");
    let recording = recording::read(&text).with_context(|| format!("{shown} cannot be used"))?;
    let replay = replay::replay(&recording);
    match args.output.format {
        Format::Json | Format::Yaml => output::document(args.output.format, &replay)?,
        Format::Table | Format::Name => output::data(table(&replay).as_bytes())?,
    }
    output::note(&summary(&replay));
    Ok(Code::Ok)
}

fn table(replay: &Replay) -> String {
    let line = |step: &Step| {
        let what = match &step.held {
            None => format!("{} {}", replay.action, step.target),
            Some(why) => format!("held back {}: {why}", step.target),
        };
        format!("{}  {what}  ({})\n", step.at, output::clean(&step.cause))
    };
    replay.steps.iter().map(line).collect()
}

fn summary(replay: &Replay) -> String {
    let times = |n: usize| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    let acted = match replay.acted {
        0 => "It would not have acted".to_owned(),
        n => format!("It would have acted {}", times(n)),
    };
    match (replay.held, replay.unknown) {
        (0, true) if replay.acted == 0 => format!("{acted}; not everything it needs was known throughout."),
        (0, _) => format!("{acted}."),
        (n, _) => format!("{acted}, and was held back {}.", times(n)),
    }
}
