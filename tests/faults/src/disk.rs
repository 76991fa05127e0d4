//! What a disk may hold when the power fails: what was synced, and any part of what was not.
//!
//! The model is unkind on purpose. Un-synced writes survive or not by sectors of 512 bytes, each for itself, in whatever file;
//! a file that was made, renamed or removed has its new name only after the directory was synced, and until then perhaps.
//! What it takes for granted: a sync that returned is true.

use crate::dice::Dice;
use crate::trace::{Inode, Step};
use std::collections::BTreeMap;

const SECTOR: u64 = 512;

#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<Inode, File>,
    /// The names that are on the disk.
    names: BTreeMap<String, Inode>,
    /// Changes of names since the directory was last synced.
    renamed: Vec<Naming>,
}

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write { offset: u64, data: Vec<u8> },
    Truncate(u64),
}

/// What a disk may do that says it did something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A write is said to be done, and was not.
    Dropped,
    /// A write went elsewhere in the file, by so many bytes.
    Misdirected { by: i64 },
    /// A sync is said to be done, and was not.
    Unsynced,
}

#[derive(Clone, Debug)]
enum Naming {
    Create(String, Inode),
    Unlink(String),
    Rename(String, String),
}

impl Disk {
    /// One step of the recorded run.
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Create { name, inode } => {
                self.files.insert(*inode, File::default());
                self.renamed.push(Naming::Create(name.clone(), *inode));
            }
            Step::Write { inode, offset, data } => {
                let pending = Pending::Write { offset: *offset, data: data.clone() };
                self.files.entry(*inode).or_default().pending.push(pending);
            }
            Step::Truncate { inode, length } => {
                self.files.entry(*inode).or_default().pending.push(Pending::Truncate(*length));
            }
            Step::Sync(inode) => {
                let file = self.files.entry(*inode).or_default();
                for pending in std::mem::take(&mut file.pending) {
                    apply(&mut file.synced, &pending, &mut |_| true);
                }
            }
            Step::SyncDirectory => {
                for naming in std::mem::take(&mut self.renamed) {
                    rename(&mut self.names, naming);
                }
            }
            Step::Unlink(name) => self.renamed.push(Naming::Unlink(name.clone())),
            Step::Rename { from, to } => self.renamed.push(Naming::Rename(from.clone(), to.clone())),
            Step::Said(_) => {}
        }
    }

    /// As [`Disk::take`], but this disk tells a lie about a write or a sync.
    pub fn lie(&mut self, step: &Step, lie: Lie) {
        match (lie, step) {
            (Lie::Misdirected { by }, Step::Write { inode, offset, data }) => {
                let offset = offset.saturating_add_signed(by);
                self.take(&Step::Write { inode: *inode, offset, data: data.clone() });
            }
            (Lie::Dropped, Step::Write { .. }) | (Lie::Unsynced, Step::Sync(_)) => {}
            _ => self.take(step),
        }
    }

    /// All files as whoever reads them now sees them: no power is lost.
    pub fn now(&self) -> BTreeMap<String, Vec<u8>> {
        let mut whole = self.clone();
        for file in self.files.keys() {
            whole.take(&Step::Sync(*file));
        }
        whole.take(&Step::SyncDirectory);
        whole.crash(&mut Dice::new(0))
    }

    /// The files after a power loss now: which part of what was not synced is there, the dice say.
    pub fn crash(&self, dice: &mut Dice) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.names.clone();
        // Names reach the disk in their order, as a journal keeps it, but nobody knows how far.
        let reached = dice.below(self.renamed.len() as u64 + 1) as usize;
        for naming in &self.renamed[..reached] {
            rename(&mut names, naming.clone());
        }
        let mut files = BTreeMap::new();
        for (name, inode) in names {
            let Some(file) = self.files.get(&inode) else { continue };
            let mut bytes = file.synced.clone();
            let percent = [0, 10, 50, 90, 100][dice.below(5) as usize];
            for pending in &file.pending {
                apply(&mut bytes, pending, &mut |_| dice.chance(percent));
            }
            files.insert(name, bytes);
        }
        files
    }
}

/// Applies the sectors of a change that `survives` says yes to.
fn apply(bytes: &mut Vec<u8>, pending: &Pending, survives: &mut dyn FnMut(u64) -> bool) {
    match pending {
        Pending::Truncate(length) => {
            if survives(*length / SECTOR) {
                bytes.resize(*length as usize, 0);
            }
        }
        Pending::Write { offset, data } => {
            let end = offset + data.len() as u64;
            let mut at = *offset;
            while at < end {
                let next = ((at / SECTOR + 1) * SECTOR).min(end);
                if survives(at / SECTOR) {
                    if (bytes.len() as u64) < next {
                        bytes.resize(next as usize, 0);
                    }
                    let part = &data[(at - offset) as usize..(next - offset) as usize];
                    bytes[at as usize..next as usize].copy_from_slice(part);
                }
                at = next;
            }
        }
    }
}

fn rename(names: &mut BTreeMap<String, Inode>, naming: Naming) {
    match naming {
        Naming::Create(name, inode) => _ = names.insert(name, inode),
        Naming::Unlink(name) => _ = names.remove(&name),
        Naming::Rename(from, to) => {
            if let Some(inode) = names.remove(&from) {
                names.insert(to, inode);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(inode: Inode, offset: u64, byte: u8, length: usize) -> Step {
        Step::Write { inode, offset, data: vec![byte; length] }
    }

    fn crashes(disk: &Disk) -> Vec<BTreeMap<String, Vec<u8>>> {
        (0..300).map(|number| disk.crash(&mut Dice::part(1, number))).collect()
    }

    #[test]
    fn what_was_synced_is_always_there_and_what_was_not_in_any_part() {
        let mut disk = Disk::default();
        for step in [
            Step::Create { name: "a".to_owned(), inode: 0 },
            write(0, 0, 1, 1024),
            Step::Sync(0),
            Step::SyncDirectory,
            write(0, 512, 2, 1024),
        ] {
            disk.take(&step);
        }
        let states = crashes(&disk);
        assert!(states.iter().all(|files| files["a"][..512] == [1; 512]));
        let kinds: std::collections::BTreeSet<(u8, usize)> =
            states.iter().map(|files| (files["a"][512], files["a"].len())).collect();
        assert_eq!(kinds, [(1, 1024), (1, 1536), (2, 1024), (2, 1536)].into(), "each sector for itself");
    }

    #[test]
    fn a_new_name_is_certain_only_after_its_directory_was_synced() {
        let mut disk = Disk::default();
        disk.take(&Step::Create { name: "a".to_owned(), inode: 0 });
        disk.take(&write(0, 0, 1, 10));
        disk.take(&Step::Sync(0));
        let there = crashes(&disk).iter().filter(|files| files.contains_key("a")).count();
        assert!((50..250).contains(&there), "{there} of 300");
        disk.take(&Step::SyncDirectory);
        disk.take(&Step::Unlink("a".to_owned()));
        assert!(crashes(&disk).iter().any(|files| files.get("a") == Some(&vec![1; 10])), "the old name may come back");
    }
}
