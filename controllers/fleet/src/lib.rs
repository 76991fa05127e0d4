//! The Host seam: SSH, the Docker engine behind it, and host keys. See README.md.

mod bareword;
mod checks;
mod command;
pub mod docker;
mod endpoint;
mod error;
mod feed;
pub mod fence;
mod fleet;
mod host;
mod ingress;
mod local;
mod output;
mod samples;
mod ssh;

pub use bareword::{Bareword, StackName};
pub use command::{Command, ResolveImage, Script, ScriptData, StackDeployOptions};
pub use docker::Docker;
pub use endpoint::{Endpoint, Fingerprint, SshTarget};
pub use error::{Error, Fault, Result};
pub use feed::{End, News, Notice};
pub use fleet::{Fleet, Timeouts};
pub use host::{Connected, Host};
pub use ingress::INGRESS_DIRECTORY;
pub use otternauts_types::server::ObservedHostKey;
pub use output::{MAX_BYTES, Output, tail};
pub use samples::{ContainerSample, Round, Samples, ServerSample};
