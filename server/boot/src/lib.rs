//! Configuration, wiring, listeners and shutdown: the one room that sees server and controllers. See README.md.

mod accounts;
mod clock;
mod config;
mod data_dir;
mod handler;
mod inside;
mod listener;
mod metrics;
mod pki;
mod process;
mod seal;
mod shutdown;
mod tls;
mod users;
