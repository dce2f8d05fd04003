//! Abuse: floods, tiny pieces, sizes that lie. What chunks alone can do is tested in `chunk::bounds`.

use super::*;
use crate::chunk::{CHUNK_COST, COMMAND_COST, CONTROL_COST, CREDIT_PER_MS, MAX_CHUNK_STREAMS, MAX_CREDIT};
use crate::message::control::Control;
use crate::message::user_control::UserControl;
use crate::session::ack::MIN_WINDOW;
use crate::session::{BEGIN_COST, MAX_UNREAD};

fn over_limit<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LimitExceeded(_)))
}

/// A video chunk's full header by hand, on message stream 1.
fn header(csid: u8, length: u32) -> Vec<u8> {
    let [_, l @ ..] = length.to_be_bytes();
    [&[csid, 0, 0, 0][..], &l, &[9, 1, 0, 0, 0]].concat()
}

fn set_chunk_size(size: u32) -> Message {
    Message::control(type_id::SET_CHUNK_SIZE, Bytes::copy_from_slice(&size.to_be_bytes()))
}

/// How often `flood` goes through at one moment.
fn floods(foreign: &mut Foreign, mut flood: impl FnMut(&mut Foreign) -> Result<(), Error>) -> u64 {
    for n in 0..2 * MAX_CREDIT {
        match flood(foreign) {
            Ok(()) => drop(drain(foreign.server.out())),
            Err(error) => {
                assert!(over_limit::<()>(&Err(error)));
                assert!(over_limit(&foreign.server.poll_event()), "an error stays");
                return n;
            }
        }
    }
    u64::MAX
}

fn empty_chunks(foreign: &mut Foreign) -> Result<(), Error> {
    foreign.feed(&[0xC9])
}

fn ping(foreign: &mut Foreign) -> Result<(), Error> {
    foreign.message(csid::CONTROL, &UserControl::PingRequest(1).to_message())
}

fn create_stream(foreign: &mut Foreign) -> Result<(), Error> {
    foreign.command(&Command::new("createStream", 2.0), 0)
}

#[test]
fn v04_a_message_inside_another_is_an_error_and_after_an_abort_is_none() {
    let begun = [header(6, 300), vec![0x17; 128]].concat();
    for format in 0..=2_u8 {
        let mut foreign = Foreign::publishing([]);
        foreign.take_events();
        foreign.feed(&begun).unwrap();
        let mut inside = header(6, 5);
        inside[0] |= format << 6;
        assert!(matches!(foreign.feed(&inside), Err(Error::PeerMisbehaved(_))), "format {format}");
        assert_eq!(foreign.take_events(), []);
    }
    let mut foreign = Foreign::publishing([]);
    foreign.take_events();
    foreign.feed(&begun).unwrap();
    foreign
        .message(csid::CONTROL, &Message::control(type_id::ABORT, Bytes::from_static(&[0, 0, 0, 6])))
        .unwrap();
    foreign.feed(&[header(6, 5), vec![0x27, 1, 0, 0, 0]].concat()).unwrap();
    let message = media(TrackKind::Video, 0, &[0x27, 1, 0, 0, 0]);
    assert_eq!(foreign.take_events(), [server::Event::Media { stream: STREAM, message }]);
}

/// V5: what a connection may have the server hold before it publishes.
#[test]
fn v05_messages_are_small_until_something_is_published() {
    let big = |len: usize| Message {
        type_id: 9,
        stream_id: STREAM,
        timestamp: Timestamp::ZERO,
        payload: vec![0x17; len].into(),
    };
    let mut foreign = Foreign::connected([]);
    foreign.message(csid::VIDEO, &big(1 << 20)).unwrap();
    assert!(matches!(foreign.message(csid::VIDEO, &big((1 << 20) + 1)), Err(Error::LimitExceeded(_))));
    let mut foreign = Foreign::publishing([]);
    foreign.message(csid::VIDEO, &big((1 << 20) + 1)).unwrap();
}

#[test]
fn v05_a_stranger_holds_8_messages_of_a_mebibyte_together() {
    let mut foreign = Foreign::connected([]);
    for csid in 10..18 {
        foreign.feed(&[header(csid, 129), vec![0; 128]].concat()).unwrap();
    }
    let held = foreign.server.held();
    assert!(held <= 8 * 129, "{held}");
    assert!(over_limit(&foreign.feed(&[header(18, 129), vec![0; 128]].concat())));

    let mut foreign = Foreign::connected([]);
    foreign.message(csid::CONTROL, &set_chunk_size((1 << 19) - 1)).unwrap();
    foreign.feed(&[header(10, 1 << 20), vec![0; (1 << 19) - 1]].concat()).unwrap();
    foreign.feed(&[header(11, 1 << 20), vec![0; (1 << 19) - 1]].concat()).unwrap();
    assert!(foreign.server.held() <= 1 << 20);
    foreign.feed(&[header(12, 2), vec![0; 2]].concat()).unwrap();
    assert!(over_limit(&foreign.feed(&header(12, 3))));
}

#[test]
fn v05_a_stranger_uses_1024_chunk_streams() {
    let mut foreign = Foreign::connected([]);
    let mut taken = 0;
    for id in 64..65_600_u32 {
        let [low, high, ..] = (id - 64).to_le_bytes();
        let mut chunk = header(0, 0);
        chunk.splice(..1, [1, low, high]);
        if foreign.feed(&chunk).is_err() {
            break;
        }
        taken += 1;
    }
    // Chunk stream 3 carried `connect`.
    assert_eq!(taken, MAX_CHUNK_STREAMS - 1);
    // The refused header.
    assert_eq!(foreign.server.held(), 14);
}

#[test]
fn v06_a_chunk_size_is_refused_or_taken_and_allocates_nothing() {
    for (size, accepted) in
        [(0, false), (1, true), (0x7FFF_FFFF, true), (0x8000_0000, false), (u32::MAX, false)]
    {
        let mut foreign = Foreign::connected([]);
        let set = foreign.message(csid::CONTROL, &set_chunk_size(size));
        assert_eq!(set.is_ok(), accepted, "{size:#x}");
        if accepted {
            foreign.feed(&header(6, 1 << 20)).unwrap();
            assert_eq!(foreign.server.held(), 0);
            foreign.feed(&[0x17]).unwrap();
            assert_eq!(foreign.server.held(), 1);
        } else {
            assert!(matches!(set, Err(Error::PeerMisbehaved(_))));
        }
    }
}

#[test]
fn v07_what_can_be_asked_at_once_is_bounded() {
    let begun = |foreign: &mut Foreign| foreign.feed(&header(9, 0)).unwrap();
    let publishers = MAX_CREDIT - BEGIN_COST;
    // One-byte chunks of empty messages.
    let mut foreign = Foreign::publishing([]);
    begun(&mut foreign);
    let most = publishers / (CHUNK_COST - 1);
    let n = floods(&mut foreign, empty_chunks);
    assert!((most - 300..=most).contains(&n), "{n} empty chunks");
    // Pings, of 18 bytes.
    let most = publishers / (CONTROL_COST + CHUNK_COST - 18);
    let n = floods(&mut Foreign::publishing([]), ping);
    assert!((most - 100..=most).contains(&n), "{n} pings");
    let most = MAX_CREDIT / (COMMAND_COST + CHUNK_COST - 40);
    let n = floods(&mut Foreign::connected([]), create_stream);
    assert!((most - 100..=most).contains(&n), "{n} createStreams");
    // Chunks of one byte: two on the wire. No message comes of them, and no memory but theirs.
    let mut foreign = Foreign::publishing([]);
    foreign.message(csid::CONTROL, &set_chunk_size(1)).unwrap();
    foreign.feed(&[header(6, 0xFF_FFFF), vec![0x17]].concat()).unwrap();
    let most = publishers / (CHUNK_COST - 2);
    let n = floods(&mut foreign, |foreign| foreign.feed(&[0xC6, 0]));
    assert!((most - 300..=most).contains(&n), "{n} chunks of a byte");
    assert!(foreign.server.held() as u64 <= 2 * most);
}

/// Data in AMF3 is a command's work: it is read, and said again in AMF0.
#[test]
fn v07_data_in_amf3_costs_like_a_command() {
    let data = |type_id| Message {
        type_id,
        stream_id: STREAM,
        timestamp: Timestamp::ZERO,
        payload: Bytes::from_static(b"\x00\x02\x00\x01a\x11\x04\x05"),
    };
    let flood = |foreign: &mut Foreign| {
        let result = foreign.message(csid::DATA, &data(type_id::DATA_AMF3));
        foreign.take_events();
        result
    };
    let most = (MAX_CREDIT - BEGIN_COST) / (COMMAND_COST + CHUNK_COST - 20);
    let n = floods(&mut Foreign::publishing([]), flood);
    assert!((most - 100..=most).contains(&n), "{n} of {most}");
    // What AMF0 needs no reading for is free.
    let mut foreign = Foreign::publishing([]);
    for _ in 0..2 * MAX_CREDIT / COMMAND_COST {
        foreign.message(csid::DATA, &data(type_id::DATA_AMF0)).unwrap();
        foreign.take_events();
    }
}

#[test]
fn v07_few_streams_are_begun_and_ended_at_once() {
    for begin in ["publish", "play"] {
        let mut foreign = Foreign::connected([]);
        create_stream(&mut foreign).unwrap();
        let mut again = |foreign: &mut Foreign| {
            foreign.command(&Command::new(begin, 0.0).arg(Value::String("cam".into())), 1)?;
            foreign.command(&Command::new("closeStream", 0.0), 1)
        };
        assert_eq!(floods(&mut foreign, &mut again), MAX_CREDIT / BEGIN_COST - 1, "{begin}");
        // One a second goes on for ever.
        let mut foreign = Foreign::connected([]);
        create_stream(&mut foreign).unwrap();
        for n in 0..100 {
            foreign.now = at(n * (BEGIN_COST + 2 * COMMAND_COST) / CREDIT_PER_MS);
            again(&mut foreign).unwrap();
            drain(foreign.server.out());
        }
    }
}

#[test]
fn v07_what_time_pays_for_goes_on_for_ever() {
    // Of each as many a millisecond as that pays for: longer than what was saved up lasts.
    let chunks = CREDIT_PER_MS / (CHUNK_COST - 1);
    let mut foreign = Foreign::publishing([]);
    foreign.feed(&header(9, 0)).unwrap();
    for ms in 0..40_000 {
        foreign.now = at(ms);
        (0..chunks).for_each(|_| empty_chunks(&mut foreign).unwrap());
    }
    let mut foreign = Foreign::publishing([]);
    for ms in 0..20_000 {
        foreign.now = at(ms);
        ping(&mut foreign).unwrap();
        drain(foreign.server.out());
    }
    for n in 0..2_000 {
        foreign.now = at(20_000 + n * COMMAND_COST / CREDIT_PER_MS);
        create_stream(&mut foreign).unwrap();
        drain(foreign.server.out());
    }
}

#[test]
fn v07_media_is_free_however_fast_it_comes() {
    let mut foreign = Foreign::publishing([]);
    // In chunks of 128 bytes; then messages as short as audio gets.
    let big = video(0, true, 4 << 20);
    for _ in 0..4 {
        foreign.media(&big).unwrap();
    }
    let small = media(TrackKind::Audio, 0, &[0xAF; 15]);
    for _ in 0..2 * MAX_CREDIT / CHUNK_COST {
        foreign.media(&small).unwrap();
    }
}

#[test]
fn v07_what_comes_before_connect_is_answered_waits_bounded() {
    let mut foreign = Foreign::new();
    foreign.caller = Caller::Watches;
    foreign.connect([]).unwrap();
    foreign.feed(&vec![0; MAX_UNREAD]).unwrap();
    assert_eq!(foreign.server.held(), MAX_UNREAD);
    assert!(over_limit(&foreign.feed(&[0])));
}

#[test]
fn v09_short_control_bodies_are_errors_and_a_window_of_zero_is_ignored() {
    for type_id in [3, 4, 5, 6] {
        let message = Message::control(type_id, Bytes::from_static(&[0]));
        let mut foreign = Foreign::connected([]);
        assert!(
            matches!(foreign.message(csid::CONTROL, &message), Err(Error::PeerMisbehaved(_))),
            "type {type_id}"
        );
        assert!(foreign.server.poll_event().is_err(), "an error stays");
    }
    let mut foreign = Foreign::publishing([]);
    foreign.message(csid::CONTROL, &Control::WindowAckSize(0).to_message()).unwrap();
    foreign.received();
    for ms in 0..100 {
        foreign.media(&video(ms, false, 5000)).unwrap();
        let offset = foreign.server.consumed();
        foreign.server.taken(offset, at(u64::from(ms) * 1000));
    }
    assert_eq!(foreign.received(), []);
    assert_eq!(foreign.server.wake_at(), None, "no timer for a client that asked for nothing");
}

#[test]
fn v09_a_window_of_a_byte_is_no_ack_storm() {
    let mut client =
        client::Session::new(client_config(Announce::NONE), client::Role::Player, [1; 1528], at(0));
    client.receive([&[3][..], &[0xaa; 3072]].concat().into(), at(0));
    assert_eq!(client.poll_event(), Ok(None));
    drain(client.out());
    let (mut writer, mut out) = (Writer::new(Headers::Compressed), OutQueue::new());
    writer.write(csid::CONTROL, &Control::WindowAckSize(1).to_message(), &mut out);
    for _ in 0..10_000 {
        writer.write(
            csid::AUDIO,
            &Message { type_id: 8, ..Message::control(8, Bytes::from_static(b"a")) },
            &mut out,
        );
    }
    let received = drain(&mut out);
    for byte in received.chunks(1) {
        client.receive(Bytes::copy_from_slice(byte), at(0));
        assert_eq!(client.poll_event(), Ok(None));
    }
    let acks = drain(client.out()).len() / 16;
    assert_eq!(acks, received.len() / MIN_WINDOW as usize);
}
