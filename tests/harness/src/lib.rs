//! What the integration tests stand on: the built `otter`, kubectl, curl, and the lab of real hosts. See README.md.
//!
//! Nothing here mocks anything. What a machine cannot give (root, namespaces) is skipped loudly through [`skip`], and counted.

pub mod etcd;
pub mod kubectl;
pub mod lab;
pub mod net;
pub mod otter;
pub mod ports;
pub mod skip;
pub mod tmpfs;
pub mod wait;

pub use etcd::{Etcd, EtcdTls};
pub use kubectl::Ran;
pub use lab::Lab;
pub use net::{NetHost, Network};
pub use otter::{Otter, OtterOptions};
pub use tmpfs::Tmpfs;
pub use wait::until;
