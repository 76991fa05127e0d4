//! The work of the controller: look at all rules, write down what follows, do it, write down what came of it. One at a time, so
//! that no two rules decide at once; only the doing goes on beside.

#[cfg(test)]
mod tests;

use crate::act::{self, Order};
use crate::audit::Acted;
use crate::context::Context;
use crate::decide::{self, Outcome};
use crate::error::ActionError;
use crate::observe::Measured;
use crate::status::{self, At};
use crate::views::{Read, Scene, scene};
use crate::{plan, stack};
use futures::FutureExt as _;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use otternauts_telemetry::controllers::{Outcome as Worked, Queue};
use otternauts_telemetry::traces::{Kind, Origin, Span};
use otternauts_types::HealRule;
use otternauts_types::heal_rule::{HealAction, HealActionRecord, HealActionState, HealRuleStatus};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A status that could not be written is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// So long after something happened all of it is looked at.
const TOGETHER: Duration = Duration::from_millis(100);
/// What was begun longer ago than this when we come back is not gone on with: the world has moved on.
const STALE: i64 = 10 * 60_000;
const ACTIONS: [&str; 7] = ["restart", "rollback", "scale", "drain", "prune-images", "alert", "webhook"];

/// What somebody who acts has to tell.
enum Report {
    /// Something is about to be changed, at this version.
    Begins {
        uid: String,
        id: String,
        version: Option<i64>,
        written: oneshot::Sender<bool>,
    },
    Over {
        uid: String,
        id: String,
        result: Result<String, ActionError>,
        trace: Option<String>,
    },
}

pub struct Keeper {
    ctx: Arc<Context>,
    queue: Queue,
    /// By uid. Nobody else writes their status.
    rules: BTreeMap<String, Known>,
    /// Actions that somebody is at, by the uids of their rules and their own ids.
    at_work: BTreeSet<(String, String)>,
    measured: Measured,
    reports: (mpsc::UnboundedSender<Report>, mpsc::UnboundedReceiver<Report>),
}

struct Known {
    rule: Arc<HealRule>,
    /// What is so. Actions that have ended have ended here, also when that could not be written yet.
    status: HealRuleStatus,
    /// What was written last.
    written: HealRuleStatus,
}

impl Keeper {
    pub fn new(ctx: Arc<Context>) -> Self {
        let queue = ctx.metrics().controllers.queue("healing");
        Self {
            ctx,
            queue,
            rules: BTreeMap::new(),
            at_work: BTreeSet::new(),
            measured: Measured::default(),
            reports: mpsc::unbounded_channel(),
        }
    }

    /// Until `shutdown`, and then until what was begun is over.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let wake = Arc::clone(&self.ctx.wake);
        let mut next = Some(Duration::ZERO);
        loop {
            let due = async {
                match next {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(report) = self.reports.1.recv() => self.take(report).await,
                // What comes together is looked at together.
                () = wake.notified() => tokio::time::sleep(TOGETHER).await,
                () = due => {}
            }
            next = self.turn().await;
        }
        while !self.at_work.is_empty() {
            let Some(report) = self.reports.1.recv().await else { return };
            self.take(report).await;
        }
        // What could not be written before is tried once more: the next process would take it for interrupted.
        for (uid, known) in
            self.rules.iter().map(|(uid, known)| (uid.clone(), known.status.clone())).collect::<Vec<_>>()
        {
            self.write(&uid, known).await;
        }
    }

    /// One look at everything. Answers when to look again though nothing happens.
    async fn turn(&mut self) -> Option<Duration> {
        let work = self.queue.start("");
        let now = self.ctx.now();
        self.refresh();
        let (read, mut failed) = self.read(now).await;
        let found: Vec<(String, Read)> = read.into_iter().collect();
        let statuses = found.iter().filter_map(|(uid, read)| Some((read, &self.rules.get(uid)?.status)));
        let Scene { views, measured, keep, wake } = scene(&self.ctx, statuses, now);
        self.measured.only(&self.ctx, &measured, keep);
        let outcomes = decide::round(&views, now);
        let mut wake = wake;
        for ((uid, _), (view, outcome)) in found.iter().zip(views.iter().zip(&outcomes)) {
            self.ctx.metrics().heal.evaluated(&view.rule, outcome.result());
            wake = wake.into_iter().chain(outcome.wake).min();
            failed |= !self.follow(uid, outcome, now).await;
        }
        work.end(if failed { Worked::Error } else { Worked::Success });
        let until = |at: i64| Duration::from_millis(u64::try_from(at - now).unwrap_or_default().max(1));
        wake.map(until).into_iter().chain(failed.then_some(RETRY)).min()
    }

    /// The rules as they are now. What this process wrote is newer than what its watch has seen.
    fn refresh(&mut self) {
        let all = self.ctx.rules.state();
        let uids: BTreeSet<String> = all.iter().filter_map(|r| r.uid()).collect();
        let metrics = Arc::clone(self.ctx.metrics());
        self.rules.retain(|uid, known| {
            let stays = uids.contains(uid);
            if !stays {
                metrics.heal.forget(&stack::full_name(known.rule.as_ref()), &ACTIONS);
            }
            stays
        });
        for rule in all.into_iter().filter(|r| r.metadata.deletion_timestamp.is_none()) {
            let Some(uid) = rule.uid() else { continue };
            match self.rules.get_mut(&uid) {
                Some(known) => known.rule = rule,
                None => {
                    let status = rule.status.clone().unwrap_or_default();
                    let written = status.clone();
                    self.rules.insert(uid, Known { rule, status, written });
                }
            }
        }
    }

    /// Those that can be read; and whether something about the others could not be written. What was interrupted is gone on with.
    async fn read(&mut self, now: i64) -> (BTreeMap<String, Read>, bool) {
        let (mut read, mut failed) = (BTreeMap::new(), false);
        for uid in self.rules.keys().cloned().collect::<Vec<_>>() {
            self.resume(&uid, now).await;
            let Some(known) = self.rules.get(&uid) else { continue };
            match Read::of(&known.rule) {
                Ok(rule) => drop(read.insert(uid, rule)),
                Err(why) => {
                    let at = At { now, generation: known.rule.metadata.generation };
                    self.ctx.metrics().heal.evaluated(&stack::full_name(known.rule.as_ref()), "unknown");
                    let new = status::unreadable(&known.status, &why, at);
                    failed |= !self.write(&uid, new).await;
                }
            }
        }
        (read, failed)
    }

    /// Actions that an earlier process began.
    async fn resume(&mut self, uid: &str, now: i64) {
        let Some(known) = self.rules.get(uid) else { return };
        let dry_run = known.rule.spec.dry_run;
        let nobody = |r: &&HealActionRecord| !self.at_work.contains(&(uid.to_owned(), r.id.clone()));
        let open = known.status.recent_actions.iter().filter(|r| !status::is_over(r)).filter(nobody);
        for record in open.cloned().collect::<Vec<_>>() {
            let age = now - record.time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
            tracing::info!(rule = uid, id = record.id, target = record.target, "an action was interrupted");
            let why_not = match (age > STALE, dry_run) {
                (true, _) => Some("interrupted, and too long ago to go on with"),
                (_, true) => Some("interrupted, and not gone on with: dryRun is set"),
                _ => None,
            };
            match why_not {
                Some(why) => self.over(uid, &record.id, Err(ActionError::Impossible(why.to_owned())), None).await,
                None => self.begin(uid, &record),
            }
        }
    }

    /// Writes down what follows for a rule, then begins it. False when it could not be written: then nothing is begun.
    async fn follow(&mut self, uid: &str, outcome: &Outcome, now: i64) -> bool {
        let Some(known) = self.rules.get(uid) else { return true };
        let name = stack::full_name(known.rule.as_ref());
        let spec = &known.rule.spec;
        let rule = status::Rule { name: &name, action: spec.action, dry_run: spec.dry_run };
        let at = At { now, generation: known.rule.metadata.generation };
        let moment = status::text(now);
        let taken = known.status.recent_actions.iter().filter(|r| r.time == moment).count();
        let id = |index: usize| status::action_id(uid, now, taken + index);
        let new = status::decided(&known.status, rule, outcome, at, id);
        let before: BTreeSet<String> = known.status.recent_actions.iter().map(|r| r.id.clone()).collect();
        let records: Vec<HealActionRecord> =
            new.recent_actions.iter().filter(|r| !before.contains(&r.id)).cloned().collect();
        if !self.write(uid, new).await {
            return false;
        }
        for record in records {
            match record.state {
                HealActionState::DryRun => self.say_dry(uid, &record).await,
                _ => self.begin(uid, &record),
            }
        }
        true
    }

    async fn say_dry(&self, uid: &str, record: &HealActionRecord) {
        let Some(known) = self.rules.get(uid) else { return };
        let name = stack::full_name(known.rule.as_ref());
        self.ctx.metrics().heal.acted(&name, record.action.name(), "dry_run");
        let note = format!("rule {name} would {} {}: {}", record.action.name(), record.target, record.cause);
        self.ctx.say(&known.rule, record, false, "HealDryRun", &note).await;
    }

    /// Does what was written down, beside everything else.
    fn begin(&mut self, uid: &str, record: &HealActionRecord) {
        let Some(known) = self.rules.get(uid) else { return };
        self.at_work.insert((uid.to_owned(), record.id.clone()));
        let (ctx, rule, record) = (Arc::clone(&self.ctx), Arc::clone(&known.rule), record.clone());
        let (uid, reports) = (uid.to_owned(), self.reports.0.clone());
        tokio::spawn(async move {
            let tell = |version| {
                let (written, answer) = oneshot::channel();
                let report = Report::Begins { uid: uid.clone(), id: record.id.clone(), version, written };
                let sent = reports.send(report).is_ok();
                async move { if sent && answer.await == Ok(true) { Ok(()) } else { Err(ActionError::Unrecorded) } }
                    .boxed()
            };
            let (namespace, name) = (rule.namespace().unwrap_or_default(), rule.name_any());
            let find = |namespace: &str, name: &str| ctx.stack(namespace, name);
            let span = Span::begin(Kind::Internal, || format!("heal {}", record.action.name()), Origin::Link(None));
            span.set("otternauts.heal.rule", stack::full_name(rule.as_ref()));
            span.set("otternauts.heal.target", record.target.clone());
            span.set("otternauts.heal.cause", record.cause.clone());
            let result = match plan::step((&namespace, &name), &rule.spec, &record, find) {
                Ok(step) => {
                    let begun = record.version.filter(|_| record.state == HealActionState::Started);
                    span.run(act::run(&ctx, &Order { id: &record.id, step: &step, begun }, &tell)).await
                }
                Err(error) => Err(error),
            };
            if result.is_err() {
                span.fail("heal_failed");
            }
            let trace = span.trace_id();
            span.end();
            // Nobody listens any more when the process stops.
            let _ = reports.send(Report::Over { uid, id: record.id, result, trace });
        });
    }

    async fn take(&mut self, report: Report) {
        match report {
            Report::Begins { uid, id, version, written } => {
                let Some(known) = self.rules.get(&uid) else { return };
                let new = status::started(&known.status, &id, version);
                // Whoever waits for it may have been given up.
                let _ = written.send(self.write(&uid, new).await);
            }
            Report::Over { uid, id, result, trace } => self.over(&uid, &id, result, trace).await,
        }
    }

    async fn over(&mut self, uid: &str, id: &str, result: Result<String, ActionError>, trace: Option<String>) {
        self.at_work.remove(&(uid.to_owned(), id.to_owned()));
        let Some(known) = self.rules.get(uid) else { return };
        let rule = Arc::clone(&known.rule);
        let Some(record) = known.status.recent_actions.iter().find(|r| r.id == id).cloned() else { return };
        let result = result.map_err(|e| e.to_string());
        let mut new = status::finished(&known.status, id, &result, self.ctx.now());
        if let Some(record) = new.recent_actions.iter_mut().find(|r| r.id == id) {
            record.trace_id = trace;
        }
        if let Some(known) = self.rules.get_mut(uid) {
            // It is over, also when that cannot be written now: it must not be begun again by this process. Later turns write it.
            known.status = new.clone();
        }
        if !self.write(uid, new).await {
            tracing::warn!(rule = stack::full_name(rule.as_ref()), id, "the end of an action is not written yet");
        }
        self.tell(&rule, &record, &result).await;
    }

    /// An Event, a metric, and a line for the audit.
    async fn tell(&self, rule: &HealRule, record: &HealActionRecord, result: &Result<String, String>) {
        let name = stack::full_name(rule);
        let action = record.action.name();
        let label = if result.is_ok() { "done" } else { "failed" };
        self.ctx.metrics().heal.acted(&name, action, label);
        let (Ok(said) | Err(said)) = result;
        self.ctx.audit(&Acted {
            namespace: &rule.namespace().unwrap_or_default(),
            rule: &rule.name_any(),
            id: &record.id,
            action,
            target: &record.target,
            cause: &record.cause,
            failed: result.is_err(),
            message: said,
        });
        let (warning, reason, note) = match (record.action, result) {
            (HealAction::Alert, Ok(_)) => (true, "HealAlert", format!("rule {name}: {}", record.cause)),
            (_, Ok(done)) => (false, "Healed", format!("rule {name}: {action}: {done}: {}", record.cause)),
            (_, Err(why)) => (true, "HealFailed", format!("rule {name}: {action} failed: {why}: {}", record.cause)),
        };
        self.ctx.say(rule, record, warning, reason, &note).await;
    }

    /// True when the status is written, or was so already.
    async fn write(&mut self, uid: &str, new: HealRuleStatus) -> bool {
        let Some(known) = self.rules.get(uid) else { return false };
        if known.written == new {
            return true;
        }
        let rule = Arc::clone(&known.rule);
        let written = self.put(&rule, &new).await;
        if written && let Some(known) = self.rules.get_mut(uid) {
            known.written = new.clone();
            known.status = new;
        }
        written
    }

    async fn put(&self, rule: &HealRule, new: &HealRuleStatus) -> bool {
        let api: Api<HealRule> = Api::namespaced(self.ctx.client.clone(), &rule.namespace().unwrap_or_default());
        // The whole status at once, of this very rule and no other of its name.
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": rule.metadata.uid},
            {"op": "add", "path": "/status", "value": new},
        ]);
        let patch: Patch<HealRule> = match serde_json::from_value(patch) {
            Ok(patch) => Patch::Json(patch),
            Err(error) => {
                tracing::error!(%error, "a status cannot be written as JSON");
                return false;
            }
        };
        match api.patch_status(&rule.name_any(), &PatchParams::default(), &patch).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(rule = stack::full_name(rule), %error, "a status was not written");
                false
            }
        }
    }
}
