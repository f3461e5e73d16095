//! What goes into a virtual cluster that is ready: roles, objects and charts.

use super::pass::{Pass, Stop};
use super::{access, applied, charts};
use crate::conditions::Aspect;
use crate::halt::Halt;

/// Brings it up to date. Objects and charts that cannot be applied do not keep anybody from using the virtual cluster.
pub(super) async fn ensure(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let address = pass.address()?;
    let unreachable = |error: vci_virtualcluster::ConnectError| {
        Halt::warning(Aspect::VirtualClusterReady, "VirtualClusterUnreachable", error.to_string())
    };
    let client = pass.context.connector.client(&address).await.map_err(unreachable)?;
    access::ensure(pass, &client).await?;
    applied::inside(pass, client).await?;
    charts::inside(pass).await?;
    pass.conditions.hold(Aspect::VirtualClusterAppsAndObjectsSynced);
    Ok(())
}
