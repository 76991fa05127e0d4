//! Who asks, for whom, and whether they may (rows E2, E3, I1, I2, I4, I5).

use crate::routes::Route;
use http::HeaderMap;
use otternauts_auth::user::{ANONYMOUS, UNAUTHENTICATED};
use otternauts_auth::{Attributes, Authenticator, Authorizer, Decision, Peer, User};
use otternauts_meta::{GroupResource, Status};
use std::sync::Arc;

/// The user a request counts as, and who really sent it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub sender: Arc<User>,
    /// Set when the sender speaks for somebody else.
    pub impersonated: Option<Arc<User>>,
}

impl Identity {
    pub fn user(&self) -> &Arc<User> {
        self.impersonated.as_ref().unwrap_or(&self.sender)
    }
}

/// Finds the user behind a request. A connection that nobody vouches for has no user: 401.
pub async fn authenticate(
    authenticator: &Authenticator,
    peer: Option<&Peer>,
    headers: &HeaderMap,
) -> Result<Arc<User>, Status> {
    let peer = peer.ok_or_else(Status::unauthorized)?;
    let authorization =
        headers.get(http::header::AUTHORIZATION).map(|v| v.to_str().map_err(|_| Status::unauthorized()));
    let authorization = authorization.transpose()?;
    authenticator.authenticate(peer, authorization).await.map_err(|_| Status::unauthorized())
}

/// Applies the `Impersonate-*` headers (row I5).
pub fn impersonate(authorizer: &Authorizer, sender: Arc<User>, headers: &HeaderMap) -> Result<Identity, Status> {
    let Some(wanted) = Wanted::read(headers)? else { return Ok(Identity { sender, impersonated: None }) };
    for attributes in wanted.needs() {
        if !authorizer.authorize(&sender, &attributes).is_allowed() {
            return Err(forbidden(&sender, &attributes));
        }
    }
    let impersonated = Arc::new(wanted.into_user());
    Ok(Identity { sender, impersonated: Some(impersonated) })
}

#[derive(Default)]
struct Wanted {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: std::collections::BTreeMap<String, Vec<String>>,
}

impl Wanted {
    fn read(headers: &HeaderMap) -> Result<Option<Self>, Status> {
        let mut wanted = Self::default();
        for (name, value) in headers {
            let Some(part) = name.as_str().strip_prefix("impersonate-") else { continue };
            let value =
                value.to_str().map_err(|_| Status::bad_request("an impersonation header is no text"))?.to_owned();
            match part {
                "user" => wanted.user = value,
                "uid" => wanted.uid = value,
                "group" => wanted.groups.push(value),
                _ => {
                    if let Some(key) = part.strip_prefix("extra-") {
                        wanted.extra.entry(crate::query::decode(key, false)).or_default().push(value);
                    }
                }
            }
        }
        if !wanted.user.is_empty() {
            return Ok(Some(wanted));
        }
        if wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty() {
            return Ok(None);
        }
        let groups: Vec<String> = wanted.groups.iter().map(|g| format!("{g:?}")).collect();
        let groups = if groups.is_empty() { "(nil)".to_owned() } else { format!("{{{}}}", groups.join(", ")) };
        Err(Status::bad_request(format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{:?}, Groups:[]string{groups}, Extra:map[string][]string(nil)}} \
             without impersonating a user name",
            wanted.uid
        )))
    }

    /// What the sender must be allowed to impersonate, each part on its own.
    fn needs(&self) -> Vec<Attributes> {
        let ask = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| Attributes {
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        let mut needs = vec![match self.service_account() {
            Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name),
            None => ask("", "users", "", "", &self.user),
        }];
        needs.extend(self.groups.iter().map(|g| ask("", "groups", "", "", g)));
        if !self.uid.is_empty() {
            needs.push(ask("authentication.k8s.io", "uids", "", "", &self.uid));
        }
        for (key, values) in &self.extra {
            needs.extend(values.iter().map(|v| ask("authentication.k8s.io", "userextras", key, "", v)));
        }
        needs
    }

    fn service_account(&self) -> Option<(&str, &str)> {
        self.user.strip_prefix("system:serviceaccount:")?.split_once(':')
    }

    fn into_user(self) -> User {
        let mut user = if self.user == ANONYMOUS {
            User { name: self.user, groups: vec![UNAUTHENTICATED.to_owned()], ..User::default() }
        } else if let (Some((namespace, name)), true) = (self.service_account(), self.groups.is_empty()) {
            User::service_account(namespace, name, "")
        } else {
            User::authenticated(&self.user, self.groups)
        };
        user.uid = self.uid;
        user.extra = self.extra;
        user
    }
}

/// What the authoriser is asked about a route.
pub fn attributes(route: &Route) -> Attributes {
    match &route.resource {
        None => Attributes { verb: route.verb.clone(), path: route.path.clone(), ..Attributes::default() },
        Some(r) => Attributes {
            verb: route.verb.clone(),
            group: r.group.clone(),
            version: r.version.clone(),
            resource: r.resource.clone(),
            subresource: r.subresource.clone(),
            namespace: r.namespace.clone(),
            name: r.name.clone(),
            path: String::new(),
        },
    }
}

/// Yes with its reason for the audit log, or the 403 of row E3.
pub fn authorize(authorizer: &Authorizer, user: &User, attributes: &Attributes) -> Result<String, Status> {
    match authorizer.authorize(user, attributes) {
        Decision::Allow { reason } => Ok(reason),
        Decision::NoOpinion => Err(forbidden(user, attributes)),
    }
}

fn forbidden(user: &User, a: &Attributes) -> Status {
    if a.resource.is_empty() {
        return Status::forbidden_path(&user.name, &a.verb, &a.path);
    }
    let resource =
        if a.subresource.is_empty() { a.resource.clone() } else { format!("{}/{}", a.resource, a.subresource) };
    let place = if a.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", a.namespace)
    };
    let why =
        format!("User {:?} cannot {} resource {resource:?} in API group {:?} {place}", user.name, a.verb, a.group);
    Status::forbidden(&GroupResource::new(&a.group, &a.resource), &a.name, &why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;
    use http::Method;

    #[track_caller]
    fn check(method: &Method, path: &str, expected: &str) {
        let route = crate::routes::parse(method, path, &Query::default());
        let user = User::authenticated("bob", []);
        let status = authorize(&Authorizer::default(), &user, &attributes(&route)).expect_err("forbidden");
        assert_eq!((status.code, status.message.as_str()), (403, expected));
    }

    #[test]
    fn refusals_read_as_row_e3_says() {
        check(
            &Method::GET,
            "/apis/otternauts.dev/v1/namespaces/default/stacks/web",
            r#"stacks.otternauts.dev "web" is forbidden: User "bob" cannot get resource "stacks" in API group "otternauts.dev" in the namespace "default""#,
        );
        check(
            &Method::GET,
            "/apis/otternauts.dev/v1/stacks",
            r#"stacks.otternauts.dev is forbidden: User "bob" cannot list resource "stacks" in API group "otternauts.dev" at the cluster scope"#,
        );
        check(
            &Method::PUT,
            "/apis/otternauts.dev/v1/namespaces/default/stacks/web/status",
            r#"stacks.otternauts.dev "web" is forbidden: User "bob" cannot update resource "stacks/status" in API group "otternauts.dev" in the namespace "default""#,
        );
        check(
            &Method::GET,
            "/api/v1/namespaces/kube-system",
            r#"namespaces "kube-system" is forbidden: User "bob" cannot get resource "namespaces" in API group "" in the namespace "kube-system""#,
        );
        check(&Method::GET, "/metrics", r#"forbidden: User "bob" cannot get path "/metrics""#);
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("a header value"));
        }
        map
    }

    #[test]
    fn speaking_for_others_needs_the_right_for_each_part() {
        let nobody = Authorizer::default();
        let alice = Arc::new(User::authenticated("alice", []));
        let status =
            impersonate(&nobody, alice.clone(), &headers(&[("impersonate-user", "bob")])).expect_err("forbidden");
        assert_eq!(
            status.message,
            r#"users "bob" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope"#
        );
        let status = impersonate(&nobody, alice, &headers(&[("impersonate-group", "g")])).expect_err("no user");
        assert_eq!(
            status.message,
            r#"requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name"#
        );
        let root = Arc::new(User::authenticated("root", ["system:masters".to_owned()]));
        let wanted = headers(&[("impersonate-user", "system:serviceaccount:ns:bot")]);
        let identity = impersonate(&nobody, root.clone(), &wanted).expect("allowed");
        assert!(identity.user().in_group("system:serviceaccounts:ns"));
        let wanted = headers(&[("impersonate-user", "bob"), ("impersonate-group", "a"), ("impersonate-group", "b")]);
        let identity = impersonate(&nobody, root.clone(), &wanted).expect("allowed");
        assert_eq!(identity.user().groups, ["a", "b", "system:authenticated"]);
        assert_eq!(identity.sender, root);
        assert!(impersonate(&nobody, root, &HeaderMap::new()).expect("plain").impersonated.is_none());
    }
}
