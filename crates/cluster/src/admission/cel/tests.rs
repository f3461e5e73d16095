#![allow(clippy::unwrap_used)]

mod hostile;
mod language;
