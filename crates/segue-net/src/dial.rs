//! Opening a connection: names are resolved anew each time, because a go-away without an address means "the same name
//! may by now lead elsewhere". Owns the socket's options; knows nothing of RTMP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use segue_proto::client::{DIAL_TIMEOUT, DialError};
use segue_proto::url::RtmpUrl;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// Addresses of one name that are tried in one dial.
pub const MAX_ADDRESSES: usize = 16;
/// Unacknowledged bytes older than this end the connection: a peer that vanished is noticed, writing or not.
pub const USER_TIMEOUT: Duration = Duration::from_secs(15);
/// Unsent bytes in a publisher's socket beyond which it is not writable: what waits stays in the replay buffer, where
/// a hand-over can still decide about it.
pub const NOTSENT_LOWAT: u32 = 64 * 1024;

/// What the socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Media goes out: the unsent part of the socket's buffer is kept small.
    Publish,
    /// Media comes in.
    Play,
}

/// Connects to `url`'s host and port, starting with the `attempt`-th of its addresses and going on to the others, so
/// that a client that dials again lands elsewhere first.
///
/// # Errors
///
/// The name is unknown, no address answers within [`DIAL_TIMEOUT`], or the URL asks for TLS.
pub async fn dial(
    url: &RtmpUrl,
    attempt: u32,
    purpose: Purpose,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let failed = |error: io::Error, addresses: usize| DialError {
        reason: format!("{}: {error}", url.authority()),
        addresses: u32::try_from(addresses).unwrap_or(u32::MAX),
    };
    if url.tls {
        return Err(failed(io::Error::new(io::ErrorKind::Unsupported, "rtmps is not supported"), 0));
    }
    let deadline = Instant::now() + DIAL_TIMEOUT;
    let mut addresses = match timeout_at(deadline, tokio::net::lookup_host((&*url.host, url.port))).await {
        Ok(Ok(found)) => found.take(MAX_ADDRESSES).collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(failed(error, 0)),
        Err(_) => return Err(failed(timed_out("the name did not resolve in time"), 0)),
    };
    rotate(&mut addresses, attempt);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (tried, &address) in addresses.iter().enumerate() {
        // An address that swallows packets must leave time for those after it.
        let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout(share, connect(address, purpose)).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => last = error,
            Err(_) => last = timed_out("connection timed out"),
        }
    }
    Err(failed(last, addresses.len()))
}

fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Puts the `attempt`-th address first, in circular order.
fn rotate<T>(addresses: &mut [T], attempt: u32) {
    if !addresses.is_empty() {
        let first = usize::try_from(attempt).unwrap_or(0) % addresses.len();
        addresses.rotate_left(first);
    }
}

async fn connect(address: SocketAddr, purpose: Purpose) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let socket = SockRef::from(&stream);
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        if purpose == Purpose::Publish {
            socket.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
        }
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn url(host: &str, port: u16) -> RtmpUrl {
        RtmpUrl { tls: false, host: host.into(), port, app: "live".into(), name: "x".into(), query: None }
    }

    #[test]
    fn each_attempt_starts_one_address_further() {
        let firsts: Vec<_> = (0..4)
            .map(|attempt| {
                let mut a = [1, 2, 3];
                rotate(&mut a, attempt);
                a[0]
            })
            .collect();
        assert_eq!(firsts, [1, 2, 3, 1]);
        rotate::<u8>(&mut [], 7);
    }

    #[tokio::test]
    async fn a_publishing_socket_keeps_little_unsent_and_sends_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stream, peer) = dial(&url("127.0.0.1", at.port()), 0, Purpose::Publish).await.unwrap();
        assert_eq!(peer, at);
        assert!(stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        {
            let socket = SockRef::from(&stream);
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOTSENT_LOWAT);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }

    #[tokio::test]
    async fn a_closed_port_and_tls_are_errors_of_one_line() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for purpose in [Purpose::Publish, Purpose::Play] {
            let error = dial(&url("127.0.0.1", port), 1, purpose).await.unwrap_err();
            assert!(error.reason.starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
            assert_eq!(error.addresses, 1);
        }
        let tls = RtmpUrl { tls: true, ..url("127.0.0.1", port) };
        let error = dial(&tls, 0, Purpose::Play).await.unwrap_err();
        assert!(error.reason.contains("rtmps"));
    }
}
