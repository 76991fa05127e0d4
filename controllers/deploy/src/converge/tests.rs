use super::*;

fn task(slot: &str, state: TaskState, current: bool, wanted: bool, error: &str) -> ObservedTask {
    let (slot, error) = (slot.to_owned(), error.to_owned());
    ObservedTask { id: format!("t{slot}"), slot, state, wanted, current, error, ..ObservedTask::default() }
}

fn service(desired: u64, update: Update, tasks: Vec<ObservedTask>) -> ObservedService {
    ObservedService { id: "s".into(), name: "web".into(), desired, update, tasks, ..ObservedService::default() }
}

fn check(service: &ObservedService, done: bool, problem: Option<(&str, &str)>) {
    let p = service_progress("nginx:1", service);
    assert_eq!(p.done, done, "{service:#?}");
    let found = p.problem.as_ref().map(|p| (p.reason, p.sentence.as_str()));
    assert_eq!(found, problem, "{service:#?}");
}

#[test]
fn a_service_is_done_when_every_slot_runs_the_new_spec_and_no_old_task_is_left() {
    let new = |slot| task(slot, TaskState::Running, true, true, "");
    let old = |slot| task(slot, TaskState::Running, false, true, "");
    check(&service(2, Update::Settled, vec![new("1"), new("2")]), true, None);
    check(&service(2, Update::Settled, vec![new("1")]), false, None);
    check(&service(2, Update::Settled, vec![new("1"), new("2"), old("3")]), false, None);
    check(&service(2, Update::Updating, vec![new("1"), new("2")]), false, None);
    check(&service(2, Update::Settled, vec![new("1"), old("2")]), false, None);
    check(&service(0, Update::Settled, vec![]), true, None);
    let gone = task("1", TaskState::Gone, false, false, "");
    check(&service(1, Update::Settled, vec![new("1"), gone]), true, None);
}

#[test]
fn a_job_is_done_when_it_has_completed() {
    let mut job = service(1, Update::Settled, vec![task("1", TaskState::Complete, true, false, "")]);
    job.job = true;
    check(&job, false, None);
    job.completed = 1;
    check(&job, true, None);
}

#[test]
fn failures_are_told_in_the_words_of_the_product_ot_f10_f11_f12() {
    let failing = |state, error: &str| service(1, Update::Settled, vec![task("1", state, true, true, error)]);
    check(
        &failing(TaskState::Rejected, "No such image: nginx:1"),
        false,
        Some((reason::IMAGE_PULL, "Failed to pull image nginx:1: No such image: nginx:1")),
    );
    check(
        &failing(TaskState::Pending, "no suitable node (scheduling constraints not satisfied on 2 nodes)"),
        false,
        Some((reason::NO_NODE, "Service web cannot start: no nodes match constraints")),
    );
    check(
        &failing(TaskState::Failed, "task: non-zero exit (137): dockerexec: unhealthy container"),
        false,
        Some((reason::UNHEALTHY, "Service web is unhealthy")),
    );
    check(
        &failing(TaskState::Failed, "task: non-zero exit (1)"),
        false,
        Some((reason::TASK_FAILED, "Service web failed: task: non-zero exit (1)")),
    );
    check(
        &failing(TaskState::Complete, ""),
        false,
        Some((reason::TASK_FAILED, "Service web ended: its container exited")),
    );
}

#[test]
fn what_failed_before_the_change_is_no_problem_of_the_new_revision() {
    let old = task("1", TaskState::Failed, false, false, "task: non-zero exit (1)");
    check(&service(1, Update::Settled, vec![old, task("1", TaskState::Preparing, true, true, "")]), false, None);
}

#[test]
fn only_an_update_that_a_server_was_not_ready_for_is_resumed() {
    let joining = "network sandbox join failed: the local data-plane address is not currently known";
    let paused = |state, error: &str, update| {
        let observed = Observed {
            services: vec![service(1, update, vec![task("1", state, true, true, error)])],
            ..Observed::default()
        };
        paused_by_a_server(&observed).len()
    };
    assert_eq!(paused(TaskState::Rejected, joining, Update::Paused), 1);
    assert_eq!(paused(TaskState::Failed, joining, Update::Paused), 1, "the network is joined as the task starts");
    assert_eq!(paused(TaskState::Rejected, joining, Update::Updating), 0);
    assert_eq!(paused(TaskState::Rejected, "No such image: nginx:1", Update::Paused), 0);
    assert_eq!(paused(TaskState::Failed, "task: non-zero exit (1)", Update::Paused), 0);
}

fn rendered() -> Rendered {
    let values = otternauts_compose::Values::default();
    let policy = otternauts_compose::Policy::default();
    let compiled = otternauts_compose::compile("services: {web: {image: 'nginx:1'}}\n", &values, &policy);
    let compiled = compiled.map_err(|e| format!("{e:?}")).expect("compiles");
    otternauts_compose::render(&compiled.project, &otternauts_compose::Identity::default()).expect("renders")
}

#[test]
fn the_swarm_giving_up_ends_the_rollout() {
    let rendered = rendered();
    let tasks = vec![task("1", TaskState::Failed, true, true, "dockerexec: unhealthy container")];
    let at = |update, spec: &str| {
        let spec_sha256 = Some(spec.to_owned());
        let service = ObservedService { spec_sha256, ..service(1, update, tasks.clone()) };
        let observed = Observed { services: vec![service], ..Observed::default() };
        outcome(&rendered, &observed, &progress(&rendered, &observed))
    };
    let wanted = rendered.services[0].spec_sha256.clone();
    assert!(matches!(at(Update::RolledBack, "older"), Outcome::RolledBack(p) if p.reason == reason::ROLLED_BACK));
    assert!(matches!(at(Update::Paused, &wanted), Outcome::Stuck(p) if p.sentence == "Service web is unhealthy"));
    assert_eq!(at(Update::RolledBack, &wanted), Outcome::Waiting, "a rollback to what is wanted is no failure");
    check(&service(1, Update::RolledBack, vec![task("1", TaskState::Running, true, true, "")]), true, None);
    assert_eq!(at(Update::Settled, "older"), Outcome::Waiting);
}
