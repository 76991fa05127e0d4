//! The file of `otter heal test`: a rule, and what was recorded of its targets.

use anyhow::{Context as _, bail, ensure};
use otternauts_rules::{Bounds, Expr, Sample, Span, Value as Number, parse};
use otternauts_types::HealRuleSpec;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Samples of all targets together.
const MOST: usize = 50_000;
/// What the controller measures at.
const EVERY: i64 = 15_000;

/// A rule, and the history of each target.
#[derive(Debug)]
pub struct Recording {
    pub action: &'static str,
    pub expr: Expr,
    pub bounds: Bounds,
    pub targets: BTreeMap<String, Vec<Sample>>,
    /// When the target was being deployed, in milliseconds.
    pub busy: Vec<(i64, i64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// A HealRule, or its spec.
    rule: Value,
    samples: Vec<Line>,
    /// Deployments that were in progress.
    #[serde(default)]
    deployments: Vec<Interval>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    from: String,
    until: String,
}

/// One sample, or with `until` one every so often. Times are RFC 3339, or since the beginning: `0s`, `5m`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    at: String,
    until: Option<String>,
    every: Option<String>,
    target: Option<String>,
    cpu: Option<Value>,
    memory: Option<Value>,
    memory_limit: Option<Value>,
    disk_free: Option<Value>,
    disk_size: Option<Value>,
    restarts: Option<u64>,
    running: Option<u64>,
    desired: Option<u64>,
    probe_failed: Option<u64>,
    unhealthy: Option<bool>,
}

pub fn read(text: &str) -> anyhow::Result<Recording> {
    let file: File = serde_saphyr::from_str(text).context("it is not a recording")?;
    let spec = if file.rule.get("spec").is_some() { file.rule["spec"].clone() } else { file.rule };
    let spec: HealRuleSpec = serde_json::from_value(spec).context("rule")?;
    let expr =
        parse(&spec.condition).map_err(|e| anyhow::anyhow!("rule.condition: {e}\n{}", e.show(&spec.condition)))?;
    let cooldown = Span::parse(&spec.cooldown).context("rule.cooldown: must be a time such as 30s, 5m or 1h30m")?;
    let budget = u32::try_from(spec.budget_per_hour).context("rule.budgetPerHour: must not be negative")?;
    // What it would do is the question, also of a rule that is not to do it yet.
    let bounds = Bounds { cooldown: cooldown.millis(), budget, dry_run: false, changes: spec.action.changes() };
    let mut targets: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    let mut count = 0;
    for (index, line) in file.samples.iter().enumerate() {
        let samples = line.samples().with_context(|| format!("samples[{index}]"))?;
        count += samples.len();
        ensure!(count <= MOST, "there are more than {MOST} samples");
        targets.entry(line.target.clone().unwrap_or_else(|| "target".into())).or_default().extend(samples);
    }
    targets.values_mut().for_each(|samples| samples.sort_by_key(|s| s.at));
    let busy = file.deployments.iter().map(|d| Ok((time(&d.from)?, time(&d.until)?)));
    let busy = busy.collect::<anyhow::Result<_>>().context("deployments")?;
    Ok(Recording { action: spec.action.name(), expr, bounds, targets, busy })
}

impl Line {
    fn samples(&self) -> anyhow::Result<Vec<Sample>> {
        let first = time(&self.at).context("at")?;
        let last = self.until.as_deref().map_or(Ok(first), time).context("until")?;
        let every = match &self.every {
            Some(text) => Span::parse(text).context("every: must be a time such as 15s")?.millis(),
            None => EVERY,
        };
        ensure!(last >= first, "until is before at");
        ensure!((last - first) / every < 50_000, "there are more than {MOST} samples");
        let size = |value: &Option<Value>, name| value.as_ref().map(|v| number(v, "memory").context(name)).transpose();
        let sample = Sample {
            at: first,
            cpu: self.cpu.as_ref().map(|v| number(v, "cpu").context("cpu")).transpose()?,
            memory: size(&self.memory, "memory")?,
            memory_limit: size(&self.memory_limit, "memoryLimit")?,
            disk_free: size(&self.disk_free, "diskFree")?,
            disk_size: size(&self.disk_size, "diskSize")?,
            restarts: self.restarts,
            replicas_running: self.running,
            replicas_desired: self.desired,
            probe_failed: self.probe_failed,
            unhealthy: self.unhealthy,
        };
        let times = std::iter::successors(Some(first), |at| Some(at + every)).take_while(|at| *at <= last);
        Ok(times.map(|at| Sample { at, ..sample }).collect())
    }
}

/// A number, or text with a unit as the language of rules has it.
fn number(value: &Value, metric: &str) -> anyhow::Result<f64> {
    match value {
        Value::Number(n) => n.as_f64().context("is no number"),
        Value::String(text) => match parse(&format!("{metric} > {text}")) {
            Ok(Expr::Compare { right: Number::Number(n, _), .. }) => Ok(n),
            _ => bail!("{text:?} is no amount of {metric}"),
        },
        other => bail!("{other} is no number"),
    }
}

/// Milliseconds since 1970; `5m` is five minutes into it.
fn time(text: &str) -> anyhow::Result<i64> {
    if text == "0s" || text == "0" {
        return Ok(0);
    }
    if let Some(span) = Span::parse(text) {
        return Ok(span.millis());
    }
    let time: jiff::Timestamp =
        text.parse().map_err(|_| anyhow::anyhow!("{text:?} is neither a time nor a duration"))?;
    Ok(time.as_millisecond())
}
