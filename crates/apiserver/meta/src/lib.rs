//! Kubernetes' own words: what every other crate speaks of.
//!
//! Pure data and pure rules. Nothing here reads a file, opens a socket or awaits: that is refused, so
//! that clients, generators and tests can use this crate without a runtime.
//!
//! ```
//! use apiserver_meta::selector::LabelSelector;
//! use apiserver_meta::{ApiError, FieldError, FieldPath};
//!
//! let path = FieldPath::new("spec").child("width");
//! let error = ApiError::invalid("example.com", "Widget", "hinge", &[FieldError::invalid(&path, -1, "must be greater than 0")]);
//! assert_eq!(error.code(), 422);
//! assert_eq!(error.message, "Widget.example.com \"hinge\" is invalid: spec.width: Invalid value: -1: must be greater than 0");
//!
//! let selector = LabelSelector::parse("material in (brass, steel), !broken")?;
//! assert!(selector.matches(&[("material", "brass")]));
//! # Ok::<(), apiserver_meta::selector::SelectorError>(())
//! ```
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

pub use column::{Cells, Column};
pub use context::{Annotations, Principal, RequestContext, User};
pub use error::{ApiError, Cause, Details, Reason, Status};
pub use field::{FieldError, FieldPath};
pub use filter::{AccessFilter, Facts, NamespaceScope, ObjectFilter};
pub use object::{Object, ObjectKey};
pub use resource::{Descriptor, Resource, Scope, Subresource, Verb};
pub use schema::Schema;
pub use virtual_resource::VirtualDescriptor;
