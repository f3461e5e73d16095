//! JSON Patch (RFC 6902), one operation after the other, so that the failing one can be named.
//!
//! The `json-patch` crate adds, removes, replaces, moves and copies. Done here is what an API server needs
//! around that: limits, `test` (of numbers by value, and of null on a missing member), and the empty
//! `annotations` or `labels` that an object without any is taken to have.

use crate::PatchError;
use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, CopyOperation, MoveOperation, PatchErrorKind, PatchOperation};
use json_patch::{RemoveOperation, ReplaceOperation, TestOperation};
use limits::Limits;
use serde_json::{Map, Value};
use vci_meta::Cause;

mod limits;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

/// Applies the operations in order to a copy of the object.
pub(crate) fn apply(object: &Value, patch: &[u8]) -> Result<Value, PatchError> {
    let operations = decode(patch)?;
    let mut document = object.clone();
    let mut limits = Limits::new(&document);
    for (index, written) in operations.iter().enumerate() {
        run(&mut document, written, &mut limits).map_err(|failure| failure.of(index, written))?;
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

/// Why one operation failed: a cause's reason, and a sentence.
struct Failure {
    reason: &'static str,
    why: String,
}

impl Failure {
    fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }

    fn of(self, index: usize, written: &Written) -> PatchError {
        let path = written.path.clone().unwrap_or_default();
        let op = written.op.as_deref().unwrap_or_default();
        PatchError::Unprocessable {
            message: crate::REJECTED.into(),
            causes: vec![Cause {
                reason: self.reason.into(),
                message: format!("operation {index} ({op} {path:?}): {}", self.why),
                field: path,
            }],
        }
    }
}

const INVALID: &str = "FieldValueInvalid";
const NOT_FOUND: &str = "FieldValueNotFound";
const NOT_SUPPORTED: &str = "FieldValueNotSupported";
const REQUIRED: &str = "FieldValueRequired";

fn decode(patch: &[u8]) -> Result<Vec<Written>, PatchError> {
    let items = match crate::parse(patch)? {
        Value::Array(items) => items,
        other => return Err(crate::malformed(format!("a JSON patch is an array of operations, not {}", crate::a(&other)))),
    };
    if items.len() > crate::MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(items.len()));
    }
    items.into_iter().enumerate().map(|(index, item)| Written::decode(index, item)).collect()
}

impl Written {
    fn decode(index: usize, item: Value) -> Result<Self, PatchError> {
        let mut members = match item {
            Value::Object(members) => members,
            other => return Err(crate::malformed(format!("operation {index} is {}, not an object", crate::a(&other)))),
        };
        let mut text = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(crate::malformed(format!("{name} of operation {index} is {}, not a string", crate::a(&other)))),
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
        let value = || self.value.clone().ok_or_else(|| Failure::new(REQUIRED, "value is missing"));
        Ok(match op {
            "add" => PatchOperation::Add(AddOperation { path, value: value()? }),
            "copy" => PatchOperation::Copy(CopyOperation { from: from()?, path }),
            "move" => PatchOperation::Move(MoveOperation { from: from()?, path }),
            "remove" => PatchOperation::Remove(RemoveOperation { path }),
            "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value()? }),
            _ => PatchOperation::Test(TestOperation { path, value: value()? }),
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
    json_patch::patch_unsafe(document, std::slice::from_ref(&operation)).map_err(|error| match error.kind {
        PatchErrorKind::InvalidFromPointer => Failure::new(NOT_FOUND, "nothing is at the from path"),
        PatchErrorKind::InvalidPointer => Failure::new(NOT_FOUND, "the path does not exist"),
        other => Failure::new(INVALID, other.to_string()),
    })?;
    limits.nested(document, &operation)
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
    match document.pointer(test.path.as_str()) {
        Some(found) if same(found, &test.value) => Ok(()),
        Some(_) => Err(Failure::new(INVALID, "the value is another one")),
        None if test.value.is_null() && is_missing_member(document, &test.path) => Ok(()),
        None => Err(Failure::new(NOT_FOUND, "the path does not exist")),
    }
}

/// Whether the path leads through objects and lists that are there to a member that an object lacks.
fn is_missing_member(document: &Value, path: &Pointer) -> bool {
    let mut at = document;
    for token in path.tokens() {
        let next = match at {
            Value::Object(members) => match members.get(token.decoded().as_ref()) {
                Some(member) => Some(member),
                None => return true,
            },
            Value::Array(items) => token.to_index().ok().and_then(|index| items.get(index.for_len(items.len()).ok()?)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

/// Equality of RFC 6902, section 4.6: numbers are equal when their values are, however they were written.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b))),
        (a, b) => a == b,
    }
}
