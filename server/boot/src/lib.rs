//! Configuration, wiring, listeners and shutdown: the one room that sees server and controllers. See README.md.

mod accounts;
mod admin;
mod alerts;
mod backup_command;
mod backup_target;
mod backups;
mod clock;
mod command;
mod config;
mod controllers;
mod data_dir;
mod deeds;
mod duties;
mod ending;
mod handler;
mod inside;
mod keys;
mod keys_command;
mod leadership;
mod listener;
mod logs;
mod metrics;
#[cfg(feature = "etcd")]
mod migration;
mod pages;
mod pki;
mod process;
mod remote;
#[cfg(feature = "etcd")]
mod restoring;
mod scheduled;
mod seal;
mod serve;
mod shared_pki;
mod shutdown;
mod storage;
#[cfg(feature = "etcd")]
mod store_command;
mod tls;
mod users;

pub use command::{commands, is_ours, run};
