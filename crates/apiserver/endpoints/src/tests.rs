//! The face as clients meet it: requests through the router, on a small kind in an embedded store.

mod answers;
mod documents;
mod fixture;
mod fuzz;
mod held_bodies;
mod private;
mod proxies;
mod reads;
mod rechecks;
mod reviews;
mod virtual_resource;
mod writes;

/// The fixture's proxy.
pub(crate) fn elsewhere() -> std::sync::Arc<dyn crate::Proxy> {
    std::sync::Arc::new(proxies::Elsewhere)
}
