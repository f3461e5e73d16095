//! A stream of bytes to a virtual cluster's API.

use crate::{Address, ConnectError, port_forward};
use async_trait::async_trait;
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The Service's port.
const PORT: u16 = 443;

/// By which way virtual clusters are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By the Service: from inside of the host cluster.
    Service,
    /// Through the host's API to a pod: from anywhere.
    PortForward,
}

trait AsyncStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AsyncStream for S {}

/// Bytes in both directions.
pub struct Stream(Box<dyn AsyncStream>);

impl Stream {
    /// Any such stream.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

mod delegate {
    use super::Stream;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for Stream {
        fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Stream {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write_vectored(context, bytes)
        }

        fn is_write_vectored(&self) -> bool {
            self.0.is_write_vectored()
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }
}

/// Opens streams to virtual clusters. What they speak, and who speaks, is none of its matter.
#[async_trait]
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// A fresh stream.
    async fn dial(&self, address: &Address) -> Result<Stream, ConnectError>;
}

/// Dials by the Service.
#[derive(Debug)]
pub(crate) struct ByService;

#[async_trait]
impl Dial for ByService {
    async fn dial(&self, address: &Address) -> Result<Stream, ConnectError> {
        let stream = TcpStream::connect((address.service_host(), PORT)).await.map_err(ConnectError::NotReachable)?;
        stream.set_nodelay(true).map_err(ConnectError::NotReachable)?;
        Ok(Stream::new(stream))
    }
}

/// Dials through the host's API.
pub(crate) struct ByPortForward(pub(crate) kube::Client);

impl fmt::Debug for ByPortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByPortForward").finish_non_exhaustive()
    }
}

#[async_trait]
impl Dial for ByPortForward {
    async fn dial(&self, address: &Address) -> Result<Stream, ConnectError> {
        port_forward::dial(&self.0, address).await.map(Stream::new)
    }
}
