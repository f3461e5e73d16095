//! Brings virtual clusters to life on a host cluster.
#![warn(missing_docs)]
