//! The store alone, in this process: what is left of the disk's own rate.

use anyhow::Result;
use otternauts_store::{Body, Key, Op, Precondition, SqliteOptions, Store, Write};
use std::path::Path;
use std::time::Instant;

/// What is written: so many bytes each, and the digits of a revision.
pub const BODY: usize = 1_000;
pub const RESOURCE: &str = "loads.bench.example.com";

/// Creates a second of 1 KiB by `writers` tasks, each waiting for its answer. The tasks share one thread, which does nothing else: with one
/// writer nobody is woken but who has something to do.
pub async fn creates(dir: &Path, writers: usize, total: usize, round: usize) -> Result<f64> {
    let file = dir.join(format!("store-{writers}-{round}.db"));
    let alone = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(by_tasks(&file, writers, total))
    };
    tokio::task::spawn_blocking(alone).await?
}

async fn by_tasks(file: &Path, writers: usize, total: usize) -> Result<f64> {
    let store = Store::sqlite(SqliteOptions::new(file))?;
    let each = total / writers;
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for i in 0..each {
                    let half = BODY / 2;
                    let (head, tail) = (vec![b'h'; half].into(), vec![b't'; half].into());
                    let body = Body { head, tail, schema: 1, leaving: false };
                    let key = Key::new(RESOURCE, "default", format!("w{writer}-{i}"));
                    store.commit(vec![Write { key, precondition: Precondition::Absent, op: Op::Put(body) }]).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let elapsed = started.elapsed();
    store.close().await?;
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    Ok((each * writers) as f64 / elapsed.as_secs_f64())
}
