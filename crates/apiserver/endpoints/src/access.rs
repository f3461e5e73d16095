//! Access: the caller and their permissions, decided once before a request is served, and again while it goes on.

pub(crate) mod authentication;
pub(crate) mod authorization;
pub(crate) mod foreign;
pub(crate) mod impersonation;
pub(crate) mod permission;
pub(crate) mod private;
pub(crate) mod recheck;
