//! The names Kubernetes allows, and what it says of the others (rows M1 to M4).
//!
//! Each check answers the list of complaints, empty when the name is good.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
     and must start and end with an alphanumeric character";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035_MESSAGE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
     start with an alphabetic character, and end with an alphanumeric character";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_MESSAGE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character";

const QUALIFIED_EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];

/// What the names of a kind's objects look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameRule {
    /// DNS-1123 subdomain, at most 253 (row M1): most kinds.
    #[default]
    Subdomain,
    /// DNS-1123 label, at most 63 (row M3): namespaces.
    Label,
    /// Anything safe in a path (row M2): RBAC kinds.
    PathSegment,
}

impl NameRule {
    /// What is wrong with a whole name.
    pub fn check(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => dns1123_subdomain(name),
            Self::Label => dns1123_label(name),
            Self::PathSegment => path_segment(name),
        }
    }

    /// What is wrong with a `generateName` (row C7): one trailing `-` is allowed, a suffix follows.
    pub fn check_prefix(self, prefix: &str) -> Vec<String> {
        match (self, prefix.strip_suffix('-')) {
            (Self::PathSegment, _) => path_segment(prefix),
            (rule, Some(stem)) if !stem.is_empty() => rule.check(&format!("{stem}a")),
            (rule, _) => rule.check(prefix),
        }
    }
}

/// Letters a generated suffix is made of (row C7): no vowels, nothing that looks like another letter.
pub const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Characters in a generated suffix.
pub const SUFFIX_LENGTH: usize = 5;

/// The name made of a `generateName` and five random bytes (row C7): the prefix is cut to 58 characters.
pub fn generated(prefix: &str, random: [u8; SUFFIX_LENGTH]) -> String {
    let mut name: String = prefix.chars().take(63 - SUFFIX_LENGTH).collect();
    name.extend(random.iter().map(|b| SUFFIX_ALPHABET[usize::from(*b) % SUFFIX_ALPHABET.len()] as char));
    name
}

fn is_lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn label_shape(s: &str) -> bool {
    let b = s.as_bytes();
    matches!((b.first(), b.last()), (Some(f), Some(l)) if is_lower(*f) && is_lower(*l))
        && b.iter().all(|b| is_lower(*b) || *b == b'-')
}

fn subdomain_shape(s: &str) -> bool {
    s.split('.').all(label_shape)
}

fn qualified_shape(s: &str) -> bool {
    let b = s.as_bytes();
    matches!((b.first(), b.last()), (Some(f), Some(l)) if f.is_ascii_alphanumeric() && l.is_ascii_alphanumeric())
        && b.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

fn shape_error(message: &str, regex: &str, examples: &[&str]) -> String {
    let list: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{regex}')", list.join(" or "))
}

/// At most 63 of `a-z 0-9 -` (row M3).
pub fn dns1123_label(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 63 {
        errors.push(too_long(63));
    }
    if !label_shape(name) {
        errors.push(if subdomain_shape(name) {
            "must not contain dots".to_owned()
        } else {
            shape_error(LABEL_MESSAGE, LABEL, &["my-name", "123-abc"])
        });
    }
    errors
}

/// At most 253, labels joined by dots (row M1).
pub fn dns1123_subdomain(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 253 {
        errors.push(too_long(253));
    }
    if !subdomain_shape(name) {
        errors.push(shape_error(SUBDOMAIN_MESSAGE, SUBDOMAIN, &["example.com"]));
    }
    errors
}

/// At most 63, starts with a letter: versions and names of CRDs (row X2).
pub fn dns1035_label(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 63 {
        errors.push(too_long(63));
    }
    if !(label_shape(name) && name.starts_with(|c: char| c.is_ascii_lowercase())) {
        errors.push(shape_error(LABEL_1035_MESSAGE, LABEL_1035, &["my-name", "abc-123"]));
    }
    errors
}

/// `[prefix/]name` of label keys, annotation keys and finalizers (rows M4 to M6).
pub fn qualified_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut parts = name.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(dns1123_subdomain(prefix).into_iter().map(|e| format!("prefix part {e}")));
            }
            name
        }
        _ => {
            let shape = shape_error(QUALIFIED_MESSAGE, QUALIFIED, QUALIFIED_EXAMPLES);
            return vec![format!(
                "a valid label key {shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push(format!("name part {}", too_long(63)));
    }
    if !qualified_shape(name) {
        errors.push(format!("name part {}", shape_error(QUALIFIED_MESSAGE, QUALIFIED, QUALIFIED_EXAMPLES)));
    }
    errors
}

/// Empty, or at most 63 (row M4).
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push(too_long(63));
    }
    if !value.is_empty() && !qualified_shape(value) {
        errors.push(shape_error(VALUE_MESSAGE, VALUE, &["MyValue", "my_value", "12345"]));
    }
    errors
}

/// Safe as one segment of a URL path (row M2).
pub fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errors: &[String], starts: &[&str]) {
        assert_eq!(errors.len(), starts.len(), "{errors:?} against {starts:?}");
        for (e, s) in errors.iter().zip(starts) {
            assert!(e.starts_with(s), "{e} should start with {s}");
        }
    }

    #[test]
    fn names_are_judged_as_kubernetes_judges_them() {
        let long = "a".repeat(64);
        check(&dns1123_label("a-1"), &[]);
        check(&dns1123_label("a.b"), &["must not contain dots"]);
        check(&dns1123_label("A"), &["a lowercase RFC 1123 label"]);
        check(&dns1123_label(&long), &["must be no more than 63 characters"]);
        check(&dns1123_subdomain("a.b-c"), &[]);
        check(&dns1123_subdomain("a..b"), &["a lowercase RFC 1123 subdomain"]);
        check(&dns1123_subdomain(&"a".repeat(254)), &["must be no more than 253 characters"]);
        check(&dns1035_label("1a"), &["a DNS-1035 label"]);
        check(&qualified_name("a.b/C_d"), &[]);
        check(&qualified_name("a/b/c"), &["a valid label key must consist"]);
        check(&qualified_name("/x"), &["prefix part must be non-empty"]);
        check(&qualified_name(""), &["name part must be non-empty", "name part must consist"]);
        check(&qualified_name(&format!("a/{long}")), &["name part must be no more than 63"]);
        check(&label_value(""), &[]);
        check(&label_value("b c"), &["a valid label must be an empty string"]);
        check(&path_segment("system:a b"), &[]);
        check(&path_segment("a/b%"), &["may not contain '/'", "may not contain '%'"]);
        check(&path_segment(".."), &["may not be '..'"]);
    }

    #[test]
    fn the_text_of_a_bad_subdomain_is_complete() {
        assert_eq!(
            dns1123_subdomain("Bad"),
            [
                r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
    }

    #[test]
    fn generated_names_fit_a_label() {
        let name = generated(&"x".repeat(100), [0, 1, 2, 26, 255]);
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("bcd9q"), "{name}");
        assert!(NameRule::Label.check(&name).is_empty());
        assert!(NameRule::Label.check_prefix("web-").is_empty());
        assert!(!NameRule::Subdomain.check_prefix("a.").is_empty());
    }
}
