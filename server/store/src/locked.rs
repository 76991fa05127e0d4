//! A file that this process alone has.

use std::fs::{File, TryLockError};

/// A locked file or directory. The lock ends with this value: not only by closing the file, for a child between fork and exec
/// still has it, and with it the lock.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Locks what is open as `file`; does not wait. `WouldBlock` where somebody else has the lock.
    pub fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_its_value_though_a_child_still_has_the_file() {
        let place = tempfile::tempdir().expect("a directory");
        let open = || File::open(place.path()).expect("opens");
        let first = Locked::take(open()).expect("nobody has it");
        assert!(matches!(Locked::take(open()), Err(TryLockError::WouldBlock)));
        // As a child has it that was forked and has not become its program yet.
        let childs = first.0.try_clone().expect("another descriptor");
        drop(first);
        Locked::take(open()).expect("nobody has it again");
        drop(childs);
    }
}
