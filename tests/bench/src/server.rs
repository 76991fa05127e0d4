//! The otter under test: a fresh data directory, a free port.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs until it is dropped.
pub struct Otter {
    child: Child,
    dir: tempfile::TempDir,
}

impl Otter {
    pub fn start(program: &Path) -> Result<Self> {
        // Beside the build results and not in /tmp, which may be memory: fsync must cost what it costs.
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in("target")?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if !line.starts_with("ready ") {
            bail!("otter did not get ready: {}", std::fs::read_to_string(dir.path().join("log"))?);
        }
        Ok(Self { child, dir })
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("data/admin.kubeconfig")
    }
}

impl Drop for Otter {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _nothing_to_learn = self.child.wait();
    }
}
