use super::*;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Otter::try_parse_from(line.split_whitespace()).map(|otter| otter.command)
}

#[test]
fn the_command_line_is_consistent() {
    Otter::command().debug_assert();
}

#[test]
fn help_of_the_whole_is_as_recorded() {
    let help = Otter::command().term_width(100).render_long_help().to_string();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/help.txt"), &help).expect("golden written");
        return;
    }
    assert_eq!(help, include_str!("../../fixtures/help.txt"), "run with UPDATE_GOLDEN=1 after a deliberate change");
}

#[test]
fn what_the_demo_and_the_stories_type_is_understood() {
    for line in [
        "otter server add harbour --address 10.0.0.1 --user deploy --key id --role manager",
        "otter server add local --connection local",
        "otter server confirm harbour --fingerprint SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA --yes",
        "otter status --wait server/harbour --timeout 300s",
        "otter status",
        "otter deploy tests/fixtures/voyage.yml --name voyage --env WEB_IMAGE=i --env A=b=c --env-from secret/s --wait",
        "otter health",
        "otter health voyage/web -w -o json",
        "otter logs voyage web",
        "otter logs voyage web -f",
        "otter -n bay --kubeconfig f --context c server list -o json",
        "otter server list --output=yaml -q -vv",
        "otter validate f.yml -o rendered --policy restricted",
        "otter version --client -o json",
        "otter completion fish",
        "otter -n shop notify test ops --timeout 30s",
        "otter heal test recording.yaml --output json",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn wrong_use_is_refused_with_a_hint() {
    for (line, kind, hint) in [
        ("otter sevrer list", ErrorKind::InvalidSubcommand, "server"),
        ("otter server list --outptu json", ErrorKind::UnknownArgument, "--output"),
        ("otter server confirm a --fingerprint MD5:aa", ErrorKind::ValueValidation, "ssh-keygen -lf"),
        ("otter deploy f --env NAME", ErrorKind::ValueValidation, "NAME=VALUE"),
        ("otter deploy f --env-from pod/x", ErrorKind::ValueValidation, "secret/NAME"),
        ("otter deploy f --wait --dry-run", ErrorKind::ArgumentConflict, "--dry-run"),
        ("otter status --wait pod/x", ErrorKind::ValueValidation, "server/NAME"),
        ("otter server add a --role boss", ErrorKind::InvalidValue, "manager"),
        ("otter server add a --port 0", ErrorKind::ValueValidation, "--port"),
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.kind(), kind, "{line}");
        assert!(error.to_string().contains(hint), "{line}: {error}");
    }
}

#[test]
fn a_server_over_ssh_needs_address_user_and_key() {
    let missing = |line: &str| match parse(line) {
        Ok(Command::Server(ServerCommand::Add(add))) => add.missing(),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(missing("otter server add a"), ["--address", "--user", "--key"]);
    assert_eq!(missing("otter server add a --address b --key c"), ["--user"]);
    assert!(missing("otter server add a --connection local").is_empty());
}

#[test]
fn env_from_names_its_kind() {
    let Ok(Command::Deploy(deploy)) = parse("otter deploy f --env-from secret/a --env-from cm/b") else {
        panic!("understood")
    };
    let expected = [(EnvSourceKind::Secret, "a"), (EnvSourceKind::ConfigMap, "b")];
    assert_eq!(deploy.env_from, expected.map(|(kind, name)| EnvFrom { kind, name: name.to_owned() }));
}
