//! The way into virtual clusters: /kubernetes/project/P/virtualcluster/N.
#![warn(missing_docs)]
