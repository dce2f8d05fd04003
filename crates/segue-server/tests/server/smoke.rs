//! One whole server on loopback: real sockets, several shards, a recording, the API, a drain, the end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use segue_proto::Moment;
use segue_proto::caps::Announce;
use segue_proto::session::client::{Config, Event, Role, Session};
use segue_proto::url::RtmpUrl;
use segue_server::{Server, ServerConfig};

use crate::world::{Source, sequence_header};

/// A client over a blocking socket.
struct Client {
    socket: TcpStream,
    session: Session,
    events: Vec<Event>,
    eof: bool,
}

impl Client {
    fn connect(address: SocketAddr, role: Role, announce: Announce) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let url = RtmpUrl::parse(&format!("rtmp://{address}/live/cam")).unwrap();
        let session = Session::new(Config { announce, ..Config::new(url) }, role, [5; 1528], Moment::ORIGIN);
        Self { socket, session, events: Vec::new(), eof: false }
    }

    fn step(&mut self) {
        while let Some(bytes) = self.session.out().pop() {
            self.socket.write_all(&bytes).unwrap();
        }
        let mut buffer = [0; 65536];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.eof = true,
            Ok(n) => self.session.receive(buffer[..n].to_vec().into(), Moment::ORIGIN),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
        while let Some(event) = self.session.poll_event().unwrap() {
            match event {
                Event::Connected(_) => self.session.create_stream(),
                Event::StreamCreated(_) => {
                    self.session.publish();
                    self.session.play(None);
                }
                _ => {}
            }
            self.events.push(event);
        }
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "waited for {what} in vain: {:?}",
                self.events.last()
            );
            self.step();
        }
    }

    fn media(&self) -> usize {
        self.events.iter().filter(|e| matches!(e, Event::Media(m) if m.info().is_media())).count()
    }
}

#[test]
fn publish_play_record_drain_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ServerConfig {
        rtmp: any,
        http: None,
        admin: None,
        record: Some(dir.path().to_owned()),
        shards: 2,
        ..Default::default()
    };
    let server = Server::bind(config).unwrap();
    let (address, handle) = (server.addresses().rtmp, server.handle());
    let running = server.spawn().unwrap();

    let mut publisher = Client::connect(address, Role::Publisher, Announce::ALL);
    publisher.until("the publish", |c| c.events.contains(&Event::PublishStarted));
    // Accepted next, so on the other shard.
    let mut viewer = Client::connect(address, Role::Player, Announce::ALL);
    viewer.until("the play", |c| c.events.contains(&Event::PlayStarted));
    let mut source = Source::new();
    publisher.session.send_media(&sequence_header());
    // Within the log's bounds however slow the viewer's loop is: nobody paces this.
    for _ in 0..200 {
        publisher.session.send_media(&source.next());
    }
    publisher.step();
    viewer.until("200 messages", |c| c.media() == 200);

    let mut request = handle.default_drain();
    request.to = Some(segue_server::drain::Target::parse("rtmp://127.0.0.1:9").unwrap());
    handle.drain(request).unwrap();
    let told = |c: &Client| c.events.iter().any(|e| matches!(e, Event::GoAway { .. }));
    viewer.until("the viewer's signal", told);
    publisher.until("the publisher's signal", told);
    let sent = publisher.session.sent();
    publisher.socket.shutdown(Shutdown::Write).unwrap();
    publisher.until("the end", |c| c.eof);
    assert!(publisher.events.contains(&Event::Acknowledged { sequence: sent as u32 }));
    viewer.until("the leg's end", |c| c.eof);
    assert!(viewer.events.contains(&Event::StreamEof));
    drop(viewer);
    let report = handle.wait_drained(Duration::from_secs(20));
    assert_eq!(report.streams[0].result, Some("moved"));
    assert!(!report.has_loss());
    assert_eq!(handle.hub().handovers()[0].confirmed, Some(true));
    handle.stop_now();
    running.join().unwrap();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");

    let file = std::fs::read_dir(dir.path().join("live")).unwrap().next().unwrap().unwrap().path();
    let mut reader = segue_flv::Reader::new();
    reader.push(std::fs::read(file).unwrap().into());
    let mut tags = 0;
    while reader.next().unwrap().is_some() {
        tags += 1;
    }
    assert_eq!(tags, 201);
}

#[test]
fn a_source_that_nobody_paces_is_recorded_whole() {
    const MESSAGES: usize = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let record = Some(dir.path().to_owned());
    let config = ServerConfig { rtmp: any, http: None, admin: None, record, shards: 1, ..Default::default() };
    let server = Server::bind(config).unwrap();
    let (address, handle) = (server.addresses().rtmp, server.handle());
    let running = server.spawn().unwrap();
    let mut publisher = Client::connect(address, Role::Publisher, Announce::ALL);
    publisher.until("the publish", |c| c.events.contains(&Event::PublishStarted));
    let mut source = Source::new();
    for _ in 0..MESSAGES / 100 {
        for _ in 0..100 {
            publisher.session.send_media(&source.next());
        }
        while let Some(bytes) = publisher.session.out().pop() {
            publisher.socket.write_all(&bytes).unwrap();
        }
    }
    publisher.session.finish_publish();
    publisher.until("the end", |c| c.eof);
    drop(publisher);
    handle.stop_now();
    running.join().unwrap();
    let file = std::fs::read_dir(dir.path().join("live")).unwrap().next().unwrap().unwrap().path();
    let mut reader = segue_flv::Reader::new();
    reader.push(std::fs::read(file).unwrap().into());
    let mut tags = 0;
    while reader.next().unwrap().is_some() {
        tags += 1;
    }
    assert_eq!(tags, MESSAGES);
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = |rtmp| ServerConfig { rtmp, http: None, admin: None, shards: 1, ..Default::default() };
    let first = Server::bind(config(any)).unwrap();
    let address = first.addresses().rtmp;
    let error = Server::bind(config(address)).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {address}: ")) && !error.contains('\n'), "{error}");
}
