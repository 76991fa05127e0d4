use super::*;
use otternauts_fleet::docker::NodeAvailability;
use std::collections::BTreeMap;

fn node(role: NodeRole, reachable: Option<bool>) -> Node {
    Node {
        id: "n".into(),
        version: 1,
        hostname: "h".into(),
        role,
        availability: NodeAvailability::Active,
        labels: BTreeMap::new(),
        state: "ready".into(),
        address: "10.0.0.1".into(),
        engine_version: "26.1.5".into(),
        leader: false,
        reachable,
    }
}

fn reason_of(status: &ClusterStatus, kind: &str) -> (ConditionStatus, String) {
    let c = status.conditions.iter().find(|c| c.r#type == kind).expect("the condition");
    (c.status, c.reason.clone())
}

#[test]
fn managers_are_counted_and_even_numbers_warned_about() {
    let cases = [
        (1, 1, true, ConditionStatus::False),
        (2, 2, true, ConditionStatus::True),
        (3, 3, true, ConditionStatus::False),
        (4, 4, true, ConditionStatus::True),
        (2, 1, false, ConditionStatus::True),
        (3, 2, true, ConditionStatus::False),
        (3, 1, false, ConditionStatus::False),
    ];
    for (managers, reachable, quorum, risk) in cases {
        let mut nodes: Vec<Node> = (0..managers).map(|i| node(NodeRole::Manager, Some(i < reachable))).collect();
        nodes.push(node(NodeRole::Worker, None));
        let s = status(&ClusterStatus::default(), &Seen::Nodes(nodes), 1, "t");
        assert_eq!((s.managers, s.nodes, s.quorum), (Some(managers), Some(managers + 1), Some(quorum)));
        assert_eq!(reason_of(&s, "QuorumRisk").0, risk, "{managers} managers");
        assert_eq!(reason_of(&s, "Ready").0 == ConditionStatus::True, quorum);
    }
}

#[test]
fn silence_keeps_the_numbers_and_takes_the_readiness() {
    let before = status(&ClusterStatus::default(), &Seen::Nodes(vec![node(NodeRole::Manager, Some(true))]), 1, "t");
    let after = status(&before, &Seen::Unreachable, 1, "t");
    assert_eq!((after.managers, after.nodes, after.quorum), (Some(1), Some(1), Some(false)));
    assert_eq!(reason_of(&after, "Ready"), (ConditionStatus::False, "ManagersUnreachable".into()));
}

#[test]
fn an_election_is_not_the_loss_of_all_managers() {
    let before = status(&ClusterStatus::default(), &Seen::Nodes(vec![node(NodeRole::Manager, Some(true))]), 1, "t");
    let after = status(&before, &Seen::Electing, 1, "t");
    assert_eq!((after.managers, after.quorum), (Some(1), Some(false)));
    assert_eq!(reason_of(&after, "Ready"), (ConditionStatus::False, "ElectingLeader".into()));
}

#[test]
fn nothing_new_changes_nothing() {
    let seen = Seen::Nodes(vec![node(NodeRole::Manager, Some(true))]);
    let once = status(&ClusterStatus::default(), &seen, 1, "t1");
    assert_eq!(status(&once, &seen, 1, "t2"), once);
}

#[test]
fn a_cluster_without_managers_judges_no_number_of_them() {
    let before = status(&ClusterStatus::default(), &Seen::Nodes(vec![node(NodeRole::Manager, Some(true))]), 1, "t");
    let after = status(&before, &Seen::NoSwarm, 1, "t");
    assert!(after.conditions.iter().all(|c| c.r#type != "QuorumRisk"), "{:?}", after.conditions);
    assert_eq!(reason_of(&after, "Ready").1, "NoSwarm");
}
