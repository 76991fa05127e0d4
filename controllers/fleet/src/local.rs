//! `connection: local`: the same operations on this machine, without SSH.

use crate::error::{Error, Result};
use crate::host::Duplex;
use crate::output::{Collector, Output};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const SOCKET: &str = "/var/run/docker.sock";

/// Runs a program with its words as they are: no shell is involved.
pub(crate) async fn exec(what: &'static str, words: &[&str], stdin: &[u8], limit: Duration) -> Result<Output> {
    let words = without_sudo(words);
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::Invalid { what: "the command", why: "it is empty".to_owned() });
    };
    let spawned = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        // What a shell would answer.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Output { exit: 127, stderr: format!("{program}: not found"), ..Output::default() });
        }
        Err(e) => return Err(Error::ChannelFailed { what, why: e.to_string() }),
    };
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut pipe) = input {
            // A command that ends without reading its input is not an error.
            let _ = pipe.write_all(stdin).await;
        }
    };
    let work = async { tokio::join!(feed, drain(output), drain(errors), child.wait()) };
    let ((), out, err, status) =
        tokio::time::timeout(limit, work).await.map_err(|_| Error::Timeout { what, after: limit })?;
    let status = status.map_err(|e| Error::ChannelFailed { what, why: e.to_string() })?;
    let exit = status.code().and_then(|c| u32::try_from(c).ok()).unwrap_or(255);
    Ok(Output { exit, stdout: out.text(), stderr: err.text(), truncated: out.truncated || err.truncated })
}

pub(crate) async fn dial(address: std::net::IpAddr, port: u16) -> Result<Box<dyn Duplex>> {
    let what = "a connection";
    match tokio::net::TcpStream::connect((address, port)).await {
        Ok(stream) => Ok(Box::new(stream) as Box<dyn Duplex>),
        Err(e) => Err(Error::ChannelFailed { what, why: e.to_string() }),
    }
}

/// Root needs no sudo, and may not have it.
fn without_sudo<'a, 'b>(words: &'a [&'b str]) -> &'a [&'b str] {
    match words {
        ["sudo", "-n", rest @ ..] if is_root() => rest,
        _ => words,
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> Collector {
    let mut collector = Collector::default();
    let Some(mut pipe) = pipe else { return collector };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n) = pipe.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        collector.push(&buffer[..n]);
    }
    collector
}

pub(crate) async fn engine_stream() -> Result<Box<dyn Duplex>> {
    let stream =
        UnixStream::connect(SOCKET).await.map_err(|e| Error::DockerUnavailable { why: format!("{SOCKET}: {e}") })?;
    Ok(Box::new(stream))
}

/// A socket other than the engine's.
pub(crate) async fn socket(path: &'static str) -> Result<Box<dyn Duplex>> {
    let failed = |e: std::io::Error| Error::ChannelFailed { what: path, why: e.to_string() };
    Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_local_command_gets_its_input_and_gives_its_output() {
        let limit = Duration::from_secs(10);
        let output = exec("cat", &["cat"], b"hello", limit).await.expect("cat runs");
        assert_eq!((output.exit, output.stdout.as_str()), (0, "hello"));
        let output = exec("no", &["otternauts-no-such-program"], b"", limit).await.expect("an answer");
        assert_eq!(output.exit, 127);
        let slow = exec("sleep", &["sleep", "60"], b"", Duration::from_millis(50)).await;
        assert!(matches!(slow, Err(Error::Timeout { .. })), "{slow:?}");
    }
}
