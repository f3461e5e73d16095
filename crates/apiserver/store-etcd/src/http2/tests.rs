#![allow(clippy::unwrap_used)]

use super::*;
use h2::server;
use tokio::time::Instant;

fn head() -> Request<()> {
    let mut head = Request::new(());
    *head.uri_mut() = http::Uri::from_static("http://etcd/a");
    head
}

/// A member that is gone without a word is noticed by its silence, but only while something is asked of it.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up() {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (connection, mut silent) = tokio::try_join!(Connection::begin(client), server::handshake(server)).unwrap();
    tokio::select! {
        _ = silent.accept() => panic!("nothing was asked"),
        () = sleep(Duration::from_secs(3600)) => {}
    }
    assert!(connection.is_open());
    let call = connection.call(head()).await.unwrap();
    // From here on the server reads nothing any more.
    let begun = Instant::now();
    assert!(call.response.await.is_err());
    assert!(begun.elapsed() <= PING_EVERY + PING_PATIENCE);
    assert!(!connection.is_open() && connection.call(head()).await.is_err());
}

/// One that answers pings may take as long for a call as it likes.
#[tokio::test(start_paused = true)]
async fn a_slow_call_is_waited_for() {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (connection, mut slow) = tokio::try_join!(Connection::begin(client), server::handshake(server)).unwrap();
    let server = async {
        let (_, mut respond) = slow.accept().await.unwrap().unwrap();
        tokio::select! {
            _ = slow.accept() => panic!("only one call is made"),
            () = sleep(Duration::from_secs(600)) => {}
        }
        respond.send_response(http::Response::new(()), true).unwrap();
        let _ = slow.accept().await;
    };
    let client = async {
        let call = connection.call(head()).await.unwrap();
        let answered = call.response.await.is_ok();
        drop((connection, call.guard, call.request));
        answered
    };
    let (answered, ()) = tokio::join!(client, server);
    assert!(answered);
}
