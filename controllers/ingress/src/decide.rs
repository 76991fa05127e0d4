//! Desired and observed in, a plan out. Pure: no clock, no I/O.

use crate::observed::Observed;
use crate::plan::Action;
use crate::proxy::Desired;
use otternauts_types::cluster::IngressProvider;
use std::collections::BTreeMap;

/// What brings the swarm's ingress from `observed` to `desired` (`None`: nobody needs one). `managers`: the Servers on which the
/// swarm may start the proxy, and whether each has been prepared for that; one that joins later is prepared before it is needed.
pub fn plan(desired: Option<&Desired>, observed: &Observed, managers: &BTreeMap<String, bool>) -> Vec<Action> {
    let Some(desired) = desired else {
        return observed.proxy.iter().map(|_| Action::Remove).collect();
    };
    let hash = desired.spec_sha256();
    let right = |p: &crate::observed::Proxy| p.service == desired.service && p.spec_sha256.as_deref() == Some(&hash);
    let current = observed.proxy.as_ref().is_some_and(right);
    // A manager that was made anew has no directory any more: its tasks say so and are started again by the swarm.
    let refused = observed.proxy.as_ref().and_then(|p| p.error.as_deref()).is_some_and(|e| e.contains("bind source"));
    let mut actions = Vec::new();
    if desired.provider == IngressProvider::Caddy {
        let lacking = managers.iter().filter(|(_, prepared)| refused || !**prepared);
        let lacking: Vec<String> = lacking.map(|(name, _)| name.clone()).collect();
        actions.extend((!lacking.is_empty()).then_some(Action::PrepareHosts(lacking)));
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

    fn managers(all: &[(&str, bool)]) -> BTreeMap<String, bool> {
        all.iter().map(|(name, prepared)| ((*name).to_owned(), *prepared)).collect()
    }

    fn prepare(all: &[&str]) -> Action {
        Action::PrepareHosts(all.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn nothing_to_do_is_an_empty_plan_and_a_new_version_is_deployed_ot_38() {
        let old = caddy("2.6");
        let observed = running(&old);
        let ready = managers(&[("a", true)]);
        assert_eq!(plan(Some(&old), &observed, &ready), []);
        assert_eq!(plan(Some(&caddy("2.7")), &observed, &ready), [Action::Deploy]);
        assert_eq!(plan(None, &observed, &ready), [Action::Remove]);
        assert_eq!(plan(None, &Observed::default(), &managers(&[("a", false)])), []);
    }

    #[test]
    fn from_nothing_the_network_and_configs_come_first() {
        let wanted = caddy("2.6");
        let name = wanted.configs[0].name.clone();
        let expected = [prepare(&["a"]), Action::CreateNetwork, Action::CreateConfig { name }, Action::Deploy];
        assert_eq!(plan(Some(&wanted), &Observed::default(), &managers(&[("a", false)])), expected);
    }

    #[test]
    fn another_provider_replaces_the_one_that_runs_and_traefik_needs_no_directory() {
        let traefik = desired(&ClusterSpec::default()).expect("fine").expect("a proxy");
        assert_eq!(plan(Some(&traefik), &running(&caddy("2.6")), &managers(&[("a", false)])), [Action::Deploy]);
    }

    #[test]
    fn a_manager_that_joins_later_is_prepared_before_the_proxy_moves_there_ot_f18() {
        let wanted = caddy("2.6");
        let observed = running(&wanted);
        assert_eq!(plan(Some(&wanted), &observed, &managers(&[("a", true), ("b", false)])), [prepare(&["b"])]);
    }

    #[test]
    fn a_manager_that_lost_the_directory_is_prepared_again_without_a_new_deploy() {
        let wanted = caddy("2.6");
        let mut observed = running(&wanted);
        let proxy = observed.proxy.as_mut().expect("a proxy");
        proxy.error = Some("invalid mount config for type \"bind\": bind source path does not exist: /var".into());
        assert_eq!(plan(Some(&wanted), &observed, &managers(&[("a", true)])), [prepare(&["a"])]);
    }
}
