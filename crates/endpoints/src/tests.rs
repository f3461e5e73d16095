//! The face as clients meet it: requests through the router, on a small kind in an embedded store.

mod answers;
mod documents;
mod fixture;
mod reads;
mod reviews;
mod writes;
