//! Just enough of an HTTP/1.1 client for the admin API: one request a connection, a bounded body, a deadline. No TLS,
//! no redirects, no proxies.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of a response, head and body.
pub(crate) const MAX_RESPONSE: usize = 16 << 20;
/// Bound on one request, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The base of an API: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    authority: String,
    host: String,
    port: u16,
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl std::str::FromStr for Base {
    type Err = String;

    /// `http://host[:port][/]`, or without the scheme.
    fn from_str(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(format!("{scheme} is not supported, only http")),
            None => text,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(|c: char| "/?#@\\ ".contains(c) || c.is_control()) {
            return Err("expected http://host:port".into());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("{port} is not a port"))?)
            }
            _ => (authority, 80),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err("expected http://host:port".into());
        }
        Ok(Self { authority: authority.into(), host: host.into(), port })
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Sends one request with an optional JSON body.
pub(crate) async fn request(
    base: &Base,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> anyhow::Result<Response> {
    let exchange = async {
        let mut stream = TcpStream::connect((&*base.host, base.port)).await?;
        stream.write_all(encode(base, method, path, body).as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_RESPONSE as u64 + 1).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = match timeout(TIMEOUT, exchange).await {
        Ok(answer) => answer.with_context(|| format!("cannot reach {base}"))?,
        Err(_) => bail!("no answer from {base} within {} s", TIMEOUT.as_secs()),
    };
    if answer.len() > MAX_RESPONSE {
        bail!("the answer of {base} is longer than {MAX_RESPONSE} bytes");
    }
    parse(&answer).with_context(|| format!("{base} does not answer as HTTP"))
}

fn encode(base: &Base, method: &str, path: &str, body: Option<&str>) -> String {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: segue/{}\r\nAccept: application/json\r\nConnection: close\r\n",
        base.authority,
        env!("CARGO_PKG_VERSION")
    );
    match body {
        Some(body) => {
            format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }
        None => head + "\r\n",
    }
}

/// A whole response, read to the connection's end (RFC 9112).
fn parse(answer: &[u8]) -> anyhow::Result<Response> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").context("no end of the head")?;
    let (head, body) = (answer.get(..end).unwrap_or_default(), answer.get(end + 4..).unwrap_or_default());
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let version = first.next().unwrap_or_default();
    let status = first.next().and_then(|code| code.parse().ok());
    let Some(status) = status.filter(|_| version.starts_with("HTTP/1.")) else { bail!("no status line") };
    let header = |name: &str| {
        let mut values = lines.clone().filter_map(|line| line.split_once(':'));
        values.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let body = if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        unchunk(body)?
    } else if let Some(length) = header("content-length") {
        let length: usize = length.parse()?;
        body.get(..length).context("the body is cut short")?.to_vec()
    } else {
        body.to_vec()
    };
    Ok(Response { status, body })
}

fn unchunk(mut rest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").context("a chunk without a size")?;
        let line = std::str::from_utf8(rest.get(..end).unwrap_or_default())?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
        rest = rest.get(end + 2..).unwrap_or_default();
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(..size).context("a chunk is cut short")?);
        rest = rest.get(size..).and_then(|r| r.strip_prefix(b"\r\n")).context("a chunk without an end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_with_and_without_scheme_and_ipv6() {
        for (text, host, port) in [
            ("http://127.0.0.1:1985", "127.0.0.1", 1985),
            ("http://127.0.0.1:1985/", "127.0.0.1", 1985),
            ("localhost:1", "localhost", 1),
            ("http://[::1]:1985", "::1", 1985),
            ("http://[::1]", "::1", 80),
            ("host", "host", 80),
        ] {
            let base: Base = text.parse().unwrap();
            assert_eq!((&*base.host, base.port), (host, port), "{text}");
        }
        for bad in
            ["", "https://h", "http://", "http://h:x", "h:70000", "http://h/path", "a b", "http://u@h", ":1"]
        {
            assert!(bad.parse::<Base>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bodies_by_length_by_chunks_and_by_the_end() {
        let ok = |body: &[u8]| Response { status: 200, body: body.to_vec() };
        for (answer, body) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"[..], &b"{}"[..]),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
            (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        ] {
            assert_eq!(parse(answer).unwrap(), ok(body));
        }
        for bad in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        ] {
            assert!(parse(bad).is_err());
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base: Base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let block = vec![b'x'; 1 << 20];
            while peer.write_all(&block).await.is_ok() {}
        });
        let error = request(&base, "GET", "/", None).await.unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
        server.await.unwrap();
    }
}
