//! The answer to a list.

use crate::cache::Rows;
use crate::item::Item;
use apiserver_store::Revision;
use std::sync::Arc;

/// The answer to a list.
#[derive(Clone, Debug)]
pub struct List {
    /// The objects, in the order of namespace and name.
    pub items: Vec<Arc<Item>>,
    /// The revision that was read; the same on every page.
    pub revision: Revision,
    /// Where the next page begins; `None` on the last.
    pub continue_token: Option<String>,
    /// How many objects follow this page, where that is known (no selectors, nothing filtered out).
    pub remaining: Option<u64>,
}

/// The answer to a list whose items are taken from the cache while they are sent.
#[derive(Debug)]
pub struct ListRows {
    /// The objects, in the order of namespace and name.
    pub rows: Rows,
    /// The revision that was read; the same on every page.
    pub revision: Revision,
    /// Where the next page begins; `None` on the last.
    pub continue_token: Option<String>,
    /// How many objects follow this page, where that is known (no selectors, nothing filtered out).
    pub remaining: Option<u64>,
}

impl From<List> for ListRows {
    fn from(list: List) -> Self {
        let List { items, revision, continue_token, remaining } = list;
        Self { rows: items.into(), revision, continue_token, remaining }
    }
}
