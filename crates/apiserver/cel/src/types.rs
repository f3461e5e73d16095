//! Types that Kubernetes' libraries add to CEL. They know neither values nor functions.

pub(crate) mod format;
pub(crate) mod network;
pub(crate) mod quantity;
pub(crate) mod time;
pub(crate) mod url;
