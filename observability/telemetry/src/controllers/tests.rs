//! What the queues and the convergence say after known histories.

use super::*;
use crate::{Format, Metrics};

#[track_caller]
fn says(metrics: &Metrics, line: &str) {
    let text = metrics.encode(Format::Classic);
    assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
}

#[test]
fn a_key_waits_once_and_is_under_work_once() {
    let metrics = Metrics::new("1");
    let queue = metrics.controllers.queue("cook");
    queue.added("a");
    queue.added("a");
    queue.added("b");
    says(&metrics, "workqueue_adds_total{name=\"cook\"} 2");
    says(&metrics, "workqueue_depth{name=\"cook\"} 2");
    let work = queue.start("a");
    says(&metrics, "workqueue_depth{name=\"cook\"} 1");
    says(&metrics, "controller_runtime_active_workers{controller=\"cook\"} 1");
    work.end(Outcome::RequeueAfter);
    says(&metrics, "workqueue_depth{name=\"cook\"} 1");
    says(&metrics, "workqueue_retries_total{name=\"cook\"} 1");
    queue.added("a");
    says(&metrics, "workqueue_depth{name=\"cook\"} 2");
    queue.forget("a");
    queue.start("b").end(Outcome::Success);
    says(&metrics, "workqueue_depth{name=\"cook\"} 0");
    says(&metrics, "workqueue_queue_duration_seconds_count{name=\"cook\"} 2");
    says(&metrics, "controller_runtime_reconcile_total{controller=\"cook\",result=\"success\"} 1");
    says(&metrics, "controller_runtime_reconcile_total{controller=\"cook\",result=\"error\"} 0");
}

#[test]
fn a_panic_is_an_error_and_is_counted_as_a_panic_too() {
    let metrics = Metrics::new("1");
    let queue = metrics.controllers.queue("cook");
    let inside = queue.clone();
    let panicked = std::thread::spawn(move || {
        let _work = inside.start("a");
        std::panic::resume_unwind(Box::new("as planned"));
    });
    assert!(panicked.join().is_err());
    drop(queue.start("b"));
    says(&metrics, "controller_runtime_reconcile_panics_total{controller=\"cook\"} 1");
    says(&metrics, "controller_runtime_reconcile_errors_total{controller=\"cook\"} 2");
    says(&metrics, "controller_runtime_active_workers{controller=\"cook\"} 0");
}

#[test]
fn a_generation_converges_once_and_only_when_its_beginning_was_seen() {
    let metrics = Metrics::new("1");
    let stacks = Convergence::new(&metrics.controllers, "Stack");
    let counts = |success: u32, superseded: u32| {
        let text = metrics.encode(Format::Classic);
        let count = |result: &str| {
            let start = format!("otternauts_convergence_seconds_count{{kind=\"Stack\",result=\"{result}\"}} ");
            text.lines().find_map(|l| l.strip_prefix(&start)).map_or(0, |n| n.parse::<u32>().expect("a number"))
        };
        assert_eq!((count("success"), count("superseded")), (success, superseded));
    };
    stacks.see("old", 3, Some(3), false);
    stacks.see("old", 3, Some(3), true);
    counts(0, 0);
    stacks.see("new", 1, None, false);
    stacks.see("new", 1, Some(1), false);
    counts(0, 0);
    stacks.see("new", 1, Some(1), true);
    stacks.see("new", 1, Some(1), true);
    counts(1, 0);
    stacks.see("new", 2, Some(1), true);
    counts(1, 0);
    stacks.see("new", 3, Some(2), false);
    counts(1, 1);
    stacks.see("new", 3, Some(3), true);
    counts(2, 1);
    stacks.forget("new");
}
