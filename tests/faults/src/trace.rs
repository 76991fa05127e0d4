//! A recorded run: every system call that changes a file of the store, in order, with its bytes.
//!
//! Recorded by `strace -f -xx`. The index in shared memory (`-shm`), the lock file and the ballast are left out: what is in
//! them does not matter after a power loss.

use anyhow::{Context as _, Result, bail, ensure};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// The system calls that matter. Others that could change a file are asked for too, and refused if they come.
const CALLS: &str = "trace=openat,close,write,pwrite64,pwritev,lseek,fsync,fdatasync,sync_file_range,ftruncate,truncate,\
unlink,unlinkat,rename,renameat,renameat2,link,linkat,fallocate,dup,dup2,dup3";

/// A file, whatever it is called.
pub type Inode = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Create {
        name: String,
        inode: Inode,
    },
    Write {
        inode: Inode,
        offset: u64,
        data: Vec<u8>,
    },
    Truncate {
        inode: Inode,
        length: u64,
    },
    Sync(Inode),
    SyncDirectory,
    Unlink(String),
    Rename {
        from: String,
        to: String,
    },
    /// A line on standard output.
    Said(String),
}

/// Runs a command under strace and reads what it did in `directory`.
///
/// # Errors
/// When strace or the command fails, or did what this reader does not know.
pub fn record(mut command: Command, directory: &Path) -> Result<Vec<Step>> {
    let file = directory.with_extension("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-xx", "-s", "100000000", "-e", CALLS, "-e", "signal=none", "-o"]).arg(&file).arg("--");
    strace.arg(command.get_program()).args(command.get_args());
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command = strace;
    let ran = command.output().context("strace cannot be started")?;
    ensure!(ran.status.success(), "the recorded program failed: {}", String::from_utf8_lossy(&ran.stderr));
    let text = std::fs::read_to_string(&file)?;
    let steps = Reader::new(directory)?.read(&text)?;
    std::fs::remove_file(&file)?;
    Ok(steps)
}

enum Open {
    /// The directory of the store.
    Directory,
    /// A file of it, and the place where the next plain write goes.
    File(Inode, u64),
}

struct Reader {
    directory: String,
    names: HashMap<String, Inode>,
    inodes: usize,
    open: HashMap<u64, Open>,
    /// Calls that are not over, by thread.
    begun: HashMap<String, String>,
    steps: Vec<Step>,
}

impl Reader {
    fn new(directory: &Path) -> Result<Reader> {
        let directory = directory.to_str().context("a path of plain letters")?.to_owned();
        let (names, open, begun) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Reader { directory, names, inodes: 0, open, begun, steps: Vec::new() })
    }

    fn read(mut self, text: &str) -> Result<Vec<Step>> {
        for line in text.lines() {
            self.line(line).with_context(|| line.chars().take(200).collect::<String>())?;
        }
        Ok(self.steps)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let (thread, rest) = line.split_once(' ').context("a thread")?;
        let rest = rest.trim_start();
        if let Some(call) = rest.strip_suffix(" <unfinished ...>") {
            // What is said counts from the moment it may have been heard.
            if call.starts_with("write(1, ") {
                return self.call(&format!("{call}) = 1"));
            }
            self.begun.insert(thread.to_owned(), call.to_owned());
            return Ok(());
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, end) = resumed.split_once(" resumed>").context("the end of a call")?;
            let Some(begin) = self.begun.remove(thread) else { return Ok(()) };
            return self.call(&format!("{begin}{end}"));
        }
        if rest.starts_with("+++") || rest.starts_with("---") {
            return Ok(());
        }
        self.call(rest)
    }

    fn call(&mut self, text: &str) -> Result<()> {
        let (call, result) = text.rsplit_once(" = ").context("a result")?;
        let (name, arguments) = call.split_once('(').context("a call")?;
        let arguments = arguments.trim_end().strip_suffix(')').context("its end")?;
        let Ok(result) = result.split_whitespace().next().unwrap_or_default().parse::<u64>() else {
            return Ok(()); // It failed, and changed nothing.
        };
        let mut words = arguments.split(", ");
        let first = words.next().unwrap_or_default();
        let descriptor = first.parse::<u64>().ok();
        let rest: Vec<&str> = words.collect();
        match (name, descriptor) {
            ("openat", _) => return self.opened(&rest, result),
            ("unlink", _) => return self.unlinked(first),
            ("unlinkat", _) => return self.unlinked(rest.first().context("a name")?),
            ("rename", _) => return self.renamed(first, rest.first().context("a name")?),
            ("renameat" | "renameat2", _) => return self.renamed(rest[0], rest.get(2).context("a name")?),
            ("close", Some(descriptor)) => _ = self.open.remove(&descriptor),
            ("write", Some(1)) => {
                let text = String::from_utf8(bytes(rest[0])?)?;
                self.steps.extend(text.lines().map(|line| Step::Said(line.to_owned())));
            }
            (_, Some(descriptor)) => match self.open.get_mut(&descriptor) {
                None => {}
                Some(Open::Directory) if matches!(name, "fsync" | "fdatasync") => self.steps.push(Step::SyncDirectory),
                Some(Open::Directory) => bail!("on a directory"),
                Some(Open::File(inode, at)) => {
                    let inode = *inode;
                    let number = |word: usize| -> Result<u64> { Ok(rest.get(word).context("a number")?.parse()?) };
                    self.steps.push(match name {
                        "fsync" | "fdatasync" => Step::Sync(inode),
                        "ftruncate" => Step::Truncate { inode, length: number(0)? },
                        "pwrite64" => {
                            let Some(data) = written(rest[0], result)? else { return Ok(()) };
                            Step::Write { inode, offset: number(2)?, data }
                        }
                        "lseek" => {
                            *at = result;
                            return Ok(());
                        }
                        "write" => {
                            let Some(data) = written(rest[0], result)? else { return Ok(()) };
                            let offset = std::mem::replace(at, *at + result);
                            Step::Write { inode, offset, data }
                        }
                        _ => bail!("a call that this reader does not know"),
                    });
                }
            },
            (_, None) => bail!("a call that this reader does not know"),
        }
        Ok(())
    }

    fn opened(&mut self, rest: &[&str], descriptor: u64) -> Result<()> {
        let [path, flags, ..] = rest else { bail!("a path and flags") };
        let path = String::from_utf8_lossy(&bytes(path)?).into_owned();
        self.open.remove(&descriptor);
        if path == self.directory {
            self.open.insert(descriptor, Open::Directory);
        }
        let Some(name) = self.name(&path) else { return Ok(()) };
        let inode = match self.names.get(&name) {
            Some(inode) => *inode,
            None if flags.contains("O_CREAT") => {
                let inode = self.inodes;
                self.inodes += 1;
                self.names.insert(name.clone(), inode);
                self.steps.push(Step::Create { name, inode });
                inode
            }
            None => bail!("a file that nobody made"),
        };
        ensure!(!flags.contains("O_APPEND"), "appends are not modelled");
        if flags.contains("O_TRUNC") {
            self.steps.push(Step::Truncate { inode, length: 0 });
        }
        self.open.insert(descriptor, Open::File(inode, 0));
        Ok(())
    }

    fn unlinked(&mut self, path: &str) -> Result<()> {
        let path = String::from_utf8_lossy(&bytes(path)?).into_owned();
        if let Some(name) = self.name(&path) {
            self.names.remove(&name);
            self.steps.push(Step::Unlink(name));
        }
        Ok(())
    }

    fn renamed(&mut self, from: &str, to: &str) -> Result<()> {
        let path = |text: &str| -> Result<String> { Ok(String::from_utf8_lossy(&bytes(text)?).into_owned()) };
        if let (Some(from), Some(to)) = (self.name(&path(from)?), self.name(&path(to)?)) {
            if let Some(inode) = self.names.remove(&from) {
                self.names.insert(to.clone(), inode);
            }
            self.steps.push(Step::Rename { from, to });
        }
        Ok(())
    }

    /// The name of a file of the store that survives a power loss.
    fn name(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix(&self.directory)?.strip_prefix('/')?;
        let passing = ["-shm", ".lock", ".ballast"];
        (!passing.iter().any(|end| name.ends_with(end))).then(|| name.to_owned())
    }
}

/// `None` where more is said to be written than was given: the thread was ended in the call by the end of the process, there is no
/// result, and strace shows what was left in its register (231, the number of exit_group). Nobody can have built on it.
fn written(text: &str, result: u64) -> Result<Option<Vec<u8>>> {
    let mut data = bytes(text)?;
    if result > data.len() as u64 {
        return Ok(None);
    }
    data.truncate(result as usize);
    Ok(Some(data))
}

/// The bytes of a string of `\xNN`.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let hex = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).context("a whole string")?;
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let byte = |four: &[u8]| match four {
        [b'\\', b'x', high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    hex.as_bytes().chunks(4).map(byte).collect::<Option<Vec<u8>>>().context("bytes in hexadecimal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_the_end_of_the_process_took_has_no_result() {
        let read = |lines: &str| Reader::new(Path::new("/d")).expect("a reader").read(lines);
        let opened = r#"7 openat(AT_FDCWD, "\x2f\x64\x2f\x61", O_RDWR|O_CREAT, 0600) = 3"#;
        let steps = |writes: &str| read(&format!("{opened}\n{writes}")).expect("read").len();
        assert_eq!(steps(r#"7 pwrite64(3, "\x01\x02", 2, 0) = 2"#), 2);
        assert_eq!(steps(r#"7 pwrite64(3, "\x01\x02", 2, 0) = 1"#), 2);
        assert_eq!(steps(r#"7 pwrite64(3, "\x01\x02", 2, 0) = 231"#), 1);
        // What is said may have been heard all the same.
        assert_eq!(steps(r#"7 write(1, "\x61\x0a", 2) = 231"#), 2);
        // Data that strace cut is no evidence.
        read(&format!("{opened}\n{}", r#"7 pwrite64(3, "\x01"..., 2, 0) = 2"#)).expect_err("cut");
    }
}
