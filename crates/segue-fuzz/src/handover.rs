//! The publisher's hand-over as a sequence of operations: from any state every wait ends, each step is followed by the
//! state that it names, and a stream that is not lost is on a connection.

use std::sync::LazyLock;
use std::time::Duration;

use segue_proto::Moment;
use segue_proto::handover::backoff::{LONGEST, Rng};
use segue_proto::handover::publisher::{BUSY_WAIT, Config, Failure, Handover, SETTLED, State, Step};
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
                let dropped = handover.told(signal, target, now);
                let was_under_way = matches!(before.stage, Stage::Dialing | Stage::Primed);
                assert!(!dropped || was_under_way, "there is a connection to drop");
                assert!(handover.pending().is_some());
            }
            6 => {
                let signal = Some(signal).filter(|_| argument & 8 == 0);
                if handover.sent_on(signal, target, now, &mut rng) {
                    assert!(matches!(before.stage, Stage::Dialing | Stage::Primed));
                    assert!(matches!(handover.state(), State::Requested { .. }));
                }
            }
            7 => {
                if handover.boundary(now) {
                    assert!(before.stage == Stage::Primed && !before.is_lost);
                    assert!(matches!(handover.state(), State::Switching { .. }));
                }
            }
            8 => follows(handover.primed(now), &handover),
            9 => {
                let moved = handover.accepted(now);
                assert_eq!(moved.is_some(), before.stage == Stage::Switching);
                assert!(moved.is_none() || !handover.is_lost());
            }
            10 => {
                let failure = [Failure::Refused, Failure::Draining, Failure::Busy][usize::from(argument) % 3];
                let close_old = handover.failed(failure, now, &mut rng);
                assert!(!close_old || (!before.is_lost && handover.is_lost()));
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
            _ if argument & 1 == 0 => handover.settled(now),
            _ => {
                let stayed = handover.stay();
                assert!(stayed.is_none() || matches!(handover.state(), State::Steady));
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

/// What an operation is compared with.
struct Before {
    stage: Stage,
    is_lost: bool,
    attempt: Option<u32>,
}

impl Before {
    fn of(handover: &Handover) -> Self {
        let stage = match handover.state() {
            State::Steady => Stage::Steady,
            State::Requested { .. } => Stage::Requested,
            State::Dialing { .. } => Stage::Dialing,
            State::Primed { .. } => Stage::Primed,
            State::Switching { .. } => Stage::Switching,
        };
        let attempt = handover.pending().map(|pending| pending.attempt);
        Self { stage, is_lost: handover.is_lost(), attempt }
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
