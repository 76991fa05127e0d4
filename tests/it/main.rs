//! The integration tests: the built `otter`, real kubectl, real sshd, real dockerd.
