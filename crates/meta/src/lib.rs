//! Kubernetes' own words: what every other crate speaks of.
//!
//! Pure data and pure rules. Nothing here reads a file, opens a socket or awaits: that is refused, so
//! that clients, generators and tests can use this crate without a runtime.
#![warn(missing_docs)]

pub mod access;
pub mod computed;
pub mod context;
pub mod decode;
pub mod duration;
pub mod error;
pub mod excerpt;
pub mod field;
pub mod object;
pub mod options;
pub mod resource;
pub mod schema;
pub mod selector;
pub mod types;
pub mod validation;

pub use access::{AccessRule, Caller, ObjectAccess, View};
pub use computed::ComputedDescriptor;
pub use context::{Annotations, RequestContext, User};
pub use error::{ApiError, Cause, Details, Reason, Status};
pub use field::{FieldError, FieldPath};
pub use object::{Object, ObjectKey};
pub use resource::{Column, Descriptor, Resource, Scope, Subresource, Verb};
pub use schema::Schema;
