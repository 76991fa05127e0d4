//! Desired and observed in, a plan out. Pure: no clock, no I/O.

use crate::observed::Observed;
use crate::plan::Action;
use crate::proxy::Desired;
use otternauts_types::cluster::IngressProvider;

/// What brings the swarm's ingress from `observed` to `desired` (`None`: nobody needs one). `prepared`: the managers have been
/// prepared for this document already.
pub fn plan(desired: Option<&Desired>, observed: &Observed, prepared: bool) -> Vec<Action> {
    let Some(desired) = desired else {
        return observed.proxy.iter().map(|_| Action::Remove).collect();
    };
    let hash = desired.spec_sha256();
    let right = |p: &crate::observed::Proxy| p.service == desired.service && p.spec_sha256.as_deref() == Some(&hash);
    let current = observed.proxy.as_ref().is_some_and(right);
    // A manager that joined later, or was made anew, has no directory: its tasks say so and are started again by the swarm.
    let refused = observed.proxy.as_ref().and_then(|p| p.error.as_deref()).is_some_and(|e| e.contains("bind source"));
    let mut actions = Vec::new();
    if desired.provider == IngressProvider::Caddy && (refused || (!current && !prepared)) {
        actions.push(Action::PrepareHosts);
    }
    if current {
        return actions;
    }
    if !observed.network {
        actions.push(Action::CreateNetwork);
    }
    let missing = desired.configs.iter().filter(|c| !observed.configs.contains(&c.name));
    actions.extend(missing.map(|c| Action::CreateConfig { name: c.name.clone() }));
    actions.push(Action::Deploy);
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Proxy;
    use crate::proxy::desired;
    use otternauts_types::cluster::{ClusterSpec, Ingress};

    fn caddy(version: &str) -> Desired {
        let ingress = Ingress { provider: IngressProvider::Caddy, version: Some(version.into()), ..Ingress::default() };
        desired(&ClusterSpec { ingress: Some(ingress), ..ClusterSpec::default() }).expect("fine").expect("a proxy")
    }

    fn running(desired: &Desired) -> Observed {
        let proxy = Proxy {
            service: desired.service.into(),
            spec_sha256: Some(desired.spec_sha256()),
            running_on: Some("n1".into()),
            ..Proxy::default()
        };
        let configs = desired.configs.iter().map(|c| c.name.clone()).collect();
        Observed { proxy: Some(proxy), network: true, configs, ..Observed::default() }
    }

    #[test]
    fn nothing_to_do_is_an_empty_plan_and_a_new_version_is_deployed_ot_38() {
        let old = caddy("2.6");
        let observed = running(&old);
        assert_eq!(plan(Some(&old), &observed, false), []);
        assert_eq!(plan(Some(&caddy("2.7")), &observed, false), [Action::PrepareHosts, Action::Deploy]);
        assert_eq!(plan(Some(&caddy("2.7")), &observed, true), [Action::Deploy]);
        assert_eq!(plan(None, &observed, true), [Action::Remove]);
        assert_eq!(plan(None, &Observed::default(), true), []);
    }

    #[test]
    fn from_nothing_the_network_and_configs_come_first() {
        let wanted = caddy("2.6");
        let name = wanted.configs[0].name.clone();
        let expected = [Action::PrepareHosts, Action::CreateNetwork, Action::CreateConfig { name }, Action::Deploy];
        assert_eq!(plan(Some(&wanted), &Observed::default(), false), expected);
    }

    #[test]
    fn another_provider_replaces_the_one_that_runs_and_traefik_needs_no_directory() {
        let traefik = desired(&ClusterSpec::default()).expect("fine").expect("a proxy");
        assert_eq!(plan(Some(&traefik), &running(&caddy("2.6")), false), [Action::Deploy]);
    }

    #[test]
    fn a_manager_without_the_directory_is_prepared_without_a_new_deploy() {
        let wanted = caddy("2.6");
        let mut observed = running(&wanted);
        let proxy = observed.proxy.as_mut().expect("a proxy");
        proxy.error = Some("invalid mount config for type \"bind\": bind source path does not exist: /var".into());
        assert_eq!(plan(Some(&wanted), &observed, true), [Action::PrepareHosts]);
    }
}
