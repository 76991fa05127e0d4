//! Completion scripts.

use crate::exit::Code;
use crate::terminal;

pub fn print(shell: clap_complete::Shell, mut command: clap::Command) -> anyhow::Result<Code> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "otter", &mut script);
    terminal::data(&String::from_utf8_lossy(&script))?;
    Ok(Code::Ok)
}
