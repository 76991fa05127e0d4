//! The integration tests: the built `otter`, real kubectl, real sshd, real dockerd. One binary, so that it links once.

mod access;
mod backup;
mod damage;
mod disk;
mod durability;
mod examples;
mod faults;
mod files;
mod guards;
mod healing;
mod house;
mod keys;
mod kubectl;
mod lists;
mod metrics;
mod migrate;
mod notify;
mod refusals;
mod replicas;
mod sdk;
mod secrecy;
mod stories;
mod traces;

use otternauts_harness::{Otter, OtterOptions};

/// The program under test.
pub const OTTER: &str = env!("CARGO_BIN_EXE_otter");

/// A fresh API server without controllers.
fn otter() -> Otter {
    Otter::start(OtterOptions::api(OTTER))
}

/// A fresh control plane with everything in it.
fn whole() -> Otter {
    Otter::start(OtterOptions::whole(OTTER))
}
