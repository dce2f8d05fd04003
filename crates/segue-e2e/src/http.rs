//! A small HTTP/1.1 client for the admin API: one request a connection, bounded in time and size. No TLS, no chunked
//! bodies beyond what the API sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer that takes longer is a failure.
const LIMIT: Duration = Duration::from_secs(5);
/// An answer that is longer is cut, and then is no JSON.
const MAX_ANSWER: u64 = 4 << 20;

/// Status and body of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The body, decoded lossily.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }
}

/// Sends `method path` with a JSON body (may be empty) and reads the answer.
///
/// # Errors
/// When the server cannot be reached, breaks off, or answers no HTTP.
pub fn request(addr: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    let mut socket = TcpStream::connect_timeout(&addr, LIMIT)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    socket.take(MAX_ANSWER).read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| std::io::Error::other("no HTTP answer"))
}

/// `GET path`.
///
/// # Panics
/// When there is no answer.
pub fn get(addr: SocketAddr, path: &str) -> Answer {
    request(addr, "GET", path, "").unwrap_or_else(|e| panic!("GET http://{addr}{path}: {e}"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body)? } else { body.to_owned() };
    Some(Answer { status, body })
}

fn unchunk(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_whole_and_in_chunks() {
        let whole = parse("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((whole.status, whole.body.as_str()), (503, "{}"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().json(), serde_json::json!([1, 2]));
        assert!(parse("nonsense").is_none());
    }
}
