//! Writes: what holds for every kind when an object is created, changed or deleted.
//!
//! Every change runs through one read-modify-write loop ([`commit`]); the verbs only say what the next state
//! is. A write, once begun, runs to its end on a task of its own: a client that goes away or a deadline that
//! passes ends the waiting, never the write. Refused: locks across objects (a rule about several has a
//! [`guard`]), blind overwrites, time from anywhere but [`system`].

mod collection;
mod commit;
mod create;
mod current;
mod delete;
mod encoded;
mod failure;
mod guard;
mod outcome;
mod patch;
mod system;
mod update;
mod validation;

pub use delete::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN};
pub use failure::WriteFailure;
pub use outcome::{Deleted, Written};
pub use patch::{Mask, Patch, PatchKind};
