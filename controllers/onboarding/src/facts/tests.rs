use super::*;

#[test]
fn systems_are_told_apart() {
    let cases = [
        (
            "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"",
            true,
            Some(Recipe::Distribution),
        ),
        ("PRETTY_NAME=x\nID=debian\nVERSION_ID=\"12\"", true, Some(Recipe::Repository)),
        ("ID=ubuntu\nVERSION_ID=\"24.04\"", true, Some(Recipe::Repository)),
        ("ID=ubuntu\nVERSION_ID='22.04'", true, Some(Recipe::Repository)),
        ("ID=ubuntu\nVERSION_ID=\"20.04\"", false, Some(Recipe::Repository)),
        ("ID=debian", false, Some(Recipe::Distribution)),
        ("ID=\"rocky\"\nVERSION_ID=\"9.3\"", false, None),
        ("ID=alpine\nVERSION_ID=3.20", false, None),
        ("", false, None),
        ("ID\n=\n===\nID=", false, None),
    ];
    for (text, supported, recipe) in cases {
        let os = Os::parse(text);
        assert_eq!((os.is_supported(), os.recipe()), (supported, recipe), "{text:?}");
    }
}

#[test]
fn free_space_is_the_fourth_column() {
    let good = "Filesystem 1024-blocks Used Available Capacity Mounted on\nh1 20971520 1 5242880 1% /\n";
    assert_eq!(disk_free(good), Some(5 * 1024 * 1024 * 1024));
    for bad in ["", "x", "x\ny", "h\na b c d e f", "h\na 1 2 99999999999999999999 3"] {
        assert_eq!(disk_free(bad), None, "{bad:?}");
    }
}

#[test]
fn versions_are_numbers() {
    let cases = [
        ("26.1.5+dfsg1", "24.0", true),
        ("24.0", "24.0.0", true),
        ("24.0.7", "24.0", true),
        ("23.0.6", "24.0", false),
        ("20.10.24+dfsg1", "24.0", false),
        ("9.9", "24.0", false),
        ("29.0.0-rc.1", "24.0", true),
        ("", "24.0", false),
        ("dev", "24.0", false),
    ];
    for (have, want, expected) in cases {
        assert_eq!(at_least(have, want), expected, "{have} >= {want}");
    }
}

#[test]
fn probes_are_read_and_noise_is_not() {
    let read = probes("10.0.0.1 2377 open\n10.0.0.1 7946 silent\nnoise\n10.0.0.1 x open\n\n", false);
    let states: Vec<(u16, bool)> = read.iter().map(|p| (p.port, p.open)).collect();
    assert_eq!(states, [(2377, true), (7946, false)]);
}
