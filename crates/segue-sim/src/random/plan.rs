//! What a seed stands for: the source, the links, the clients, and a list of timed faults. Nothing here depends on how the
//! run goes.

use std::time::Duration;

use fastrand::Rng;
use segue_proto::Timestamp;
use segue_proto::caps::Announce;

use super::fault::{Fault, To, Which, Who};
use crate::pipe::Link;
use crate::source::{Change, Shape};
use crate::world::Door;

/// What a plan is mostly about; within it everything is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Theme {
    Move,
    NoAddress,
    StreamAlone,
    Crash,
    BothDie,
    BadDoor,
    TwoConnections,
    TwoGoAways,
    Deadline,
    ThinUplink,
    RestartAtZero,
    Legacy,
    Chaos,
}

/// All of them, and how many parts of all plans each has.
const THEMES: [(Theme, u32); 13] = [
    (Theme::Move, 14),
    (Theme::NoAddress, 8),
    (Theme::StreamAlone, 8),
    (Theme::Crash, 12),
    (Theme::BothDie, 6),
    (Theme::BadDoor, 10),
    (Theme::TwoConnections, 8),
    (Theme::TwoGoAways, 8),
    (Theme::Deadline, 5),
    (Theme::ThinUplink, 4),
    (Theme::RestartAtZero, 4),
    (Theme::Legacy, 5),
    (Theme::Chaos, 20),
];

/// A viewer.
#[derive(Debug, Clone)]
pub struct Watching {
    /// What it announces.
    pub announce: Announce,
    /// When it comes, after the beginning.
    pub joins: Duration,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed it was drawn from.
    pub seed: u64,
    /// What it is about.
    pub theme: Theme,
    /// The source.
    pub shape: Shape,
    /// Links to servers that have none of their own.
    pub link: Link,
    /// Server B's link.
    pub link_b: Option<Link>,
    /// What the publisher announces.
    pub publisher: Announce,
    /// Viewers.
    pub viewers: Vec<Watching>,
    /// When what happens, after the beginning, in order.
    pub faults: Vec<(Duration, Fault)>,
    /// A second source, from timestamp 0, that begins so long after the first one's end.
    pub restart: Option<Duration>,
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn between(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_micros(rng.u64(from * 1000..=to * 1000))
}

/// No link is slower, in bytes per second: connecting must not take longer than what goes wrong meanwhile.
const SLOWEST: u64 = 30_000;

/// By then, in milliseconds, the stream and its viewers have begun, over the longest link too.
const BEGUN: u64 = 3000;

/// Edges near which timestamps are drawn: 24 bits, the sign bit, the wrap.
pub const EDGES: [u32; 3] = [0x00ff_ffff, 0x7fff_ffff, 0xffff_ffff];

impl Plan {
    /// The plan of that seed.
    pub fn draw(seed: u64) -> Self {
        // Neighbouring seeds are to have nothing in common.
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5e60_e517);
        let total: u32 = THEMES.iter().map(|(_, parts)| parts).sum();
        let mut at = rng.u32(0..total);
        let mut theme = Theme::Chaos;
        for (candidate, parts) in THEMES {
            if at < parts {
                theme = candidate;
                break;
            }
            at -= parts;
        }
        let shape = shape(&mut rng, theme);
        let link = link(&mut rng, &shape);
        let link_b = rng.bool().then(|| self::link(&mut rng, &shape));
        let mut plan = Self {
            seed,
            theme,
            publisher: publisher(&mut rng, theme),
            viewers: viewers(&mut rng, theme),
            shape,
            link,
            link_b,
            faults: Vec::new(),
            restart: (theme == Theme::RestartAtZero).then(|| between(&mut rng, 300, 3000)),
        };
        plan.draw_faults(&mut rng);
        // Everything heals soon after the source's end.
        let end = plan.shape.duration + ms(1000);
        plan.faults.retain(|(at, _)| *at < end);
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Bytes that its source makes in a second, with what chunks cost.
    pub fn rate(&self) -> u64 {
        rate(&self.shape)
    }

    fn draw_faults(&mut self, rng: &mut Rng) {
        let end = self.shape.duration.as_millis() as u64;
        let at = between(rng, BEGUN, end.saturating_sub(2000).max(BEGUN));
        let soon = |rng: &mut Rng| at + between(rng, 0, 2500);
        let drain = |rng: &mut Rng, to| Fault::Drain {
            server: Which::Holder,
            to,
            deadline: Duration::from_secs(25),
            settle: if to == To::Nowhere { between(rng, 0, 1500) } else { Duration::ZERO },
        };
        let mut add = |at: Duration, fault| self.faults.push((at, fault));
        match self.theme {
            Theme::Move => add(at, drain(rng, To::Other)),
            Theme::NoAddress => add(at, drain(rng, To::Nowhere)),
            Theme::StreamAlone => {
                add(at, Fault::TellStream { to: if rng.bool() { To::Nowhere } else { To::Other } });
                if rng.u8(0..3) == 0 {
                    add(soon(rng), drain(rng, To::Other));
                }
            }
            Theme::Crash => {
                if rng.bool() {
                    add(at, drain(rng, To::Other));
                }
                add(soon(rng), Fault::Kill { server: Which::Holder, back: between(rng, 500, 12_000) });
                if rng.u8(0..4) == 0 {
                    add(
                        soon(rng) + ms(3000),
                        Fault::Kill { server: Which::Holder, back: between(rng, 500, 4000) },
                    );
                }
            }
            Theme::BothDie => {
                let back = if end > 20_000 { between(rng, 31_000, 40_000) } else { between(rng, 200, 6000) };
                if rng.bool() {
                    add(at, drain(rng, To::Other));
                }
                add(soon(rng), Fault::KillBoth { back });
            }
            Theme::BadDoor => {
                let door = door(rng);
                let open_after = between(rng, 500, 11_000);
                add(at, Fault::Shut { server: Which::Other, door, open_after });
                add(at + ms(1), drain(rng, To::Other));
                if rng.u8(0..4) == 0 {
                    add(soon(rng), Fault::Reset(Who::Publisher));
                }
            }
            Theme::TwoConnections => {
                for _ in 0..rng.u8(1..=3) {
                    let delay = between(rng, 1, 1900);
                    let fault = if rng.bool() { Fault::ConnectTwice(delay) } else { Fault::LoseHold(delay) };
                    add(soon(rng), fault);
                }
                if rng.u8(0..3) == 0 {
                    add(soon(rng), drain(rng, To::Other));
                }
            }
            Theme::TwoGoAways => {
                add(at, drain(rng, To::Other));
                let then = soon(rng);
                match rng.u8(0..3) {
                    // The new server goes as well.
                    0 => add(
                        then,
                        Fault::Drain { server: Which::B, to: To::Other, deadline: ms(25_000), settle: ms(0) },
                    ),
                    1 => {
                        add(then, Fault::Cancel);
                        add(then + ms(1), drain(rng, To::Both));
                    }
                    _ => {
                        add(then, Fault::Cancel);
                        add(then + ms(1), Fault::TellStream { to: To::Both });
                    }
                }
                add(then + between(rng, 500, 5000), Fault::Cancel);
            }
            Theme::Deadline => {
                let deadline = between(rng, 3000, 7000);
                let open_after = deadline + between(rng, 500, 4000);
                add(at, Fault::Shut { server: Which::Other, door: Door::Refusing, open_after });
                add(
                    at + ms(1),
                    Fault::Drain { server: Which::Holder, to: To::Other, deadline, settle: ms(0) },
                );
            }
            Theme::ThinUplink => {
                let heals_after =
                    if end > 20_000 { between(rng, 60_000, 80_000) } else { between(rng, 2000, 8000) };
                add(at, Fault::Thin { percent: rng.u64(50..=90), heals_after });
                add(soon(rng), drain(rng, To::Other));
            }
            Theme::RestartAtZero => {
                add(ms(2000) + between(rng, 0, 500), Fault::TellStream { to: To::Nowhere })
            }
            Theme::Legacy => {
                let deadline = between(rng, 3000, 20_000);
                let to = if rng.bool() { To::Other } else { To::Nowhere };
                add(at, Fault::Drain { server: Which::Holder, to, deadline, settle: ms(0) });
            }
            Theme::Chaos => {
                for _ in 0..rng.u8(2..=6) {
                    let at = between(rng, BEGUN, end);
                    add(at, any(rng, at));
                }
            }
        }
        if self.theme != Theme::RestartAtZero {
            let mut now_and_then = |rng: &mut Rng, one_in: u8, fault: Fault| {
                if rng.u8(0..one_in) == 0 {
                    self.faults.push((between(rng, BEGUN, end - 500), fault));
                }
            };
            now_and_then(rng, 6, Fault::Stranger);
            // A viewer that came late cannot tell a replay that begins before it came from what comes next, unless
            // indexes say so: no late ones where they don't.
            if self.publisher.segue {
                now_and_then(rng, 5, Fault::Join);
            }
            now_and_then(rng, 12, Fault::End);
            let stall = Fault::Stall(Who::Viewer(rng.usize(0..2)), between(rng, 10, 2500));
            now_and_then(rng, 12, stall);
            let stall = Fault::Stall(Who::Publisher, between(rng, 10, 2500));
            now_and_then(rng, 12, stall);
            now_and_then(rng, 20, Fault::Reset(Who::Viewer(0)));
        }
    }
}

fn any(rng: &mut Rng, _at: Duration) -> Fault {
    let server = [Which::Holder, Which::Holder, Which::Other, Which::A, Which::B][rng.usize(0..5)];
    let to = [To::Nowhere, To::Other, To::Other, To::Both][rng.usize(0..4)];
    match rng.u8(0..14) {
        0..3 => {
            Fault::Drain { server, to, deadline: between(rng, 3000, 25_000), settle: between(rng, 0, 2000) }
        }
        3 => Fault::TellStream { to },
        4 => Fault::Cancel,
        5 => Fault::Kill { server, back: between(rng, 300, 8000) },
        6 => Fault::Shut { server, door: door(rng), open_after: between(rng, 300, 8000) },
        7 => Fault::Reset(Who::Publisher),
        8 => Fault::Reset(Who::Viewer(rng.usize(0..3))),
        9 => Fault::ConnectTwice(between(rng, 1, 3000)),
        10 => Fault::LoseHold(between(rng, 1, 3000)),
        11 => Fault::Stall(Who::Publisher, between(rng, 10, 4000)),
        12 => Fault::Stall(Who::Viewer(rng.usize(0..3)), between(rng, 10, 4000)),
        _ => Fault::Thin { percent: rng.u64(50..=90), heals_after: between(rng, 1000, 6000) },
    }
}

fn door(rng: &mut Rng) -> Door {
    // A client's handshake is 3073 bytes, its commands some hundreds, media comes behind.
    let byte = if rng.bool() { rng.usize(0..3800) } else { rng.usize(3800..40_000) };
    match rng.u8(0..7) {
        0 => Door::Refusing,
        1 => Door::Silent,
        2 => Door::Mute,
        3 | 4 => Door::ResetAfter(byte),
        _ => Door::HangAfter(byte),
    }
}

fn shape(rng: &mut Rng, theme: Theme) -> Shape {
    let long = match theme {
        Theme::BothDie => rng.u8(0..6) == 0,
        Theme::ThinUplink => rng.u8(0..4) == 0,
        _ => false,
    };
    let seconds = match theme {
        _ if long => 70,
        Theme::RestartAtZero => 4,
        Theme::Deadline | Theme::Legacy => rng.u64(12..=18),
        _ => rng.u64(8..=14),
    };
    let duration = Duration::from_secs(seconds);
    let kinds = rng.u8(0..10);
    let fps = if kinds == 0 { 0 } else { [10, 15, 25, 30][rng.usize(0..4)] };
    let start = match rng.u8(0..8) {
        0 => {
            let edge = EDGES[rng.usize(0..3)];
            Timestamp::from_millis(edge.wrapping_sub(rng.u32(0..seconds as u32 * 1000)))
        }
        1 => Timestamp::from_millis(rng.u32(..)),
        _ => Timestamp::ZERO,
    };
    let mut shape = Shape {
        fps: if long { 5 } else { fps },
        gop: match rng.u8(0..10) {
            0 => u32::MAX,
            1 => 1,
            _ => rng.u32(4..100),
        },
        audio: if kinds == 1 {
            0
        } else if long {
            5
        } else {
            rng.u32(8..30)
        },
        keyframe_bytes: rng.usize(500..6000),
        frame_bytes: if long { rng.usize(600..1500) } else { rng.usize(100..900) },
        // Alone, it is what fills a thin line.
        audio_bytes: if fps == 0 || long { rng.usize(400..900) } else { rng.usize(20..120) },
        start,
        duration,
        silent: rng.u8(0..8) == 0,
        b_frames: rng.u8(0..4) == 0,
        first: 0,
        extra_tracks: if fps > 0 && rng.u8(0..6) == 0 { rng.u8(1..3) } else { 0 },
        changes: Vec::new(),
    };
    if theme == Theme::RestartAtZero {
        // Its two sources are told apart by their payloads; each has a few GOPs.
        shape.silent = false;
        shape.gop = shape.gop.clamp(4, 30);
        shape.extra_tracks = 0;
        (shape.fps, shape.audio) = (25, 20);
    } else if rng.u8(0..3) == 0 {
        let mut changes = Vec::new();
        for _ in 0..rng.u8(1..=4) {
            let at = rng.u32(500..seconds as u32 * 1000 - 500);
            // Most encoders change it at a keyframe.
            let keyframe = |at: u32| {
                let frame = (at * shape.fps / 1000).div_ceil(shape.gop.max(1)).saturating_mul(shape.gop);
                frame.checked_mul(1000).and_then(|ms| ms.checked_div(shape.fps)).unwrap_or(at)
            };
            let at = if rng.bool() && shape.gop != u32::MAX { keyframe(at) } else { at };
            let kinds = [
                Change::Metadata,
                if shape.fps > 0 { Change::VideoHeader } else { Change::Metadata },
                if shape.audio > 0 { Change::AudioHeader } else { Change::Metadata },
            ];
            changes.push((at, kinds[rng.usize(0..3)]));
        }
        changes.retain(|(at, _)| u64::from(*at) < seconds * 1000 - 200);
        changes.sort_by_key(|(at, _)| *at);
        shape.changes = changes;
    }
    shape
}

fn rate(shape: &Shape) -> u64 {
    let bytes: usize = shape.messages().iter().map(|(_, m)| m.payload.len() + 20).sum();
    bytes as u64 / shape.duration.as_secs().max(1)
}

fn link(rng: &mut Rng, shape: &Shape) -> Link {
    let latency = [Duration::from_micros(50), ms(2), ms(30), ms(100), ms(250)][rng.usize(0..5)];
    Link {
        latency,
        // A new leg of the longest GOP is to get through in time.
        bandwidth: (rng.u8(0..4) == 0).then(|| rate(shape) * rng.u64(2..6)).map(|rate| rate.max(SLOWEST)),
        window: if rng.u8(0..4) == 0 { rng.usize(16 << 10..64 << 10) } else { 256 << 10 },
        segment: [600, 1500, 8000][rng.usize(0..3)],
    }
}

fn publisher(rng: &mut Rng, theme: Theme) -> Announce {
    let plain = |reconnect, go_away| Announce { reconnect, go_away, segue: false };
    match theme {
        Theme::Legacy => Announce::NONE,
        Theme::RestartAtZero => plain(false, true),
        Theme::Deadline if rng.u8(0..3) == 0 => Announce::NONE,
        _ => match rng.u8(0..12) {
            0 => Announce { reconnect: true, go_away: false, segue: true },
            1 => Announce { reconnect: false, go_away: true, segue: true },
            2 => plain(true, rng.bool()),
            3 => plain(false, true),
            _ => Announce::ALL,
        },
    }
}

fn viewers(rng: &mut Rng, theme: Theme) -> Vec<Watching> {
    let mut all = vec![Watching { announce: Announce::ALL, joins: Duration::ZERO }];
    let second = match theme {
        Theme::Legacy => Some(Announce::NONE),
        Theme::RestartAtZero => None,
        _ => match rng.u8(0..8) {
            0 => Some(Announce::NONE),
            1 => Some(Announce { segue: false, ..Announce::ALL }),
            2 => Some(Announce { reconnect: false, ..Announce::ALL }),
            _ => None,
        },
    };
    all.extend(second.map(|announce| Watching { announce, joins: Duration::ZERO }));
    all
}
