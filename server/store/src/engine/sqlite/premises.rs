//! What the files of a database must be before they are opened, and that they stay the ones that were opened (A10).
//!
//! SQLite itself goes on in silence in each of these cases, with one process on each side or with writes that nobody finds again.

use crate::engine::sqlite::file::beside;
use crate::error::Error;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// File systems whose locks or shared memory do not reach every machine that may have the file open.
/// FUSE is not among them: its number does not say what is behind it, and that is local as often as not (folders of a virtual machine's host,
/// overlays without root). SQLite needs locks that hold for everybody and a log index in shared memory; 9P gives that to one machine only.
const NETWORKS: [(u64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
];

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0} is on a network file system ({1}), whose locks do not keep a database safe: use a local disk")]
    Network(PathBuf, &'static str),
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    #[error("{path} is owned by user {owner}, and this is user {us}: another user may change it at any time")]
    Owner { path: PathBuf, owner: u32, us: u32 },
    #[error(
        "{0} has another name (a hard link): two processes could open it under two names, each with a log of its own"
    )]
    Linked(PathBuf),
    #[error("history went back: {0} is empty, and revision {1} was answered")]
    Emptied(PathBuf, u64),
    #[error("cannot look at {0}")]
    Look(PathBuf, #[source] std::io::Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Engine(Box::new(refused))
    }
}

/// Refuses what must not be opened. `answered`: the newest revision that the side file knows.
pub(super) fn check(database: &Path, answered: u64) -> Result<(), Error> {
    let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let system = rustix::fs::statfs(directory).map_err(|error| Refused::Look(directory.to_owned(), error.into()))?;
    if let Some(name) = network(system.f_type as u64) {
        return Err(Refused::Network(directory.to_owned(), name).into());
    }
    for suffix in ["", "-wal", "-shm"] {
        let path = beside(database, suffix);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Refused::Look(path, error).into()),
            Ok(file) => check_file(path, &file, rustix::process::geteuid().as_raw())?,
        }
    }
    let empty = std::fs::metadata(database).is_ok_and(|file| file.len() == 0);
    if empty && answered > 0 {
        return Err(Refused::Emptied(database.to_owned(), answered).into());
    }
    Ok(())
}

fn network(kind: u64) -> Option<&'static str> {
    // Some architectures have it signed and 32 bits wide.
    NETWORKS.iter().find(|(magic, _)| *magic == kind & 0xffff_ffff).map(|(_, name)| *name)
}

fn check_file(path: PathBuf, file: &Metadata, us: u32) -> Result<(), Refused> {
    if !file.is_file() {
        return Err(Refused::NotAFile(path));
    }
    if file.uid() != us {
        return Err(Refused::Owner { path, owner: file.uid(), us });
    }
    if file.nlink() > 1 {
        return Err(Refused::Linked(path));
    }
    Ok(())
}

/// The files that are open, by what cannot be renamed.
#[derive(Debug)]
pub(super) struct Premises {
    database: PathBuf,
    log: PathBuf,
    files: [Option<(u64, u64)>; 2],
}

impl Premises {
    /// The database is open; its log may come with the first write.
    pub(super) fn of(database: &Path) -> Premises {
        let log = beside(database, "-wal");
        let files = [identity(database), identity(&log)];
        Premises { database: database.to_owned(), log, files }
    }

    /// Whether the names still lead to the files that are written to; which one does not.
    pub(super) fn lost(&mut self) -> Option<&Path> {
        if identity(&self.database) != self.files[0] {
            return Some(&self.database);
        }
        let log = identity(&self.log);
        if self.files[1].is_none() {
            self.files[1] = log;
        }
        // SQLite itself removes it only when the last connection closes, and ours is open.
        (log != self.files[1]).then_some(&*self.log)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        // (f_type as statfs gives it, name)
        let cases = [
            (0x6969, Some("NFS")),
            (0xfe53_4d42, Some("SMB2")),
            (0xffff_ffff_ff53_4d42, Some("CIFS")),
            (0x0102_1997, Some("9P")),
        ];
        // ext4, tmpfs, overlay, xfs, btrfs, FUSE
        let local =
            [0xef53, 0x0102_1994, 0x794c_7630, 0x5846_5342, 0x9123_683e, 0x6573_5546].map(|magic| (magic, None));
        for (magic, name) in cases.into_iter().chain(local) {
            assert_eq!(network(magic), name, "{magic:x}");
        }
    }

    #[test]
    fn a_file_that_goes_or_is_replaced_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("otternauts.db");
        let log = directory.path().join("otternauts.db-wal");
        std::fs::write(&database, "1").unwrap();
        let mut premises = Premises::of(&database);
        assert_eq!(premises.lost(), None, "there is no log yet");
        std::fs::write(&log, "1").unwrap();
        assert_eq!(premises.lost(), None, "now there is");
        std::fs::write(&log, "22").unwrap();
        assert_eq!(premises.lost(), None, "the same file");
        // Both are there, so that the second cannot get the first one's number.
        std::fs::rename(&log, directory.path().join("old")).unwrap();
        std::fs::write(&log, "22").unwrap();
        assert_eq!(premises.lost(), Some(&*log));
        std::fs::rename(directory.path().join("old"), &log).unwrap();
        assert_eq!(premises.lost(), None);
        std::fs::rename(&log, directory.path().join("old")).unwrap();
        assert_eq!(premises.lost(), Some(&*log), "it was there");
        std::fs::rename(directory.path().join("old"), &log).unwrap();
        assert_eq!(premises.lost(), None);
        std::fs::remove_file(&database).unwrap();
        assert_eq!(premises.lost(), Some(&*database));
    }

    #[test]
    fn files_that_another_may_write_to_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("otternauts.db");
        let us = rustix::process::geteuid().as_raw();
        let says = |answered: u64| {
            check(&database, answered).err().map(|error| match error {
                Error::Engine(source) => source.to_string(),
                other => other.to_string(),
            })
        };
        assert_eq!(says(0), None, "none yet");
        std::fs::write(&database, "").unwrap();
        assert_eq!(says(0), None, "a start that was killed early");
        assert!(says(7).unwrap().contains("is empty, and revision 7 was answered"));
        std::fs::write(&database, "1").unwrap();
        assert_eq!(says(7), None);
        let file = std::fs::metadata(&database).unwrap();
        let other = check_file(database.clone(), &file, us + 1).unwrap_err();
        assert!(other.to_string().contains(&format!("is owned by user {us}, and this is user {}", us + 1)), "{other}");
        let link = directory.path().join("link");
        std::fs::hard_link(&database, &link).unwrap();
        assert!(says(7).unwrap().contains("has another name (a hard link)"));
        std::fs::remove_file(&link).unwrap();
        std::fs::create_dir(directory.path().join("otternauts.db-wal")).unwrap();
        assert!(says(7).unwrap().contains("otternauts.db-wal is not a file"));
    }
}
