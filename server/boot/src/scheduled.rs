//! Backups that the server makes by itself (R43): when they are due, one at a time, old ones removed, each week one restored to try it.

use crate::backup_target::BackupTarget;
use crate::backups::Backups;
use crate::data_dir::DataDir;
use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, PostParams};
use otternauts_backup::schedule::{Schedule, made, surplus};
use otternauts_backup::test_restore;
use otternauts_telemetry::Metrics;
use otternauts_vault::{Recipient, recipients};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Below the data directory: a backup that was fetched, and what it is restored into.
const SCRATCH: &str = "restore-test";
const FETCHED: &str = "fetched.backup";
const WEEK: i64 = 7 * 24 * 3600;
/// After a failure it is tried again, after a while that doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The clock may be set: it is looked at again after this at the latest.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// How many are kept unless somebody says otherwise.
const KEEP: usize = 14;

/// When and where the server makes backups by itself
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[command(next_help_heading = "Scheduled backups")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackupSettings {
    /// Make backups: an interval (6h, 1d), @hourly, @daily, @weekly, or a cron line of five fields in UTC
    #[arg(long = "backup-schedule", value_name = "SCHEDULE")]
    pub schedule: Option<String>,
    /// Where they go; for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    #[arg(long = "backup-to", value_name = "DIR|s3://BUCKET/PREFIX?endpoint=URL&region=NAME")]
    pub to: Option<String>,
    /// How many of this store's backups are kept there [default: 14]
    #[arg(long = "backup-keep", value_name = "N")]
    pub keep: Option<usize>,
    /// The public half of a key that can open them, beside the recovery keys; may be given more than once
    #[arg(long = "backup-recipient", value_delimiter = ',', value_name = "age1...")]
    pub recipients: Vec<String>,
}

/// Settings that were understood.
pub struct Plan {
    schedule: Schedule,
    target: BackupTarget,
    keep: usize,
    readers: Vec<Recipient>,
}

impl Plan {
    /// `None`: no backups are wanted.
    pub fn parse(settings: &BackupSettings) -> anyhow::Result<Option<Self>> {
        let (schedule, to) = match (&settings.schedule, &settings.to) {
            (None, None) => return Ok(None),
            (Some(schedule), Some(to)) => (schedule, to),
            _ => anyhow::bail!("--backup-schedule and --backup-to need one another"),
        };
        let keep = settings.keep.unwrap_or(KEEP);
        ensure!(keep > 0, "--backup-keep must be at least 1");
        let schedule = schedule.parse().context("--backup-schedule")?;
        let readers = recipients::parse_all(&settings.recipients).context("--backup-recipient")?;
        Ok(Some(Self { schedule, target: BackupTarget::parse(to)?, keep, readers }))
    }

    /// Refused at start rather than at night: backups that only the root key could open (A13).
    pub fn check(&self, root: &Recipient, recovery: &[Recipient]) -> anyhow::Result<()> {
        let somebody = self.readers.iter().chain(recovery).any(|reader| reader != root);
        ensure!(
            somebody,
            "nobody could decrypt the scheduled backups: name a --backup-recipient or a --recovery-recipient (otter keys new)"
        );
        Ok(())
    }
}

/// The plan at work.
pub struct Scheduled {
    pub plan: Plan,
    pub backups: Arc<Backups>,
    pub data: std::sync::Weak<DataDir>,
    pub metrics: Arc<Metrics>,
    /// Writes Events.
    pub client: kube::Client,
}

impl Scheduled {
    /// Runs until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let kind = self.plan.target.kind();
        let (mut last, mut tested, mut pause, mut failing) = (self.newest().await, None, FIRST_PAUSE, false);
        self.metrics.backups.expect(kind, last.map_or(0, Timestamp::as_second));
        loop {
            let now = Timestamp::now();
            let wait = Duration::try_from(self.plan.schedule.due(last, now).duration_since(now)).unwrap_or_default();
            if !wait.is_zero() {
                let sleep = tokio::time::sleep(wait.min(LONGEST_SLEEP));
                if stop.run_until_cancelled(sleep).await.is_none() {
                    return;
                }
                continue;
            }
            let Some(done) = stop.run_until_cancelled(self.once(&mut tested)).await else { return };
            match done {
                Ok(made) => {
                    last = Some(made);
                    pause = FIRST_PAUSE;
                    if std::mem::take(&mut failing) {
                        self.tell("Normal", "BackupMade", "backups are made again").await;
                    }
                }
                Err(error) => {
                    let note = format!("{error:#}");
                    tracing::error!(error = note, "the scheduled backup has failed");
                    self.metrics.backups.failed(kind);
                    // Once for a row of failures; the metric counts each.
                    if !std::mem::replace(&mut failing, true) {
                        self.tell("Warning", "BackupFailed", &note).await;
                    }
                    if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// When the newest backup of this store at the target was made.
    async fn newest(&self) -> Option<Timestamp> {
        let names = self.plan.target.names().await.ok()?;
        names.iter().filter_map(|name| made(&self.backups.store_name(), name)).max()
    }

    /// One backup from beginning to end, and what belongs to it.
    async fn once(&self, tested: &mut Option<i64>) -> anyhow::Result<Timestamp> {
        let (target, kind) = (&self.plan.target, self.plan.target.kind());
        let made = self.backups.make(self.plan.readers.clone()).await?;
        let about = made.about.clone();
        target.put(&about.name, made.path()).await?;
        drop(made);
        let created: Timestamp = about.summary.header.created.parse().context("the clock")?;
        self.metrics.backups.made(kind, created.as_second(), about.bytes);
        tracing::info!(name = about.name, bytes = about.bytes, "a backup was made");
        if tested.is_none_or(|at| created.as_second() - at >= WEEK) {
            match self.test(&about.name).await {
                Ok(()) => {
                    *tested = Some(created.as_second());
                    self.metrics.backups.tested(kind, Some(created.as_second()));
                }
                Err(error) => {
                    let note = format!("{error:#}");
                    tracing::error!(error = note, "the test of a backup has failed");
                    self.metrics.backups.tested(kind, None);
                    self.tell("Warning", "RestoreTestFailed", &note).await;
                    // It may be worth nothing, so no older one goes for it.
                    return Ok(created);
                }
            }
        }
        let lost = [&about.summary.unreadable[..], &about.summary.damaged[..]].concat();
        if !lost.is_empty() {
            // An older one may have them.
            let note = format!(
                "{} lacks what cannot be read: {}. Write these objects again or delete them; until then no older backup is removed",
                about.name,
                lost.join(", ")
            );
            tracing::error!(error = note, "a backup is not whole");
            self.tell("Warning", "BackupIncomplete", &note).await;
            return Ok(created);
        }
        let names = target.names().await?;
        for name in surplus(&self.backups.store_name(), &names, self.plan.keep) {
            target.remove(&name).await?;
            tracing::info!(name, "an old backup was removed");
        }
        Ok(created)
    }

    /// Fetches what the target has, restores it below the data directory, and throws that away.
    async fn test(&self, name: &str) -> anyhow::Result<()> {
        let data = self.data.upgrade().context("the server is stopping")?;
        let scratch = data.file(SCRATCH);
        let clear = || match std::fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        clear().context("cannot clear the place for the test")?;
        std::fs::create_dir(&scratch).context("cannot make the place for the test")?;
        let file = scratch.join(FETCHED);
        let done = async {
            self.plan.target.get(name, &file).await?;
            let (file, root, place, runtime) = (file.clone(), self.backups.root(), scratch.clone(), Handle::current());
            let work = move || test_restore(&file, &root, &place, &runtime);
            tokio::task::spawn_blocking(work).await?.context("a backup could not be restored")
        };
        let done = done.await;
        clear().context("cannot clear the place of the test")?;
        done.map(drop)
    }

    /// An Event about the system's namespace; that it cannot be written is only logged.
    async fn tell(&self, kind: &str, reason: &str, note: &str) {
        let mut end = note.len().min(1000);
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        let now = Timestamp::now();
        let event = json!({
            "metadata": {"name": format!("backup-{:x}", now.as_microsecond()), "namespace": "default"},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(), "type": kind, "reason": reason, "action": "Backup",
            "note": &note[..end], "regarding": {"apiVersion": "v1", "kind": "Namespace", "name": "otternauts-system"},
            "reportingController": "otternauts.dev/backup", "reportingInstance": "otter",
        });
        let Ok(event) = serde_json::from_value::<Event>(event) else { return };
        let made =
            Api::<Event>::namespaced(self.client.clone(), "default").create(&PostParams::default(), &event).await;
        if let Err(error) = made {
            tracing::warn!(%error, "an Event about backups could not be written");
        }
    }
}
