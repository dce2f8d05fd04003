//! Any split of the bytes gives the same events and the same answers.

use proptest::prelude::*;

use super::*;
use crate::leg::{LegHeader, Position, ResumeToken};

/// All bytes of a publisher's conversation, each way.
pub(super) fn published() -> Pair {
    let mut pair = Pair::streaming(client::Role::Publisher, Announce::ALL);
    let position = Position { index: 0, keyframes: 0, timestamp: Timestamp::ZERO };
    pair.client.send_leg_header(&LegHeader { token: ResumeToken([3; 16]), leg: 1, position });
    pair.client.send_media(&metadata());
    for ms in 0..6 {
        pair.client.send_media(&video(0xff_fffd + ms, ms == 0, 3000));
        pair.client.send_media(&media(TrackKind::Audio, 0xff_fffd + ms, b"\xaf\x01x"));
    }
    pair.run();
    pair.server.go_away(Some("rtmp://b/live"), pair.now);
    pair.run();
    pair.client.finish_publish();
    pair.run();
    pair
}

pub(super) fn played() -> Pair {
    let mut pair = Pair::streaming(client::Role::Player, Announce::ALL);
    for ms in 0..5 {
        pair.server.send_media(STREAM, &video(ms * 40, ms == 0, 3000));
    }
    pair.server.play_ended(STREAM, true);
    pair.run();
    pair
}

fn pieces<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = Bytes> + 'a {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).min(bytes.len());
        let (piece, rest) = bytes.split_at(size);
        bytes = rest;
        (!piece.is_empty()).then(|| Bytes::copy_from_slice(piece))
    })
}

/// What a server makes of `bytes` in these pieces: its events, and what it writes.
fn server_with(bytes: &[u8], sizes: &[usize]) -> (Vec<server::Event>, Vec<u8>) {
    let mut server = new_server(at(1000));
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for piece in pieces(bytes, sizes) {
        server.receive(piece, at(1000));
        serve(&mut server, Caller::Grants, at(1000), &mut events).unwrap();
        out.extend(drain(server.out()));
    }
    (events, out)
}

fn client_with(role: client::Role, bytes: &[u8], sizes: &[usize]) -> (Vec<client::Event>, Vec<u8>) {
    let mut client = client::Session::new(client_config(Announce::ALL), role, [9; 1528], at(1000));
    let mut out = drain(client.out());
    let mut events = Vec::new();
    for piece in pieces(bytes, sizes) {
        client.receive(piece, at(1000));
        while let Some(event) = client.poll_event().unwrap() {
            match (&event, role) {
                (client::Event::Connected(_), _) => client.create_stream(),
                (client::Event::StreamCreated(_), client::Role::Publisher) => client.publish(),
                (client::Event::StreamCreated(_), client::Role::Player) => client.play(None),
                _ => {}
            }
            events.push(event);
        }
        out.extend(drain(client.out()));
    }
    (events, out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_gives_the_same(sizes in prop::collection::vec(1usize..4000, 1..12), small in prop::collection::vec(1usize..40, 1..5)) {
        for (role, pair) in [(client::Role::Publisher, published()), (client::Role::Player, played())] {
            let whole = server_with(&pair.to_server, &[usize::MAX]);
            prop_assert!(whole.0 == pair.server_events);
            let client_whole = client_with(role, &pair.to_client, &[usize::MAX]);
            prop_assert!(client_whole.0 == pair.client_events);
            for sizes in [&sizes, &small] {
                prop_assert!(server_with(&pair.to_server, sizes) == whole);
                prop_assert!(client_with(role, &pair.to_client, sizes) == client_whole);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, cut in 0usize..200, role: bool) {
        let pair = if role { published() } else { played() };
        let role = if role { client::Role::Publisher } else { client::Role::Player };
        let mut server = new_server(at(0));
        let to_server = &pair.to_server[..pair.to_server.len() - cut];
        server.receive([to_server, &bytes].concat().into(), at(0));
        let _ = serve(&mut server, Caller::Grants, at(0), &mut Vec::new());
        let mut client = client::Session::new(client_config(Announce::ALL), role, [9; 1528], at(0));
        let to_client = &pair.to_client[..pair.to_client.len() - cut];
        client.receive([to_client, &bytes].concat().into(), at(0));
        while let Ok(Some(_)) = client.poll_event() {}
    }
}
