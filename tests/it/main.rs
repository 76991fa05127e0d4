//! The integration tests: the built `otter`, real kubectl, real sshd, real dockerd. One binary, so that it links once.

mod house;

/// The program under test.
pub const OTTER: &str = env!("CARGO_BIN_EXE_otter");
