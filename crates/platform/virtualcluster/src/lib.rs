//! Reaches the API of a virtual cluster from outside of it: its credentials, its address, its clients.
#![warn(missing_docs)]
