//! Kubernetes' own words: what every other crate speaks of.
//!
//! Pure data and pure rules. Nothing here reads a file, opens a socket or awaits: that is refused, so
//! that clients, generators and tests can use this crate without a runtime.
#![warn(missing_docs)]

pub mod column;
pub mod context;
pub mod decode;
pub mod duration;
pub mod error;
pub mod excerpt;
pub mod field;
pub mod filter;
pub mod object;
mod opaque;
pub mod options;
pub mod resource;
pub mod schema;
pub mod selector;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod types;
pub mod validation;
pub mod virtual_resource;

pub use column::Column;
pub use context::{Annotations, Principal, RequestContext, User};
pub use error::{ApiError, Cause, Details, Reason, Status};
pub use field::{FieldError, FieldPath};
pub use filter::{AccessFilter, Facts, NamespaceScope, ObjectFilter};
pub use object::{Object, ObjectKey};
pub use resource::{Descriptor, Resource, Scope, Subresource, Verb};
pub use schema::Schema;
pub use virtual_resource::VirtualDescriptor;
