//! Black-box tests: the real binary, real stores, real clients.

mod access;
mod bad_input;
mod command_line;
mod common;
mod crash;
mod kubectl;
mod layers;
mod lifecycle;
mod outage;
mod page;
mod replicas;
mod watch;
