//! List options of a kind: read, and checked against the fields that the kind can be selected by.

use crate::query::Query;
use apiserver_meta::options::ListOptions;
use apiserver_meta::{ApiError, Descriptor};

/// The options of a list, a watch or the selection of a deletecollection.
///
/// # Errors
/// As [`ListOptions::from_query`], and 400 for a field that the kind cannot be selected by.
pub(crate) fn list_options(kind: &Descriptor, query: &Query) -> Result<ListOptions, ApiError> {
    of_pairs(kind, query.pairs())
}

/// The options of a watch, whichever way the path says that it is one.
///
/// # Errors
/// As [`list_options`].
pub(crate) fn watch_options(kind: &Descriptor, query: &Query) -> Result<ListOptions, ApiError> {
    let mut pairs = query.pairs().to_vec();
    pairs.retain(|(key, _)| key != "watch");
    pairs.push(("watch".into(), "true".into()));
    of_pairs(kind, &pairs)
}

fn of_pairs(kind: &Descriptor, pairs: &[(String, String)]) -> Result<ListOptions, ApiError> {
    let options = ListOptions::from_query(pairs)?;
    let known: Vec<&str> =
        ["metadata.name", "metadata.namespace"].into_iter().chain(kind.selectable_fields.iter().map(|field| field.label)).collect();
    match options.fields.terms().iter().find(|term| !known.contains(&term.field.as_str())) {
        None => Ok(options),
        Some(term) => {
            let known = known.iter().map(|label| format!("{label:?}")).collect::<Vec<_>>().join(", ");
            Err(ApiError::bad_request(format!("{:?} is not a known field selector: only {known}", term.field)))
        }
    }
}
