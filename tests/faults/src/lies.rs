//! A4: a disk that lies. A recorded run is replayed with one write dropped or misdirected, or with syncs that did nothing and
//! then a power loss; the real store is opened on what is left, and says what is wrong, or does not.

use crate::dice::Dice;
use crate::disk::{Disk, Lie};
use crate::power::{Recording, database};
use crate::story::{Found, Line, judge, read};
use crate::trace::Step;
use crate::victim;
use anyhow::{Context as _, Result, bail};
use otternauts_store::{Error, Store};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What became of the lies of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fates {
    /// Nothing is missing.
    pub harmless: u64,
    /// The store does not open.
    pub refused: u64,
    /// Its writer meets the damage and stops the process at once, as it must (R4).
    pub stopped: u64,
    /// It opens, and the read of what is damaged says so.
    pub told: u64,
    /// It opens with an older state: the newest writes are gone, and nothing could know of them.
    pub shorter: u64,
}

const PAGE: i64 = 4096;
const SIGABRT: i32 = 6;

impl Recording {
    /// States with one lie each, every one judged by a process of its own: `victim judge PATH`.
    ///
    /// # Errors
    /// A lie that is served: wrong bytes, objects that were never there together, or older ones beside newer ones.
    pub fn lies(
        &self,
        seed: u64,
        numbers: impl Iterator<Item = u64>,
        of: Lie,
        victim: &str,
        place: &Path,
    ) -> Result<Fates> {
        let mut fates = Fates::default();
        for number in numbers {
            let mut dice = Dice::part(seed, number);
            let (disk, said) = self.lied_to(of, &mut dice)?;
            let files = if of == Lie::Unsynced { disk.crash(&mut dice) } else { disk.now() };
            let place = place.join(format!("lie-{number}"));
            std::fs::create_dir_all(&place)?;
            for (name, bytes) in files {
                std::fs::write(place.join(name), bytes)?;
            }
            let judged = fates.judge(victim, &place, &said);
            judged.with_context(|| format!("seed {seed}, state {number} of {of:?}"))?;
            std::fs::remove_dir_all(&place)?;
        }
        Ok(fates)
    }

    /// The disk at some moment, with one lie of the kind before it.
    fn lied_to(&self, of: Lie, dice: &mut Dice) -> Result<(Disk, String)> {
        let moment = dice.below(self.steps().len() as u64) as usize;
        let steps = &self.steps()[..moment];
        let matters = |step: &Step| match of {
            Lie::Unsynced => matches!(step, Step::Sync(_)),
            _ => matches!(step, Step::Write { .. }),
        };
        let count = steps.iter().filter(|step| matters(step)).count();
        let chosen = dice.below(count as u64) as usize;
        let by = (1 + dice.below(8) as i64) * if dice.chance(50) { PAGE } else { -PAGE };
        let of = if matches!(of, Lie::Misdirected { .. }) { Lie::Misdirected { by } } else { of };
        let (mut disk, mut said, mut seen) = (Disk::default(), String::new(), 0);
        for step in steps {
            // Who lies about a sync does so from then on.
            let lies = matters(step) && (seen == chosen || (of == Lie::Unsynced && seen > chosen));
            seen += usize::from(matters(step));
            if lies {
                disk.lie(step, of);
            } else {
                disk.take(step);
            }
            if let Step::Said(line) = step {
                said.extend([line, "\n"]);
            }
        }
        Ok((disk, said))
    }
}

impl Fates {
    /// Counts what another process says of a state, which the store may have to end.
    fn judge(&mut self, victim: &str, place: &Path, said: &str) -> Result<()> {
        let mut child = Command::new(victim)
            .args(["judge".as_ref(), place.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("its input")?.write_all(said.as_bytes())?;
        let done = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&done.stderr);
        let fate = match (done.status.signal(), String::from_utf8_lossy(&done.stdout).trim_end()) {
            // A panic ends it by the same signal, and is a bug.
            (Some(SIGABRT), _) if !told.contains("panicked") => &mut self.stopped,
            (None, "harmless") => &mut self.harmless,
            (None, "refused") => &mut self.refused,
            (None, "told") => &mut self.told,
            (None, "shorter") => &mut self.shorter,
            _ => bail!("{}: {told}", done.status),
        };
        *fate += 1;
        Ok(())
    }
}

/// The word for what became of the state in `place`, after all that was said before it, a line each.
///
/// # Errors
/// A lie that is served.
pub async fn judge_state(place: &Path, said: &str) -> Result<&'static str> {
    let said = said.lines().map(Line::parse).collect::<Result<Vec<_>>>()?;
    let Ok(store) = Store::sqlite(victim::keeping(&database(place))) else { return Ok("refused") };
    let found = match read(&store).await {
        Ok(found) => found,
        Err(error) if error.chain().any(|cause| cause.is::<Error>()) => return Ok("told"),
        Err(error) => return Err(error.context("wrong bytes")),
    };
    if judge(&Found::nothing(), &said, &found).is_ok() {
        return Ok("harmless");
    }
    // An older state, whole: what was said after it is set aside, and all the rest must agree with it.
    judge(&Found::nothing(), &until(&said, found.at), &found)?;
    Ok("shorter")
}

/// What was said of revisions up to this one; what was answered later was asked for, and that is all that is known.
fn until(said: &[Line], at: u64) -> Vec<Line> {
    let known = said.iter().filter(|line| match line {
        Line::Ack(_, revision) | Line::Saw(revision) => *revision <= at,
        Line::Try(..) => true,
    });
    known.cloned().collect()
}
