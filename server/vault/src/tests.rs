use super::*;
use otternauts_meta::Secret;
use otternauts_schema::definition::{Names, Origin, Scope};
use serde_json::json;

fn definition(group: &str, kind: &str) -> Definition {
    Definition {
        group: group.to_owned(),
        names: Names { kind: kind.to_owned(), ..Names::default() },
        scope: Scope::Namespaced,
        origin: Origin::BuiltIn,
        versions: Vec::new(),
        hash: 0,
    }
}

fn secret(name: &str, uid: &str) -> Object {
    Object::from_value(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid,
            "annotations": {
                "note": "clear",
                "kubectl.kubernetes.io/last-applied-configuration": "{\"stringData\":{\"a\":\"hunter2\"}}",
            },
        },
        "type": "Opaque",
        "data": {"a": "aHVudGVyMg==", "empty": ""},
    }))
    .expect("an object")
}

fn vault() -> Vault {
    Vault::open(&Identity::generate(), None).expect("made").0
}

#[test]
fn data_and_the_last_applied_annotation_are_sealed_and_come_back_as_they_were() {
    let (vault, kind) = (vault(), definition("", "Secret"));
    let mut object = secret("db", "u-1");
    vault.seal_object(&kind, &mut object).expect("sealed");
    let text = object.clone().into_value().to_string();
    assert!(!text.contains("aHVudGVyMg") && !text.contains("hunter2"), "{text}");
    assert!(object.at(&["data", "empty"]).and_then(Value::as_str).is_some_and(|v| v.starts_with("otter:v1:1:")));
    assert_eq!(object.annotation("note"), Some("clear"));
    vault.open_object(&kind, &mut object).expect("opened");
    assert_eq!(object, secret("db", "u-1"));
}

#[test]
fn the_same_value_is_never_sealed_to_the_same_bytes() {
    let (vault, kind) = (vault(), definition("", "Secret"));
    let (mut a, mut b) = (secret("db", "u-1"), secret("db", "u-1"));
    vault.seal_object(&kind, &mut a).expect("sealed");
    vault.seal_object(&kind, &mut b).expect("sealed");
    assert_ne!(a.at(&["data", "a"]), b.at(&["data", "a"]));
}

#[test]
fn a_sealed_value_opens_in_its_own_place_only() {
    let (vault, kind) = (vault(), definition("", "Secret"));
    let mut original = secret("db", "u-1");
    vault.seal_object(&kind, &mut original).expect("sealed");
    let check = |what: &str, change: &dyn Fn(&mut Object)| {
        let mut moved = original.clone();
        change(&mut moved);
        let error = vault.open_object(&kind, &mut moved).expect_err(what).to_string();
        assert!(error.contains("cannot be opened"), "{what}: {error}");
    };
    check("another name", &|o| o.set_meta_str("name", "other"));
    check("another namespace", &|o| o.set_meta_str("namespace", "other"));
    check("another uid", &|o| o.set_meta_str("uid", "u-2"));
    let data = |o: &mut Object, key: &str, value: Value| {
        o.0["data"][key] = value;
    };
    check("another field", &|o| {
        let value = o.0["data"]["a"].clone();
        data(o, "empty", value);
    });
    check("a changed character", &|o| {
        let mut value = o.0["data"]["a"].as_str().expect("sealed").to_owned();
        let last = value.pop().expect("not empty");
        value.push(if last == 'A' { 'B' } else { 'A' });
        data(o, "a", value.into());
    });
    check("another key", &|o| {
        let value = o.0["data"]["a"].as_str().expect("sealed").replacen(":1:", ":2:", 1);
        data(o, "a", value.into());
    });
    check("not sealed", &|o| data(o, "a", "aHVudGVyMg==".into()));
    check("cut short", &|o| data(o, "a", "otter:v1:1:AAAA".into()));
    let other = Vault::open(&Identity::generate(), None).expect("made").0;
    assert!(other.open_object(&kind, &mut original.clone()).is_err(), "another store");
}

#[test]
fn kinds_without_secret_fields_are_left_alone() {
    let vault = vault();
    let kind = definition("", "ConfigMap");
    let mut object = secret("db", "u-1");
    vault.seal_object(&kind, &mut object).expect("nothing to do");
    assert_eq!(object, secret("db", "u-1"));
    assert!(!vault.seals(&kind));
    assert!(!vault.seals(&definition("example.com", "Secret")));
    assert!(vault.seals(&definition("", "Secret")));
}

#[test]
fn a_kept_keyring_opens_with_its_key_and_with_no_other() {
    let (key, other) = (Identity::generate(), Identity::generate());
    let (vault, kept) = Vault::open(&key, None).expect("made");
    let kept = kept.expect("a new keyring is to be stored");
    let mut object = secret("db", "u-1");
    vault.seal_object(&definition("", "Secret"), &mut object).expect("sealed");
    let (again, nothing) = Vault::open(&key, Some(&kept)).expect("opens");
    assert_eq!(nothing, None, "never written twice");
    again.open_object(&definition("", "Secret"), &mut object).expect("opened");
    let error = Vault::open(&other, Some(&kept)).err().expect("refused").to_string();
    assert!(error.contains(&key.recipient()) && error.contains(&other.recipient()), "{error}");
    assert_eq!(Vault::needs(&kept).expect("readable"), key.recipient());
    assert!(Vault::open(&key, Some(b"nonsense")).is_err());
}

#[test]
fn a_key_is_one_line_and_a_named_file_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret.key");
    let sources = |environment: Option<&str>, named: Option<PathBuf>| KeySources {
        environment: environment.map(|text| Secret::new(text.to_owned())),
        file: named,
        data_dir_file: file.clone(),
    };
    assert!(sources(None, None).load().expect("no error").is_none());
    assert!(sources(None, Some(dir.path().join("missing"))).load().is_err(), "a named file must be there");
    let key = Identity::generate();
    let line = key.to_line();
    std::fs::write(&file, format!("# created: today\n\n{}", line.expose())).expect("written");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("set");
    let error = sources(None, Some(file.clone())).load().err().expect("refused").to_string();
    assert!(error.contains("mode 640"), "{error}");
    assert!(sources(None, None).load().expect("its directory is closed").is_some());
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    assert_eq!(sources(None, None).load().expect("read").expect("there").recipient(), key.recipient());
    let second = Identity::generate();
    let from_environment = sources(Some(second.to_line().expose()), None).load().expect("read").expect("there");
    assert_eq!(from_environment.recipient(), second.recipient());
    for bad in ["", "AGE-SECRET-KEY-1NONSENSE", &line.expose().repeat(2), "age1abc"] {
        let error = sources(Some(bad), None).load().err().expect("refused").to_string();
        assert_eq!(error, "the secret key from OTTERNAUTS_SECRET_KEY is not one AGE-SECRET-KEY-1... line");
    }
}

fn recipient(identity: &Identity) -> Recipient {
    Recipient::parse(&identity.recipient()).expect("a recipient")
}

#[test]
fn a_new_key_seals_the_old_one_opens_until_it_is_dropped_and_then_nothing_under_it_opens() {
    let (root, kind) = (Identity::generate(), definition("", "Secret"));
    let (vault, _) = Vault::open(&root, None).expect("made");
    let mut old = secret("db", "u-1");
    vault.seal_object(&kind, &mut old).expect("sealed");
    assert_eq!(vault.keys_named(&kind, &mut old), [1].into());

    let change = vault.with_new_key().expect("made");
    assert_eq!(vault.active_key(), 1, "nothing changes before it is installed");
    let kept = change.wrapped().to_vec();
    vault.install(change);
    assert_eq!((vault.active_key(), vault.key_numbers()), (2, vec![1, 2]));
    let mut new = secret("db", "u-1");
    vault.seal_object(&kind, &mut new).expect("sealed");
    assert_eq!(vault.keys_named(&kind, &mut new), [2].into());
    // A crash here: the next start reads both.
    let (again, _) = Vault::open(&root, Some(&kept)).expect("opens");
    for object in [&old, &new] {
        again.open_object(&kind, &mut object.clone()).expect("both open");
    }

    let change = vault.with_newest_key_only().expect("made");
    let kept = change.wrapped().to_vec();
    vault.install(change);
    vault.open_object(&kind, &mut old.clone()).expect("whoever holds it may still read it for a moment");
    vault.forget_retired();
    let (again, _) = Vault::open(&root, Some(&kept)).expect("opens");
    for vault in [&vault, &again] {
        assert_eq!(vault.key_numbers(), [2]);
        let error = vault.open_object(&kind, &mut old.clone()).expect_err("its key is gone").to_string();
        assert!(error.contains("its key is not in the keyring"), "{error}");
        vault.open_object(&kind, &mut new.clone()).expect("opened");
    }
}

#[test]
fn recovery_recipients_open_the_keyring_and_nobody_can_add_himself_to_them() {
    let (root, first, second, thief) =
        (Identity::generate(), Identity::generate(), Identity::generate(), Identity::generate());
    let (vault, _) = Vault::open(&root, None).expect("made");
    let change = vault.rewrapped(vault.root(), vec![recipient(&first), recipient(&second)]).expect("wrapped");
    let kept = change.wrapped().to_vec();
    vault.install(change);
    for key in [&root, &first, &second] {
        let (opened, _) = Vault::open(key, Some(&kept)).expect("each opens it");
        assert_eq!(opened.recovery(), [recipient(&first), recipient(&second)]);
    }
    let error = Vault::open(&thief, Some(&kept)).err().expect("refused").to_string();
    for reader in [&root, &first, &second] {
        assert!(error.contains(&reader.recipient()), "the error says who could: {error}");
    }
    let changed = String::from_utf8(kept).expect("JSON").replace(&second.recipient(), &thief.recipient());
    let error = Vault::open(&root, Some(changed.as_bytes())).err().expect("refused").to_string();
    assert!(error.contains("recipients was changed"), "{error}");
}

#[test]
fn a_keyring_is_taken_over_only_when_this_one_can_have_become_it() {
    let (root, other) = (Identity::generate(), Identity::generate());
    let (vault, first) = Vault::open(&root, None).expect("made");
    let first = first.expect("to be kept");
    let (peer, _) = Vault::open(&root, Some(&first)).expect("opens");
    let refused = |wrapped: &[u8]| vault.adopt(&root, wrapped).err().map(|error| error.to_string()).unwrap_or_default();
    let rotated = |peer: &Vault, change: Change| {
        let kept = change.wrapped().to_vec();
        peer.install(change);
        kept
    };
    let grown = rotated(&peer, peer.with_new_key().expect("made"));
    let alone = rotated(&peer, peer.with_newest_key_only().expect("made"));
    vault.install(vault.adopt(&root, &alone).expect("also without the step between"));
    assert_eq!(vault.key_numbers(), [2]);
    assert!(refused(&first).contains("older than the one before"), "a dropped key would seal again");
    vault.adopt(&root, &grown).expect("this rotation, not ended yet");
    // Whoever can write the database knows the public half of the root key, and can wrap what he likes for it.
    let (thief, forged) = Vault::open(&root, None).expect("made");
    assert!(refused(&forged.expect("made")).contains("of another store"));
    let forged = rotated(&thief, thief.with_new_key().expect("made"));
    assert!(refused(&forged).contains("of another store"));
    let moved = peer.rewrapped(recipient(&other), vec![recipient(&root)]).expect("wrapped");
    assert!(refused(moved.wrapped()).contains(&other.recipient()), "who could open it next is the root key's owner");
    let changed = String::from_utf8(alone).expect("JSON").replacen(&root.recipient(), &other.recipient(), 1);
    assert!(Vault::open(&root, Some(changed.as_bytes())).is_err(), "the list is sealed without recovery keys too");
}

#[test]
fn a_root_key_is_replaced_without_touching_what_is_sealed() {
    let (root, next, kind) = (Identity::generate(), Identity::generate(), definition("", "Secret"));
    let (vault, _) = Vault::open(&root, None).expect("made");
    let mut object = secret("db", "u-1");
    vault.seal_object(&kind, &mut object).expect("sealed");
    let kept = vault.rewrapped(recipient(&next), Vec::new()).expect("wrapped").wrapped().to_vec();
    assert!(Vault::open(&root, Some(&kept)).is_err(), "the old root opens it no more");
    let (vault, _) = Vault::open(&next, Some(&kept)).expect("the new one does");
    vault.open_object(&kind, &mut object).expect("opened");
}

#[test]
fn a_stream_opens_for_its_readers_whole_or_not_at_all() {
    use std::io::{Read as _, Write as _};
    let (reader, other) = (Identity::generate(), Identity::generate());
    assert!(
        matches!(SealedStream::begin(&[], Vec::new()).err(), Some(Error::NoRecipient)),
        "nobody could open it (A13)"
    );
    let plain: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut stream = SealedStream::begin(&[recipient(&reader)], Vec::new()).expect("begun");
    stream.write_all(&plain).expect("written");
    let sealed = stream.finish().expect("finished");
    let read = |bytes: &[u8]| {
        let mut out = Vec::new();
        let done = open_stream(&reader, bytes).expect("an age file").expect("a reader").read_to_end(&mut out);
        done.map(|_| out)
    };
    assert_eq!(read(&sealed).expect("whole"), plain);
    assert!(open_stream(&other, sealed.as_slice()).expect("an age file").is_none());
    for cut in [sealed.len() - 1, sealed.len() / 2, 70_000] {
        assert!(read(&sealed[..cut]).is_err(), "cut at {cut}");
    }
    let mut changed = sealed.clone();
    changed[100_000] ^= 1;
    assert!(read(&changed).is_err(), "one bit");
    assert!(open_stream(&reader, &b"nonsense"[..]).is_err());
}

#[test]
fn a_recipient_is_a_public_half_and_a_private_key_given_by_mistake_is_not_repeated() {
    let key = Identity::generate();
    for bad in ["", "age1abc", "ssh-ed25519 AAAA", key.to_line().expose().trim()] {
        let error = Recipient::parse(bad).expect_err("refused").to_string();
        assert!(error.contains("is not one age1... recipient"), "{error}");
        assert!(!error.contains("AGE-SECRET-KEY"), "{error}");
    }
    let twice = recipients::parse_all(&[key.recipient(), key.recipient()]).expect("parsed");
    assert_eq!(twice, [recipient(&key)]);
}
