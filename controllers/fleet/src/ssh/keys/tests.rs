use super::*;
use std::process::Command;

/// Makes a key with the system's ssh-keygen; None where there is none.
fn keygen(args: &[&str]) -> Option<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("key");
    let done = Command::new("ssh-keygen").args(["-q", "-f"]).arg(&file).args(args).status().ok()?;
    assert!(done.success(), "{args:?}");
    Some(std::fs::read_to_string(file).expect("the key"))
}

#[test]
#[allow(clippy::print_stderr)] // A skip must be seen.
fn keys_of_every_supported_kind_are_read_and_weak_ones_refused() {
    let cases: [(&[&str], Option<&str>); 7] = [
        (&["-t", "ed25519", "-N", ""], None),
        (&["-t", "ecdsa", "-N", ""], None),
        (&["-t", "rsa", "-b", "2048", "-N", ""], None),
        (&["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""], None),
        (&["-t", "ecdsa", "-m", "PEM", "-N", ""], None),
        (&["-t", "rsa", "-b", "1024", "-N", ""], Some("RSA keys need at least 2048 bits")),
        (&["-t", "ed25519", "-N", "passphrase"], Some("it is protected by a passphrase")),
    ];
    for (args, refused) in cases {
        let Some(text) = keygen(args) else {
            eprintln!("SKIPPED, NOT TESTED: no ssh-keygen here");
            return;
        };
        match (load(&Secret::new(text)), refused) {
            (Ok(_), None) => {}
            (Err(Error::KeyUnusable { why }), Some(expected)) => assert_eq!(why, expected, "{args:?}"),
            (Ok(_), Some(_)) => panic!("{args:?} was accepted"),
            (Err(e), _) => panic!("{args:?}: {e}"),
        }
    }
}

#[test]
fn what_is_no_key_is_named_without_being_quoted() {
    for text in
        ["", "  \n", "hunter2", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"]
    {
        let Err(Error::KeyUnusable { why }) = load(&Secret::new(text.to_owned())) else { panic!("{text:?} was read") };
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[test]
fn sha1_is_never_offered() {
    for kind in [None, Some(Kind::Ed25519), Some(Kind::Ecdsa), Some(Kind::Rsa)] {
        let p = preferred(kind);
        assert!(!p.key.iter().any(|a| matches!(a, Algorithm::Rsa { hash: None })));
        assert!(!p.kex.iter().any(|k| k.as_ref().contains("sha1")));
        assert!(!p.key.is_empty());
    }
}
