//! Cancel requests. tokio-postgres closes its socket at once: then PgBouncer drops the request, and
//! PostgreSQL may carry it out later, on another caller's statement. Here the server closes the socket, which
//! it does once it has sent the signal.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::CancelToken;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::BoxError;

/// Cancels the statement of the token's backend, at the server of this address.
pub(crate) async fn cancel(
    token: &CancelToken,
    (host, port): (&str, u16),
    mut tls: MakeRustlsConnect,
) -> Result<(), BoxError> {
    let socket = TcpStream::connect((host, port)).await?.into_std()?;
    let mut rest = TcpStream::from_std(socket.try_clone()?)?;
    let socket = Unclosed(TcpStream::from_std(socket)?);
    let tls = MakeTlsConnect::<Unclosed>::make_tls_connect(&mut tls, host)?;
    token.cancel_query_raw(socket, tls).await?;
    // A server that resets the connection has closed it as well.
    let _ = rest.read_to_end(&mut Vec::new()).await;
    Ok(())
}

/// A socket that stays open for reading when it is shut down.
struct Unclosed(TcpStream);

impl AsyncRead for Unclosed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Unclosed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
