//! Configuration, wiring, listeners and shutdown: the one room that sees server and controllers. See README.md.

pub mod config;
mod data_dir;
mod listener;
mod pki;
mod process;
mod seal;
mod shutdown;
mod tls;
