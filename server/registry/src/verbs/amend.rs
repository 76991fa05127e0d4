//! A change that the server makes to an object by itself: without ownership, through the same pipeline.

use super::change::{Change, Missing};
use crate::registry::Registry;
use crate::request::{Caller, Target, WriteOptions};
use crate::writing::Writing;
use otternauts_meta::{Object, Status};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amended {
    Done,
    /// The object is gone.
    Missing,
}

impl Registry {
    pub(crate) async fn amend(
        &self,
        caller: &Caller,
        target: &Target,
        change: &(dyn Fn(&mut Object) -> bool + Send + Sync),
    ) -> Result<Amended, Status> {
        let mut writing = Writing::new(self, caller, target, &WriteOptions::default());
        writing.is_patch = true;
        let modify = |old: &Object| {
            let mut object = old.clone();
            change(&mut object);
            Ok(Change { object, owned: true })
        };
        match self.change(&writing, false, Missing::NotFound, &modify).await {
            Ok(_) => Ok(Amended::Done),
            Err(status) if status.code == 404 => Ok(Amended::Missing),
            Err(status) => Err(status),
        }
    }
}
