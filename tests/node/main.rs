//! `deploy/` on real nodes: the overlays as they are, in their image, behind a real kube-apiserver that finds them by Services.
//!
//! Those with certificates by a job are run. Those with cert-manager, which is not at hand, are only applied to a kube-apiserver
//! without nodes elsewhere; what they add to these is nothing that a pod would notice.
#![cfg(target_os = "linux")]

mod ha;
mod outage;
mod probe;
mod single;
mod stand;
mod tour;
mod vcluster;
mod virtual_cluster;
