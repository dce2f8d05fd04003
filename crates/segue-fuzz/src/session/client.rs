//! A client's session, as publisher and as player, from any point of a conversation on: what holds for a server's holds
//! for it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use segue_proto::caps::Announce;
use segue_proto::chunk::Reader;
use segue_proto::leg::{LegHeader, Position, ResumeToken};
use segue_proto::media::MediaMessage;
use segue_proto::message::status::code;
use segue_proto::outqueue::OutQueue;
use segue_proto::session::client::{Config, Event, Role, Session};
use segue_proto::session::server;
use segue_proto::url::RtmpUrl;
use segue_proto::{Error, Moment, Timestamp, TrackKind, handshake};

use super::{Course, MAX_STATE, Plan, assert_readable, at, drain, drip, reader_of};
use crate::input::{Input, Seeded, pieces};
use crate::script;

const NAMES: &[&str] = &["_result", "_error", "onStatus", "onFCPublish", "onBWDone", "close", "x"];
const TEXTS: &[&str] = &[
    code::CONNECT_SUCCESS,
    code::CONNECT_REJECTED,
    code::RECONNECT_REQUEST,
    code::PUBLISH_START,
    code::PUBLISH_BAD_NAME,
    code::PLAY_START,
    code::PLAY_STOP,
    code::PLAY_STREAM_NOT_FOUND,
    code::PLAY_UNPUBLISH_NOTIFY,
    code::PLAY_RESET,
    "status",
    "error",
    "rtmp://b.test/live",
    "",
];
/// What a server of ours cuts its messages to, once it has accepted `connect`.
const CHUNK_SIZE: u32 = 60_000;

/// Where the conversation stands, how bytes come; then bytes or a script of them.
pub fn client_session(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.u8();
    let base = &BASES[usize::from(mode & 0x1f) % BASES.len()];
    let (scripted, lives) = (mode & 0x40 == 0, mode & 0x80 != 0);
    let seed = u64::from(input.u8());
    let bytes = if scripted {
        let mut writer = script::writer();
        if base.cuts {
            writer.set_chunk_size(CHUNK_SIZE, &mut OutQueue::new());
        }
        script::bytes(&mut input, writer, NAMES, TEXTS)
    } else {
        input.rest().to_vec()
    };

    let still = course(base, &bytes, Plan { seed: Some(seed), lives, moves: false });
    let other = if lives {
        Plan { seed: Some(seed), lives, moves: true }
    } else {
        Plan { seed: None, lives, moves: false }
    };
    assert_eq!(course(base, &bytes, other), still);
    let handshake = base.handshake_left.min(still.written.len());
    assert_readable(base.reader.clone(), &still.written[handshake..]);
}

struct Base {
    session: Session,
    role: Role,
    reader: Reader,
    handshake_left: usize,
    state: usize,
    /// Whether the server has set its chunk size.
    cuts: bool,
}

/// How far the conversation has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Begun,
    Shaken,
    Connected,
    Created,
    Asked,
    Streaming,
}

static BASES: LazyLock<Vec<Base>> = LazyLock::new(|| {
    use Stage::{Asked, Begun, Connected, Created, Shaken, Streaming};
    let mut bases = Vec::new();
    for stage in [Streaming, Asked, Created, Connected, Shaken, Begun] {
        for role in [Role::Publisher, Role::Player] {
            for announce in [Announce::ALL, Announce::NONE] {
                bases.push(base(role, announce, stage));
            }
        }
    }
    bases
});

fn base(role: Role, announce: Announce, stage: Stage) -> Base {
    let url = RtmpUrl::parse("rtmp://server.test/live/cam?token=1").expect("a constant");
    let config = Config { announce, ..Config::new(url) };
    let mut session = Session::new(config, role, [9; handshake::RANDOM_LEN], at(1000));
    let mut server = server::Session::new(Arc::default(), [7; handshake::RANDOM_LEN], at(1000));
    let mut written = Vec::new();
    for round in 0..8 {
        let mut up = Vec::new();
        drain(session.out(), &mut up);
        written.extend_from_slice(&up);
        server.receive(up.into(), at(1000));
        while let Some(event) = server.poll_event().expect("our own client") {
            match event {
                server::Event::Connect { .. } if stage >= Stage::Connected => {
                    server.accept_connect(false, at(1000));
                }
                server::Event::Publish { stream, .. } if stage == Stage::Streaming => {
                    server.publish_start(stream);
                }
                server::Event::Play { stream, .. } if stage == Stage::Streaming => server.play_start(stream),
                _ => {}
            }
        }
        let mut down = Vec::new();
        drain(server.out(), &mut down);
        if stage == Stage::Begun && round == 0 {
            break;
        }
        session.receive(down.into(), at(1000));
        while let Some(event) = session.poll_event().expect("our own server") {
            match event {
                Event::Connected(_) if stage >= Stage::Created => session.create_stream(),
                Event::StreamCreated(_) if stage >= Stage::Asked => ask(&mut session, role),
                _ => {}
            }
        }
    }
    drain(session.out(), &mut written);
    let (reader, handshake_left) = reader_of(&written);
    let state = session.save().expect("our own server").len();
    Base { session, role, reader, handshake_left, state, cuts: stage >= Stage::Connected }
}

fn ask(session: &mut Session, role: Role) {
    match role {
        Role::Publisher => session.publish(),
        Role::Player => session.play(None),
    }
}

fn course(base: &Base, bytes: &[u8], plan: Plan) -> Course<Event> {
    let mut session = base.session.clone();
    let mut course = Course { events: Vec::new(), written: Vec::new(), error: None };
    let mut acts = Seeded::new(plan.seed.unwrap_or_default());
    let mut received = 0;
    let mut now = at(1000);
    for piece in pieces(bytes, plan.seed) {
        if plan.lives {
            // Long enough for acknowledgements, and for deadlines in the end.
            now = now + Duration::from_millis(acts.next() % 700);
        }
        let moves = acts.next().is_multiple_of(4) && plan.moves;
        received += piece.len();
        session.receive(piece, now);
        if moves {
            session = moved(&session);
        }
        loop {
            match session.poll_event() {
                Ok(Some(event)) => {
                    match event {
                        Event::Connected(_) => session.create_stream(),
                        Event::StreamCreated(_) => ask(&mut session, base.role),
                        Event::PublishStarted => send(&mut session, now),
                        _ => {}
                    }
                    course.events.push(event);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(session.poll_event(), Err(error.clone()), "an error is final");
                    assert!(session.save().is_none());
                    course.error = Some(error);
                    break;
                }
            }
        }
        if course.error.is_none() && plan.lives {
            course.error = act(&mut session, acts.next(), now);
        }
        if course.error.is_some() {
            break;
        }
        if moves {
            session = moved(&session);
        }
        if plan.lives {
            drip(session.out(), &mut course.written);
        }
    }
    if let Some(state) = session.save() {
        let waiting = session.out().len();
        assert!(state.len() <= base.state + received + waiting + MAX_STATE, "{} bytes of state", state.len());
    }
    drain(session.out(), &mut course.written);
    course
}

fn moved(session: &Session) -> Session {
    let state = session.save().expect("it has not failed");
    let restored = Session::restore(&state).expect("what was saved");
    assert_eq!(restored.save().as_ref(), Some(&state));
    assert_eq!(restored.wake_at(), session.wake_at());
    assert_eq!((restored.consumed(), restored.sent()), (session.consumed(), session.sent()));
    restored
}

fn send(session: &mut Session, now: Moment) {
    let position = Position { index: 1, keyframes: 1, timestamp: Timestamp::ZERO };
    session.send_leg_header(&LegHeader { token: ResumeToken([3; 16]), leg: 1, position });
    let timestamp = Timestamp::from_millis((now.as_micros() / 1000) as u32);
    let payload = Bytes::from_static(b"\x17\x01\0\0\0frame");
    let sent = session.sent();
    let after = session.send_media(&MediaMessage::new(TrackKind::Video, timestamp, payload));
    assert!(after >= sent && after == session.sent());
}

/// What a client does of its own: media, an end, what is due.
fn act(session: &mut Session, what: u64, now: Moment) -> Option<Error> {
    match what % 32 {
        0..=9 => send(session, now),
        10 => session.finish_publish(),
        11 => session.stop_play(),
        _ => {
            let due = session.wake_at().filter(|due| *due <= now || what & 0xf00 == 0)?;
            return session.handle_timeout(due.max(now)).err();
        }
    }
    None
}
