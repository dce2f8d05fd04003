//! The helpers that need other programs, tried without the product: HAProxy as it is configured here.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use segue_e2e::Bench;
use segue_e2e::haproxy::{Backend, Haproxy};

/// A listener that sends `greeting` to everyone who comes.
fn greets(greeting: impl Fn() -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { continue };
            // Who leaves early is no concern here.
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(greeting().as_bytes());
            let _ = socket.shutdown(Shutdown::Write);
        }
    });
    addr
}

#[test]
fn haproxy_goes_where_health_says() {
    let bench = Bench::new("haproxy");
    let status = Arc::new(AtomicU16::new(200));
    let told = Arc::clone(&status);
    let health =
        greets(move || format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", told.load(Ordering::SeqCst)));
    let first = Backend { rtmp: greets(|| "first".into()), http: health };
    let always = greets(|| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into());
    let second = Backend { rtmp: greets(|| "second".into()), http: always };
    let haproxy = Haproxy::start(&bench, "haproxy", first, second);
    let ask = || {
        let mut socket = TcpStream::connect(haproxy.addr).unwrap();
        socket.write_all(b"?").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    haproxy.wait_sees("second", "UP");
    assert_eq!(ask(), "first");
    status.store(503, Ordering::SeqCst);
    haproxy.wait_sees("first", "DOWN");
    assert_eq!(ask(), "second");
    status.store(200, Ordering::SeqCst);
    haproxy.wait_sees("first", "UP");
    assert_eq!(ask(), "first");
}
