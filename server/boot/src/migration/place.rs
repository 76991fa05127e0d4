//! Where a store is, as one word: `sqlite:DIR` or `etcd:URL,URL,...[/PREFIX]`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const PREFIX: &str = "/otternauts";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A data directory.
    Sqlite(PathBuf),
    Etcd {
        endpoints: Vec<String>,
        prefix: String,
    },
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no store: use sqlite:DIR, or etcd:URL,URL,...[/PREFIX] such as etcd:https://10.0.0.1:2379,https://10.0.0.2:2379/otternauts"
)]
pub struct BadPlace(String);

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace(text.to_owned());
        if let Some(dir) = text.strip_prefix("sqlite:").filter(|dir| !dir.is_empty()) {
            return std::path::absolute(dir).map(Self::Sqlite).map_err(|_| bad());
        }
        let rest = text.strip_prefix("etcd:").ok_or_else(bad)?;
        let mut endpoints: Vec<String> = rest.split(',').map(str::to_owned).collect();
        let mut prefix = PREFIX.to_owned();
        if let Some(last) = endpoints.last_mut() {
            let host = last.find("://").map(|at| at + 3).ok_or_else(bad)?;
            if let Some(slash) = last[host..].find('/') {
                let path = last.split_off(host + slash);
                if !path.trim_end_matches('/').is_empty() {
                    prefix = path.trim_end_matches('/').to_owned();
                }
            }
        }
        let usable = |url: &String| {
            let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            host.is_some_and(|host| !host.is_empty() && !host.contains('/'))
        };
        if endpoints.iter().all(usable) { Ok(Self::Etcd { endpoints, prefix }) } else { Err(bad()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(dir) => write!(f, "sqlite:{}", dir.display()),
            Self::Etcd { endpoints, prefix } => write!(f, "etcd:{}{prefix}", endpoints.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_word_and_is_shown_as_it_can_be_given() {
        for (text, shown) in [
            ("sqlite:/var/lib/otternauts", "sqlite:/var/lib/otternauts"),
            ("etcd:http://a:2379", "etcd:http://a:2379/otternauts"),
            ("etcd:http://a:2379/", "etcd:http://a:2379/otternauts"),
            ("etcd:https://a:1,https://[::1]:2/team/otter/", "etcd:https://a:1,https://[::1]:2/team/otter"),
        ] {
            let place: Place = text.parse().expect(text);
            assert_eq!(place.to_string(), shown);
            assert_eq!(shown.parse::<Place>().expect(shown), place);
        }
        assert!(matches!("sqlite:here".parse::<Place>(), Ok(Place::Sqlite(dir)) if dir.is_absolute()));
        for bad in
            ["", "sqlite:", "etcd:", "etcd:a:2379", "etcd:http://", "etcd:http://a/x,http://b", "etcd:ftp://a", "/data"]
        {
            let error = bad.parse::<Place>().expect_err(bad).to_string();
            assert!(error.contains("is no store: use sqlite:DIR"), "{error}");
        }
    }
}
