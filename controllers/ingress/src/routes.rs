//! Who serves what: of two Stacks with the same host and path the older keeps it, and a host belongs to the namespace that had it
//! first, with all its paths (K13). Pure.

use crate::observed::Claim;
use otternauts_compose::{Route, rank};
use std::collections::BTreeMap;

/// Namespace and name.
pub type StackKey = (String, String);

/// One host and path, and who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub route: Route,
    pub owner: StackKey,
    /// The service's name in the swarm.
    pub service: String,
}

/// All routes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// By host, then longer paths first.
    pub owned: Vec<Owned>,
    /// The oldest Stack with the host: its namespace alone may have paths there.
    hosts: BTreeMap<String, StackKey>,
}

impl Table {
    /// The Stack that has this host and path.
    pub fn owner(&self, host: &str, path: &str) -> Option<&StackKey> {
        let exact = self.owned.iter().find(|o| o.route.host == host && o.route.path == path);
        exact.map(|o| &o.owner).or_else(|| self.hosts.get(host))
    }

    /// Every host once, in order.
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.keys().cloned().collect()
    }
}

/// Settles the claims. `created`: when a Stack was created, in Unix seconds; one that is not known any more is the youngest.
pub fn settle(claims: &[Claim], created: impl Fn(&StackKey) -> Option<i64>) -> Table {
    let mut best: BTreeMap<(String, String), (u64, Owned)> = BTreeMap::new();
    let ranked = |claim: &Claim| {
        let owner = (claim.namespace.clone(), claim.stack.clone());
        (rank(created(&owner).unwrap_or(i64::MAX), &owner.0, &owner.1), owner)
    };
    let mut hosts: BTreeMap<String, (u64, StackKey)> = BTreeMap::new();
    for claim in claims {
        let (rank, owner) = ranked(claim);
        for route in &claim.routes {
            let better = |(other, held): &(u64, StackKey)| (rank, held) > (*other, &owner);
            if hosts.get(&route.host).is_none_or(better) {
                hosts.insert(route.host.clone(), (rank, owner.clone()));
            }
        }
    }
    for claim in claims {
        let (rank, owner) = ranked(claim);
        let own = |host: &String| hosts.get(host).is_some_and(|(_, first)| first.0 == owner.0);
        for route in claim.routes.iter().filter(|r| own(&r.host)) {
            let owned = Owned { route: route.clone(), owner: owner.clone(), service: claim.service.clone() };
            let key = (route.host.clone(), route.path.clone());
            let better = best.get(&key).is_none_or(|(other, held)| {
                (rank, &held.owner, &held.service) > (*other, &owned.owner, &owned.service)
            });
            if better {
                best.insert(key, (rank, owned));
            }
        }
    }
    let mut owned: Vec<Owned> = best.into_values().map(|(_, owned)| owned).collect();
    owned.sort_by(|a, b| {
        (&a.route.host, b.route.path.len(), &a.route.path).cmp(&(&b.route.host, a.route.path.len(), &b.route.path))
    });
    let hosts = hosts.into_iter().map(|(host, (_, owner))| (host, owner)).collect();
    Table { owned, hosts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(stack: &str, routes: &[(&str, &str)]) -> Claim {
        let route = |(host, path): &(&str, &str)| Route { host: (*host).into(), path: (*path).into(), port: 80 };
        Claim {
            namespace: "n".into(),
            stack: stack.into(),
            service: format!("{stack}_web"),
            routes: routes.iter().map(route).collect(),
            ..Claim::default()
        }
    }

    fn age(key: &StackKey) -> Option<i64> {
        match key.1.as_str() {
            "old" => Some(100),
            "young" => Some(200),
            _ => None,
        }
    }

    #[test]
    fn the_older_stack_keeps_a_domain_whatever_the_order_k13() {
        let (old, young) = (claim("old", &[("a.com", "/")]), claim("young", &[("a.com", "/"), ("b.com", "/")]));
        for claims in [[old.clone(), young.clone()], [young, old]] {
            let table = settle(&claims, age);
            assert_eq!(table.owner("a.com", "/").map(|k| k.1.as_str()), Some("old"));
            assert_eq!(table.owner("b.com", "/").map(|k| k.1.as_str()), Some("young"));
            assert_eq!(table.hosts(), ["a.com", "b.com"]);
        }
    }

    #[test]
    fn two_stacks_share_a_host_by_path_and_longer_paths_go_first() {
        let table =
            settle(&[claim("old", &[("a.com", "/")]), claim("young", &[("a.com", "/api"), ("a.com", "/b")])], age);
        let paths: Vec<&str> = table.owned.iter().map(|o| o.route.path.as_str()).collect();
        assert_eq!(paths, ["/api", "/b", "/"]);
        assert_eq!(table.owner("a.com", "/api").map(|k| k.1.as_str()), Some("young"));
    }

    #[test]
    fn no_other_namespace_gets_a_path_of_a_host_k13() {
        let mut thief = claim("young", &[("a.com", "/login"), ("c.com", "/")]);
        thief.namespace = "m".into();
        let table = settle(&[thief, claim("old", &[("a.com", "/")])], age);
        assert!(table.owned.iter().all(|o| o.route.path != "/login"), "{:?}", table.owned);
        assert_eq!(table.owner("a.com", "/login").map(|k| k.1.as_str()), Some("old"), "it is told whose it is");
        assert_eq!(table.owner("c.com", "/").map(|k| k.0.as_str()), Some("m"));
        assert_eq!(table.hosts(), ["a.com", "c.com"]);
    }

    #[test]
    fn what_nobody_knows_any_more_never_wins() {
        let table = settle(&[claim("gone", &[("a.com", "/")]), claim("young", &[("a.com", "/")])], age);
        assert_eq!(table.owner("a.com", "/").map(|k| k.1.as_str()), Some("young"));
    }
}
