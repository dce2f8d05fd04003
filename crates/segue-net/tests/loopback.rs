//! `Publisher` and `Player` against scripted servers on the loopback: each a listener that runs `session::server` and
//! decides in the test what a server would decide.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use bytes::Bytes;
use segue_net::publisher::Feed;
use segue_net::{Event as ClientEvent, Player, Publisher};
use segue_proto::client::{Ending, PlayerConfig, PublisherConfig};
use segue_proto::handover::record::{HandoverResult, Signal};
use segue_proto::message::MessageStreamId;
use segue_proto::session::GoAwaySignal;
use segue_proto::session::server::{Config, Event, Session};
use segue_proto::url::RtmpUrl;
use segue_proto::{MediaMessage, Timestamp, TrackKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A connection as a server sees it.
struct Peer {
    socket: TcpStream,
    session: Session,
}

impl Peer {
    async fn accept(listener: &TcpListener, server_id: &str) -> Self {
        let (socket, _) = listener.accept().await.unwrap();
        let config = Config { server_id: server_id.into(), ..Config::default() };
        let session = Session::new(Arc::new(config), [7; 1528], segue_net::clock::now());
        Self { socket, session }
    }

    async fn flush(&mut self) {
        while let Some(slice) = self.session.out().pop() {
            self.socket.write_all(&slice).await.unwrap();
        }
    }

    /// The next event; `None` at the end of the bytes.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.session.poll_event().unwrap() {
                return Some(event);
            }
            self.flush().await;
            let mut block = vec![0; 16 * 1024];
            match self.socket.read(&mut block).await.unwrap() {
                0 => return None,
                n => self.session.receive(Bytes::copy_from_slice(&block[..n]), segue_net::clock::now()),
            }
        }
    }

    /// Lets a client connect, up to its wish to publish or play.
    async fn wish(&mut self) -> MessageStreamId {
        loop {
            match self.event().await.unwrap() {
                Event::Connect { .. } => self.session.accept_connect(false, segue_net::clock::now()),
                Event::Publish { stream, .. } | Event::Play { stream, .. } => return stream,
                _ => {}
            }
        }
    }

    /// The last acknowledgement, then the end.
    async fn close(mut self) {
        let offset = self.session.consumed();
        self.session.final_acknowledgement(offset);
        self.flush().await;
        self.socket.shutdown().await.unwrap();
        // Read to the end: a socket dropped with unread input is reset.
        let mut rest = Vec::new();
        self.socket.read_to_end(&mut rest).await.unwrap();
    }
}

/// A server that takes one publisher. It tells it to go to `elsewhere` after `go_after` messages, if asked to; it
/// says by `name` in `arrived` that a message came, and gives them at the end.
async fn ingest(
    listener: TcpListener,
    go_after: Option<(usize, String)>,
    name: &'static str,
    arrived: mpsc::UnboundedSender<&'static str>,
) -> Vec<MediaMessage> {
    let mut peer = Peer::accept(&listener, name).await;
    let stream = peer.wish().await;
    peer.session.publish_start(stream);
    let mut media = Vec::new();
    while let Some(event) = peer.event().await {
        match event {
            Event::Media { message, .. } if message.info().is_media() => {
                media.push(message);
                let _ = arrived.send(name);
                if let Some((_, tc_url)) = go_after.as_ref().filter(|(after, _)| *after == media.len()) {
                    let told = peer.session.go_away(Some(tc_url), segue_net::clock::now());
                    assert_eq!(told, Some(GoAwaySignal::ReconnectRequest));
                    peer.flush().await;
                }
            }
            Event::Unpublish { .. } => break,
            _ => {}
        }
    }
    peer.close().await;
    media
}

async fn listener() -> (TcpListener, RtmpUrl) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = RtmpUrl::parse(&format!("rtmp://{}/live/x", listener.local_addr().unwrap())).unwrap();
    (listener, url)
}

/// 25 frames a second, a keyframe every tenth.
fn frame(i: u32) -> MediaMessage {
    let tag: &[u8] = if i.is_multiple_of(10) { b"\x17\x01\0\0\0" } else { b"\x27\x01\0\0\0" };
    let payload: Bytes = [tag, &i.to_be_bytes(), &[0x42; 3000]].concat().into();
    MediaMessage::new(TrackKind::Video, Timestamp::from_millis(i * 40), payload)
}

#[tokio::test]
async fn what_is_pushed_arrives_and_is_confirmed() {
    let (listener, url) = listener().await;
    let server = tokio::spawn(ingest(listener, None, "a", mpsc::unbounded_channel().0));
    let publisher = Publisher::connect(PublisherConfig::new(url), Feed::Unpaced, None);
    // More than the channel and a socket hold, so that pushing has to wait.
    let sent: Vec<_> = (0..2000).map(frame).collect();
    for message in &sent {
        publisher.push(message.clone()).await.unwrap();
    }
    let report = publisher.finish().await;
    assert_eq!(report.outcome.ending, Ending::Complete);
    assert_eq!((report.outcome.confirmed, report.outcome.missing), (Some(true), 0));
    assert_eq!((report.counts.pushed, report.handovers.len()), (2000, 0));
    assert_eq!(server.await.unwrap(), sent);
}

#[tokio::test]
async fn a_publisher_that_is_told_to_go_splits_its_stream_at_a_keyframe() {
    let (old, url) = listener().await;
    let (new, target) = listener().await;
    let (arrive, mut arrived) = mpsc::unbounded_channel();
    let old = tokio::spawn(ingest(old, Some((15, target.tc_url())), "old", arrive.clone()));
    let new = tokio::spawn(ingest(new, None, "new", arrive));
    let (records, mut moved) = mpsc::channel(8);
    let listener = move |event| {
        if let ClientEvent::Handover(record) = event {
            records.try_send(record).unwrap();
        }
    };
    let publisher = Publisher::connect(PublisherConfig::new(url), Feed::Live, Some(Box::new(listener)));
    // In step with the servers, in place of a clock: a frame when the one before it has arrived.
    let (mut sent, mut at_new) = (Vec::new(), 0);
    while at_new < 20 {
        let message = frame(u32::try_from(sent.len()).unwrap());
        sent.push(message.clone());
        publisher.push(message).await.unwrap();
        at_new += usize::from(arrived.recv().await == Some("new"));
    }
    let report = publisher.finish().await;
    assert_eq!((report.outcome.ending, report.outcome.missing), (Ending::Complete, 0));
    assert_eq!(report.outcome.confirmed, Some(true));
    let (first, second) = (old.await.unwrap(), new.await.unwrap());
    assert!(first.len() >= 15 && second.first().unwrap().payload[0] == 0x17);
    assert_eq!([first, second].concat(), sent);
    let record = moved.recv().await.unwrap();
    assert_eq!(report.handovers, std::slice::from_ref(&record));
    assert_eq!((record.result, record.signal), (HandoverResult::Moved, Signal::ReconnectRequest));
    assert_eq!((record.missing, record.overlap, record.confirmed), (Some(0), Some(0), Some(true)));
    assert!(record.at.unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_refused_or_unreachable_stream_is_over_and_the_report_says_why() {
    let (listener, url) = listener().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener, "a").await;
        while let Some(event) = peer.event().await {
            match event {
                Event::Connect { .. } => peer.session.accept_connect(false, segue_net::clock::now()),
                Event::Publish { stream, .. } => {
                    peer.session.publish_refused(stream, "NetStream.Publish.Denied", "not you");
                    peer.flush().await;
                    break;
                }
                _ => {}
            }
        }
        // The listener goes too: nobody answers from now on.
        drop(listener);
        peer.close().await;
    });
    let publisher = Publisher::connect(PublisherConfig::new(url), Feed::Live, None);
    publisher.push(frame(0)).await.unwrap();
    publisher.over().await;
    assert!(publisher.push(frame(1)).await.is_err());
    let report = publisher.finish().await;
    assert!(matches!(report.outcome.ending, Ending::Failed(_)), "{:?}", report.outcome);
    server.await.unwrap();
}

#[tokio::test]
async fn a_player_gives_every_message_in_order_at_the_programs_pace() {
    const MESSAGES: u32 = 3000;
    let (listener, url) = listener().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener, "a").await;
        let stream = peer.wish().await;
        peer.session.play_start(stream);
        for i in 0..MESSAGES {
            peer.session.send_media(stream, &frame(i));
            // Waits while the program, its channel and the sockets hold all that they can.
            peer.flush().await;
        }
        peer.session.play_ended(stream, true);
        peer.session.stream_eof(stream);
        peer.close().await;
    });
    let mut player = Player::connect(PlayerConfig::new(url), None);
    let mut received = 0;
    while let Some(message) = player.next().await {
        assert_eq!(message, frame(received));
        received += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(received, MESSAGES);
    let report = player.finish().await;
    assert_eq!((report.outcome.ending, report.outcome.missing), (Ending::Complete, 0));
    server.await.unwrap();
}

#[tokio::test]
async fn a_player_stops_when_asked_even_if_nobody_takes_its_messages() {
    let (listener, url) = listener().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener, "a").await;
        let stream = peer.wish().await;
        peer.session.play_start(stream);
        for i in 0.. {
            peer.session.send_media(stream, &frame(i));
            while let Some(slice) = peer.session.out().pop() {
                if peer.socket.write_all(&slice).await.is_err() {
                    return;
                }
            }
        }
    });
    let mut player = Player::connect(PlayerConfig::new(url), None);
    assert_eq!(player.next().await, Some(frame(0)));
    let report = player.finish().await;
    assert_eq!(report.outcome.ending, Ending::Aborted);
    server.await.unwrap();
}
