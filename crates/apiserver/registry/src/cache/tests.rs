//! The cache over a store that does as it is told. Cases that stand for one of upstream's storage suites
//! (`k8s.io/apiserver/pkg/storage/testing`) are named after it.

mod consistency;
mod consistency_check;
mod faults;
mod list;
mod random;
mod replay;
mod rig;
mod store;
mod views;
mod watch;
mod watch_list;

pub(crate) use rig::{WIDGETS, WIDGETS_AS_CONST, Widgets, widget};
pub(crate) use store::MemoryStore;
