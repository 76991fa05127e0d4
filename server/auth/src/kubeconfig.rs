//! The one file a client needs (row I3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use otternauts_meta::Secret;
use std::fmt::Write as _;

/// The name of our cluster and context in every kubeconfig we write.
pub const CONTEXT: &str = "otternauts";

/// How a user proves who they are.
pub enum Credential<'a> {
    Token(&'a Secret<String>),
    /// PEM.
    Certificate {
        certificate: &'a str,
        key: &'a Secret<String>,
    },
}

/// A kubeconfig with the authority's certificate (PEM) and the credential inside. `server` is `https://HOST:PORT`.
pub fn write(server: &str, authority: &str, user: &str, credential: &Credential<'_>) -> Secret<String> {
    let mut text = String::new();
    let quote = |value: &str| serde_json::to_string(value).expect("a string is always JSON");
    // A JSON string is a YAML string too, whatever the name holds.
    let (server, user_name) = (quote(server), quote(user));
    let data = |pem: &str| STANDARD.encode(pem);
    let secret = match credential {
        Credential::Token(token) => format!("    token: {}\n", quote(token.expose())),
        Credential::Certificate { certificate, key } => {
            format!("    client-certificate-data: {}\n    client-key-data: {}\n", data(certificate), data(key.expose()))
        }
    };
    write!(
        text,
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {CONTEXT}\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {}\ncontexts:\n- name: {CONTEXT}\n  context:\n    cluster: {CONTEXT}\n    \
         namespace: default\n    user: {user_name}\ncurrent-context: {CONTEXT}\npreferences: {{}}\nusers:\n\
         - name: {user_name}\n  user:\n{secret}",
        data(authority)
    )
    .expect("writing into a string");
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_names_server_authority_user_and_token() {
        let token = Secret::new("t0ken".to_owned());
        let text = write("https://127.0.0.1:7443", "PEM", "o\"dd", &Credential::Token(&token));
        let expected = "apiVersion: v1\nkind: Config\nclusters:\n- name: otternauts\n  cluster:\n    server: \
            \"https://127.0.0.1:7443\"\n    certificate-authority-data: UEVN\ncontexts:\n- name: otternauts\n  context:\n    \
            cluster: otternauts\n    namespace: default\n    user: \"o\\\"dd\"\ncurrent-context: otternauts\n\
            preferences: {}\nusers:\n- name: \"o\\\"dd\"\n  user:\n    token: \"t0ken\"\n";
        assert_eq!(text.expose(), expected);
    }
}
