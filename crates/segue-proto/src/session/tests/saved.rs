//! Saved and restored at any byte, a session goes on as if nothing had been. What was not saved is not restored, and
//! does no harm.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::splits::{played, published};
use super::*;
use crate::state::{RestoreError, VERSION};
use client::Role::{self, Player, Publisher};

fn again(server: &server::Session) -> Option<server::Session> {
    let restored = server::Session::restore(Arc::new(server_config()), &server.save()?).unwrap();
    assert_eq!(restored.save(), server.save());
    assert_eq!(restored.wake_at(), server.wake_at());
    Some(restored)
}

fn again_client(client: &client::Session) -> Option<client::Session> {
    let restored = client::Session::restore(&client.save()?).unwrap();
    assert_eq!(restored.save(), client.save());
    assert_eq!(restored.wake_at(), client.wake_at());
    Some(restored)
}

/// What a server made of some bytes: events, what it wrote, what it ended with.
type Course<Event> = (Vec<Event>, Vec<u8>, Option<Error>);

/// The course of a server that takes `bytes` in steps of these sizes, a byte of its answer leaving at each; where
/// `moves` is set, it is saved and restored before and after each look for events.
fn server_course(bytes: &[u8], sizes: &[usize], moves: bool) -> Course<server::Event> {
    let mut server = new_server(at(1000));
    let (mut events, mut sent, mut error, mut left) = (Vec::new(), Vec::new(), None, bytes);
    for (n, size) in sizes.iter().cycle().enumerate() {
        if left.is_empty() || error.is_some() {
            break;
        }
        let (piece, rest) = left.split_at((*size).min(left.len()));
        left = rest;
        // Time goes on too, for acknowledgements and the budget.
        let now = at(1000 + n as u64 / 8);
        server.receive(Bytes::copy_from_slice(piece), now);
        if moves {
            server = again(&server).unwrap();
        }
        error = serve(&mut server, Caller::Grants, now, &mut events).err();
        let consumed = server.consumed();
        server.taken(consumed, now);
        if moves {
            match again(&server) {
                Some(restored) => server = restored,
                None => assert!(error.is_some()),
            }
        }
        sent.extend(server.out().front().map(|slice| slice[0]));
        server.out().advance(1);
    }
    sent.extend(drain(server.out()));
    (events, sent, error)
}

fn client_course(role: Role, bytes: &[u8], sizes: &[usize], moves: bool) -> Course<client::Event> {
    let mut client = client::Session::new(client_config(Announce::ALL), role, [9; 1528], at(1000));
    let (mut events, mut sent, mut error, mut left) = (Vec::new(), Vec::new(), None, bytes);
    for size in sizes.iter().cycle() {
        if left.is_empty() || error.is_some() {
            break;
        }
        let (piece, rest) = left.split_at((*size).min(left.len()));
        left = rest;
        client.receive(Bytes::copy_from_slice(piece), at(1000));
        if moves {
            client = again_client(&client).unwrap();
        }
        loop {
            match client.poll_event() {
                Ok(Some(event)) => {
                    match (&event, role) {
                        (client::Event::Connected(_), _) => client.create_stream(),
                        (client::Event::StreamCreated(_), Publisher) => client.publish(),
                        (client::Event::StreamCreated(_), Player) => client.play(None),
                        (client::Event::PublishStarted, _) => drop(client.send_media(&video(40, true, 300))),
                        _ => {}
                    }
                    events.push(event);
                }
                Ok(None) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
        }
        if moves {
            match again_client(&client) {
                Some(restored) => client = restored,
                None => assert!(error.is_some()),
            }
        }
        sent.extend(client.out().front().map(|slice| slice[0]));
        client.out().advance(1);
    }
    sent.extend(drain(client.out()));
    (events, sent, error)
}

#[test]
fn at_every_byte_of_a_conversation() {
    for (role, pair) in [(Publisher, published()), (Player, played())] {
        let still = server_course(&pair.to_server, &[1], false);
        assert_eq!((still.0.len(), &still.2), (pair.server_events.len(), &None));
        assert!(server_course(&pair.to_server, &[1], true) == still);
        let still = client_course(role, &pair.to_client, &[1], false);
        assert_eq!((still.0.len(), &still.2), (pair.client_events.len(), &None));
        assert!(client_course(role, &pair.to_client, &[1], true) == still);
    }
}

#[test]
fn at_every_byte_of_what_others_sent() {
    for (handshake, chunks) in [
        (
            &include_bytes!("../../handshake/testdata/librtmp-2.4.bin")[..],
            include_bytes!("../../chunk/testdata/librtmp-2.4.bin").as_slice(),
        ),
        (&[3; 3073][..], include_bytes!("../../chunk/testdata/ffmpeg-5.1.bin")),
    ] {
        let bytes = [handshake, chunks].concat();
        let still = server_course(&bytes, &[1], false);
        assert!(still.0.len() > 20 && still.2.is_none());
        assert!(server_course(&bytes, &[1], true) == still);
    }
}

#[test]
fn what_was_announced_and_told_is_kept() {
    let announce = Announce { reconnect: false, go_away: true, segue: false };
    let mut pair = Pair::streaming(Publisher, announce);
    pair.server.go_away(None, pair.now).unwrap();
    let mut restored = again(&pair.server).unwrap();
    assert_eq!((restored.told(), restored.announce()), (pair.server.told(), announce));
    // Quiet, but for the repeat.
    let waiting = restored.out().len();
    restored.taken(5_000_000, at(9000));
    assert_eq!(restored.out().len(), waiting);
    restored.repeat_go_away();
    assert_eq!(restored.out().len(), waiting + 16);

    // An acknowledgement that is due later.
    let mut ours = Pair::streaming(Publisher, Announce::ALL);
    let consumed = ours.server.consumed();
    ours.server.taken(consumed + 10, at(1100));
    let mut restored = again(&ours.server).unwrap();
    let due = restored.wake_at().unwrap();
    for server in [&mut restored, &mut ours.server] {
        server.handle_timeout(due).unwrap();
    }
    let acks = drain(restored.out());
    assert!(!acks.is_empty() && acks == drain(ours.server.out()));
}

#[test]
fn state_of_another_version_or_kind_is_refused() {
    let (server, client) = (published().server.save().unwrap(), published().client.save().unwrap());
    let config = || Arc::new(server_config());
    assert!(matches!(server::Session::restore(config(), &client), Err(RestoreError::Malformed(_))));
    assert!(matches!(client::Session::restore(&server), Err(RestoreError::Malformed(_))));
    let mut other = server.clone();
    other[4..6].copy_from_slice(&(VERSION + 1).to_be_bytes());
    assert_eq!(server::Session::restore(config(), &other).err(), Some(RestoreError::Version(VERSION + 1)));
    let longer = [&server[..], &[0]].concat();
    assert!(matches!(server::Session::restore(config(), &longer), Err(RestoreError::Malformed(_))));
    let chunks = Arc::new(server::Config { chunk_size: 4096, ..server_config() });
    assert_eq!(server::Session::restore(chunks, &server).err(), Some(RestoreError::ChunkSize));
}

#[test]
fn a_session_that_failed_is_not_saved() {
    let mut server = new_server(at(0));
    server.receive(Bytes::from_static(b"GET /"), at(0));
    assert!(server.poll_event().is_err() && server.save().is_none());
    let mut client = client::Session::new(client_config(Announce::ALL), Publisher, [9; 1528], at(0));
    assert!(client.save().is_some());
    client.receive(Bytes::from_static(b"HTTP/"), at(0));
    assert!(client.poll_event().is_err() && client.save().is_none());
}

/// A change to what is saved shows here: it needs a new [`VERSION`], and then new sums. New
/// words in what a session says, and other prices, need new sums only.
#[test]
fn the_format_is_that_of_its_version() {
    let sum = |bytes: Vec<u8>| {
        Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let mut pair = Pair::streaming(Publisher, Announce::ALL);
    pair.server.receive([header_of(5000), vec![7; 100]].concat().into(), at(2000));
    assert_eq!(pair.server.poll_event(), Ok(None));
    let sums = [
        sum(new_server(at(0)).save().unwrap()),
        sum(pair.server.save().unwrap()),
        sum(pair.client.save().unwrap()),
        sum(Pair::streaming(Player, Announce::NONE).client.save().unwrap()),
    ];
    assert_eq!(
        (VERSION, sums.each_ref().map(String::as_str)),
        (1, ["748386933c9a945a", "6f5ac59506880239", "432ff31b01a20133", "25831f4195d00af0"])
    );
}

/// A video message of `length` bytes on chunk stream 6, without its payload.
fn header_of(length: u32) -> Vec<u8> {
    let [_, l @ ..] = length.to_be_bytes();
    [&[6, 0, 0, 0][..], &l, &[9, 1, 0, 0, 0]].concat()
}

/// Saved states of all sorts: in the handshake, in a message, with unsent bytes.
fn states() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut servers, mut clients) = (vec![new_server(at(0)).save().unwrap()], Vec::new());
    for (role, pair) in [(Publisher, published()), (Player, played())] {
        for cut in [1000, 3100, 3300, pair.to_server.len() - 1500] {
            let mut server = new_server(at(1000));
            server
                .receive(Bytes::copy_from_slice(&pair.to_server[..cut.min(pair.to_server.len())]), at(1000));
            serve(&mut server, Caller::Grants, at(1000), &mut Vec::new()).unwrap();
            servers.push(server.save().unwrap());
            let mut client = client::Session::new(client_config(Announce::ALL), role, [9; 1528], at(1000));
            client
                .receive(Bytes::copy_from_slice(&pair.to_client[..cut.min(pair.to_client.len())]), at(1000));
            while client.poll_event().unwrap().is_some() {}
            clients.push(client.save().unwrap());
        }
        clients.push(pair.client.save().unwrap());
        servers.push(pair.server.save().unwrap());
    }
    (servers, clients)
}

/// Whatever was restored: driven on, it must not panic.
fn drive(server: Result<server::Session, RestoreError>, client: Result<client::Session, RestoreError>) {
    let bytes = [header_of(3), b"abc".to_vec(), vec![0xC6, 1, 2, 3], header_of(900), vec![0; 900]].concat();
    if let Ok(mut server) = server {
        server.receive(bytes.clone().into(), at(5000));
        let _ = serve(&mut server, Caller::Grants, at(5000), &mut Vec::new());
        let consumed = server.consumed();
        server.taken(consumed, at(5000));
        server.go_away(None, at(5000));
        let _ = server.handle_timeout(at(5000));
        server.final_acknowledgement(consumed);
        drain(server.out());
    }
    if let Ok(mut client) = client {
        client.receive(bytes.into(), at(5000));
        while let Ok(Some(_)) = client.poll_event() {}
        client.create_stream();
        client.publish();
        client.play(None);
        client.send_media(&video(40, true, 300));
        client.finish_publish();
        drain(client.out());
    }
}

#[test]
fn state_that_is_cut_short_anywhere_is_refused() {
    let (servers, clients) = states();
    for state in &servers {
        for len in 0..state.len() {
            let cut = server::Session::restore(Arc::default(), &state[..len]);
            assert!(matches!(cut, Err(RestoreError::Malformed(_))), "{len} of {}", state.len());
        }
    }
    for state in &clients {
        for len in 0..state.len() {
            let cut = client::Session::restore(&state[..len]);
            assert!(matches!(cut, Err(RestoreError::Malformed(_))), "{len} of {}", state.len());
        }
    }
}

#[test]
fn a_byte_changed_anywhere_does_no_harm() {
    let (servers, clients) = states();
    for (server, client) in servers.iter().zip(&clients) {
        for at in 0..server.len().max(client.len()) {
            for to in [0, 0x7F, 0xFF] {
                let changed = |state: &[u8]| {
                    let mut state = state.to_vec();
                    state.get_mut(at).into_iter().for_each(|byte| *byte = to);
                    state
                };
                let config = Arc::new(server_config());
                drive(
                    server::Session::restore(config, &changed(server)),
                    client::Session::restore(&changed(client)),
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn at_any_cut_of_anything(
        publishes: bool,
        at_byte in 0.0..1.0_f64,
        junk in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1_usize..300, 1..8),
    ) {
        let (role, pair) = if publishes { (Publisher, published()) } else { (Player, played()) };
        let spoilt = |bytes: &[u8]| {
            let (before, after) = bytes.split_at((bytes.len() as f64 * at_byte) as usize);
            [before, &junk, after].concat()
        };
        let bytes = spoilt(&pair.to_server);
        prop_assert!(server_course(&bytes, &sizes, true) == server_course(&bytes, &sizes, false));
        let bytes = spoilt(&pair.to_client);
        prop_assert!(client_course(role, &bytes, &sizes, true) == client_course(role, &bytes, &sizes, false));
    }
}
