//! RTMP 1.0, 5.2.1: who waits for what in the handshake. The bytes of its packets are tested beside the code.

#![allow(clippy::unwrap_used, reason = "tests")]

mod wire;

use std::sync::Arc;

use segue_proto::caps::Announce;
use segue_proto::session::{client, server};
use segue_proto::url::RtmpUrl;
use wire::{CONNECT, at, chunk, drain};

#[test]
fn a_client_sends_c2_after_s1_and_data_after_s2() {
    let url = RtmpUrl::parse("rtmp://server.test/live/cam").unwrap();
    let config = client::Config { announce: Announce::NONE, ..client::Config::new(url) };
    let mut client = client::Session::new(config, client::Role::Publisher, [1; 1528], at(0));
    let mut said = |bytes: &[u8]| {
        client.receive(bytes.to_vec().into(), at(0));
        assert_eq!(client.poll_event(), Ok(None));
        drain(client.out())
    };
    assert_eq!(said(&[]).len(), 1537, "C0 and C1 wait for nothing");
    let s1 = [&[0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0][..], &[0x51; 1528]].concat();
    assert_eq!(said(&[3]), [], "S0 is not S1");
    assert_eq!(said(&s1[..1535]), [], "nor are 1535 bytes of it");
    let c2 = said(&s1[1535..]);
    assert_eq!(c2.len(), 1536, "C2 and nothing else");
    assert_eq!((&c2[..4], &c2[8..]), (&s1[..4], &s1[8..]), "the server's time and random bytes");
    assert_eq!(said(&[0; 1535]), [], "nothing before all of S2");
    let connect = said(&[0]);
    assert_eq!((connect[0], connect[7]), (3, 20), "format 0, chunk stream 3, a command");
}

#[test]
fn a_server_sends_s2_after_c1_and_data_after_c2() {
    let mut server = server::Session::new(Arc::new(server::Config::default()), [7; 1528], at(0));
    let mut said = |bytes: &[u8]| {
        server.receive(bytes.to_vec().into(), at(0));
        let event = server.poll_event().unwrap();
        if event.is_some() {
            server.accept_connect(false, at(0));
        }
        (event.is_some(), drain(server.out()))
    };
    assert_eq!(said(&[]), (false, vec![]), "nothing unasked");
    let c1 = [&[1, 2, 3, 4, 0, 0, 0, 0][..], &[0xc1; 1528]].concat();
    let (_, mut hello) = said(&[&[3][..], &c1[..1535]].concat());
    assert!(hello.len() <= 1537, "S2 waits for all of C1");
    hello.extend(said(&c1[1535..]).1);
    assert_eq!(hello.len(), 3073, "S0, S1 and S2, and nothing else");
    let s2 = &hello[1537..];
    assert_eq!((hello[0], &s2[..4], &s2[8..]), (3, &c1[..4], &c1[8..]), "the client's time and random bytes");
    assert_eq!(said(&[0; 1535]), (false, vec![]), "nothing before all of C2");
    let (connected, answer) = said(&[&[0][..], &chunk(3, 0, 20, 0, CONNECT)].concat());
    assert!(connected && answer.len() > 16);
}

#[test]
fn the_second_time_is_when_the_peers_packet_was_read() {
    let url = RtmpUrl::parse("rtmp://server.test/live/cam").unwrap();
    let mut client = client::Session::new(client::Config::new(url), client::Role::Player, [1; 1528], at(5));
    let mut server = server::Session::new(Arc::new(server::Config::default()), [7; 1528], at(20_000));
    let c0c1 = drain(client.out());
    assert_eq!(c0c1[1..5], [0, 0, 0, 5]);
    server.receive(c0c1[..700].to_vec().into(), at(20_100));
    assert_eq!(server.poll_event(), Ok(None));
    server.receive(c0c1[700..].to_vec().into(), at(20_300));
    assert_eq!(server.poll_event(), Ok(None));
    let hello = drain(server.out());
    assert_eq!(hello[1537..1545], [0, 0, 0, 5, 0, 0, 0x4f, 0x4c], "5 ms; 20,300 ms");
    client.receive(hello.into(), at(1000));
    assert_eq!(client.poll_event(), Ok(None));
    let c2 = drain(client.out());
    assert_eq!(c2[..8], [0, 0, 0x4e, 0x20, 0, 0, 0x03, 0xe8], "20,000 ms; 1000 ms");
}
