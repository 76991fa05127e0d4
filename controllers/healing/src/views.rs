//! Rules and what they are about, made ready to be judged: everything that is known at one moment.

use crate::board::{GRID, Said, Wanted};
use crate::context::Context;
use crate::decide::{Target, View};
use crate::{act, plan, select, stack, status};
use kube::ResourceExt as _;
use otternauts_rules::{Bounds, Expr, Span, State, parse};
use otternauts_types::heal_rule::HealRuleStatus;
use otternauts_types::{HealRule, Server, Stack};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One rule, read.
pub struct Read {
    pub rule: Arc<HealRule>,
    pub expr: Expr,
    pub bounds: Bounds,
}

impl Read {
    /// What was not judged at admission (an older grammar) may not be readable now.
    pub fn of(rule: &Arc<HealRule>) -> Result<Self, String> {
        let spec = &rule.spec;
        let expr = parse(&spec.condition).map_err(|e| format!("spec.condition: {e}"))?;
        let cooldown = Span::parse(&spec.cooldown).ok_or("spec.cooldown: must be a time such as 5m")?;
        let bounds = Bounds {
            cooldown: cooldown.millis(),
            budget: u32::try_from(spec.budget_per_hour).unwrap_or_default(),
            dry_run: spec.dry_run,
            changes: spec.action.changes(),
        };
        Ok(Self { rule: Arc::clone(rule), expr, bounds })
    }
}

/// What is to be looked at, and what has to be measured for it.
#[derive(Default)]
pub struct Scene {
    pub views: Vec<View>,
    /// Servers that must be measured.
    pub measured: BTreeSet<String>,
    /// How far back, in milliseconds.
    pub keep: i64,
    /// When something may change by itself.
    pub wake: Option<i64>,
}

/// All rules with all that they are about.
pub fn scene<'a>(ctx: &Context, rules: impl Iterator<Item = (&'a Read, &'a HealRuleStatus)>, now: i64) -> Scene {
    let mut stacks = ctx.stacks.state();
    stacks.sort_by_key(|s| stack::full_name(s.as_ref()));
    sync(ctx, &stacks, now);
    let mut scene = Scene::default();
    for (read, old) in rules {
        let name = stack::full_name(read.rule.as_ref());
        let targets = if read.rule.spec.target.server.is_some() {
            servers(ctx, read, &mut scene, now)
        } else {
            services(ctx, read, &stacks, &mut scene, now)
        };
        if read.expr.needs_samples() {
            scene.keep = scene.keep.max(read.expr.reach());
        } else {
            scene.wake = scene.wake.into_iter().chain(after_actions(&read.expr, old, now)).min();
        }
        let created = read.rule.creation_timestamp().map_or(i64::MAX, |t| t.0.as_millisecond());
        let ledger = status::ledger(&name, old);
        let (expr, bounds) = (read.expr.clone(), read.bounds);
        scene.views.push(View { rule: name, created, expr, bounds, ledger, targets });
    }
    scene
}

/// When something may hold again that began anew with an action: no event tells that time has passed.
fn after_actions(expr: &Expr, old: &HealRuleStatus, now: i64) -> Option<i64> {
    let ended = status::ledger("", old).into_iter().filter_map(|a| match a.state {
        State::Over(at) => Some(at),
        State::Intended | State::Dry => None,
    });
    let spans: Vec<i64> = expr.spans().iter().map(|s| s.millis()).chain([expr.reach()]).collect();
    let times = ended.flat_map(|at| spans.iter().map(move |span| at.saturating_add(*span).saturating_add(GRID)));
    times.filter(|at| *at > now).min()
}

/// What Servers there are, and what Stacks say of their services, on the board.
fn sync(ctx: &Context, stacks: &[Arc<Stack>], now: i64) {
    let names: BTreeSet<&str> = stacks.iter().filter_map(|s| stack::in_swarm(s)).collect();
    let count = |n: i32| u64::try_from(n).unwrap_or_default();
    let servers = ctx.servers.state();
    let clusters = servers.iter().map(|s| (s.name_any(), act::cluster_of(s).to_owned())).collect();
    ctx.board(|board| {
        board.servers(clusters, now);
        // Also those that have not been reached since we started. Asked while nobody else can say that one is heard again.
        let member = |s: &&Arc<Server>| s.status.as_ref().is_some_and(|status| status.swarm_node_id.is_some());
        for name in servers.iter().filter(member).map(|s| s.name_any()) {
            if ctx.fleet.followed(&name).is_none() {
                board.lost(&name, now);
            }
        }
        board.keep_stacks(|name| names.contains(name));
        for stack in stacks {
            let Some(name) = stack::in_swarm(stack) else { continue };
            for service in stack.status.iter().flat_map(|s| &s.services) {
                let said = Said {
                    cluster: stack::cluster(stack),
                    running: count(service.running),
                    desired: count(service.desired),
                    unhealthy: stack::is_unhealthy(stack, service),
                    probe_failed: service.probe_failures.map(count),
                };
                board.said(name, &service.name, said, now);
            }
        }
    });
}

fn services(ctx: &Context, read: &Read, stacks: &[Arc<Stack>], scene: &mut Scene, now: i64) -> Vec<Target> {
    let (rule, target) = (&read.rule, &read.rule.spec.target);
    let namespace = rule.namespace().unwrap_or_default();
    let mut found: Vec<Target> = Vec::new();
    for stack in stacks.iter().filter(|s| select::stack(&namespace, target, s)) {
        let (Some(in_swarm), Some(status)) = (stack::in_swarm(stack), &stack.status) else { continue };
        let busy = stack::is_busy(stack);
        let wanted = Wanted { expr: &read.expr, target, anew: stack::last_deployment(stack), now };
        for service in status.services.iter().filter(|s| select::service(target, in_swarm, &s.name)) {
            let histories = ctx.board(|board| {
                if !read.expr.needs_samples() {
                    scene.wake = scene.wake.into_iter().chain(board.next_change(in_swarm, &service.name, wanted)).min();
                }
                board.histories(in_swarm, &service.name, wanted)
            });
            if read.expr.needs_samples() {
                scene.measured.extend(act::heard(ctx, stack::cluster(stack)));
            }
            let name = plan::target_of(rule.spec.action, stack, &service.name);
            match found.iter_mut().find(|t| t.name == name) {
                Some(known) => known.histories.extend(histories),
                None => found.push(Target { name, histories, busy, peers: Arc::default() }),
            }
        }
    }
    found
}

fn servers(ctx: &Context, read: &Read, scene: &mut Scene, now: i64) -> Vec<Target> {
    let target = &read.rule.spec.target;
    let wanted = Wanted { expr: &read.expr, target, anew: i64::MIN, now };
    let all = ctx.servers.state();
    let mut selected: Vec<&Arc<Server>> = all.iter().filter(|s| select::server(target, &s.name_any())).collect();
    selected.sort_by_key(|s| s.name_any());
    let mut clusters: BTreeMap<&str, Arc<BTreeSet<String>>> = BTreeMap::new();
    for server in &all {
        Arc::make_mut(clusters.entry(act::cluster_of(server)).or_default()).insert(server_target(&server.name_any()));
    }
    let mut found = Vec::new();
    for server in selected {
        let name = server.name_any();
        if read.expr.needs_samples() && ctx.fleet.followed(&name).is_some() {
            scene.measured.insert(name.clone());
        }
        let histories = ctx.board(|board| board.server_history(&name, wanted));
        let peers = clusters.get(act::cluster_of(server)).cloned().unwrap_or_default();
        found.push(Target { name: server_target(&name), histories, busy: false, peers });
    }
    found
}

fn server_target(name: &str) -> String {
    format!("Server/{name}")
}
