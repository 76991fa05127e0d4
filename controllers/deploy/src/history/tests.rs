use super::*;
use otternauts_types::DeploymentStatus;

fn stack(policy: DeployPolicy) -> Stack {
    let mut stack = Stack::new("shop", otternauts_types::StackSpec::default());
    stack.spec.deploy_policy = policy;
    stack
}

fn deployment(version: i64, sha: &str, phase: DeploymentPhase, trigger: Trigger) -> Deployment {
    let snapshot = Some(Snapshot { spec_sha256: sha.into(), ..Snapshot::default() });
    let stack_ref = LocalRef { name: "shop".into() };
    let rollback_to = (trigger == Trigger::Rollback).then_some(1);
    let spec = DeploymentSpec { stack_ref, version: Some(version), trigger, rollback_to, snapshot };
    let mut d = Deployment::new(&format!("shop-{version}"), spec);
    d.status = Some(DeploymentStatus { phase, ..DeploymentStatus::default() });
    d
}

use DeploymentPhase::{Failed, Running, Succeeded, Superseded};

#[test]
fn a_new_version_is_made_only_when_the_stack_asks_for_something_new() {
    let automatic = stack(DeployPolicy::Automatic);
    let check = |list: Vec<Deployment>, sha: &str, stopped: bool, expected: bool| {
        assert_eq!(History(list).needs_new(&automatic, sha, stopped), expected, "{sha} {stopped}");
    };
    check(vec![], "a", false, true);
    check(vec![deployment(1, "a", Succeeded, Trigger::Automatic)], "a", false, false);
    check(vec![deployment(1, "a", Succeeded, Trigger::Automatic)], "b", false, true);
    check(vec![deployment(1, "a", Failed, Trigger::Automatic)], "a", false, false);
    check(vec![deployment(1, "a", Superseded, Trigger::Automatic)], "a", true, true);
    check(vec![deployment(1, "a", Running, Trigger::Automatic)], "a", true, false);
    assert!(!History(vec![]).needs_new(&stack(DeployPolicy::Manual), "a", false));
}

#[test]
fn a_rollback_stays_until_the_stack_asks_for_something_else() {
    let history = || {
        History(vec![
            deployment(1, "a", Superseded, Trigger::Automatic),
            deployment(2, "b", Superseded, Trigger::Automatic),
            deployment(3, "a", Succeeded, Trigger::Rollback),
        ])
    };
    let automatic = stack(DeployPolicy::Automatic);
    assert!(!history().needs_new(&automatic, "b", false));
    assert!(history().needs_new(&automatic, "c", false));
    assert_eq!(history().current().and_then(|d| d.spec.version), Some(3));
}

#[test]
fn versions_only_grow_and_old_ones_go_first() {
    let mut stack = stack(DeployPolicy::Automatic);
    let list = (1..=5).map(|v| deployment(v, "a", if v == 5 { Running } else { Superseded }, Trigger::Automatic));
    let history = History(list.collect());
    assert_eq!(history.next_version(&stack), 6);
    let names: Vec<String> = history.surplus(2).into_iter().map(|d| d.name_any()).collect();
    assert_eq!(names, ["shop-1", "shop-2"]);
    assert!(history.surplus(0).iter().all(|d| d.name_any() != "shop-5"));
    stack.status = Some(otternauts_types::StackStatus { current_version: Some(9), ..Default::default() });
    assert_eq!(history.next_version(&stack), 10);
}

#[test]
fn absurd_versions_are_passed_over() {
    let stack = stack(DeployPolicy::Automatic);
    for absurd in [i64::MAX, i64::MIN, -1, MAX_VERSION] {
        let history = History(vec![
            deployment(3, "a", Succeeded, Trigger::Automatic),
            deployment(absurd, "a", Succeeded, Trigger::Manual),
        ]);
        assert_eq!((history.newest_version(&stack), history.next_version(&stack)), (3, 4), "{absurd}");
    }
    let mut told = stack.clone();
    told.status = Some(otternauts_types::StackStatus { current_version: Some(i64::MAX), ..Default::default() });
    assert_eq!(History(vec![]).next_version(&told), 1);
}

#[test]
fn what_a_person_wrote_and_nobody_filled_does_not_count_but_keeps_its_name() {
    let stack = stack(DeployPolicy::Automatic);
    let mut wish = deployment(900, "", DeploymentPhase::Pending, Trigger::Manual);
    wish.spec.snapshot = None;
    wish.metadata.name = Some("shop-4".into());
    let history = History(vec![deployment(3, "a", Succeeded, Trigger::Automatic), wish]);
    assert_eq!((history.newest_version(&stack), history.next_version(&stack)), (3, 5));
}

#[test]
fn only_snapshots_of_our_own_making_are_overwritten_or_deleted_r24() {
    let secret = |kind: &str, deployment: &str, owner: Option<&str>| SecretObject {
        type_: Some(kind.into()),
        metadata: ObjectMeta {
            labels: Some([(label::DEPLOYMENT.to_owned(), deployment.to_owned())].into()),
            owner_references: owner.map(|uid| vec![OwnerReference { uid: uid.into(), ..OwnerReference::default() }]),
            ..ObjectMeta::default()
        },
        ..SecretObject::default()
    };
    assert!(is_made_for(&secret(SNAPSHOT_TYPE, "shop-1", None), "shop-1"));
    assert!(!is_made_for(&secret(SNAPSHOT_TYPE, "shop-2", None), "shop-1"), "another Deployment's");
    assert!(!is_made_for(&secret("Opaque", "shop-1", None), "shop-1"), "a person's, labelled like ours");
    assert!(!is_made_for(&SecretObject::default(), ""), "without type and label");
    let mut stack = stack(DeployPolicy::Automatic);
    assert!(!is_left_by(&secret(SNAPSHOT_TYPE, "shop-1", None), &stack), "no uid on either side is no match");
    stack.metadata.uid = Some("u1".into());
    assert!(is_left_by(&secret(SNAPSHOT_TYPE, "shop-1", Some("u1")), &stack));
    assert!(!is_left_by(&secret(SNAPSHOT_TYPE, "shop-1", Some("u0")), &stack), "of an earlier stack of that name");
    assert!(!is_left_by(&secret("Opaque", "shop-1", Some("u1")), &stack), "a person's, owned by the stack");
}
