//! A scripted machine against a plain listener: what the driver promises any machine, without RTMP in the way.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use segue_proto::client::PeerAddr;

/// Dials once, sends what it was given as room appears, and writes down what it is told.
struct Script {
    actions: VecDeque<Action>,
    to_send: usize,
    out: OutQueue,
    open: bool,
    received: Vec<u8>,
    log: Vec<String>,
    wake: Option<Moment>,
}

const CONN: ConnId = ConnId(7);
/// More than the sockets of both sides hold.
const MUCH: usize = 24 << 20;
const BLOCK: usize = 50_000;

impl Script {
    fn new(port: u16, to_send: usize) -> Self {
        let url = url(port);
        let actions = VecDeque::from([Action::Dial { conn: CONN, url, attempt: 0 }]);
        let (out, received, log) = (OutQueue::new(), Vec::new(), Vec::new());
        Self { actions, to_send, out, open: false, received, log, wake: None }
    }
}

fn url(port: u16) -> segue_proto::url::RtmpUrl {
    segue_proto::url::RtmpUrl::parse(&format!("rtmp://127.0.0.1:{port}/live/x")).unwrap()
}

impl Machine for Script {
    fn dialed(&mut self, _: ConnId, result: Result<PeerAddr, DialError>, _: Moment) {
        self.open = result.is_ok();
        self.log.push(if self.open { "dialed".into() } else { "failed".into() });
    }
    fn received(&mut self, _: ConnId, data: Bytes, _: Moment) {
        self.received.extend_from_slice(&data);
    }
    fn peer_closed(&mut self, _: ConnId, how: Closed, _: Moment) {
        self.log.push(format!("{how:?}"));
    }
    fn transmit(&mut self, _: ConnId, _: Moment) -> Option<&mut OutQueue> {
        while self.open && self.to_send > 0 && self.out.len() < READ_SIZE {
            let n = self.to_send.min(BLOCK);
            self.out.push(vec![0xa5; n].into());
            self.to_send -= n;
        }
        self.open.then_some(&mut self.out)
    }
    fn handle_timeout(&mut self, _: Moment) {
        self.wake = None;
        self.log.push("timeout".into());
    }
    fn wake_at(&self) -> Option<Moment> {
        self.wake
    }
    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

async fn until(driver: &mut Driver<Script>, entry: &str) {
    loop {
        assert!(driver.next_action().is_none());
        if driver.machine.log.iter().any(|e| e == entry) {
            return;
        }
        driver.ready().await;
    }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Reads to the end, then answers with a farewell.
async fn drain_then_say_goodbye(mut socket: TcpStream) -> usize {
    let (mut total, mut block) = (0, vec![0; 1 << 16]);
    loop {
        match socket.read(&mut block).await.unwrap() {
            0 => break,
            n => total += n,
        }
    }
    socket.write_all(b"last acknowledgement").await.unwrap();
    total
}

#[tokio::test]
async fn the_half_close_comes_after_every_byte_and_the_peers_last_words_are_read() {
    let (listener, port) = listener().await;
    let peer = tokio::spawn(async move { drain_then_say_goodbye(listener.accept().await.unwrap().0).await });
    let mut driver = Driver::new(Script::new(port, MUCH), Purpose::Publish);
    until(&mut driver, "dialed").await;
    driver.machine().actions.push_back(Action::ShutdownWrite(CONN));
    until(&mut driver, "Eof").await;
    assert_eq!(peer.await.unwrap(), MUCH);
    assert_eq!(driver.machine().received, b"last acknowledgement");
    assert!(driver.machine().out.is_empty());
}

#[tokio::test]
async fn a_full_socket_leaves_the_rest_with_the_machine() {
    let (listener, port) = listener().await;
    let mut driver = Driver::new(Script::new(port, MUCH), Purpose::Publish);
    until(&mut driver, "dialed").await;
    let (mut peer, _) = listener.accept().await.unwrap();
    // The peer does not read: the driver comes to rest, and the machine has not been made to encode everything.
    while driver.next_action().is_some() {}
    let left = driver.machine().to_send;
    assert!(left > 0 && driver.machine().out.len() < READ_SIZE + BLOCK, "{left} left to encode");
    let reader = tokio::spawn(async move {
        let mut all = vec![0; MUCH];
        peer.read_exact(&mut all).await.unwrap();
    });
    while driver.machine().to_send > 0 || !driver.machine().out.is_empty() {
        driver.ready().await;
        assert!(driver.next_action().is_none());
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn a_reset_is_told_from_an_end_and_a_close_drops_the_socket() {
    let (listener, port) = listener().await;
    let mut driver = Driver::new(Script::new(port, 100), Purpose::Play);
    until(&mut driver, "dialed").await;
    let (peer, _) = listener.accept().await.unwrap();
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    until(&mut driver, "Reset").await;
    assert!(driver.conns.is_empty());

    driver.machine().log.clear();
    driver.machine().actions.push_back(Action::Dial { conn: CONN, url: url(port), attempt: 0 });
    until(&mut driver, "dialed").await;
    let (mut peer, _) = listener.accept().await.unwrap();
    driver.machine().actions.push_back(Action::Close(CONN));
    assert!(driver.next_action().is_none());
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dial_that_fails_and_a_timer_reach_the_machine() {
    let (gone, port) = listener().await;
    drop(gone);
    let mut driver = Driver::new(Script::new(port, 0), Purpose::Play);
    until(&mut driver, "failed").await;
    driver.machine().wake = Some(clock::now() + Duration::from_millis(5));
    until(&mut driver, "timeout").await;
    assert!(driver.machine.log.iter().filter(|e| *e == "timeout").count() == 1);
}
