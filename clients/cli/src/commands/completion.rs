//! Completion scripts.

use crate::args::Completion;
use crate::exit::Code;
use crate::output;

pub fn run(args: &Completion, mut command: clap::Command) -> anyhow::Result<Code> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "otter", &mut script);
    output::data(&script).map(|()| Code::Ok)
}
