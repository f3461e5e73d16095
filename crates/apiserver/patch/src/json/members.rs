//! The effect of operations on a document, in the way of Kubernetes' own engine (evanphx/json-patch), which takes more than
//! RFC 6902 allows: a list index may be negative, and counts from the end then, or have leading zeros.
//!
//! `None` is a path that leads nowhere.

use json_patch::jsonptr::Pointer;
use serde_json::Value;

/// The value at `path`.
pub(super) fn find<'a>(document: &'a Value, path: &Pointer) -> Option<&'a Value> {
    path.tokens().try_fold(document, |at, token| match at {
        Value::Object(members) => members.get(token.decoded().as_ref()),
        Value::Array(items) => items.get(index(&token.decoded(), items.len())?),
        _ => None,
    })
}

fn find_mut<'a>(document: &'a mut Value, path: &Pointer) -> Option<&'a mut Value> {
    path.tokens().try_fold(document, |at, token| match at {
        Value::Object(members) => members.get_mut(token.decoded().as_ref()),
        Value::Array(items) => {
            let at = index(&token.decoded(), items.len())?;
            items.get_mut(at)
        }
        _ => None,
    })
}

/// The value at `path`; null for a member that an object lacks, if the object is there.
pub(super) fn find_or_null<'a>(document: &'a Value, path: &Pointer) -> Option<&'a Value> {
    find(document, path).or_else(|| {
        let (parent, _) = path.split_back()?;
        find(document, parent)?.is_object().then_some(&Value::Null)
    })
}

/// Puts `value` where a member may be absent, and between the items of a list.
pub(super) fn add(document: &mut Value, path: &Pointer, value: Value) -> Option<()> {
    let Some((parent, last)) = path.split_back() else {
        *document = value;
        return Some(());
    };
    let name = last.decoded();
    match find_mut(document, parent)? {
        Value::Object(members) => {
            members.insert(name.into_owned(), value);
        }
        Value::Array(items) => {
            let at = if name == "-" { items.len() } else { index(&name, items.len() + 1)? };
            items.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

/// Puts `value` in the place of a list's item, or of a member, which may be absent.
pub(super) fn replace(document: &mut Value, path: &Pointer, value: Value) -> Option<()> {
    let Some((parent, last)) = path.split_back() else {
        *document = value;
        return Some(());
    };
    let name = last.decoded();
    match find_mut(document, parent)? {
        Value::Object(members) => {
            members.insert(name.into_owned(), value);
        }
        Value::Array(items) => {
            let at = index(&name, items.len())?;
            *items.get_mut(at)? = value;
        }
        _ => return None,
    }
    Some(())
}

/// Takes out a member or an item that is there.
pub(super) fn remove(document: &mut Value, path: &Pointer) -> Option<Value> {
    let (parent, last) = path.split_back()?;
    let name = last.decoded();
    match find_mut(document, parent)? {
        Value::Object(members) => members.remove(name.as_ref()),
        Value::Array(items) => {
            let at = index(&name, items.len())?;
            Some(items.remove(at))
        }
        _ => None,
    }
}

/// An index below `end`, from the end of the list when it is negative.
fn index(token: &str, end: usize) -> Option<usize> {
    let at: i64 = token.parse().ok()?;
    let at = if at < 0 { at + i64::try_from(end).ok()? } else { at };
    usize::try_from(at).ok().filter(|at| *at < end)
}
