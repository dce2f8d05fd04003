//! The hand-over in virtual time, fault by fault: the product's publisher, servers and viewer over a simulated network.
//! Every verdict is the ledger's.

mod scene;

use std::collections::BTreeSet;
use std::time::Duration;

use scene::{Scene, Setup, ms, secs};
use segue_proto::caps::Announce;
use segue_proto::client::Ending;
use segue_proto::session::GoAwaySignal;
use segue_sim::pipe::Link;
use segue_sim::source::Shape;
use segue_sim::tap::Step;
use segue_sim::world::Door;

/// Seeds of each scenario; the moment, the segmentation and the jitter all come from the seed. A longer run is built
/// with SEGUE_SIM_SEEDS=N.
const SEEDS: std::ops::Range<u64> = 0..match option_env!("SEGUE_SIM_SEEDS") {
    Some(count) => match u64::from_str_radix(count, 10) {
        Ok(count) => count,
        Err(_) => panic!("SEGUE_SIM_SEEDS is a number"),
    },
    None => 20,
};

/// A publisher moves from A to B at a seeded moment, with each announcement; both recordings together and the viewer hold
/// every message once.
#[test]
fn a_drain_at_any_moment_loses_nothing() {
    let dialects = [
        Announce { reconnect: true, go_away: true, segue: true },
        Announce { reconnect: true, go_away: false, segue: true },
        Announce { reconnect: false, go_away: true, segue: true },
    ];
    for seed in SEEDS {
        for announce in dialects {
            // A go-away names no address: the one that is known leads to B as well.
            let both_behind_one_name = !announce.reconnect;
            let mut s = Scene::new(Setup { seed, announce, both_behind_one_name, ..Setup::default() });
            s.run_to_random(secs(2)..secs(6));
            s.move_to_b();
            s.finish();
            s.assert_whole_without_overlap();
            s.assert_viewer_saw_everything();
            s.assert_one_move();
        }
    }
}

#[test]
fn a_plain_publisher_moves_without_loss_too() {
    for seed in SEEDS {
        let announce = Announce { reconnect: true, go_away: true, segue: false };
        let mut s = Scene::new(Setup { seed, announce, ..Setup::default() });
        s.run_to_random(secs(2)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
    }
}

#[test]
fn forty_moves_back_and_forth_are_one_timeline() {
    let shape = Shape { gop: 60, duration: secs(110), ..Shape::default() };
    let mut s = Scene::new(Setup { seed: 7, shape, ..Setup::default() });
    s.run_for(secs(2));
    for n in 0..40 {
        if n % 2 == 0 {
            s.move_to_b()
        } else {
            s.move_to_a()
        }
        s.settle_move();
    }
    s.finish();
    s.assert_whole_without_overlap();
    s.assert_viewer_saw_everything();
    assert_eq!(s.publisher.borrow().records.iter().filter(|r| r.missing == Some(0)).count(), 40);
}

#[test]
fn one_seed_gives_one_trace() {
    let trace = |seed| {
        let mut s = Scene::new(Setup { seed, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.move_to_b();
        s.finish();
        s.world.trace()
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn h01_an_infinite_gop_moves_by_replay_at_the_deadline() {
    for seed in SEEDS {
        let shape = Shape { gop: u32::MAX, duration: secs(20), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(5));
        s.move_to_b();
        s.finish();
        s.assert_whole();
        s.assert_viewer_saw_everything();
        s.assert_one_move();
    }
}

/// Back to the same server, what is sent again is found there and left out.
#[test]
fn h01_an_infinite_gop_that_comes_back_is_not_repeated() {
    for seed in SEEDS {
        let shape = Shape { gop: u32::MAX, duration: secs(20), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(5));
        s.tell_stream_alone();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
        s.assert_one_move();
    }
}

#[test]
fn h02_audio_alone_moves_within_a_second() {
    for seed in SEEDS {
        let shape = Shape { fps: 0, silent: true, ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.move_to_b();
        let moved_by = s.world.now() + secs(1);
        s.finish();
        s.assert_at_b_from(moved_by);
        s.assert_one_move();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn video_alone_moves_without_loss() {
    for seed in SEEDS {
        let mut s =
            Scene::new(Setup { seed, shape: Shape { audio: 0, ..Shape::default() }, ..Setup::default() });
        s.run_to_random(secs(2)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

/// The new server takes some of the stream and then breaks or hangs: the viewer has followed there, and the stream goes on
/// at the old one.
#[test]
fn h03_a_viewer_that_followed_to_a_server_that_fails_lacks_nothing() {
    for seed in SEEDS {
        for door in [Door::ResetAfter, Door::HangAfter] {
            let shape = Shape { duration: secs(30), ..Shape::default() };
            let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
            s.run_to_random(secs(2)..secs(4));
            // The way to B is long: media is there, and its viewers', before the answer to `publish` is back.
            s.world.set_link(s.b, Link { latency: ms(150), ..Link::default() });
            let byte = s.world.rng().usize(4300..9000);
            s.world.set_door(s.b, door(byte));
            s.move_to_b();
            s.run_for(secs(4));
            s.world.set_door(s.b, Door::Open);
            s.finish();
            s.assert_viewer_saw_everything();
        }
    }
}

/// The old connection is dead before the boundary, and the news of that comes after it.
#[test]
fn h05_a_tail_on_a_dead_connection_is_sent_again() {
    for seed in SEEDS {
        let mut s = Scene::new(Setup { seed, ..Setup::default() });
        // Just after a keyframe; the next is two seconds later.
        s.run_to_random(ms(2050)..ms(2150));
        s.move_to_b();
        s.run_for(ms(50));
        s.world.stall(s.publisher_id, secs(5));
        let silent = s.world.rng().u64(10..1500);
        s.run_for(ms(silent));
        s.world.reset_connections(s.publisher_id);
        s.finish();
        s.assert_viewer_saw_everything();
        s.assert_whole();
    }
}

/// Whatever the new server does wrong, the stream stays on the old one and moves when the new one is well again.
#[test]
fn h03_a_new_server_that_fails_at_any_step_loses_nothing() {
    // Bytes of the client's after which the connection is reset, or hangs.
    let limits = [0, 1, 1537, 3073, 3200, 3393, 3513, 3533, 3553, 3573, 3593, 3713, 3733, 3773, 4293, 30_000];
    let doors: Vec<_> = [Door::Refusing, Door::Silent, Door::Mute]
        .into_iter()
        .chain(limits.map(Door::ResetAfter))
        .chain(limits.map(Door::HangAfter))
        .collect();
    let (mut reset, mut hung) = (BTreeSet::new(), BTreeSet::new());
    for (seed, door) in doors.into_iter().enumerate() {
        let shape = Shape { duration: secs(40), ..Shape::default() };
        let mut s = Scene::new(Setup { seed: seed as u64, shape, viewer: false, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.world.set_door(s.b, door);
        s.move_to_b();
        s.run_for(secs(15));
        let steps: Vec<_> =
            s.world.taps().iter().filter(|tap| tap.server == s.b).map(|tap| tap.reached()).collect();
        match door {
            Door::ResetAfter(_) => reset.extend(steps),
            Door::HangAfter(_) => hung.extend(steps),
            _ => {}
        }
        s.world.set_door(s.b, Door::Open);
        s.finish();
        s.assert_moved_in_the_end();
        // What the failed new server recorded before the reset is not counted: A and the last leg of B are.
        s.assert_whole();
    }
    let every = [
        Step::Dialed,
        Step::Hello,
        Step::Handshake,
        Step::Connect,
        Step::CreateStream,
        Step::Publish,
        Step::LegHeader,
        Step::Media,
    ];
    assert_eq!(reset, BTreeSet::from(every), "reset at every step");
    assert_eq!(hung, BTreeSet::from(every), "hung at every step");
}

/// A link on which much is always under way: what a dead server loses.
fn far() -> Link {
    Link { latency: ms(100), ..Link::default() }
}

#[test]
fn h04_the_old_server_dies_before_the_boundary() {
    for seed in SEEDS {
        // The boundary after the signal is at 8 s.
        let shape = Shape { gop: 240, duration: secs(14), ..Shape::default() };
        let mut s =
            Scene::new(Setup { seed, shape, link: far(), both_behind_one_name: true, ..Setup::default() });
        s.run_to_random(secs(1)..ms(6400));
        s.move_to_b();
        let wait = ms(s.world.rng().u64(1..1500));
        s.run_for(wait);
        s.kill_a();
        s.finish();
        s.assert_whole();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn h04_a_server_that_dies_without_a_word_is_replayed_to_another() {
    for seed in SEEDS {
        let mut s = Scene::new(Setup { seed, link: far(), both_behind_one_name: true, ..Setup::default() });
        s.run_to_random(secs(3)..secs(6));
        s.kill_a();
        s.finish();
        s.assert_whole();
        s.assert_viewer_saw_everything();
    }
}

/// A slow line with a delay: acknowledgements and pings lie unread at every cut, and the tail is long.
#[test]
fn h05_no_reset_eats_the_tail() {
    for seed in SEEDS {
        let link = Link {
            latency: ms(100),
            // 1.5 times what the source makes.
            bandwidth: Some(s_rate() * 3 / 2),
            window: 64 << 10,
            segment: 1500,
        };
        let shape = Shape { duration: secs(16), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, link, shape, ..Setup::default() });
        s.run_to_random(secs(3)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

/// The old server is far away, the new one near: it takes the stream while the old leg's tail is still under way, and so
/// are acknowledgements that the publisher has not read.
#[test]
fn h05_a_tail_under_way_survives_unread_acknowledgements() {
    let mut unread = 0;
    for seed in SEEDS {
        let mut s = Scene::new(Setup {
            seed,
            // Acknowledgements come every 500 ms: one is always under way.
            link: Link { latency: ms(600), ..Link::default() },
            shape: Shape { duration: secs(16), ..Shape::default() },
            viewer: false,
            ..Setup::default()
        });
        let b = s.b;
        s.world.set_link(b, Link { latency: ms(2), ..Link::default() });
        s.run_to_random(secs(8)..secs(11));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_one_move();
        unread += s.world.unread_at_half_close();
    }
    assert!(unread >= SEEDS.count() / 2, "acknowledgements lay unread at {unread} cuts");
}

fn s_rate() -> u64 {
    let shape = Shape::default();
    let bytes: usize = shape.messages().iter().map(|(_, m)| m.payload.len() + 20).sum();
    bytes as u64 / shape.duration.as_secs()
}

#[test]
fn h07_a_publisher_that_connects_twice_leaves_no_duplicate() {
    for seed in SEEDS {
        let mut s = Scene::new(Setup { seed, ..Setup::default() });
        s.run_to_random(secs(2)..secs(5));
        // The connection is cut under the publisher; the server does not hear of it for a while.
        let id = s.publisher_id;
        s.world.reset_client_side(id, secs(1));
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

/// The client hears of a reset, the server does not: what was sent over the first connection still arrives there, after
/// the second one has come.
#[test]
fn h07_what_the_first_connection_still_delivers_is_fenced() {
    for seed in SEEDS {
        let mut s = Scene::new(Setup { seed, ..Setup::default() });
        s.run_to_random(secs(2)..secs(5));
        let id = s.publisher_id;
        s.world.stall(id, ms(700));
        s.run_for(ms(600));
        s.world.lose_hold(id, secs(1));
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

/// Nothing but the draining server answers: it takes back the stream that was there.
#[test]
fn h10_a_draining_server_takes_back_what_was_there() {
    for seed in SEEDS {
        let announce = Announce { reconnect: false, go_away: true, segue: true };
        let mut s = Scene::new(Setup { seed, announce, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.drain_a(None);
        let id = s.publisher_id;
        s.world.reset_connections(id);
        s.finish();
        s.assert_whole_without_overlap();
    }
}

#[test]
fn h10_the_address_leads_back_to_the_draining_server_first() {
    for seed in SEEDS {
        let announce = Announce { reconnect: false, go_away: true, segue: true };
        let setup = Setup { seed, announce, both_behind_one_name: true, ..Setup::default() };
        let mut s = Scene::new(setup);
        s.run_to_random(secs(2)..secs(4));
        s.drain_a(None);
        let moved_by = s.world.now() + secs(4);
        s.finish();
        s.assert_moved_in_the_end();
        s.assert_at_b_from(moved_by);
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn h12_a_cut_around_every_edge_of_the_timestamps() {
    for (seed, edge) in [0x00ff_ffff_u32, 0x7fff_ffff, 0xffff_ffff].into_iter().enumerate() {
        for before in [3800, 4000, 4010, 4033, 4200] {
            let start = segue_proto::Timestamp::from_millis(edge.wrapping_sub(before));
            let mut s = Scene::new(Setup {
                seed: seed as u64,
                shape: Shape { start, ..Shape::default() },
                ..Setup::default()
            });
            s.run_for(ms(2500));
            s.move_to_b();
            s.finish();
            s.assert_whole_without_overlap();
            s.assert_viewer_saw_everything();
        }
    }
}

/// An encoder that was told by type 32 and comes back to its server with timestamps from 0 (OBS does).
#[test]
fn h12_a_new_leg_that_restarts_at_zero_goes_on_in_one_timeline() {
    let announce = Announce { reconnect: false, go_away: true, segue: false };
    for seed in SEEDS {
        let shape = Shape { duration: secs(4), ..Shape::default() };
        let mut s =
            Scene::new(Setup { seed, announce, shape: shape.clone(), abrupt: true, ..Setup::default() });
        s.run_for(secs(2) + ms(seed));
        s.tell_stream_alone();
        s.run_for(secs(2) + ms(500));
        let restart = s.sent_count();
        s.publish_again("rtmp://a/live/show?key=1", announce, &Shape { first: 100_000, ..shape }, 4500);
        s.finish();
        s.assert_restart_is_whole(restart);
    }
}

#[test]
fn h13_composition_offsets_survive_the_cut() {
    for seed in SEEDS {
        let shape = Shape { b_frames: true, ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn h18_the_deadline_cuts_after_a_whole_gop_and_hands_on_what_it_took() {
    // A viewer that takes nothing for a while around the deadline has much to be handed yet.
    let link = Link { window: 16 << 10, ..Link::default() };
    for seed in SEEDS {
        let announce = Announce::NONE;
        let shape = Shape { duration: secs(40), ..Shape::default() };
        let mut s = Scene::new(Setup {
            seed,
            announce,
            viewer_announce: announce,
            shape,
            link: link.clone(),
            ..Setup::default()
        });
        s.run_to_random(secs(2)..secs(4));
        s.drain_a(None);
        let deadline = s.world.now() + secs(25);
        s.world.run_until(deadline - secs(5));
        let viewer = s.viewer_id.expect("there is a viewer");
        s.world.stall(viewer, secs(5));
        s.world.run_until(deadline + secs(3));
        s.assert_cut_after_a_whole_gop(deadline);
    }
}

/// A publisher that could not move is cut with media under way, and sends it again elsewhere: its server's last
/// acknowledgement covers what was kept, and nothing else is.
#[test]
fn h18_what_the_cut_left_out_goes_elsewhere() {
    for seed in 0..6 {
        let shape = Shape { duration: secs(40), gop: 600, ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, link: far(), viewer: false, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        let b = s.b;
        s.world.set_door(b, Door::Refusing);
        s.move_to_b();
        s.run_for(secs(26));
        s.world.set_door(b, Door::Open);
        s.finish();
        s.assert_moved_in_the_end();
        s.assert_whole();
    }
}

/// Publisher and viewer of a draining server, which understand no signal, are served on and hear of nothing.
#[test]
fn h25_who_announces_nothing_is_told_nothing() {
    for seed in SEEDS {
        let announce = Announce::NONE;
        let mut s = Scene::new(Setup { seed, announce, viewer_announce: announce, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
        assert_eq!(s.signals(s.publisher_id), [], "seed {seed}: not a signal on the wire");
        assert_eq!(
            s.viewer_id.map(|id| s.signals(id)),
            Some(vec![]),
            "seed {seed}: not a signal on the wire"
        );
        // Its only record says that it ended without proof.
        let publisher = s.publisher.borrow();
        assert!(
            publisher.records.iter().all(|record| record.cause.is_none() && record.confirmed == Some(false))
        );
    }
}

#[test]
fn h26_who_announces_both_dialects_gets_one() {
    for seed in SEEDS {
        for segue in [false, true] {
            let announce = Announce { reconnect: true, go_away: true, segue };
            let mut s = Scene::new(Setup { seed, announce, ..Setup::default() });
            s.run_to_random(secs(2)..secs(6));
            s.move_to_b();
            s.finish();
            s.assert_whole_without_overlap();
            s.assert_viewer_saw_everything();
            let one = [GoAwaySignal::ReconnectRequest];
            assert_eq!(s.signals(s.publisher_id), one, "seed {seed}: the publisher");
            assert_eq!(s.viewer_id.map(|id| s.signals(id)), Some(one.to_vec()), "seed {seed}: the viewer");
        }
    }
}

/// Once the stream has ended its name is free, and another publisher has it at once.
#[test]
fn h27_a_real_end_ends_at_once() {
    let shape = Shape { duration: secs(3), ..Shape::default() };
    let mut s = Scene::new(Setup { shape: shape.clone(), ..Setup::default() });
    s.run_for(ms(3200));
    let a = s.a;
    let ghosts = s.world.server(a).hub().streams().len();
    let heard = s.viewer.borrow().outcome.is_some();
    s.publish_again("rtmp://a/live/show?key=2", Announce::ALL, &Shape { first: 100_000, ..shape }, 3200);
    s.finish();
    s.assert_each_leg_is_whole();
    assert_eq!(ghosts, 0, "no ghost stream");
    assert!(heard, "the viewer heard of it");
}

/// The way to the stream's server dies just before the end: what is not proven there is ended in order at the other one.
#[test]
fn h27_an_end_that_hangs_goes_elsewhere() {
    for seed in SEEDS {
        let shape = Shape { duration: secs(8), ..Shape::default() };
        let both_behind_one_name = true;
        let mut s =
            Scene::new(Setup { seed, shape, both_behind_one_name, viewer: false, ..Setup::default() });
        s.run_to_random(secs(6)..secs(8));
        let id = s.publisher_id;
        s.world.stall(id, secs(60));
        s.finish();
        s.assert_whole();
        let publisher = s.publisher.borrow();
        let outcome = publisher.outcome.as_ref().expect("it ends");
        assert_eq!((&outcome.ending, outcome.confirmed, outcome.missing), (&Ending::Complete, Some(true), 0));
    }
}

/// A viewer that was told stays with the stream, also when its publisher never moves.
#[test]
fn h28_viewers_are_not_dropped_because_a_publisher_moved() {
    for seed in SEEDS {
        let shape = Shape { duration: secs(14), ..Shape::default() };
        let mut s = Scene::new(Setup {
            seed,
            shape,
            link: Link { latency: ms(30), ..Link::default() },
            ..Setup::default()
        });
        s.run_to_random(secs(2)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn a_stream_told_alone_comes_back_to_its_server_as_one_timeline() {
    for seed in SEEDS {
        let mut s = Scene::new(Setup { seed, ..Setup::default() });
        s.run_to_random(secs(2)..secs(6));
        s.tell_stream_alone();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
        s.assert_one_move();
    }
}

#[test]
fn stalls_of_any_length_lose_nothing() {
    for seed in SEEDS {
        let shape = Shape { duration: secs(20), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.move_to_b();
        for _ in 0..5 {
            let wait = ms(s.world.rng().u64(1..900));
            s.run_for(wait);
            let stall = Duration::from_millis(s.world.rng().u64(1..1500));
            let id = s.publisher_id;
            s.world.stall(id, stall);
        }
        s.finish();
        s.assert_whole();
        s.assert_viewer_saw_everything();
    }
}

/// What is buffered while the publisher connects from afar comes in one piece with its first message.
#[test]
fn a_viewer_that_waited_sees_the_stream_from_its_beginning() {
    for fps in [0, 30] {
        let link = Link { latency: ms(100), segment: 256 << 10, ..Link::default() };
        let shape = Shape { fps, duration: secs(3), ..Shape::default() };
        let mut s = Scene::new(Setup { link, shape, viewer_waits: secs(2), ..Setup::default() });
        s.finish();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn h08_two_servers_that_send_their_clients_to_each_other_lose_nothing() {
    for seed in SEEDS {
        let shape = Shape { duration: secs(24), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.move_to_b();
        s.run_to_random(ms(0)..secs(4));
        s.drain_b();
        s.run_to_random(secs(1)..secs(7));
        s.cancel_all();
        s.finish();
        s.assert_whole();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn h27_a_stream_that_ends_while_it_moves_is_whole() {
    for seed in SEEDS {
        let mut s = Scene::new(Setup { seed, ..Setup::default() });
        // The last keyframe is at 10 s, the end at 12 s: a boundary that never comes.
        s.run_to_random(secs(9)..ms(11_999));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

/// The new server dies soon after the switch; the drained one takes the stream back.
#[test]
fn h04_a_new_server_that_dies_right_after_the_switch_loses_nothing() {
    for seed in SEEDS {
        let shape = Shape { duration: secs(20), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.move_to_b();
        let b = s.b;
        let moved = s.world.run_while_not(secs(6), |world| {
            world.server(b).hub().streams().iter().any(|slot| slot.lock().log.publisher().is_some())
        });
        assert!(moved, "seed {seed}");
        s.run_to_random(ms(0)..ms(1500));
        s.kill_b();
        s.finish();
        s.assert_whole();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn h17_tiny_windows_and_a_slow_long_way_lose_nothing() {
    for seed in SEEDS {
        let link = Link { latency: ms(100), window: 40 << 10, segment: 600, bandwidth: Some(300_000) };
        let shape = Shape { duration: secs(16), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, link, ..Setup::default() });
        s.run_to_random(secs(2)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn a_stream_that_is_told_alone_and_drained_at_once_after_is_whole() {
    for seed in SEEDS {
        let shape = Shape { duration: secs(16), ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(4));
        s.tell_stream_alone();
        s.run_to_random(ms(0)..ms(2500));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}

#[test]
fn a_stream_of_keyframes_alone_moves_without_loss() {
    for seed in SEEDS {
        let shape = Shape { gop: 1, ..Shape::default() };
        let mut s = Scene::new(Setup { seed, shape, ..Setup::default() });
        s.run_to_random(secs(2)..secs(6));
        s.move_to_b();
        s.finish();
        s.assert_whole_without_overlap();
        s.assert_viewer_saw_everything();
    }
}
