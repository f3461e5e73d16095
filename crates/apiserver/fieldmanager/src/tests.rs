//! The cases of upstream's own suites, told anew as scripts and tables and named after upstream's test functions,
//! with the records of a typed Go server; then laws that hold for any input.
#![allow(clippy::unwrap_used)]

mod admission;
mod kind;
mod merging;
mod nested;
mod properties;
mod recorded;
mod schemas;
mod script;
mod sets;
mod speed;
mod tracking;
mod typed;
