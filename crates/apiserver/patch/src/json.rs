//! JSON Patch (RFC 6902), one operation after the other, so that the failing one can be named.
//!
//! Operations mean what they mean to kube-apiserver, so that a patch that works there works here: `replace` of an
//! absent member adds it, `copy` of one copies null, a missing `value` is null, and `test` compares what is written
//! (`1.0` is not `1`). Around that: limits, and the empty `annotations` or `labels` that an object without any is
//! taken to have.

use crate::error::{MAX_OPERATIONS, PatchError, malformed};
use crate::parse::{parse, type_of};
use failure::{Failure, INVALID, NOT_FOUND, NOT_SUPPORTED, REQUIRED};
use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, CopyOperation, MoveOperation, PatchOperation};
use json_patch::{RemoveOperation, ReplaceOperation, TestOperation};
use limits::Limits;
pub use limits::MAX_COPIED_BYTES;
use serde_json::{Map, Value};

mod failure;
mod limits;
mod members;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

/// Applies the operations in order.
pub(crate) fn apply(mut document: Value, patch: &[u8]) -> Result<Value, PatchError> {
    let operations = decode(patch)?;
    let mut limits = Limits::new(&document);
    for (index, written) in operations.iter().enumerate() {
        run(&mut document, written, &mut limits).map_err(|failure| failure.of(index, written.op.as_deref(), written.path.as_deref()))?;
    }
    Ok(document)
}

/// One operation as a client wrote it: any member may be missing, and `op` may be any word.
struct Written {
    op: Option<String>,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
}

fn decode(patch: &[u8]) -> Result<Vec<Written>, PatchError> {
    let items = match parse(patch)? {
        Value::Array(items) => items,
        other => return Err(malformed(format!("a JSON patch is an array of operations, not {}", type_of(&other)))),
    };
    if items.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(items.len()));
    }
    items.into_iter().enumerate().map(|(index, item)| Written::decode(index, item)).collect()
}

impl Written {
    fn decode(index: usize, item: Value) -> Result<Self, PatchError> {
        let mut members = match item {
            Value::Object(members) => members,
            other => return Err(malformed(format!("operation {index} is {}, not an object", type_of(&other)))),
        };
        let mut text = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(malformed(format!("{name} of operation {index} is {}, not a string", type_of(&other)))),
        };
        Ok(Self { op: text("op")?, path: text("path")?, from: text("from")?, value: members.remove("value") })
    }

    fn operation(&self) -> Result<PatchOperation, Failure> {
        let Some(op) = self.op.as_deref() else {
            return Err(Failure::new(REQUIRED, "op is missing"));
        };
        if !["add", "copy", "move", "remove", "replace", "test"].contains(&op) {
            return Err(Failure::new(NOT_SUPPORTED, "op is none of add, copy, move, remove, replace, test"));
        }
        let path = pointer("path", self.path.as_deref())?;
        let from = || pointer("from", self.from.as_deref());
        let value = || self.value.clone().unwrap_or(Value::Null);
        Ok(match op {
            "add" => PatchOperation::Add(AddOperation { path, value: value() }),
            "copy" => PatchOperation::Copy(CopyOperation { from: from()?, path }),
            "move" => PatchOperation::Move(MoveOperation { from: from()?, path }),
            "remove" => PatchOperation::Remove(RemoveOperation { path }),
            "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value() }),
            _ => PatchOperation::Test(TestOperation { path, value: value() }),
        })
    }
}

fn pointer(name: &str, text: Option<&str>) -> Result<PointerBuf, Failure> {
    let Some(text) = text else {
        return Err(Failure::new(REQUIRED, format!("{name} is missing")));
    };
    PointerBuf::parse(text).map_err(|_| Failure::new(INVALID, format!("{name} is no JSON pointer")))
}

fn run(document: &mut Value, written: &Written, limits: &mut Limits) -> Result<(), Failure> {
    let operation = written.operation()?;
    match &operation {
        PatchOperation::Test(test) => return check(document, test),
        PatchOperation::Add(_) | PatchOperation::Move(_) => ensure_metadata_map(document, operation.path()),
        PatchOperation::Copy(copy) => {
            ensure_metadata_map(document, &copy.path);
            limits.copied(document, &copy.from)?;
        }
        PatchOperation::Remove(_) | PatchOperation::Replace(_) => {}
    }
    limits.shifts(document, &operation)?;
    carry_out(document, &operation)?;
    limits.nested(document, &operation)
}

fn carry_out(document: &mut Value, operation: &PatchOperation) -> Result<(), Failure> {
    let nothing_there = || Failure::new(NOT_FOUND, "the path does not exist");
    let nothing_from = || Failure::new(NOT_FOUND, "nothing is at the from path");
    let done = match operation {
        PatchOperation::Add(add) => members::add(document, &add.path, add.value.clone()),
        PatchOperation::Remove(remove) => members::remove(document, &remove.path).map(drop),
        PatchOperation::Replace(replace) => members::replace(document, &replace.path, replace.value.clone()),
        PatchOperation::Move(r#move) => {
            if r#move.path.len() > r#move.from.len() && r#move.path.starts_with(&r#move.from) {
                return Err(Failure::new(INVALID, "a value cannot be moved into itself"));
            }
            let value = members::remove(document, &r#move.from).ok_or_else(nothing_from)?;
            members::add(document, &r#move.path, value)
        }
        PatchOperation::Copy(copy) => {
            let value = members::find_or_null(document, &copy.from).ok_or_else(nothing_from)?.clone();
            members::add(document, &copy.path, value)
        }
        PatchOperation::Test(_) => Some(()),
    };
    done.ok_or_else(nothing_there)
}

/// Makes `metadata.annotations` or `metadata.labels` when `path` names a member right below one that is absent.
fn ensure_metadata_map(document: &mut Value, path: &Pointer) {
    let mut tokens = path.tokens();
    let (Some(first), Some(field), Some(_), None) = (tokens.next(), tokens.next(), tokens.next(), tokens.next()) else {
        return;
    };
    if first.encoded() != "metadata" || !["annotations", "labels"].contains(&field.encoded()) {
        return;
    }
    let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let slot = metadata.entry(field.encoded()).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
}

fn check(document: &Value, test: &TestOperation) -> Result<(), Failure> {
    match members::find_or_null(document, &test.path) {
        Some(found) if *found == test.value => Ok(()),
        // A member that is absent is told from one that has another value.
        Some(_) if members::find(document, &test.path).is_some() => Err(Failure::new(INVALID, "the value is another one")),
        _ => Err(Failure::new(NOT_FOUND, "the path does not exist")),
    }
}
