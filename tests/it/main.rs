//! Black-box tests: the real binary, real stores, real clients.

mod access;
mod bad_input;
mod clients;
mod command_line;
mod common;
mod crash;
mod kubectl;
mod layers;
mod lifecycle;
mod oracle_writes;
mod outage;
mod page;
mod replicas;
mod revocation;
mod watch;
mod websocket;
