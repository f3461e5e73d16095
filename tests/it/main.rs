//! Black-box tests: the real binary, real stores, real clients.

mod access;
mod answers;
mod bad_input;
mod client_certificates;
mod clients;
mod command_line;
mod common;
mod crash;
mod kubectl;
mod layers;
mod lifecycle;
mod matrix;
mod oracle_writes;
mod outage;
mod page;
mod quota;
mod replicas;
mod revocation;
mod rules;
mod vcluster_cli;
mod watch;
mod websocket;
