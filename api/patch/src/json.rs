//! JSON patch, RFC 6902 (row P3), with bounds on what one patch may make of an object.

use crate::error::PatchError;
use crate::value::{MAX_DEPTH, equal, fits, size_up_to};
use serde_json::{Map, Value};

/// Operations one patch may have.
pub const MAX_OPERATIONS: usize = 10_000;

/// Bytes all `copy` operations of one patch may add together.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Places in lists and objects that one patch may shift or look at, so that ten thousand operations on a large list end soon.
const MAX_WORK: usize = 100_000_000;

/// What a patch may still do.
struct Budget {
    copied: usize,
    work: usize,
}

impl Budget {
    fn copy(&mut self, value: &Value) -> Result<(), PatchError> {
        match self.copied.checked_sub(size_up_to(value, self.copied)) {
            Some(left) => self.copied = left,
            None => return failed("the copies of this patch are too large together"),
        }
        Ok(())
    }

    fn work(&mut self, places: usize) -> Result<(), PatchError> {
        match self.work.checked_sub(places) {
            Some(left) => self.work = left,
            None => return failed("this patch is too much work"),
        }
        Ok(())
    }
}

/// Applies the operations in order, all or none.
pub fn json_patch(mut doc: Value, patch: Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Malformed("a JSON patch is a list of operations".to_owned()));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOps(operations.len()));
    }
    let mut budget = Budget { copied: MAX_COPIED_BYTES, work: MAX_WORK };
    for operation in operations {
        let Value::Object(operation) = operation else {
            return Err(PatchError::Malformed("an operation of a JSON patch is an object".to_owned()));
        };
        perform(&mut doc, operation, &mut budget)?;
    }
    Ok(doc)
}

fn failed<T>(why: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::Failed(why.into()))
}

fn perform(doc: &mut Value, mut operation: Map<String, Value>, budget: &mut Budget) -> Result<(), PatchError> {
    let path = pointer(&operation, "path")?;
    let op = operation.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
    match op.as_str() {
        "add" => add(doc, &path, argument(&mut operation)?, budget),
        "replace" => {
            let value = argument(&mut operation)?;
            checked_depth(&path, &value)?;
            *find_mut(doc, &path)? = value;
            Ok(())
        }
        "remove" => remove(doc, &path, budget).map(|_| ()),
        "test" => {
            let expected = argument(&mut operation)?;
            let same = match find(doc, &path) {
                Some(found) => equal(found, &expected),
                // A member that is not there is null; an item that is not there is an error.
                None => expected.is_null() && is_absent_member(doc, &path),
            };
            if same { Ok(()) } else { failed(format!("test of {} failed", printed(&path))) }
        }
        "copy" => {
            let from = pointer(&operation, "from")?;
            let Some(value) = find(doc, &from) else {
                return failed(format!("nothing to copy at {}", printed(&from)));
            };
            budget.copy(value)?;
            let value = value.clone();
            add(doc, &path, value, budget)
        }
        "move" => {
            let from = pointer(&operation, "from")?;
            if path.len() > from.len() && path.starts_with(&from) {
                return failed("a value cannot move into itself");
            }
            let value = remove(doc, &from, budget)?;
            budget.work(size_up_to(&value, budget.work))?;
            add(doc, &path, value, budget)
        }
        _ => failed(format!("unknown operation {op:?}")),
    }
}

fn argument(operation: &mut Map<String, Value>) -> Result<Value, PatchError> {
    operation.remove("value").map_or_else(|| failed("an operation lacks its value"), Ok)
}

/// The tokens of a JSON pointer; the empty pointer is the whole document.
fn pointer(operation: &Map<String, Value>, member: &str) -> Result<Vec<String>, PatchError> {
    let Some(text) = operation.get(member).and_then(Value::as_str) else {
        return failed(format!("an operation lacks its {member}"));
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return failed(format!("pointer {text:?} does not begin with a slash"));
    };
    let tokens: Vec<String> = rest.split('/').map(|t| t.replace("~1", "/").replace("~0", "~")).collect();
    if tokens.len() > MAX_DEPTH { failed("a pointer is too deep") } else { Ok(tokens) }
}

fn printed(path: &[String]) -> String {
    path.iter().fold(String::new(), |text, token| text + "/" + token)
}

/// A place in a list of `length`, read as Kubernetes reads it: the RFC allows neither signs nor leading zeros, and a negative
/// index counts from the end.
fn index(token: &str, length: usize) -> Option<usize> {
    let at: isize = token.parse().ok()?;
    let at = if at < 0 { length.checked_sub(at.unsigned_abs()) } else { usize::try_from(at).ok() };
    at.filter(|at| *at < length)
}

fn find<'a>(doc: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(doc, |value, token| match value {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(index(token, items.len())?),
        _ => None,
    })
}

fn is_absent_member(doc: &Value, path: &[String]) -> bool {
    let parent = path.split_last().and_then(|(_, parents)| find(doc, parents));
    parent.is_some_and(Value::is_object)
}

fn find_mut<'a>(doc: &'a mut Value, path: &[String]) -> Result<&'a mut Value, PatchError> {
    let found = path.iter().try_fold(doc, |value, token| match value {
        Value::Object(map) => map.get_mut(token),
        Value::Array(items) => {
            let at = index(token, items.len())?;
            items.get_mut(at)
        }
        _ => None,
    });
    found.map_or_else(|| failed(format!("nothing at {}", printed(path))), Ok)
}

fn checked_depth(path: &[String], value: &Value) -> Result<(), PatchError> {
    if fits(value, MAX_DEPTH - path.len()) { Ok(()) } else { failed("the patched object is nested too deeply") }
}

fn add(doc: &mut Value, path: &[String], value: Value, budget: &mut Budget) -> Result<(), PatchError> {
    checked_depth(path, &value)?;
    let Some((last, parents)) = path.split_last() else {
        *doc = value;
        return Ok(());
    };
    match find_mut(doc, parents)? {
        Value::Object(map) => {
            map.insert(last.clone(), value);
            Ok(())
        }
        Value::Array(items) if last == "-" => {
            items.push(value);
            Ok(())
        }
        // -1 is the place after the last: the list counts with the new item in it.
        Value::Array(items) => match index(last, items.len() + 1) {
            Some(i) => {
                budget.work(items.len() - i)?;
                items.insert(i, value);
                Ok(())
            }
            None => failed(format!("no place {last:?} in the list at {}", printed(parents))),
        },
        _ => failed(format!("{} holds neither members nor items", printed(parents))),
    }
}

fn remove(doc: &mut Value, path: &[String], budget: &mut Budget) -> Result<Value, PatchError> {
    let missing = || PatchError::Failed(format!("nothing to remove at {}", printed(path)));
    let (last, parents) = path.split_last().ok_or_else(missing)?;
    match find_mut(doc, parents)? {
        Value::Object(map) => {
            budget.work(map.len())?;
            map.shift_remove(last).ok_or_else(missing)
        }
        Value::Array(items) => match index(last, items.len()) {
            Some(i) => {
                budget.work(items.len() - i)?;
                Ok(items.remove(i))
            }
            None => Err(missing()),
        },
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests;
