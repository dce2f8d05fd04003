//! Golden bytes of both sides, what is tolerated of peers, and that any split comes to the same.

use proptest::prelude::*;

use super::*;

const FFMPEG: &[u8; 1537] = include_bytes!("testdata/ffmpeg-5.1.bin");
const LIBRTMP: &[u8; 3073] = include_bytes!("testdata/librtmp-2.4.bin");
const LIBRTMP_RTMPE: &[u8; 1537] = include_bytes!("testdata/librtmp-2.4-rtmpe.bin");
const NGINX: &[u8; 3073] = include_bytes!("testdata/nginx-rtmp.bin");

/// C1 or S1, and C2 or S2, of what one side sends.
fn packets(bytes: &[u8]) -> ([u8; PACKET_LEN], [u8; PACKET_LEN]) {
    (*bytes[1..].first_chunk().unwrap(), *bytes.last_chunk().unwrap())
}

/// What a server answers to these C0 and C1.
fn answer(c0c1: &[u8]) -> BytesMut {
    let mut server = Server::new([0x51; RANDOM_LEN], 0x0A0B_0C0D);
    let (mut input, mut out) = (BytesMut::from(c0c1), OutQueue::new());
    assert_eq!(server.receive(&mut input, &mut out), Ok(false));
    drain(&mut out)
}

fn drain(out: &mut OutQueue) -> BytesMut {
    let mut bytes = BytesMut::new();
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    bytes
}

fn packet(first_8: [u8; 8], random: u8) -> Vec<u8> {
    [&first_8[..], &[random; RANDOM_LEN]].concat()
}

#[test]
fn golden_bytes_of_both_sides() {
    let mut out = OutQueue::new();
    let mut client = Client::new([0xC1; RANDOM_LEN], 0x0102_0304);
    let mut server = Server::new([0x51; RANDOM_LEN], 0x0A0B_0C0D);
    client.start(&mut out);
    client.start(&mut out);
    let mut c0c1 = drain(&mut out);
    let c1 = packet([1, 2, 3, 4, 0, 0, 0, 0], 0xC1);
    assert_eq!(c0c1[..], [&[3][..], &c1].concat());

    assert_eq!(server.receive(&mut c0c1, &mut out), Ok(false));
    let mut s0s1s2 = drain(&mut out);
    let s1 = packet([0x0A, 0x0B, 0x0C, 0x0D, 0, 0, 0, 0], 0x51);
    let s2 = packet([1, 2, 3, 4, 0x0A, 0x0B, 0x0C, 0x0D], 0xC1);
    assert_eq!(s0s1s2[..], [&[3][..], &s1, &s2].concat());

    s0s1s2.extend_from_slice(b"chunks");
    assert_eq!(client.receive(&mut s0s1s2, &mut out), Ok(true));
    assert_eq!(s0s1s2[..], b"chunks"[..]);
    let mut c2 = drain(&mut out);
    assert_eq!(c2[..], packet([0x0A, 0x0B, 0x0C, 0x0D, 1, 2, 3, 4], 0x51));

    c2.extend_from_slice(b"connect");
    assert_eq!(server.receive(&mut c2, &mut out), Ok(true));
    assert_eq!(c2[..], b"connect"[..]);
    assert!(out.is_empty() && server.is_done() && client.is_done());
    assert_eq!(server.receive(&mut c2, &mut out), Ok(true));
    assert_eq!(c2.len(), 7);
}

#[test]
fn versions_3_to_31_are_answered_with_3() {
    for version in 0..=255 {
        let mut server = Server::new([0; RANDOM_LEN], 0);
        let (mut input, mut out) = (BytesMut::from(&[version][..]), OutQueue::new());
        // The version alone is enough to refuse.
        let first = server.receive(&mut input, &mut out);
        assert_eq!(first.is_ok(), (3..=31).contains(&version), "version {version}");
        assert!(out.is_empty());
        if first.is_ok() {
            input.extend_from_slice(&[0; PACKET_LEN]);
            assert_eq!(server.receive(&mut input, &mut out), Ok(false));
            assert_eq!((drain(&mut out)[0], input.len()), (3, 0));
        }
    }
}

#[test]
fn a_client_takes_any_echo_but_no_other_version() {
    let mut out = OutQueue::new();
    let mut client = Client::new([7; RANDOM_LEN], 0);
    let mut input = BytesMut::from(&[3][..]);
    assert!(matches!(client.receive(&mut input, &mut out), Err(Error::Misuse(_))));
    client.start(&mut out);
    let mut other = client.clone();
    assert!(matches!(
        other.receive(&mut BytesMut::from(&[6][..]), &mut out),
        Err(Error::PeerIncompatible(_))
    ));
    input.extend_from_slice(&[0xEE; 2 * PACKET_LEN]);
    assert_eq!(client.receive(&mut input, &mut out), Ok(true));
    assert_eq!(out.len(), LEN);
}

#[test]
fn a_server_signs_for_who_signed_and_in_the_same_half() {
    for (c0c1, scheme, at) in [
        (&FFMPEG[..], Scheme::First, 494),
        (&LIBRTMP[..1537], Scheme::First, 430),
        (&LIBRTMP_RTMPE[..], Scheme::Second, 1383),
    ] {
        let answer = answer(c0c1);
        let (s1, s2) = packets(&answer);
        assert_eq!(
            (answer.len(), answer[0], s1[..8].to_vec()),
            (LEN, 3, vec![0x0A, 0x0B, 0x0C, 0x0D, 3, 5, 7, 0])
        );
        assert_eq!(digest::find(&s1, Side::Server).map(|found| found.0), Some(scheme));
        let c1 = c0c1[1 + at..1 + at + 32].try_into().unwrap();
        assert!(digest::answers(&s2, c1, Side::Server));
        // But for the signature it is an echo.
        let echoed = packets(c0c1).0;
        assert_eq!((&s2[..4], &s2[8..1504]), (&echoed[..4], &echoed[8..1504]));
    }
}

#[test]
fn a_wrong_digest_is_the_simple_handshake() {
    for capture in [&FFMPEG[..], &LIBRTMP_RTMPE[..]] {
        for at in [5, 9, 12, 495, 773, 1384, 1536] {
            let mut c0c1 = capture.to_vec();
            c0c1[at] ^= 0x80;
            let (s1, s2) = packets(&answer(&c0c1));
            assert_eq!(s1[..], packet([0x0A, 0x0B, 0x0C, 0x0D, 0, 0, 0, 0], 0x51));
            let c1 = packets(&c0c1).0;
            assert_eq!((&s2[..4], &s2[4..8], &s2[8..]), (&c1[..4], &[0x0A, 0x0B, 0x0C, 0x0D][..], &c1[8..]));
        }
    }
}

#[test]
fn a_client_signs_for_nginx_and_knows_it_again() {
    let mut client = Client::with_digest([7; RANDOM_LEN], 9);
    let mut out = OutQueue::new();
    client.start(&mut out);
    let c0c1 = drain(&mut out);
    let (_, ours) = digest::find(&packets(&c0c1).0, Side::Client).unwrap();
    assert_eq!(client.digest, Some(ours));
    // As if librtmp's C1, which nginx answered, had been its own.
    let (_, theirs) = digest::find(&packets(LIBRTMP).0, Side::Client).unwrap();
    let mut librtmp = Client { digest: Some(theirs), ..client.clone() };
    for (client, signed) in [(&mut librtmp, true), (&mut client, false)] {
        assert_eq!(client.receive(&mut BytesMut::from(&NGINX[..]), &mut out), Ok(true));
        assert_eq!(client.is_signed(), signed, "an S2 that answers another C1 is no fault");
        let (_, s1) = digest::find(&packets(NGINX).0, Side::Server).unwrap();
        assert!(digest::answers(drain(&mut out).first_chunk().unwrap(), &s1, Side::Client));
    }
}

#[test]
fn a_client_that_signs_takes_what_is_not_signed() {
    // The simple handshake's echo, and an S1 that was signed by a client.
    let c1 = [&[3][..], &LIBRTMP[1..1537], &[0; PACKET_LEN]].concat();
    for answer in [[3; LEN].to_vec(), c1] {
        let mut out = OutQueue::new();
        let mut client = Client::with_digest([7; RANDOM_LEN], 0x0102_0304);
        client.start(&mut out);
        out.clear();
        assert_eq!(client.receive(&mut BytesMut::from(&answer[..]), &mut out), Ok(true));
        assert!(client.is_done() && !client.is_signed());
        let mut echo = answer[1..1537].to_vec();
        echo[4..8].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(drain(&mut out)[..], echo);
    }
}

/// Carries bytes between the two in pieces, each side a copy of itself after every piece; what went each way.
fn converse(mut client: Client, mut server: Server, sizes: &[usize]) -> (Client, Server, BytesMut, BytesMut) {
    let (mut up, mut down) = (OutQueue::new(), OutQueue::new());
    let (mut sent_up, mut sent_down) = (BytesMut::new(), BytesMut::new());
    let (mut at_server, mut at_client) = (BytesMut::new(), BytesMut::new());
    let mut sizes = sizes.iter().cycle();
    client.start(&mut up);
    let mut carry = |from: &mut OutQueue, into: &mut BytesMut, sent: &mut BytesMut| {
        let n = from.front().map_or(0, <[u8]>::len).min(*sizes.next().unwrap());
        let piece = from.front().map(|slice| Bytes::copy_from_slice(&slice[..n])).unwrap_or_default();
        from.advance(n);
        into.extend_from_slice(&piece);
        sent.extend_from_slice(&piece);
    };
    while !(up.is_empty() && down.is_empty()) {
        carry(&mut up, &mut at_server, &mut sent_up);
        assert_eq!(server.receive(&mut at_server, &mut down), Ok(sent_up.len() == LEN));
        carry(&mut down, &mut at_client, &mut sent_down);
        assert_eq!(client.receive(&mut at_client, &mut up), Ok(sent_down.len() == LEN));
        (client, server) = (client.clone(), server.clone());
    }
    (client, server, sent_up, sent_down)
}

proptest! {
    #[test]
    fn any_split_gives_the_same(sizes in proptest::collection::vec(1..2000_usize, 1..6), tail in 0..20_usize) {
        let stream = [vec![3], vec![9; LEN - 1 + tail]].concat();
        let mut server = Server::new([1; RANDOM_LEN], 5);
        let mut client = Client::new([1; RANDOM_LEN], 5);
        let (mut to_client, mut to_server) = (OutQueue::new(), OutQueue::new());
        client.start(&mut to_server);
        let (mut a, mut b) = (BytesMut::new(), BytesMut::new());
        let (mut left, mut fed) = (&stream[..], 0);
        for size in sizes.iter().cycle() {
            let (piece, rest) = left.split_at((*size).min(left.len()));
            left = rest;
            fed += piece.len();
            a.extend_from_slice(piece);
            b.extend_from_slice(piece);
            prop_assert_eq!(server.receive(&mut a, &mut to_client), Ok(fed >= LEN));
            prop_assert_eq!(client.receive(&mut b, &mut to_server), Ok(fed >= LEN));
            if left.is_empty() {
                break;
            }
        }
        prop_assert_eq!((a.len(), b.len()), (tail, tail));
        prop_assert_eq!((to_client.len(), to_server.len()), (LEN, LEN));
    }

    #[test]
    fn any_split_signs_the_same(sizes in proptest::collection::vec(1..2000_usize, 1..6), random: u8, signs: bool) {
        let client = if signs { Client::with_digest } else { Client::new };
        let sides = || (client([random; RANDOM_LEN], 5), Server::new([random ^ 0xFF; RANDOM_LEN], 6));
        let (one, other) = sides();
        let whole = converse(one, other, &[LEN]);
        prop_assert_eq!([whole.0.is_signed(), whole.1.is_signed()], [signs; 2]);
        let (one, other) = sides();
        let split = converse(one, other, &sizes);
        prop_assert_eq!([split.0.is_signed(), split.1.is_signed()], [signs; 2]);
        prop_assert!(split.2 == whole.2 && split.3 == whole.3);
    }
}
