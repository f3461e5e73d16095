//! Connections that speak another protocol from their 101 on: bytes, in both directions, until somebody ends it.

use super::UpgradedStream;
use crate::extensions::Upgrades;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};

/// How long one side may go on when the other has nothing more to say. Protocols that are spoken here say goodbye in both directions.
const FAREWELL: Duration = Duration::from_secs(5);

/// Copies until an end, the server's or the permission's too. `held` is kept until then.
pub(super) fn open(
    upgrades: &Upgrades,
    client: OnUpgrade,
    stream: Box<dyn UpgradedStream>,
    lost: impl Future<Output = ()> + Send + 'static,
    held: impl Send + 'static,
) {
    let end = upgrades.end.clone();
    upgrades.tasks.spawn(async move {
        let client = match client.await {
            Ok(client) => TokioIo::new(client),
            Err(error) => return tracing::debug!(%error, "an upgraded connection was not handed over"),
        };
        tokio::select! {
            () = both_ways(client, stream) => {}
            () = end.cancelled() => {}
            () = lost => tracing::debug!("an upgraded connection ends: access has changed"),
        }
        drop(held);
    });
}

async fn both_ways(one: impl AsyncRead + AsyncWrite, other: impl AsyncRead + AsyncWrite) {
    let ((mut from_one, mut to_one), (mut from_other, mut to_other)) = (split(one), split(other));
    let there = async {
        let _ = copy(&mut from_one, &mut to_other).await;
        let _ = to_other.shutdown().await;
    };
    let back = async {
        let _ = copy(&mut from_other, &mut to_one).await;
        let _ = to_one.shutdown().await;
    };
    let (mut there, mut back) = (std::pin::pin!(there), std::pin::pin!(back));
    let rest = async {
        tokio::select! {
            () = &mut there => tokio::time::timeout(FAREWELL, back).await,
            () = &mut back => tokio::time::timeout(FAREWELL, there).await,
        }
    };
    let _ = rest.await;
}
