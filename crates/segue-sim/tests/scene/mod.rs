//! The scene that most scenarios share: server A, server B, a publisher that starts on A, a viewer that watches A.

use std::ops::Range;
use std::time::Duration;

use segue_flv::ledger::{Options, Report};
use segue_proto::caps::Announce;
use segue_proto::client::{Player, PlayerConfig, Publisher, PublisherConfig, RedirectPolicy};
use segue_proto::handover::record::HandoverResult;
use segue_proto::media::Content;
use segue_proto::session::GoAwaySignal;
use segue_proto::url::{RtmpUrl, stream_id};
use segue_proto::{MediaMessage, Moment, TrackKind};
use segue_server::drain::Request;
use segue_sim::clients::{Broadcaster, SharedLog, Viewer, judge_legs, judge_viewer};
use segue_sim::node::{Node, Recorded, drain_to};
use segue_sim::pipe::Link;
use segue_sim::source::{Shape, Source};
use segue_sim::world::{ClientId, ServerId, World};

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) announce: Announce,
    pub(crate) shape: Shape,
    pub(crate) link: Link,
    pub(crate) viewer: bool,
    pub(crate) viewer_announce: Announce,
    /// The viewer waits so long for the publisher to begin.
    pub(crate) viewer_waits: Duration,
    /// The publisher goes at the source's end without ending the stream.
    pub(crate) abrupt: bool,
    /// The publisher's and the viewer's URL names A and B, in this order; otherwise A alone.
    pub(crate) both_behind_one_name: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            announce: Announce { reconnect: true, go_away: true, segue: true },
            shape: Shape::default(),
            link: Link::default(),
            viewer: true,
            viewer_announce: Announce::ALL,
            viewer_waits: Duration::ZERO,
            abrupt: false,
            both_behind_one_name: false,
        }
    }
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) a: ServerId,
    pub(crate) b: ServerId,
    pub(crate) publisher: SharedLog,
    pub(crate) publisher_id: ClientId,
    pub(crate) viewer: SharedLog,
    pub(crate) viewer_id: Option<ClientId>,
    seed: u64,
    sent: Vec<MediaMessage>,
    end: Moment,
    /// What was recorded on servers that were killed.
    dead: Vec<Recorded>,
    killed: Vec<ServerId>,
}

impl Scene {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut world = World::new(setup.seed);
        world.link = setup.link;
        let a = world.add_server("a", Node::new("a:1935", setup.seed * 2 + 1));
        let b = world.add_server("b", Node::new("b:1935", setup.seed * 2 + 2));
        world.name("both", &[a, b]);
        let host = if setup.both_behind_one_name { "both" } else { "a" };
        let url = RtmpUrl::parse(&format!("rtmp://{host}/live/show?key=1")).expect("a valid URL");
        let watch = RtmpUrl::parse(&format!("rtmp://{host}/live/show")).expect("a valid URL");
        let seed = |n: u8| [(setup.seed as u8) ^ n; 32];
        let config = PlayerConfig {
            announce: setup.viewer_announce,
            segue: setup.viewer_announce.segue,
            redirect: RedirectPolicy::Any,
            ..PlayerConfig::new(watch)
        };
        let (client, viewer) = Viewer::new(Player::new(config, seed(2), world.now()));
        let viewer_id = setup.viewer.then(|| world.add_client(client));
        world.run_for(setup.viewer_waits);
        let now = world.now();
        let config = PublisherConfig {
            announce: setup.announce,
            segue: setup.announce.segue,
            redirect: RedirectPolicy::Any,
            ..PublisherConfig::new(url)
        };
        let source = Source::new(&setup.shape, now);
        let sent = source.all().cloned().collect();
        let (client, publisher) = Broadcaster::new(Publisher::new(config, seed(1), now), source);
        let publisher_id = world.add_client(if setup.abrupt { client.abruptly() } else { client });
        let end = now + setup.shape.duration;
        Self {
            world,
            a,
            b,
            publisher,
            publisher_id,
            viewer,
            viewer_id,
            seed: setup.seed,
            sent,
            end,
            dead: Vec::new(),
            killed: Vec::new(),
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.world.run_for(duration);
    }

    pub(crate) fn run_to_random(&mut self, range: Range<Duration>) {
        let micros = range.start.as_micros() as u64..range.end.as_micros() as u64;
        let moment = self.world.rng().u64(micros);
        self.world.run_for(Duration::from_micros(moment));
    }

    fn drain(&mut self, server: ServerId, request: Request) {
        let now = self.world.now();
        self.world.server(server).drain(request, now).expect("the drain begins");
    }

    /// A tells all it has to go to B, B takes them.
    pub(crate) fn move_to_b(&mut self) {
        self.drain(self.a, drain_to(Some("rtmp://b")));
    }

    /// The other way round.
    pub(crate) fn move_to_a(&mut self) {
        let now = self.world.now();
        self.world.server(self.a).cancel_drain(now);
        self.drain(self.b, drain_to(Some("rtmp://a")));
    }

    /// Runs until the publisher has moved, and makes the server that it left ready for its return.
    pub(crate) fn settle_move(&mut self) {
        let before = self.publisher.borrow().records.len();
        let log = self.publisher.clone();
        assert!(self.world.run_while_not(secs(6), |_| log.borrow().records.len() > before), "it moved");
        let now = self.world.now();
        for server in [self.a, self.b] {
            self.world.server(server).cancel_drain(now);
        }
    }

    /// A drains with or without an address.
    pub(crate) fn drain_a(&mut self, to: Option<&str>) {
        self.drain(self.a, drain_to(to));
    }

    /// A tells this one stream to go, and stays.
    pub(crate) fn tell_stream_alone(&mut self) {
        self.drain(self.a, Request { stream: Some(stream_id("live", "show")), ..drain_to(None) });
    }

    /// Another publisher of the same name, as `url` says, that begins now; what it sends comes after what was sent so far.
    pub(crate) fn publish_again(&mut self, url: &str, announce: Announce, shape: &Shape, at: u32) {
        let now = self.world.now();
        let url = RtmpUrl::parse(url).expect("a valid URL");
        let config = PublisherConfig { announce, segue: announce.segue, ..PublisherConfig::new(url) };
        let source = Source::new(shape, now);
        let sent = source.all().cloned();
        self.sent.extend(sent.map(|m| MediaMessage { timestamp: m.timestamp.shifted(i64::from(at)), ..m }));
        let seed = [(self.seed as u8) ^ 3; 32];
        let (client, log) = Broadcaster::new(Publisher::new(config, seed, now), source);
        self.world.add_client(client);
        self.publisher = log;
        self.end = now + shape.duration;
    }

    pub(crate) fn kill_a(&mut self) {
        self.kill(self.a);
    }

    pub(crate) fn kill_b(&mut self) {
        self.kill(self.b);
    }

    fn kill(&mut self, server: ServerId) {
        let node = self.world.kill(server);
        self.dead.extend(node.recordings().flat_map(|r| r.values().cloned()));
        self.killed.push(server);
    }

    /// B drains to A, whatever A does.
    pub(crate) fn drain_b(&mut self) {
        self.drain(self.b, drain_to(Some("rtmp://a")));
    }

    /// Whoever drains takes streams again.
    pub(crate) fn cancel_all(&mut self) {
        let now = self.world.now();
        for server in [self.a, self.b] {
            self.world.server(server).cancel_drain(now);
        }
    }

    /// Runs to the stream's end, and then until publisher and viewer are done.
    pub(crate) fn finish(&mut self) {
        self.world.run_until(self.end);
        let (publisher, viewer) = (self.publisher.clone(), self.viewer.clone());
        self.world.run_while_not(secs(60), |_| publisher.borrow().outcome.is_some());
        assert!(self.publisher.borrow().outcome.is_some(), "seed {}: the publisher ends", self.seed);
        self.world.run_while_not(secs(40), |_| viewer.borrow().outcome.is_some());
    }

    fn legs(&mut self) -> Vec<Recorded> {
        let mut legs = self.dead.clone();
        for server in [self.a, self.b] {
            if !self.killed.contains(&server) {
                legs.extend(self.world.server(server).recordings().flat_map(|r| r.values().cloned()));
            }
        }
        legs
    }

    fn assert(&mut self, options: Options) {
        let legs = self.legs();
        let report = judge_legs(options, &self.sent, &legs);
        assert_eq!(report.exit_code(), 0, "seed {}: {report}\n{}", self.seed, self.story());
    }

    /// The recordings hold the source; what two servers both hold is one run.
    pub(crate) fn assert_whole(&mut self) {
        self.assert(Options { whole: true, ..Options::default() });
    }

    pub(crate) fn assert_whole_without_overlap(&mut self) {
        self.assert(Options { whole: true, no_overlap: true, ..Options::default() });
    }

    pub(crate) fn assert_viewer_saw_everything(&mut self) {
        let viewer = self.viewer.borrow();
        let report: Report = judge_viewer(
            Options { whole: true, no_overlap: true, ..Options::default() },
            &self.sent,
            &viewer,
        );
        assert_eq!(report.exit_code(), 0, "seed {}: the viewer: {report}\n{}", self.seed, self.story());
    }

    /// One hand-over took place, and lost nothing.
    pub(crate) fn assert_one_move(&mut self) {
        let log = self.publisher.borrow();
        let results: Vec<_> = log.records.iter().map(|r| (r.result, r.missing)).collect();
        assert_eq!(results, [(HandoverResult::Moved, Some(0))], "seed {}\n{}", self.seed, self.story());
    }

    pub(crate) fn assert_moved_in_the_end(&mut self) {
        let log = self.publisher.borrow();
        assert!(
            log.records.iter().any(|r| r.result == HandoverResult::Moved),
            "seed {}: {}",
            self.seed,
            self.story()
        );
    }

    /// What was due from `after` on is in B's recording, all of it.
    pub(crate) fn assert_at_b_from(&mut self, after: Moment) {
        let due = |m: &&MediaMessage| {
            began_at() + Duration::from_millis(u64::from(m.timestamp.as_millis())) >= after
        };
        let sent: Vec<_> = self.sent.iter().filter(due).cloned().collect();
        let mut legs: Vec<_> =
            self.world.server(self.b).recordings().flat_map(|r| r.values().cloned()).collect();
        legs.iter_mut().for_each(|leg| leg.messages.retain(|m| due(&m)));
        let report =
            judge_legs(Options { whole: true, no_overlap: true, ..Options::default() }, &sent, &legs);
        assert_eq!(report.exit_code(), 0, "seed {}: at B: {report}\n{}", self.seed, self.story());
    }

    /// Two sources in a row, the second with a timeline of its own: each recorded leg has its offset, and the
    /// recordings hold all. A viewer's video goes on by about one frame from one to the other.
    pub(crate) fn assert_restart_is_whole(&mut self, restart: usize) {
        let options = Options { whole: true, no_overlap: true, offset_per_leg: true, ..Options::default() };
        self.assert(options);
        let seen: Vec<_> = self.viewer.borrow().seen.iter().map(|(_, m)| m.clone()).collect();
        let seen: Vec<_> = seen.into_iter().filter(|m| m.info().is_media()).collect();
        let legs = [&seen[..restart], &seen[restart..]]
            .map(|messages| Recorded { began: Moment::ORIGIN, messages: messages.to_vec() });
        let report = judge_legs(options, &self.sent, &legs);
        assert_eq!(report.exit_code(), 0, "seed {}: the viewer: {report}\n{}", self.seed, self.story());
        let video: Vec<_> = seen.iter().filter(|m| m.kind == TrackKind::Video).map(|m| m.timestamp).collect();
        let steps: Vec<_> = video.windows(2).map(|w| w[1].since(w[0])).collect();
        assert!(steps.iter().all(|step| (1..=100).contains(step)), "seed {}: one timeline", self.seed);
    }

    /// Two sources in a row, each with a timeline of its own: the recordings hold all.
    pub(crate) fn assert_each_leg_is_whole(&mut self) {
        self.assert(Options { whole: true, no_overlap: true, offset_per_leg: true, ..Options::default() });
    }

    /// Media messages sent so far by sources that are at their end.
    pub(crate) fn sent_count(&self) -> usize {
        self.sent.iter().filter(|m| m.info().is_media()).count()
    }

    /// A has the source up to a keyframe that was due no later than `deadline` and no more than a GOP before it, and has
    /// handed all of it on; the drain says that something was cut.
    pub(crate) fn assert_cut_after_a_whole_gop(&mut self, deadline: Moment) {
        let a = self.a;
        let legs: Vec<_> = self.world.server(a).recordings().flat_map(|r| r.values().cloned()).collect();
        let held: usize = legs.iter().map(|leg| leg.messages.len()).sum();
        let media: Vec<_> = self.sent.iter().filter(|m| m.info().is_media()).cloned().collect();
        let (before, next) = (&media[..held], &media[held]);
        let options = Options { whole: true, no_overlap: true, ..Options::default() };
        let report = judge_legs(options, before, &legs);
        assert_eq!(report.exit_code(), 0, "seed {}: A: {report}", self.seed);
        let report = judge_viewer(options, before, &self.viewer.borrow());
        assert_eq!(report.exit_code(), 0, "seed {}: A's viewer: {report}\n{}", self.seed, self.story());
        assert!(
            next.kind == TrackKind::Video && next.info().content == Content::Keyframe,
            "seed {}: cut before {next:?}",
            self.seed
        );
        let cut = began_at() + Duration::from_millis(u64::from(next.timestamp.as_millis()));
        assert!(
            cut <= deadline && deadline.since(cut) <= secs(2) * 51 / 50,
            "seed {}: cut at {cut:?}",
            self.seed
        );
        assert!(self.world.server(a).report().has_loss(), "the drain's exit code is 3");
    }

    /// Every signal that a client was sent, on all its connections.
    pub(crate) fn signals(&self, client: ClientId) -> Vec<GoAwaySignal> {
        self.world.taps().iter().filter(|tap| tap.client == client).flat_map(|tap| tap.signals()).collect()
    }

    fn story(&self) -> String {
        let publisher = self.publisher.borrow();
        let viewer = self.viewer.borrow();
        format!(
            "publisher: {:?}\n{:#?}\n{:?}\nviewer: {:?} {:?}",
            publisher.outcome, publisher.records, publisher.notices, viewer.outcome, viewer.notices
        )
    }
}

/// When every scene's source begins.
fn began_at() -> Moment {
    Moment::from_micros(1_000_000)
}
