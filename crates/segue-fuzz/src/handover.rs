//! The publisher's hand-over as a sequence of operations: from any state every wait ends, each step is followed by the
//! state that it names, and a stream that is not lost is on a connection.

use std::sync::LazyLock;
use std::time::Duration;

use segue_proto::Moment;
use segue_proto::handover::backoff::{LONGEST, Rng};
use segue_proto::handover::publisher::{
    BUSY_WAIT, Config, Failure, Handover, MAX_HOPS, SETTLED, State, Step,
};
use segue_proto::session::GoAwaySignal;
use segue_proto::url::RtmpUrl;

use crate::input::Input;

const CONFIG: Config =
    Config { boundary_deadline: Duration::from_secs(20), give_up: Duration::from_secs(60) };
/// The longest that a state may wait before it dials.
const LONGEST_WAIT: Duration = Duration::from_secs(20 + 10 + 5 + 1);

/// Operations, a byte or two each.
pub fn handover(data: &[u8]) {
    let mut input = Input::new(data);
    static URLS: LazyLock<[RtmpUrl; 3]> = LazyLock::new(|| {
        ["rtmp://a.test/live/cam", "rtmp://b.test/live/cam", "rtmp://c.test/live/cam"]
            .map(|url| RtmpUrl::parse(url).expect("a constant"))
    });
    let urls = &*URLS;
    let mut now = Moment::from_micros(1_000_000);
    let mut rng = Rng::new([input.u8(); 32]);
    let mut handover = Handover::new(CONFIG, now);
    let mut hops = Hops::default();
    assert!(LONGEST_WAIT >= CONFIG.boundary_deadline + BUSY_WAIT + LONGEST + SETTLED);

    while !input.is_empty() {
        let (op, argument) = (input.u8(), input.u8());
        let before = Before::of(&handover);
        let target = urls.get(usize::from(argument & 3)).cloned();
        let signal =
            if argument & 4 == 0 { GoAwaySignal::ReconnectRequest } else { GoAwaySignal::GoAwayMessage };
        match op % 14 {
            0 | 1 => now = now + Duration::from_millis(u64::from(argument) * 40),
            2 | 3 => {
                // What is due, when it is due.
                if let Some(due) = handover.wake_at() {
                    now = now.max(due);
                    let step = handover.handle_timeout(now);
                    assert_ne!(step, Step::Wait, "it asked to be woken");
                    follows(step, &handover);
                    if step == Step::GiveUp {
                        return assert!(handover.is_lost());
                    }
                }
            }
            4 => {
                let step = handover.handle_timeout(now);
                follows(step, &handover);
                if step == Step::GiveUp {
                    return;
                }
            }
            5 => {
                let dropped = handover.told(signal, target.clone(), now);
                let was_under_way = matches!(before.stage, Stage::Dialing | Stage::Primed);
                assert!(!dropped || was_under_way, "there is a connection to drop");
                assert!(handover.pending().is_some());
                let repeat = before.signalled && before.target == target;
                if before.stage == Stage::Switching {
                    assert!(matches!(handover.state(), State::Switching { .. }), "the boundary is passed");
                } else if repeat {
                    assert!(Stage::of(&handover) == before.stage, "a repeat changes nothing");
                } else {
                    assert_eq!(dropped, was_under_way, "the latest signal wins");
                    let pending = handover.pending().map(|pending| (&pending.target, pending.signal));
                    assert_eq!(pending, Some((&target, Some(signal))));
                    hops.more(now);
                    let held = !before.is_lost && hops.count > MAX_HOPS;
                    assert!(!held || dial_at(&handover) >= Some(now + CONFIG.boundary_deadline), "a loop");
                }
            }
            6 => {
                let signal = Some(signal).filter(|_| argument & 8 == 0);
                let was_under_way = matches!(before.stage, Stage::Dialing | Stage::Primed);
                assert_eq!(handover.sent_on(signal, target.clone(), now, &mut rng), was_under_way);
                if was_under_way {
                    assert!(matches!(handover.state(), State::Requested { .. }));
                    hops.more(now);
                    if target.is_some() && hops.count > MAX_HOPS {
                        assert!(dial_at(&handover) >= Some(now + SETTLED), "a loop that does not rest");
                        hops.count = 0;
                    } else if target.is_some() {
                        assert_eq!(dial_at(&handover), Some(now), "there is somewhere to go");
                    }
                }
            }
            7 => {
                let switches = handover.boundary(now);
                assert_eq!(
                    switches,
                    before.stage == Stage::Primed && !before.is_lost,
                    "at the first boundary"
                );
                if switches {
                    assert!(matches!(handover.state(), State::Switching { .. }));
                }
            }
            8 => {
                let step = handover.primed(now);
                follows(step, &handover);
                let dialing = before.stage == Stage::Dialing;
                assert!(dialing || step == Step::Wait);
                assert!(
                    !(dialing && before.is_lost) || step == Step::SwitchByReplay,
                    "no boundary to wait for"
                );
            }
            9 => {
                let moved = handover.accepted(now);
                assert_eq!(moved.is_some(), before.stage == Stage::Switching);
                assert!(moved.is_none() || !handover.is_lost());
                if moved.is_some() && handover.pending().is_some() {
                    // A go-away that came early.
                    hops.more(now);
                }
            }
            10 => {
                let failure = [Failure::Refused, Failure::Draining, Failure::Busy][usize::from(argument) % 3];
                let close_old = handover.failed(failure, now, &mut rng);
                let keeps_name =
                    failure == Failure::Busy && before.stage == Stage::Switching && !before.is_lost;
                assert_eq!(close_old, keeps_name, "the old connection is closed if it is in the way");
                assert_eq!(handover.is_lost(), before.is_lost || close_old);
                if let (Some(was), Some(is)) = (before.attempt, handover.pending()) {
                    assert!(is.attempt > was && matches!(handover.state(), State::Requested { .. }));
                }
            }
            11 => {
                let step = handover.lost(now, &mut rng);
                follows(step, &handover);
                assert!(handover.is_lost());
            }
            12 => handover.old_ended(now),
            _ if argument & 1 == 0 => {
                handover.settled(now);
                if hops.last.is_some_and(|last| now.since(last) >= SETTLED) {
                    hops.count = 0;
                }
            }
            _ => {
                let stayed = handover.stay();
                let may = !before.is_lost && before.stage != Stage::Switching;
                assert!(stayed.is_none() || may, "a stream that cannot stay");
                assert!(!may || matches!(handover.state(), State::Steady));
            }
        }
        sound(&handover, now, urls);
    }
}

#[derive(PartialEq)]
enum Stage {
    Steady,
    Requested,
    Dialing,
    Primed,
    Switching,
}

impl Stage {
    fn of(handover: &Handover) -> Self {
        match handover.state() {
            State::Steady => Stage::Steady,
            State::Requested { .. } => Stage::Requested,
            State::Dialing { .. } => Stage::Dialing,
            State::Primed { .. } => Stage::Primed,
            State::Switching { .. } => Stage::Switching,
        }
    }
}

/// Addresses that were followed without a pause: the same count, kept apart.
#[derive(Default)]
struct Hops {
    count: u32,
    last: Option<Moment>,
}

impl Hops {
    fn more(&mut self, now: Moment) {
        self.count += 1;
        self.last = Some(now);
    }
}

fn dial_at(handover: &Handover) -> Option<Moment> {
    if let State::Requested { dial_at, .. } = handover.state() { Some(*dial_at) } else { None }
}

/// What an operation is compared with.
struct Before {
    stage: Stage,
    is_lost: bool,
    attempt: Option<u32>,
    target: Option<RtmpUrl>,
    /// Whether what is pending was asked for.
    signalled: bool,
}

impl Before {
    fn of(handover: &Handover) -> Self {
        let stage = Stage::of(handover);
        let attempt = handover.pending().map(|pending| pending.attempt);
        let target = handover.pending().and_then(|pending| pending.target.clone());
        let signalled = handover.pending().is_some_and(|pending| pending.signal.is_some());
        Self { stage, is_lost: handover.is_lost(), attempt, target, signalled }
    }
}

fn follows(step: Step, handover: &Handover) {
    match step {
        Step::Dial => assert!(matches!(handover.state(), State::Dialing { .. })),
        Step::SwitchByReplay => assert!(matches!(handover.state(), State::Switching { .. })),
        Step::GiveUp => assert!(handover.is_lost()),
        Step::Wait => {}
    }
}

fn sound(handover: &Handover, now: Moment, urls: &[RtmpUrl; 3]) {
    assert_eq!(handover.pending().is_none(), matches!(handover.state(), State::Steady));
    match handover.state() {
        State::Steady => assert!(!handover.is_lost(), "a stream without a connection looks for one"),
        State::Requested { dial_at, .. } => {
            assert!(*dial_at <= now + LONGEST_WAIT, "it waits too long");
            assert!(handover.wake_at().is_some_and(|wake| wake <= *dial_at));
        }
        // What the caller does there has deadlines of its own; without a connection, the stream's is over all.
        State::Dialing { .. } | State::Switching { .. } => {
            assert_eq!(handover.wake_at().is_some(), handover.is_lost());
        }
        State::Primed { .. } => {
            assert!(!handover.is_lost(), "what is ready is used");
            assert!(handover.wake_at().is_some_and(|wake| wake <= now.max(wake)));
        }
    }
    assert!(!handover.takes_draining() || handover.is_lost());
    let (address, _) = handover.address(&urls[0], &urls[1]);
    let target = handover.pending().and_then(|pending| pending.target.clone());
    assert!(address == urls[0] || address == urls[1] || Some(address) == target, "an address of nobody");
}
