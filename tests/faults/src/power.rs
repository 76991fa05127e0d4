//! A3: power losses. A recorded run is replayed up to some moment, a state of the disk is made of it, and the real store is
//! opened there: all that was answered by then must be there, and nothing else.

use crate::dice::Dice;
use crate::disk::Disk;
use crate::load::{answer, list};
use crate::story::{Found, Line, judge, read};
use crate::trace::Step;
use crate::victim;
use anyhow::{Context as _, Result, ensure};
use otternauts_store::Store;
use std::path::{Path, PathBuf};

const WAL_HEADER: usize = 32;

/// The recorded run, and what was said in it.
#[derive(Clone, Debug)]
pub struct Recording {
    steps: Vec<Step>,
}

/// What the states of a search came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub states: u64,
    /// Answers that were looked for, in all states.
    pub answers: u64,
    /// States in which un-synced writes had survived that nobody had been answered.
    pub ahead: u64,
    /// States whose history was compacted before.
    pub compacted: u64,
}

impl Recording {
    pub fn new(steps: Vec<Step>) -> Recording {
        Recording { steps }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many steps of each kind that a crash can fall between: writes, syncs, truncations, changes of names, answers, and
    /// beginnings of a write-ahead log.
    pub fn shape(&self) -> [usize; 6] {
        let count = |kind: fn(&Step) -> bool| self.steps.iter().filter(|step| kind(step)).count();
        [
            count(|step| matches!(step, Step::Write { .. })),
            count(|step| matches!(step, Step::Sync(_) | Step::SyncDirectory)),
            count(|step| matches!(step, Step::Truncate { .. })),
            count(|step| matches!(step, Step::Create { .. } | Step::Unlink(_) | Step::Rename { .. })),
            count(|step| matches!(step, Step::Said(line) if line.starts_with("ack"))),
            count(|step| matches!(step, Step::Write { offset: 0, data, .. } if data.len() == WAL_HEADER)),
        ]
    }

    /// Anywhere, and often in the first steps, in which the files are made.
    fn moment(&self, dice: &mut Dice) -> usize {
        let steps = self.steps.len() as u64;
        let bound = if dice.chance(15) { steps / 30 } else { steps };
        dice.below(bound + 1) as usize
    }

    /// Makes states `numbers` of the search `seed`, in a directory of memory, until one is wrong.
    ///
    /// # Errors
    /// The state's number and what is wrong with it.
    pub async fn search(&self, seed: u64, numbers: impl Iterator<Item = u64>, directory: &Path) -> Result<Totals> {
        let mut moments: Vec<(usize, u64)> =
            numbers.map(|number| (self.moment(&mut Dice::part(seed, number)), number)).collect();
        moments.sort_unstable();
        let (mut disk, mut said, mut taken) = (Disk::default(), Vec::new(), 0);
        let mut totals = Totals::default();
        for (moment, number) in moments {
            for step in &self.steps[taken..moment] {
                disk.take(step);
                if let Step::Said(line) = step {
                    said.push(Line::parse(line)?);
                }
            }
            taken = moment;
            let mut dice = Dice::part(seed, number);
            self.moment(&mut dice);
            let place = directory.join(format!("state-{number}"));
            let found = try_state(&disk, &said, &mut dice, &place);
            let (ahead, compacted) =
                found.await.with_context(|| format!("seed {seed}, state {number}, after step {moment}"))?;
            std::fs::remove_dir_all(&place)?;
            totals.states += 1;
            totals.ahead += u64::from(ahead);
            totals.compacted += u64::from(compacted);
            totals.answers += said.iter().filter(|line| matches!(line, Line::Ack(..))).count() as u64;
        }
        Ok(totals)
    }
}

/// The database of a victim in this directory.
pub fn database(directory: &Path) -> PathBuf {
    directory.join("victim.db")
}

async fn try_state(disk: &Disk, said: &[Line], dice: &mut Dice, place: &Path) -> Result<(bool, bool)> {
    std::fs::create_dir_all(place)?;
    for (name, bytes) in disk.crash(dice) {
        std::fs::write(place.join(name), bytes)?;
    }
    // Nothing is compacted while it is judged.
    let store = Store::sqlite(victim::keeping(&database(place))).context("it does not open")?;
    let found = read(&store).await?;
    let report = judge(&Found::nothing(), said, &found)?;
    let compacted = found.watched.after > 0;
    // Some of them go on to write, close and open again: what was recovered must also last.
    if dice.chance(10) {
        go_on(store, &found, place).await?;
    }
    Ok((report.came_true > 0, compacted))
}

async fn go_on(store: Store, found: &Found, place: &Path) -> Result<()> {
    let change = crate::history::Change { key: 999, expects: crate::history::Expects::Absent, put: Some(1) };
    let outcome = answer(&store, &crate::history::Action::Write(vec![change])).await?;
    ensure!(outcome == crate::history::Outcome::Done(Some(found.at + 1)), "the next write: {outcome:?}");
    store.close().await?;
    let store = victim::open(victim::options(&database(place))).context("it does not open again")?;
    let (at, items) = list(&store).await?;
    ensure!(at == found.at + 1 && items.len() == found.items.len() + 1, "after a restart: {at}, {} items", items.len());
    Ok(())
}
