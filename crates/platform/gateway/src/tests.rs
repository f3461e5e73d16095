//! The gateway in a whole server, before a virtual cluster that says what arrives.
#![allow(clippy::unwrap_used)]

mod cluster;
mod forwarding;
mod kubeconfigs;
mod rig;
mod streams;
mod tokens;
mod waking;
