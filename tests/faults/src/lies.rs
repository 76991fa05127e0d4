//! A4: a disk that lies. A recorded run is replayed with one write dropped or misdirected, or with syncs that did nothing and
//! then a power loss; the real store is opened on what is left, and says what is wrong, or does not.

use crate::dice::Dice;
use crate::disk::{Disk, Lie};
use crate::power::{Recording, database};
use crate::story::{Found, Line, judge, read};
use crate::trace::Step;
use crate::victim;
use anyhow::{Result, bail};
use otternauts_store::{Error, Store};
use std::path::Path;

/// What became of the lies of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fates {
    /// Nothing is missing.
    pub harmless: u64,
    /// The store does not open.
    pub refused: u64,
    /// It opens, and the read of what is damaged says so.
    pub told: u64,
    /// It opens with an older state: the newest writes are gone, and nothing could know of them.
    pub shorter: u64,
}

const PAGE: i64 = 4096;

impl Recording {
    /// So many states with one lie each.
    ///
    /// # Errors
    /// A lie that is served: wrong bytes, objects that were never there together, or older ones beside newer ones.
    pub async fn lies(&self, seed: u64, numbers: impl Iterator<Item = u64>, of: Lie, place: &Path) -> Result<Fates> {
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
            let fate = fate(&place, &said, &mut fates).await;
            if let Err(error) = fate {
                bail!("seed {seed}, state {number} of {of:?}: {error:#}");
            }
            std::fs::remove_dir_all(&place)?;
        }
        Ok(fates)
    }

    /// The disk at some moment, with one lie of the kind before it.
    fn lied_to(&self, of: Lie, dice: &mut Dice) -> Result<(Disk, Vec<Line>)> {
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
        let (mut disk, mut said, mut seen) = (Disk::default(), Vec::new(), 0);
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
                said.push(Line::parse(line)?);
            }
        }
        Ok((disk, said))
    }
}

async fn fate(place: &Path, said: &[Line], fates: &mut Fates) -> Result<()> {
    let Ok(store) = Store::sqlite(victim::keeping(&database(place))) else {
        fates.refused += 1;
        return Ok(());
    };
    let found = match read(&store).await {
        Ok(found) => found,
        Err(error) if error.chain().any(|cause| cause.is::<Error>()) => {
            fates.told += 1;
            return Ok(());
        }
        Err(error) => return Err(error.context("wrong bytes")),
    };
    match judge(&Found::nothing(), said, &found) {
        Ok(_) => fates.harmless += 1,
        // An older state, whole: what was said after it is set aside, and all the rest must agree with it.
        Err(_) => {
            judge(&Found::nothing(), &until(said, found.at), &found)?;
            fates.shorter += 1;
        }
    }
    Ok(())
}

/// What was said of revisions up to this one; what was answered later was asked for, and that is all that is known.
fn until(said: &[Line], at: u64) -> Vec<Line> {
    let known = said.iter().filter(|line| match line {
        Line::Ack(_, revision) | Line::Saw(revision) => *revision <= at,
        Line::Try(..) => true,
    });
    known.cloned().collect()
}
