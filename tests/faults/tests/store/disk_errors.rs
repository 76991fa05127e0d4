//! A5: the Nth read, write, sync, truncation, removal or opening fails, once or from then on. The process may stop; what it answered is
//! there.

use crate::lives::{Fault, failing, judged, memory, strace};
use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::story::Found;

const LIFE: [&str; 3] = ["5:300:close", "12:2000:close", "5:300:drop"];
/// `(system call, error, how often one of the threads makes it at least)`
const CALLS: &[(&str, &str, u64)] = &[
    ("pread64", "EIO", 40),
    ("pwrite64", "EIO", 150),
    ("pwrite64", "ENOSPC", 150),
    ("fsync", "EIO", 20),
    ("fdatasync", "EIO", 1),
    ("ftruncate", "EIO", 2),
    ("unlink", "EIO", 2),
    ("rename", "EIO", 1),
    ("openat", "EMFILE", 50),
];
/// No thread makes any of them so often.
const NEVER: u64 = 5_000;

#[tokio::test]
async fn no_answered_write_is_lost_when_the_disk_fails() {
    if !strace("disk errors") {
        return;
    }
    let seed = seed("disk errors");
    let (mut runs, mut hit, mut answers, mut untouched) = (0, 0, 0, 0);
    for (number, (call, error, often)) in (0..).zip(CALLS) {
        for ever in ["", "+"] {
            // At night each one until a life makes fewer of them and passes untouched, otherwise some.
            let mut dice = Dice::part(seed, number);
            let some = (0..5.min(*often)).map(|_| 1 + dice.below(*often)).collect();
            let which: Vec<u64> = if nightly() { (1..=NEVER).collect() } else { some };
            for nth in which {
                let fault = Fault(format!("{call}:error={error}:when={nth}{ever}"));
                let why = format!("seed {seed}, {}", fault.0);
                let place = memory();
                let (said, met) = failing(&fault, place.path(), seed, &LIFE, &why);
                runs += 1;
                hit += u64::from(met);
                answers += judged(place.path(), &Found::nothing(), &said, &why).await.1;
                if nightly() && !met {
                    untouched += 1;
                    break;
                }
            }
        }
    }
    let totals = [("runs", runs), ("hit", hit), ("untouched", untouched), ("answers", answers), ("lost", 0)];
    report("disk-errors", seed, &totals);
    assert!(hit * 2 > runs && answers > runs, "{hit} of {runs} runs met an error, with {answers} answers");
    let all = 2 * CALLS.len() as u64;
    assert!(!nightly() || untouched == all, "{untouched} of {all} came to a life that is untouched");
}
