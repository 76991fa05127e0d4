//! Real kubectl and real curl, as a person would type them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit status; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output of a command that must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        &self.stdout
    }

    /// Standard error of a command that must have failed.
    ///
    /// # Panics
    /// When it succeeded.
    #[track_caller]
    pub fn refused(&self) -> &str {
        assert_ne!(self.code, 0, "it succeeded; stdout: {}\nstderr: {}", self.stdout, self.stderr);
        &self.stderr
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When the command failed or printed something else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.ok()).unwrap_or_else(|e| panic!("not JSON: {e}\n{}", self.stdout))
    }
}

/// Runs a command to its end with `stdin` on its standard input.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command, stdin: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let mut pipe = child.stdin.take().expect("stdin is piped");
    let text = stdin.to_owned();
    // In a thread of its own: a child that writes much before it has read everything would otherwise hang us both.
    let feeder = std::thread::spawn(move || {
        let _child_may_not_read_it = pipe.write_all(text.as_bytes());
    });
    let out = child.wait_with_output().expect("a started child can be waited for");
    feeder.join().expect("the feeder does not panic");
    Ran {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// The kubectl to use: `KUBECTL`, else the one on the path.
pub fn program() -> String {
    std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned())
}

/// kubectl with a kubeconfig and a cache of its own.
pub fn command(kubeconfig: &Path, cache: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("--kubeconfig").arg(kubeconfig).arg("--cache-dir").arg(cache);
    command.env_remove("KUBECONFIG").env("KUBE_EDITOR", "true");
    command
}
