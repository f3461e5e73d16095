//! Rules about writes that hold for every kind and need to know who is asking, or more than one object.
//!
//! Refused: rules about one object alone, which are the kind's own; rules of a product, which are its extension's.

mod owner_references;
mod permissions;

pub(crate) use owner_references::OwnerReferences;
pub use permissions::{Act, Permissions};
