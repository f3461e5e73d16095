//! Brings virtual clusters to life on a host cluster.
#![warn(missing_docs)]

pub mod helm;
pub mod sleep;
pub mod template;
