//! A server's session, from any point of a conversation on: any split of what comes gives the same events and answers,
//! saved and restored between any two steps it goes on as if nothing had been, what it writes is whole messages, and its
//! state is bounded by what came.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use segue_proto::amf0::Value;
use segue_proto::chunk::Reader;
use segue_proto::leg::{PlayPosition, Position, StreamHash};
use segue_proto::media::MediaMessage;
use segue_proto::message::command::{Command, object, string};
use segue_proto::message::status::code;
use segue_proto::message::{MessageStreamId, csid};
use segue_proto::outqueue::OutQueue;
use segue_proto::session::server::{Config, Event, Session};
use segue_proto::{Moment, Timestamp, TrackKind, handshake};

use super::{Course, MAX_STATE, Plan, assert_readable, at, drain, drip, reader_of};
use crate::input::{Input, Seeded, pieces};
use crate::script;

const NAMES: &[&str] = &[
    "connect",
    "createStream",
    "publish",
    "play",
    "deleteStream",
    "closeStream",
    "FCPublish",
    "FCUnpublish",
    "releaseStream",
    "getStreamLength",
    "pause",
    "receiveAudio",
    "_checkbw",
    "@setDataFrame",
    "x",
];
const TEXTS: &[&str] = &["live", "cam", "cam?token=1", "../x", "", "record", "*", "hvc1", "rtmp://a/live"];

/// Where the conversation stands, how bytes come, what the caller decides; then bytes or a script of them.
pub fn server_session(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.u8();
    let base = &BASES[usize::from(mode & 7) % BASES.len()];
    let (scripted, lives) = (mode & 0x40 == 0, mode & 0x80 != 0);
    let seed = u64::from(input.u8());
    let caller = Caller(input.u8());
    let bytes = if scripted {
        script::bytes(&mut input, script::writer(), NAMES, TEXTS)
    } else {
        input.rest().to_vec()
    };

    let still = course(base, &bytes, caller, Plan { seed: Some(seed), lives, moves: false });
    let other = if lives {
        Plan { seed: Some(seed), lives, moves: true }
    } else {
        Plan { seed: None, lives, moves: false }
    };
    assert_eq!(course(base, &bytes, caller, other), still);
    let handshake = base.handshake_left.min(still.written.len());
    assert_readable(base.reader.clone(), &still.written[handshake..]);
}

/// A session in the middle of a conversation, and a reader of what it wrote.
struct Base {
    session: Session,
    reader: Reader,
    handshake_left: usize,
    state: usize,
}

fn config() -> Arc<Config> {
    static CONFIG: LazyLock<Arc<Config>> =
        LazyLock::new(|| Arc::new(Config { server_id: "server-a".into(), ..Config::default() }));
    CONFIG.clone()
}

/// Nothing received; after the handshake; connected, with nothing announced and with all; publishing; playing.
static BASES: LazyLock<Vec<Base>> = LazyLock::new(|| {
    let stream = |name: &str| {
        vec![
            (Command::new("createStream", 2.0), 0),
            (Command::new(name, 3.0).arg(string("cam")).arg(string("live")), 1),
        ]
    };
    let play = vec![stream("play")[0].clone(), (Command::new("play", 3.0).arg(string("cam")), 1)];
    let connect = |properties: &[(&str, Value)]| {
        let mut all = vec![("app".to_owned(), string("live"))];
        all.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        (Command { name: "connect".into(), transaction: 1.0, object: Value::Object(all), args: vec![] }, 0)
    };
    let plain = connect(&[]);
    let all = connect(&[
        ("capsEx", Value::Number(15.0)),
        ("supportsGoAway", Value::Boolean(true)),
        ("segue", Value::Number(1.0)),
        ("objectEncoding", Value::Number(3.0)),
        ("videoFourCcInfoMap", object([("*", Value::Number(7.0))])),
    ]);
    vec![
        base(false, &[]),
        base(true, &[]),
        base(true, std::slice::from_ref(&plain)),
        base(true, std::slice::from_ref(&all)),
        base(true, &[vec![plain.clone()], stream("publish")].concat()),
        base(true, &[vec![all.clone()], stream("publish")].concat()),
        base(true, &[vec![plain], play.clone()].concat()),
        base(true, &[vec![all], play].concat()),
    ]
});

fn base(shaken: bool, commands: &[(Command, u32)]) -> Base {
    let mut session = Session::new(config(), [7; handshake::RANDOM_LEN], at(1000));
    let mut bytes = Vec::new();
    if shaken {
        bytes.push(3);
        bytes.resize(handshake::LEN, 0x55);
    }
    let (mut writer, mut out) = (script::writer(), OutQueue::new());
    for (command, stream) in commands {
        writer.write(csid::COMMAND, &command.to_message(MessageStreamId(*stream)), &mut out);
    }
    drain(&mut out, &mut bytes);
    session.receive(bytes.into(), at(1000));
    while let Some(event) = session.poll_event().expect("a good client") {
        Caller(0).answer(&mut session, &event, at(1000));
    }
    let mut written = Vec::new();
    drain(session.out(), &mut written);
    let (reader, handshake_left) = reader_of(&written);
    let state = session.save().expect("a good client").len();
    Base { session, reader, handshake_left, state }
}

fn course(base: &Base, bytes: &[u8], caller: Caller, plan: Plan) -> Course<Event> {
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
                    caller.answer(&mut session, &event, now);
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

/// Saved, and restored.
fn moved(session: &Session) -> Session {
    let state = session.save().expect("it has not failed");
    let restored = Session::restore(config(), &state).expect("what was saved");
    assert_eq!(restored.save().as_ref(), Some(&state));
    assert_eq!(restored.wake_at(), session.wake_at());
    assert_eq!(restored.consumed(), session.consumed());
    restored
}

/// What the session's caller decides.
#[derive(Clone, Copy)]
struct Caller(u8);

impl Caller {
    fn answer(self, session: &mut Session, event: &Event, now: Moment) {
        match event {
            Event::Connect { .. } if self.0 & 1 == 0 => session.accept_connect(self.0 & 2 != 0, now),
            Event::Connect { .. } => session.reject_connect(code::CONNECT_REJECTED, "no"),
            Event::Publish { stream, .. } => match self.0 >> 2 & 3 {
                0 | 1 => session.publish_start(*stream),
                2 => session.publish_refused(*stream, code::PUBLISH_BAD_NAME, "no"),
                _ => {}
            },
            Event::Play { stream, .. } => match self.0 >> 4 & 3 {
                0 | 1 => session.play_start(*stream),
                2 => session.play_refused(*stream, code::PLAY_STREAM_NOT_FOUND, "no"),
                _ => {}
            },
            _ => {}
        }
    }
}

/// What a server does of its own: media to a viewer, acknowledgements, a go-away, an end.
fn act(session: &mut Session, what: u64, now: Moment) -> Option<segue_proto::Error> {
    const STREAM: MessageStreamId = MessageStreamId(1);
    let consumed = session.consumed();
    match what % 16 {
        0..=3 => session.taken(consumed, now),
        4 | 5 => {
            let payload = Bytes::from_static(b"\x17\x01\0\0\0frame");
            let timestamp = Timestamp::from_millis((what >> 8) as u32);
            session.send_media(STREAM, &MediaMessage::new(TrackKind::Video, timestamp, payload));
        }
        6 => {
            let position = Position { index: what >> 16, keyframes: 3, timestamp: Timestamp::ZERO };
            session.send_position(STREAM, PlayPosition { stream: StreamHash([7; 8]), position });
        }
        7 => drop(session.go_away(Some("rtmp://b.test/live"), now)),
        8 => drop(session.repeat_go_away()),
        9 => session.final_acknowledgement(consumed),
        10 => session.play_ended(STREAM, what & 0x100 != 0),
        11 => session.stream_eof(STREAM),
        12 => session.publish_refused(STREAM, code::PUBLISH_BAD_NAME, "over"),
        _ => {
            let due = session.wake_at().filter(|due| *due <= now || what & 0x700 == 0)?;
            return session.handle_timeout(due.max(now)).err();
        }
    }
    None
}
