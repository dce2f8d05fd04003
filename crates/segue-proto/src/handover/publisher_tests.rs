//! The publisher's hand-over, step by step.

use super::*;

const CONFIG: Config =
    Config { boundary_deadline: Duration::from_secs(10), give_up: Duration::from_secs(60) };
const TOLD: GoAwaySignal = GoAwaySignal::ReconnectRequest;

fn at(ms: u64) -> Moment {
    Moment::from_micros(ms * 1000)
}

fn rng() -> Rng {
    Rng::new([3; 32])
}

fn url(text: &str) -> RtmpUrl {
    RtmpUrl::parse(text).unwrap()
}

/// A stream that runs since 0, with a keyframe every 2 s; the last one came at 4 s.
fn steady() -> Handover {
    let mut machine = Handover::new(CONFIG, at(0));
    assert_eq!(machine.handle_timeout(at(0)), Step::Dial);
    assert_eq!(machine.primed(at(0)), Step::SwitchByReplay);
    assert!(machine.accepted(at(0)).is_some());
    for ms in [0, 2000, 4000] {
        assert!(!machine.boundary(at(ms)));
    }
    machine
}

#[test]
fn dials_a_second_before_the_expected_keyframe_and_switches_at_it() {
    let mut machine = steady();
    assert!(!machine.told(TOLD, None, at(4100)));
    assert_eq!(machine.wake_at(), Some(at(5000)));
    assert_eq!(machine.handle_timeout(at(4999)), Step::Wait);
    assert_eq!(machine.handle_timeout(at(5000)), Step::Dial);
    assert_eq!(machine.primed(at(5050)), Step::Wait);
    assert!(machine.boundary(at(6000)));
    assert_eq!(machine.accepted(at(6010)).unwrap().cause, Some(Cause::Drain));
    assert!(matches!(machine.state(), State::Steady));
}

/// Found by fuzzing: the move was lost, and with it the stream, if it had no connection.
#[test]
fn an_answer_that_is_not_awaited_changes_nothing() {
    let mut machine = Handover::new(CONFIG, at(0));
    assert!(machine.accepted(at(0)).is_none());
    assert_eq!(machine.handle_timeout(at(0)), Step::Dial);
    assert!(machine.accepted(at(0)).is_none());
    assert_eq!(machine.primed(at(0)), Step::SwitchByReplay);
}

#[test]
fn an_unknown_gop_dials_at_once() {
    let mut machine = Handover::new(CONFIG, at(0));
    let _ = machine.handle_timeout(at(0));
    let _ = machine.primed(at(0));
    machine.accepted(at(0));
    machine.boundary(at(0));
    machine.told(TOLD, None, at(100));
    assert_eq!(machine.handle_timeout(at(100)), Step::Dial);
}

#[test]
fn not_primed_at_a_boundary_stays_to_the_next() {
    let mut machine = steady();
    machine.told(TOLD, None, at(5500));
    assert_eq!(machine.handle_timeout(at(5500)), Step::Dial);
    assert!(!machine.boundary(at(6000)));
    assert_eq!(machine.primed(at(6100)), Step::Wait);
    assert!(machine.boundary(at(8000)));
}

#[test]
fn h01_without_a_boundary_the_deadline_replays() {
    let mut machine = steady();
    machine.told(TOLD, None, at(4000));
    assert_eq!(machine.handle_timeout(at(5000)), Step::Dial);
    assert_eq!(machine.primed(at(5100)), Step::Wait);
    assert_eq!(machine.handle_timeout(at(13_999)), Step::Wait);
    assert_eq!(machine.wake_at(), Some(at(14_000)));
    assert_eq!(machine.handle_timeout(at(14_000)), Step::SwitchByReplay);
}

#[test]
fn h01_a_connection_that_is_ready_after_the_deadline_replays_at_once() {
    let mut machine = steady();
    machine.told(TOLD, None, at(4000));
    assert_eq!(machine.handle_timeout(at(5000)), Step::Dial);
    assert_eq!(machine.primed(at(14_500)), Step::SwitchByReplay);
}

#[test]
fn h03_a_failure_at_any_step_tries_again_after_a_delay() {
    let mut machine = steady();
    let mut rng = rng();
    machine.told(TOLD, None, at(5500));
    for _ in 0..20 {
        let wake = machine.wake_at().unwrap();
        assert_eq!(machine.handle_timeout(wake), Step::Dial);
        assert!(!machine.failed(Failure::Refused, wake, &mut rng));
        let delay = machine.wake_at().unwrap().since(wake);
        assert!(delay >= Duration::from_millis(100) && delay <= Duration::from_secs(5));
    }
    assert!(!machine.is_lost());
    assert_eq!(machine.pending().unwrap().attempt, 20);
}

#[test]
fn a_busy_name_closes_the_old_connection_first() {
    let mut machine = steady();
    let mut rng = rng();
    machine.told(TOLD, None, at(5500));
    let _ = machine.handle_timeout(at(5500));
    let _ = machine.primed(at(5600));
    assert!(machine.boundary(at(6000)));
    assert!(machine.failed(Failure::Busy, at(6010), &mut rng));
    assert_eq!(machine.wake_at(), Some(at(6010) + BUSY_WAIT));
    machine.old_ended(at(6200));
    assert_eq!(machine.handle_timeout(at(6200)), Step::Dial);
    assert_eq!(machine.primed(at(6300)), Step::SwitchByReplay);
    // Busy again: nothing left to close.
    assert!(!machine.failed(Failure::Busy, at(6400), &mut rng));
    assert!(machine.wake_at().unwrap() <= at(6400) + Duration::from_secs(1));
}

#[test]
fn h04_a_loss_before_the_boundary_switches_at_once() {
    let mut machine = steady();
    let mut rng = rng();
    machine.told(TOLD, None, at(5500));
    let _ = machine.handle_timeout(at(5500));
    let _ = machine.primed(at(5600));
    assert_eq!(machine.lost(at(5700), &mut rng), Step::SwitchByReplay);
}

#[test]
fn h06_a_lost_stream_is_given_up_after_the_bound() {
    let mut machine = steady();
    let mut rng = rng();
    assert_eq!(machine.lost(at(5000), &mut rng), Step::Wait);
    loop {
        let wake = machine.wake_at().unwrap();
        match machine.handle_timeout(wake) {
            Step::Dial => assert!(!machine.failed(Failure::Refused, wake, &mut rng)),
            Step::GiveUp => break assert_eq!(wake, at(65_000)),
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn h08_the_latest_signal_wins_and_a_repeat_changes_nothing() {
    let mut machine = steady();
    let (b, c) = (url("rtmp://b/app/key"), url("rtmp://c/app/key"));
    assert!(!machine.told(TOLD, Some(b.clone()), at(5500)));
    let _ = machine.handle_timeout(at(5500));
    assert!(!machine.told(TOLD, Some(b), at(5600)), "a repeat");
    assert!(machine.told(TOLD, Some(c.clone()), at(5700)), "the connection to b is dropped");
    assert_eq!(machine.pending().unwrap().target, Some(c));
}

#[test]
fn h08_a_signal_of_the_new_server_counts_once_it_has_the_stream() {
    let mut machine = steady();
    let mut rng = rng();
    machine.told(TOLD, None, at(5500));
    let _ = machine.handle_timeout(at(5500));
    let _ = machine.primed(at(5600));
    assert!(machine.boundary(at(6000)));
    let c = url("rtmp://c/app/key");
    assert!(!machine.sent_on(Some(TOLD), Some(c.clone()), at(6001), &mut rng));
    machine.accepted(at(6010));
    assert_eq!(machine.pending().unwrap().target, Some(c));
}

#[test]
fn h08_at_most_five_hops_without_accepted_media() {
    let mut machine = steady();
    let mut rng = rng();
    machine.told(TOLD, None, at(5500));
    for hop in 2..=MAX_HOPS {
        assert_eq!(machine.handle_timeout(at(5500)), Step::Dial);
        assert!(machine.sent_on(None, Some(url(&format!("rtmp://h{hop}/a/k"))), at(5500), &mut rng));
        assert_eq!(machine.wake_at(), Some(at(5500)));
    }
    assert_eq!(machine.handle_timeout(at(5500)), Step::Dial);
    assert!(machine.sent_on(None, Some(url("rtmp://h6/a/k")), at(5500), &mut rng));
    assert!(machine.wake_at().unwrap() >= at(6500), "one too many");
    assert_eq!(machine.pending().unwrap().target, None);
}

#[test]
fn h08_a_stream_sent_around_waits_for_accepted_media() {
    let mut machine = steady();
    for hop in 1..=MAX_HOPS {
        machine.told(TOLD, Some(url(&format!("rtmp://h{hop}/a/k"))), at(5500));
        assert_eq!(machine.wake_at(), Some(at(5500)));
    }
    machine.told(TOLD, Some(url("rtmp://h6/a/k")), at(5500));
    assert_eq!(machine.wake_at(), Some(at(15_500)));
    machine.settled(at(6499));
    assert_eq!(machine.wake_at(), Some(at(15_500)), "not yet");
    machine.settled(at(6500));
    assert_eq!(machine.wake_at(), Some(at(6500)));
}

#[test]
fn addresses_take_turns() {
    let (own, last, target) = (url("rtmp://own/a/k"), url("rtmp://last/a/k"), url("rtmp://target/a/k"));
    let mut rng = rng();
    let mut walk = |machine: &mut Handover| {
        let mut hosts = Vec::new();
        for _ in 0..6 {
            let (url, address) = machine.address(&own, &last);
            hosts.push(format!("{}{address}", url.host));
            machine.failed(Failure::Refused, at(9000), &mut rng);
        }
        hosts.join(" ")
    };
    let mut machine = steady();
    machine.told(TOLD, Some(target), at(5500));
    assert_eq!(walk(&mut machine), "target0 target1 target2 target3 own3 target4");
    let mut machine = steady();
    machine.told(TOLD, None, at(5500));
    assert_eq!(walk(&mut machine), "own0 own1 own2 own3 own4 own5");
    let mut machine = steady();
    let _ = machine.lost(at(5500), &mut Rng::new([1; 32]));
    assert_eq!(walk(&mut machine), "own0 last0 own1 last1 own2 last2");
}

#[test]
fn h10_a_draining_server_is_taken_only_if_nothing_else_answers() {
    let mut machine = steady();
    let mut rng = rng();
    machine.told(TOLD, None, at(5500));
    for _ in 0..10 {
        machine.failed(Failure::Draining, at(5500), &mut rng);
        assert!(!machine.takes_draining(), "the old connection still has the stream");
    }
    let mut machine = steady();
    let _ = machine.lost(at(5500), &mut rng);
    for n in 0..5 {
        assert_eq!(machine.takes_draining(), n >= DRAINING_PASSED_BY);
        machine.failed(Failure::Draining, at(5500), &mut rng);
    }
}
