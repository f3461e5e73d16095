//! Limits of a JSON patch: it may not copy without end, or nest deeper than a document can be read back.

use super::failure::{Failure, INVALID};
use super::members;
use apiserver_meta::object::encoded_len;
use json_patch::jsonptr::Pointer;
use json_patch::{AddOperation, PatchOperation, RemoveOperation};
use serde_json::Value;

/// Most bytes that the `copy` operations of one JSON patch may add up to.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Deepest nesting of lists and objects: as deep as serde_json reads, so that what was stored can be read again
/// and recursion over it never exhausts a stack.
const MAX_DEPTH: usize = 127;

/// How often one patch may have the whole document walked to find how deep it is.
const MOST_WALKS: u32 = 16;
/// How many list items one patch may push aside: each item put into a list, or taken out, moves those behind it.
const MOST_SHIFTED: usize = 20_000_000;

/// The use of one patch.
pub(super) struct Limits {
    copied: usize,
    shifted: usize,
    walks: u32,
    /// The document is nested no deeper than this; it may be less deep.
    depth: usize,
}

impl Limits {
    pub(super) fn new(document: &Value) -> Self {
        Self { copied: 0, shifted: 0, walks: 0, depth: depth(document) }
    }

    /// Counts what a `copy` is about to copy. A path that leads nowhere is left to the engine to complain of.
    pub(super) fn copied(&mut self, document: &Value, from: &Pointer) -> Result<(), Failure> {
        if let Some(source) = members::find(document, from) {
            self.copied = self.copied.saturating_add(encoded_len(source));
        }
        if self.copied > MAX_COPIED_BYTES {
            let why = format!("the bytes copied so far are {}, the limit is {MAX_COPIED_BYTES}", self.copied);
            return Err(Failure::new(INVALID, why));
        }
        Ok(())
    }

    /// Counts the items of the lists that an operation is about to put an item into or take one out of.
    pub(super) fn shifts(&mut self, document: &Value, operation: &PatchOperation) -> Result<(), Failure> {
        let length = |path: &Pointer| {
            let list = path.parent().and_then(|parent| members::find(document, parent));
            list.and_then(Value::as_array).map_or(0, Vec::len)
        };
        self.shifted += match operation {
            PatchOperation::Add(AddOperation { path, .. }) | PatchOperation::Remove(RemoveOperation { path }) => length(path),
            PatchOperation::Copy(copy) => length(&copy.path),
            PatchOperation::Move(r#move) => length(&r#move.from) + length(&r#move.path),
            PatchOperation::Replace(_) | PatchOperation::Test(_) => 0,
        };
        if self.shifted > MOST_SHIFTED {
            return Err(Failure::new(INVALID, format!("the patch changes long lists too often: it moves more than {MOST_SHIFTED} items")));
        }
        Ok(())
    }

    /// Refuses a document that an operation has made too deep. Moves and copies make it deeper by the difference of
    /// their paths at most, so that it is walked only when that estimate exceeds the limit.
    pub(super) fn nested(&mut self, document: &Value, operation: &PatchOperation) -> Result<(), Failure> {
        let tokens = |path: &Pointer| path.tokens().count();
        let estimate = match operation {
            PatchOperation::Add(add) => tokens(&add.path) + depth(&add.value),
            PatchOperation::Replace(replace) => tokens(&replace.path) + depth(&replace.value),
            PatchOperation::Move(r#move) => tokens(&r#move.path) + self.depth.saturating_sub(tokens(&r#move.from)),
            PatchOperation::Copy(copy) => tokens(&copy.path) + self.depth.saturating_sub(tokens(&copy.from)),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
        };
        self.depth = self.depth.max(estimate);
        if self.depth > MAX_DEPTH && self.walks < MOST_WALKS {
            self.walks += 1;
            self.depth = depth(document);
        }
        if self.depth > MAX_DEPTH {
            return Err(Failure::new(INVALID, format!("the object would be nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }
}

/// How many lists and objects lie inside each other. Recursion is safe: callers keep documents below twice the limit.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
