//! The attacks, as a table: from which point of a connection, which bytes, and how a server may take them. The numbers
//! of abuses (V1 to V9, V15) stand beside them.

use super::Stage::{Connected, Publishing, Raw, Strange, Watching};
use super::bytes::{
    Nest, ONE_CHUNK, basic, command, control, handshake, header, lies, message, null, number, set_chunk_size,
    text, user_control,
};
use super::{Peer, Stage, Taken};

/// What a server holds for a connection that does not publish, at most: the documented bound on incomplete messages.
pub const BEFORE_PUBLISH: u64 = 1 << 20;
/// Lines of the log for a connection: why it was closed; and for one that publishes, that it does and that it left.
pub const LINES: usize = 1;
/// See [`LINES`].
pub const LINES_PUBLISHING: usize = 3;
/// How often one connection may begin to publish before time has paid for more: 15 times at once, one a second.
const BEGINNINGS: usize = 20;
/// Message types by their numbers (RTMP 1.0, 5.4 and 7.1).
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA_AMF3: u8 = 15;
const COMMAND_AMF3: u8 = 17;
const DATA: u8 = 18;
const COMMAND: u8 = 20;
const AGGREGATE: u8 = 22;
/// The longest that 24 bits can claim.
const LONGEST: u32 = 0xff_ffff;
/// Containers in each other: far more than a stack has frames for; and as many as fit in the 64 KiB of a command.
const DEPTHS: [usize; 2] = [70_000, 9_000];
/// The last chunk stream (5.3.1.1).
const LAST_CSID: u32 = 65_599;
/// What is cheap to send and makes work is sent so often: several times more than a connection's credit lasts for.
const FLOOD: usize = 40_000;

/// How a server takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// It ends the connection: a rule or a bound is broken.
    Ends,
    /// It goes on: what came is odd and allowed.
    Serves,
    /// Either.
    Either,
    /// It waits for the rest of a message.
    Waits,
}

/// One attack.
pub struct Attack {
    /// What it is, and the abuse's number.
    pub name: &'static str,
    /// From where it begins.
    pub stage: Stage,
    /// How the server takes it.
    pub then: Then,
    /// What is sent, in several forms: each connection takes the next.
    pub forms: Vec<Vec<u8>>,
    /// Bytes that the server may hold for each connection, at its peak.
    pub may_hold: u64,
    /// Lines that it may log for each connection.
    pub lines: usize,
}

impl Attack {
    /// Checks how the server takes what `peer` has sent.
    ///
    /// # Errors
    /// Otherwise than it may.
    pub fn judge(&self, mut peer: Peer) -> Result<(), String> {
        let taken = match self.then {
            Then::Ends => return peer.is_ended(),
            Then::Waits => return peer.leave(),
            Then::Serves | Then::Either => peer.is_taken()?,
        };
        match (self.then, taken) {
            (Then::Serves, Taken::Ended) => Err("ended".to_owned()),
            (_, Taken::Ended) => Ok(()),
            _ => peer.leave(),
        }
    }
}

/// All of them.
pub fn all() -> Vec<Attack> {
    let strangers = [Strange, Connected, Watching];
    let open = [Connected, Watching, Publishing];
    let everybody = [Strange, Connected, Watching, Publishing];
    let mut table = Vec::new();
    let mut add = |name, stages: &[Stage], then, forms: Vec<Vec<u8>>| {
        let sent = forms.iter().map(Vec::len).max().unwrap_or_default() as u64;
        for &stage in stages {
            // A publisher's media are kept: they and, of messages that are all header, an entry for each.
            let may_hold = if stage == Publishing { 2 * sent + BEFORE_PUBLISH } else { BEFORE_PUBLISH };
            let lines = if stage == Publishing { LINES_PUBLISHING } else { LINES };
            table.push(Attack { name, stage, then, forms: forms.clone(), may_hold, lines });
        }
    };
    add("no RTMP at all", &[Raw], Then::Ends, no_rtmp());
    add("half a handshake", &[Raw], Then::Waits, half_a_handshake());
    add("V1 commands 70,000 deep", &everybody, Then::Ends, deep_commands());
    add("V1 data 70,000 deep", &open, Then::Serves, deep_data());
    add("V2 counts of 0xFFFFFFFF in commands", &everybody, Then::Ends, lying_commands());
    add("V2 counts of 0xFFFFFFFF in data", &open, Then::Serves, lying_data());
    add("V4, V9 headers out of order", &everybody, Then::Ends, wrong_headers());
    add("V5 65,598 messages begun", &everybody, Then::Ends, vec![begun()]);
    add("V5 65,598 chunk streams", &everybody, Then::Ends, vec![chunk_streams()]);
    add("V5 a mebibyte in 8 messages", &strangers, Then::Serves, vec![eight_parts()]);
    add("V6 chunk sizes that are none", &everybody, Then::Ends, no_sizes());
    add("V6 one chunk, 16 MiB claimed", &strangers, Then::Ends, vec![one_chunk(LONGEST, 64 << 10)]);
    add(
        "V6 one chunk, a mebibyte but for a byte",
        &strangers,
        Then::Waits,
        vec![one_chunk(1 << 20, (1 << 20) - 1)],
    );
    add("V6 one chunk, 2 of 16 MiB", &[Publishing], Then::Waits, vec![one_chunk(LONGEST, 2 << 20)]);
    add("V7 floods", &open, Then::Ends, floods());
    add("V7 commands without end", &open, Then::Ends, command_floods());
    add("V9 control messages cut short", &everybody, Then::Ends, short_controls());
    add("V9 windows of 0 and 1, and what nobody knows", &everybody, Then::Serves, odd_controls());
    add("commands that make no sense", &open, Then::Either, odd_commands());
    add("commands out of order", &[Strange], Then::Ends, early_commands());
    add("V15 aggregates that lie", &open, Then::Serves, aggregates());
    add("V15 media that lie", &[Connected, Publishing], Then::Serves, media());
    // Of each read the log keeps one byte.
    add("a byte kept of each 60 KB", &[Publishing], Then::Serves, vec![pins()]);
    add("V7 streams begun and ended", &[Connected], Then::Ends, vec![begun_and_ended()]);
    for attack in &mut table {
        if attack.name.starts_with("a byte kept") {
            attack.may_hold = BEFORE_PUBLISH;
        } else if attack.name.starts_with("V7 streams") {
            attack.lines = LINES + BEGINNINGS * (LINES_PUBLISHING - LINES);
        }
    }
    table
}

/// In one chunk each, whatever their length.
fn unchunked(messages: &[Vec<u8>]) -> Vec<u8> {
    [&set_chunk_size(ONE_CHUNK), &messages.concat()[..]].concat()
}

fn no_rtmp() -> Vec<Vec<u8>> {
    vec![
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        vec![0; 5000],
        vec![0xff; 5000],
        // A handshake of noise, and then noise.
        (0..9000_u32)
            .map(|n| if n == 0 { 3 } else { (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x40 })
            .collect(),
    ]
}

/// Nothing, a version, half of C2; and a ClientHello of TLS, which may be a version of RTMP yet to come (5.2.2).
fn half_a_handshake() -> Vec<Vec<u8>> {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    vec![vec![], vec![3], handshake()[..2000].to_vec(), hello.to_vec()]
}

fn as_command(value: &[u8]) -> [Vec<u8>; 2] {
    let body = [&text("x"), &number(1.0)[..], value].concat();
    [
        unchunked(&[message(3, COMMAND, 0, &body, ONE_CHUNK)]),
        unchunked(&[message(3, COMMAND_AMF3, 0, &[&[0], &body[..]].concat(), ONE_CHUNK)]),
    ]
}

fn as_data(value: &[u8]) -> [Vec<u8>; 3] {
    let body = [&text("onMetaData"), value].concat();
    let set = [&text("@setDataFrame"), &body[..]].concat();
    [
        unchunked(&[message(4, DATA, 1, &set, ONE_CHUNK)]),
        unchunked(&[message(4, DATA, 1, &body, ONE_CHUNK)]),
        unchunked(&[message(4, DATA_AMF3, 1, &[&[0], &body[..]].concat(), ONE_CHUNK)]),
    ]
}

fn nested() -> impl Iterator<Item = Vec<u8>> {
    DEPTHS.into_iter().flat_map(|depth| Nest::ALL.map(|nest| nest.deep(depth)))
}

fn deep_commands() -> Vec<Vec<u8>> {
    nested().flat_map(|value| as_command(&value)).collect()
}

fn deep_data() -> Vec<Vec<u8>> {
    nested().flat_map(|value| as_data(&value)).collect()
}

fn lying_commands() -> Vec<Vec<u8>> {
    lies().iter().flat_map(|value| as_command(value)).collect()
}

fn lying_data() -> Vec<Vec<u8>> {
    lies().iter().flat_map(|value| as_data(value)).collect()
}

/// Formats 1 to 3 first on a chunk stream, and formats 0 to 2 inside a message (V4).
fn wrong_headers() -> Vec<Vec<u8>> {
    let first = (1..=3).map(|format| [basic(format, 10), vec![0; 7]].concat());
    let inside = (0..=2).map(|format| {
        let mut again = header(10, VIDEO, 1, 5);
        again[0] |= format << 6;
        [&header(10, VIDEO, 1, 300)[..], &[0x17; 128], &again, &[0; 5]].concat()
    });
    first.chain(inside).collect()
}

/// A message on each chunk stream, begun with one byte of a mebibyte.
fn begun() -> Vec<u8> {
    let begin = |csid| [header(csid, VIDEO, 1, 1 << 20), vec![0x17]].concat();
    [set_chunk_size(1), (2..=LAST_CSID).flat_map(begin).collect()].concat()
}

fn chunk_streams() -> Vec<u8> {
    (2..=LAST_CSID).flat_map(|csid| header(csid, AUDIO, 1, 0)).collect()
}

/// All that a stranger may have begun: 8 messages, together a mebibyte but for their last chunks.
fn eight_parts() -> Vec<u8> {
    const CHUNK: usize = 4096;
    const CHUNKS: usize = 32;
    let mut bytes = set_chunk_size(CHUNK as u32);
    for n in 0..CHUNKS - 1 {
        for csid in 10..18 {
            let length = (CHUNK * CHUNKS) as u32;
            bytes.extend(if n == 0 { header(csid, VIDEO, 1, length) } else { basic(3, csid) });
            bytes.extend([0x27; CHUNK]);
        }
    }
    bytes
}

fn no_sizes() -> Vec<Vec<u8>> {
    let then = one_chunk(LONGEST, 1000);
    [0, 1 << 31, u32::MAX].map(|size| [&set_chunk_size(size), &then[..]].concat()).to_vec()
}

fn one_chunk(claimed: u32, sent: usize) -> Vec<u8> {
    [set_chunk_size(ONE_CHUNK), header(6, VIDEO, 1, claimed), vec![0x27; sent]].concat()
}

/// Many messages of a few bytes, none of which is media.
fn floods() -> Vec<Vec<u8>> {
    let many = |one: Vec<u8>| one.repeat(FLOOD);
    let alternate = |a: Vec<u8>, b: Vec<u8>| [a, b].concat().repeat(FLOOD / 2);
    vec![
        // Empty messages of one byte each, on a message stream that is none.
        [header(9, AUDIO, 9, 0), vec![0xc9; 8 * FLOOD]].concat(),
        // A message in chunks of one byte, two on the wire.
        [set_chunk_size(1), header(6, VIDEO, 1, 1 << 20), vec![0x27], [0xc6, 0].repeat(8 * FLOOD)].concat(),
        many(control(4, &user_control(6, &[0; 4]))),
        many(control(3, &[0; 4])),
        many(control(99, &[])),
        many(set_chunk_size(128)),
        many(control(2, &[0, 0, 0, 9])),
        alternate(control(5, &[0, 0, 0, 1]), control(5, &[0, 0, 0, 2])),
        alternate(control(6, &[0, 0, 0, 1, 0]), control(6, &[0, 0, 0, 2, 0])),
    ]
}

fn command_floods() -> Vec<Vec<u8>> {
    let many = |name, rest: &[u8]| command(name, 2.0, rest, 0).repeat(FLOOD / 8);
    vec![
        many("createStream", &null()),
        many("getStreamLength", &null()),
        many("FCPublish", &[null(), text("x")].concat()),
        many("FCUnpublish", &[null(), text("x")].concat()),
        many("nobody knows", &null()),
        // A stream made and unmade.
        [
            command("createStream", 2.0, &null(), 0),
            command("deleteStream", 0.0, &[null(), number(2.0)].concat(), 0),
        ]
        .concat()
        .repeat(FLOOD / 16),
    ]
}

/// A stream that is published and ended again without a message: each time the server makes one, and says so.
fn begun_and_ended() -> Vec<u8> {
    let one = |n: usize| {
        let name = [null(), text(&format!("again-{n}"))].concat();
        [command("publish", 3.0, &name, 1), command("closeStream", 0.0, &null(), 1)].concat()
    };
    [command("createStream", 2.0, &null(), 0), (0..FLOOD / 40).flat_map(one).collect()].concat()
}

/// Bodies shorter than their types have them (5.4, 6.2), and a kind of limit that is none.
fn short_controls() -> Vec<Vec<u8>> {
    let short =
        [1, 2, 3, 5, 6].into_iter().flat_map(|type_id| [0, 3].map(|len| control(type_id, &vec![0; len])));
    let users =
        [(0, 3), (3, 4), (6, 2), (7, 0)].map(|(event, len)| control(4, &user_control(event, &vec![0; len])));
    short
        .chain(users)
        .chain([control(6, &[0, 0, 1, 0]), control(6, &[0, 0, 1, 0, 3]), control(4, &[0])])
        .collect()
}

fn odd_controls() -> Vec<Vec<u8>> {
    let unknown: Vec<u8> = [7, 10, 13, 19, 23, 31, 33, 99, 255]
        .into_iter()
        .flat_map(|type_id| [0, 1, 100].map(|len| message(5, type_id, 7, &vec![0xff; len], 128)))
        .flatten()
        .collect();
    let events: Vec<u8> =
        (8..40).chain([100, 0xffff]).flat_map(|event| control(4, &user_control(event, &[]))).collect();
    let aborts = [0, 1, 2, 9, LAST_CSID, LAST_CSID + 1, u32::MAX].map(|csid| control(2, &csid.to_be_bytes()));
    // An extended timestamp, and a message of one byte on each form of a basic header.
    let mut late = header(6, 99, 1, 1);
    late[1..4].fill(0xff);
    late.extend(b"\xff\xff\xff\xff\x00\xc6\xff\xff\xff\xff\x00");
    let forms = [2, 63, 64, 319, 320, LAST_CSID].map(|csid| message(csid, 99, u32::MAX, &[0], 128));
    vec![
        control(5, &[0; 4]),
        // A window of one byte, and much that could be acknowledged.
        [control(5, &[0, 0, 0, 1]), message(6, 99, 1, &[0; 5000], 128)].concat(),
        [control(6, &[0; 5]), control(6, &[0xff, 0xff, 0xff, 0xff, 2])].concat(),
        control(3, &[0xff; 4]),
        unknown,
        events,
        aborts.concat(),
        late,
        forms.concat(),
        // Aborted in the middle, and begun again.
        [
            &header(9, 99, 1, 300)[..],
            &[0; 128],
            &control(2, &[0, 0, 0, 9]),
            &message(9, 99, 1, &[0; 300], 128),
        ]
        .concat(),
    ]
}

fn odd_commands() -> Vec<Vec<u8>> {
    let with = |name, rest: &[u8], stream| command(name, f64::NAN, &[&null(), rest].concat(), stream);
    let numbers = [-1.0, f64::NAN, f64::INFINITY, 1e300, 4_294_967_296.0, 0.5];
    let long = "x".repeat(60_000);
    vec![
        numbers.iter().flat_map(|n| with("deleteStream", &number(*n), 0)).collect(),
        [with("closeStream", &[], 9), with("_result", &[], 0), with("onStatus", &[], u32::MAX)].concat(),
        [with("publish", &text("x"), 0), with("play", &text("x"), u32::MAX)].concat(),
        [with("publish", &text("../../etc/passwd"), 1), with("publish", &text(""), 1)].concat(),
        [with("play", &text("a\0b"), 1), with("play", &number(1.0), 1), with("play", &[], 1)].concat(),
        unchunked(&[message(
            3,
            COMMAND,
            1,
            &[text("publish"), number(0.0), null(), text(&long)].concat(),
            ONE_CHUNK,
        )]),
        unchunked(&[message(3, COMMAND, 0, &[text(&long), number(9.0)].concat(), ONE_CHUNK)]),
        message(3, COMMAND, 0, &[], 128),
        message(3, COMMAND, 0, &null(), 128),
        message(3, COMMAND, 0, &[text("x"), null()].concat(), 128),
        message(3, COMMAND, 0, b"\x02\x00\x04\xff\xfe\xc0\x80", 128),
        command("connect", 1.0, &null(), 0),
    ]
}

fn early_commands() -> Vec<Vec<u8>> {
    let app = |app: &str| {
        let object = [&b"\x03\x00\x03app"[..], &text(app), b"\x00\x00\x09"].concat();
        unchunked(&[message(3, COMMAND, 0, &[text("connect"), number(1.0), object].concat(), ONE_CHUNK)])
    };
    vec![
        command("createStream", 2.0, &null(), 0),
        command("publish", 3.0, &[null(), text("x")].concat(), 1),
        app("../.."),
        app(""),
        app("a\0b"),
        app(&"x".repeat(60_000)),
        command("connect", 1.0, &null(), 0),
        command("connect", 1.0, &number(5.0), 0),
    ]
}

/// An aggregate's sub-message (7.1.6) of this type that claims `length`.
fn part(type_id: u8, length: u32, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = length.to_be_bytes();
    [&[type_id, a, b, c, 0, 0, 0, 0, 0, 0, 0], body].concat()
}

fn aggregates() -> Vec<Vec<u8>> {
    let bodies = [
        part(VIDEO, LONGEST, &[0x27; 50]),
        part(AUDIO, 50, &[0xaf; 49]),
        [part(AUDIO, 2, &[0xaf, 1]), vec![0xff; 4], part(AUDIO, 2, &[0xaf, 1])].concat(),
        [part(AGGREGATE, 15, &part(AGGREGATE, 0, &[0; 4])), vec![0, 0, 0, 26]].concat(),
        [part(99, 0, &[]), vec![0, 0, 0, 11]].concat().repeat(5000),
        part(COMMAND, 60_000, &Nest::Object.deep(15_000)),
        vec![],
        vec![AUDIO],
    ];
    bodies.map(|body| unchunked(&[message(6, AGGREGATE, 1, &body, ONE_CHUNK)])).to_vec()
}

/// Tags of no length or cut short, parameter sets that lie about their lengths, and values that no bit reader should
/// believe.
fn media() -> Vec<Vec<u8>> {
    let video: [&[u8]; 17] = [
        b"",
        b"\x17",
        b"\x17\x00\0\0",
        b"\x17\x00\0\0\0",
        b"\x17\x00\0\0\0\x01\x64\x00\x1f\xff\xff\xff\xff",
        b"\x17\x00\0\0\0\x01\x64\x00\x1f\xff\xe1\xff\xff\x67\x64",
        // A sequence parameter set of nothing but zeros, whose Exp-Golomb codes never end; and of ones.
        b"\x17\x00\0\0\0\x01\x64\x00\x1f\xff\xe1\x00\x10\x67\x64\x00\x1f\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x00",
        b"\x17\x00\0\0\0\x01\xff\xff\xff\xff\xe1\x00\x08\x67\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x17\x01\0\0\0\xff\xff\xff\xff\x65",
        b"\x90hvc1\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x90av01\x81",
        b"\x90",
        b"\x9f",
        // ModEx of 65,536 bytes, tracks that claim more than there is, a fourcc cut short.
        b"\x97\xff\xff\xff\x00",
        b"\x96\x20hvc1\x00\xff\xff\xff\x01",
        b"\x96\xffav",
        b"\x94hvc1\x02\x00\x09colorInfo\x03\xff\xff",
    ];
    let audio: [&[u8]; 6] =
        [b"", b"\xaf", b"\xaf\x00", b"\xaf\x00\xff\xff\xff\xff", b"\x95\x20Opus\x00\xff\xff\xff", b"\x90"];
    let data: [&[u8]; 4] = [b"", b"\x02", b"\x02\xff\xff", b"\x02\x00\x0aonSegueLeg\x03\xff\xff"];
    let each =
        |type_id, bodies: &[&[u8]]| bodies.iter().map(|b| message(6, type_id, 1, b, 128)).collect::<Vec<_>>();
    let data3 = each(DATA_AMF3, &data);
    let all = [each(VIDEO, &video), each(AUDIO, &audio), each(DATA, &data), data3].concat();
    // Each alone, and all together.
    let mut forms = vec![all.concat()];
    forms.extend(all);
    forms
}

/// An audio message of one byte, and 60 KB that nobody keeps, again and again.
fn pins() -> Vec<u8> {
    let one = [message(6, AUDIO, 1, &[0x2f], ONE_CHUNK), message(7, 99, 1, &[0; 60_000], ONE_CHUNK)].concat();
    unchunked(&[one.repeat(64)])
}
