//! The otter under test: a fresh data directory, a free port.

use anyhow::{Context as _, Result, bail, ensure};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs until it is dropped.
pub struct Otter {
    child: Child,
    dir: tempfile::TempDir,
    program: PathBuf,
}

impl Otter {
    pub fn start(program: &Path) -> Result<Self> {
        // Beside the build results and not in /tmp, which may be memory: fsync must cost what it costs.
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in("target")?;
        let child = spawn(program, dir.path())?;
        let mut otter = Self { child, dir, program: program.to_owned() };
        otter.wait()?;
        Ok(otter)
    }

    /// Ends it in an orderly way and starts it again; back when it is ready.
    pub fn restart(&mut self) -> Result<()> {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(ended.success(), "the otter could not be told to end");
        self.child.wait()?;
        self.child = spawn(&self.program, self.dir.path())?;
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        let log = self.dir.path().join("log");
        ready(&mut self.child).with_context(|| std::fs::read_to_string(log).unwrap_or_default()).map(drop)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data().join("admin.kubeconfig")
    }
}

fn spawn(program: &Path, dir: &Path) -> Result<Child> {
    let log = std::fs::File::create(dir.join("log"))?;
    Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

/// The URL that a program prints once it serves: `ready https://…`.
pub fn ready(child: &mut Child) -> Result<String> {
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let Some(url) = line.trim().strip_prefix("ready ") else { bail!("the server did not get ready") };
    Ok(url.to_owned())
}

impl Drop for Otter {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _nothing_to_learn = self.child.wait();
    }
}
