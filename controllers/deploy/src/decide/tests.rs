use super::*;
use crate::observed::{ObservedFile, ObservedService, Owner};
use otternauts_compose::{Identity, Policy, Values, compile, render};

fn rendered(text: &str) -> Rendered {
    let compiled =
        compile(text, &Values::default(), &Policy::default()).map_err(|e| format!("{e:?}")).expect("compiles");
    let who = Identity { namespace: "n".into(), stack: "s".into(), deployment: "s-1".into(), ..Identity::default() };
    render(&compiled.project, &who).expect("renders")
}

fn as_deployed(rendered: &Rendered) -> Observed {
    let service = |s: &otternauts_compose::RenderedService| ObservedService {
        id: format!("id-{}", s.name),
        name: s.name.clone(),
        spec_sha256: Some(s.spec_sha256.clone()),
        ..ObservedService::default()
    };
    let file = |i: &otternauts_compose::Inline| ObservedFile {
        secret: i.kind == InlineKind::Secret,
        id: format!("id-{}", i.name),
        name: i.name.clone(),
    };
    Observed {
        services: rendered.services.iter().map(service).collect(),
        files: rendered.inline.iter().map(file).collect(),
        ..Observed::default()
    }
}

const TWO: &str = "services: {a: {image: one}, b: {image: two}}\n";

#[test]
fn an_unchanged_stack_has_an_empty_plan() {
    let r = rendered(TWO);
    assert!(plan(&r, &as_deployed(&r)).is_empty());
    assert_eq!(plan(&r, &Observed::default()), Plan(vec![Action::DeployServices(vec!["a".into(), "b".into()])]));
}

#[test]
fn only_changed_services_are_deployed_and_gone_ones_removed() {
    let before = as_deployed(&rendered(TWO));
    let after = rendered("services: {a: {image: one}, c: {image: three}}\n");
    assert_eq!(
        plan(&after, &before),
        Plan(vec![
            Action::DeployServices(vec!["c".into()]),
            Action::RemoveService { id: "id-b".into(), name: "b".into() },
        ])
    );
}

#[test]
fn a_crash_between_any_two_actions_leaves_only_the_rest_to_do() {
    let r = rendered("services: {a: {image: one, configs: [c]}}\nconfigs: {c: {content: x}}\n");
    let whole = plan(&r, &Observed::default());
    assert_eq!(whole.0.len(), 2);
    let mut halfway = Observed { files: as_deployed(&r).files, ..Observed::default() };
    assert_eq!(plan(&r, &halfway), Plan(vec![whole.0[1].clone()]));
    halfway.services = as_deployed(&r).services;
    assert!(plan(&r, &halfway).is_empty());
}

#[test]
fn content_of_earlier_revisions_goes_after_the_rollout() {
    let text = |c: &str| format!("services: {{a: {{image: one, configs: [c]}}}}\nconfigs: {{c: {{content: {c}}}}}\n");
    let (old, new) = (rendered(&text("x")), rendered(&text("y")));
    let mut observed = as_deployed(&new);
    observed.files.extend(as_deployed(&old).files);
    assert!(plan(&new, &observed).is_empty());
    assert_eq!(garbage(&new, &observed).0.len(), 1);
}

#[test]
fn what_is_external_must_exist_and_be_nobody_elses() {
    let r = rendered("services: {a: {image: one, networks: [n]}}\nnetworks: {n: {external: true, name: shared}}\n");
    let baseline = Level::Baseline;
    assert_eq!(
        unusable(&r, &Observed::default(), baseline),
        ["networks: external \"shared\" does not exist on the swarm"]
    );
    let with = |owner: Option<(&str, &str)>, level: Level| {
        let owner = owner.map(|(namespace, stack)| Owner { namespace: namespace.into(), stack: stack.into() });
        let existing = [(("networks", "shared".to_owned()), owner)].into();
        unusable(&r, &Observed { existing, ..Observed::default() }, level)
    };
    assert_eq!(with(None, baseline), [""; 0]);
    assert_eq!(with(Some(("n", "s")), baseline), [""; 0]);
    assert_eq!(with(Some(("other", "s")), baseline), ["networks: external \"shared\" belongs to another namespace"]);
    assert_eq!(with(Some(("n", "db")), baseline), ["networks: external \"shared\" belongs to stack \"db\""]);
    assert_eq!(with(Some(("other", "s")), Level::Privileged), [""; 0]);
}
