//! Behind a real kube-apiserver: registered as an APIService, asked by its users, tidied up by its controllers.
//!
//! One control plane serves all of these tests, each in a project of its own; what differs between versions of Kubernetes is tried
//! with the next version of kube-apiserver as well. Those that stop the server, or exchange what it
//! shows and trusts, have it to themselves for that time.

mod stand;

mod admission;
mod clients;
mod controllers;
mod deploy;
mod kubectl;
mod registration;
mod rotation;
