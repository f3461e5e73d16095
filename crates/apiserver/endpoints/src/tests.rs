//! The face as clients meet it: requests through the router, on a small kind in an embedded store.

mod answers;
mod documents;
mod fixture;
mod fuzz;
mod held_bodies;
mod private;
mod reads;
mod rechecks;
mod reviews;
mod virtual_resource;
mod writes;
