//! A5: the Nth write, sync, truncation or removal fails, once or from then on. The process may stop; what it answered is there.

use crate::lives::{Fault, failing, judged, memory, strace};
use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::story::Found;

const LIFE: [&str; 3] = ["5:300:close", "12:2000:close", "5:300:drop"];
/// `(system call, error, how often one of the threads makes it at least)`
const CALLS: &[(&str, &str, u64)] = &[
    ("pwrite64", "EIO", 150),
    ("pwrite64", "ENOSPC", 150),
    ("fsync", "EIO", 20),
    ("fdatasync", "EIO", 1),
    ("ftruncate", "EIO", 2),
    ("unlink", "EIO", 2),
    ("rename", "EIO", 1),
    ("openat", "EMFILE", 50),
];

#[tokio::test]
async fn no_answered_write_is_lost_when_the_disk_fails() {
    if !strace("disk errors") {
        return;
    }
    let seed = seed("disk errors");
    let (mut runs, mut hit, mut answers, mut number) = (0, 0, 0, 0);
    for (call, error, most) in CALLS {
        for ever in ["", "+"] {
            // All of them at night, some of them otherwise.
            let tries = if nightly() { *most } else { 5.min(*most) };
            for attempt in 0..tries {
                number += 1;
                let nth = if nightly() { attempt + 1 } else { 1 + Dice::part(seed, number).below(*most) };
                let fault = Fault(format!("{call}:error={error}:when={nth}{ever}"));
                let why = format!("seed {seed}, {}", fault.0);
                let place = memory();
                let (said, met) = failing(&fault, place.path(), seed, &LIFE, &why);
                runs += 1;
                hit += u64::from(met);
                answers += judged(place.path(), &Found::nothing(), &said, &why).await.1;
            }
        }
    }
    report("disk-errors", seed, &[("runs", runs), ("hit", hit), ("answers", answers), ("lost", 0)]);
    assert!(hit * 2 > runs && answers > runs, "{hit} of {runs} runs met an error, with {answers} answers");
}
