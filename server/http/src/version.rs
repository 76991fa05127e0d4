//! `/version` (row H1).

use crate::answer::{Answer, Pretty, encode};
use serde_json::json;

/// What is running.
#[derive(Clone, Debug, Default)]
pub struct VersionInfo {
    /// Otternauts' own version, `0.1.0`.
    pub version: String,
    pub git_commit: String,
    /// RFC 3339.
    pub build_date: String,
    /// Of the compiler, `rustc 1.95.0`.
    pub compiler: String,
}

/// The Kubernetes whose answers we follow.
const MINOR: &str = "36";

impl VersionInfo {
    /// `v1.36.0+otternauts.0.1.0`: looks like a supported Kubernetes to version constraints and skew warnings.
    pub fn git_version(&self) -> String {
        format!("v1.{MINOR}.0+otternauts.{}", self.version)
    }

    pub(crate) fn answer(&self) -> Answer {
        let platform = format!("{}/{}", std::env::consts::OS, architecture());
        let mut answer = Answer::json(
            200,
            encode(&json!({
                "major": "1", "minor": MINOR, "emulationMajor": "1", "emulationMinor": MINOR,
                "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
                "gitVersion": self.git_version(), "gitCommit": self.git_commit, "gitTreeState": "",
                "buildDate": self.build_date, "goVersion": self.compiler, "compiler": "rustc", "platform": platform,
            })),
        );
        answer.pretty = Pretty::Always;
        answer
    }
}

/// As Go names it, which is what clients expect.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
