//! A plan at work: the world is built, faults fire at their moments, and what was seen is kept for the judge: what each
//! side has, which scenarios came about, and which messages a fault may have cost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use segue_proto::caps::Announce;
use segue_proto::client::{Player, PlayerConfig, Publisher, PublisherConfig, RedirectPolicy};
use segue_proto::session::GoAwaySignal;
use segue_proto::url::RtmpUrl;
use segue_proto::{MediaMessage, Moment};

use super::fault::To;
use super::plan::{Plan, Theme};
use super::tally::Tally;
use crate::clients::{Broadcaster, Log, SharedLog, Viewer};
use crate::node::{Node, Recorded};
use crate::pipe::Link;
use crate::plant::Plant;
use crate::source::{Shape, Source};
use crate::world::{ClientId, ServerId, World};

/// How often the world is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Viewers come so long before the publisher.
const HEAD_START: Duration = Duration::from_secs(3);
/// So long after the source's end everything heals: doors open, servers come back, drains are cancelled.
const HEALS_AFTER: Duration = Duration::from_secs(2);
/// So long after that a publisher is done at the latest: a minute without a server, half a minute's backlog over a thin
/// line, and what ends a connection.
const PUBLISHER_PATIENCE: Duration = Duration::from_secs(150);
/// And viewers, after their publisher: the grace of a stream, and the time for which it is looked for.
const VIEWER_PATIENCE: Duration = Duration::from_secs(60);
/// After so long nothing of the stream is left at any server.
const QUIET_AFTER: Duration = Duration::from_secs(40);

/// A message of the source, by what every receiver keeps of it: kind, track, timestamp.
pub type Key = (u8, u8, u32);

/// The key of a media message.
pub fn key(message: &MediaMessage) -> Key {
    (message.kind as u8, message.info().track, message.timestamp.as_millis())
}

/// What a viewer did.
#[derive(Debug)]
pub struct Watched {
    /// What it announced.
    pub announce: Announce,
    /// It came when the stream was there already.
    pub late: bool,
    /// The rest.
    pub log: Log,
    /// Messages that faults may have cost it.
    pub doomed: BTreeSet<Key>,
    /// The longest time for which it saw nothing while a server had media of the stream, took connections and was not
    /// going.
    pub starved: Duration,
    pub(super) starving: (usize, Duration),
    /// The signals that it was sent, by connection.
    pub signals: Vec<Vec<GoAwaySignal>>,
}

/// What is recorded of one stream on one server, leg by leg.
pub type Legs = Vec<Recorded>;

/// Everything that the judge goes by.
#[derive(Debug, Default)]
pub struct Seen {
    /// A hash of every byte delivered, and when.
    pub trace: u64,
    /// What was fired.
    pub tally: Tally,
    /// Invariants that were seen broken while it ran.
    pub broken: Vec<String>,
    /// What the source handed out, configuration included.
    pub sent: Vec<MediaMessage>,
    /// What the second source made.
    pub second: Vec<MediaMessage>,
    /// The publisher.
    pub publisher: Log,
    /// The signals that the publisher was sent, by connection.
    pub signals: Vec<Vec<GoAwaySignal>>,
    /// Viewers.
    pub viewers: Vec<Watched>,
    /// What each server has of each stream.
    pub recordings: Vec<Legs>,
    /// Messages that faults may have cost the publisher.
    pub doomed: BTreeSet<Key>,
    /// A connection broke where no acknowledgement can tell what arrived.
    pub evidence_lost: bool,
    /// A connection was reset, and the publisher moved before it heard of that.
    pub moved_unheard: bool,
    /// Servers may both hold some messages: one died, or a connection broke.
    pub may_overlap: bool,
    /// The longest time without a server that had the stream.
    pub outage: Duration,
    /// A connection broke or a server was out of reach.
    pub troubled: bool,
    /// The stream went from a server that was neither told to go nor dead: what that one has not got.
    pub astray: BTreeSet<Key>,
    /// Strangers that tried, and what became of them.
    pub strangers: Vec<Log>,
    /// What happened, for a person.
    pub story: Vec<String>,
}

/// A plan at work.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) plant: Plant,
    pub(super) world: World,
    pub(super) servers: [ServerId; 2],
    pub(super) began: Moment,
    pub(super) publisher: (ClientId, SharedLog),
    pub(super) second: Option<SharedLog>,
    /// What the source makes, with when.
    pub(super) schedule: Vec<(Moment, MediaMessage)>,
    pub(super) viewers: Vec<(ClientId, SharedLog, Watched)>,
    pub(super) strangers: Vec<SharedLog>,
    /// Servers that come back, doors that open, uplinks that heal.
    pub(super) later: Vec<(Moment, Heal)>,
    pub(super) seen: Seen,
    pub(super) restarts: u64,
    pub(super) holder: ServerId,
    pub(super) held: Moment,
    pub(super) recorded: (usize, Moment),
    /// By server: legs and messages recorded, and when there was more.
    pub(super) written: [(usize, usize, Moment); 2],
    pub(super) thin_since: Option<Moment>,
    /// The uplink has healed, and what was sent into it before is still on its way.
    pub(super) thin_backlog: bool,
    /// Servers that were told to go, or whose stream was (`true`).
    pub(super) told: [Option<(To, bool)>; 2],
    /// From when on servers that drain may cut.
    pub(super) deadlines: [Option<Moment>; 2],
    pub(super) last_trouble: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heal {
    Back(ServerId),
    Open(ServerId),
    Uplink,
}

/// Runs a plan.
pub fn run(plan: &Plan, plant: Plant) -> Seen {
    let mut run = Run::new(plan, plant);
    run.play();
    run.finish()
}

pub(super) fn seed(plan: &Plan, n: u64) -> [u8; 32] {
    let mut rng = fastrand::Rng::with_seed(plan.seed.wrapping_mul(31).wrapping_add(n));
    std::array::from_fn(|_| rng.u8(..))
}

pub(super) fn url(text: &str) -> RtmpUrl {
    RtmpUrl::parse(text).expect("a valid URL")
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, plant: Plant) -> Self {
        let mut world = World::new(plan.seed);
        world.link = plan.link.clone();
        let a = world.add_server("a", node("a:1935", plan.seed * 2 + 1, plant));
        let b = world.add_server("b", node("b:1935", plan.seed * 2 + 2, plant));
        world.name("both", &[a, b]);
        if let Some(link) = &plan.link_b {
            world.set_link(b, link.clone());
        }
        // Viewers are there before the stream is: they see it from its beginning.
        let began = world.now() + HEAD_START;
        let source = Source::new(&plan.shape, began);
        let schedule: Vec<_> = source.schedule().map(|(at, message)| (at, message.clone())).collect();
        let config = PublisherConfig {
            announce: plan.publisher,
            segue: plan.publisher.segue,
            redirect: RedirectPolicy::Any,
            ..PublisherConfig::new(url(if plan.theme == Theme::RestartAtZero {
                "rtmp://a/live/show?key=1"
            } else {
                "rtmp://both/live/show?key=1"
            }))
        };
        let (client, log) = Broadcaster::new(Publisher::new(config, seed(plan, 1), began), source);
        let client = client.planted(plant);
        let client = if plan.theme == Theme::RestartAtZero { client.abruptly() } else { client };
        let mut run = Self {
            plan,
            plant,
            world,
            servers: [a, b],
            began,
            publisher: (ClientId(0), log),
            second: None,
            schedule,
            viewers: Vec::new(),
            strangers: Vec::new(),
            later: Vec::new(),
            seen: Seen::default(),
            restarts: 0,
            holder: a,
            held: began,
            recorded: (0, began),
            written: [(0, 0, began); 2],
            thin_since: None,
            thin_backlog: false,
            told: [None, None],
            deadlines: [None, None],
            last_trouble: None,
        };
        for watching in &plan.viewers {
            run.join(watching.announce, false);
        }
        run.world.run_until(began);
        run.publisher.0 = run.world.add_client(client);
        run
    }

    fn play(&mut self) {
        let end = self.began + self.plan.shape.duration;
        let mut faults = self.plan.faults.iter();
        let mut next = faults.next();
        let mut restart = self.plan.restart.map(|after| end + after);
        let done = |run: &Self| run.second.as_ref().unwrap_or(&run.publisher.1).borrow().outcome.is_some();
        let mut last = end;
        let mut healed = false;
        loop {
            let now = self.world.now();
            while let Some((after, fault)) = next.filter(|(after, _)| self.began + *after <= now) {
                self.story(format!("{:?}: {fault:?}", after));
                self.fire(fault);
                next = faults.next();
            }
            self.heal_what_is_due();
            if let Some(at) = restart.filter(|at| *at <= now) {
                last = at + self.plan.shape.duration;
                self.publish_again();
                restart = None;
            }
            if !healed && now >= end + HEALS_AFTER {
                self.heal_all();
                healed = true;
            }
            let over = done(self) && restart.is_none() && healed;
            if over || now >= last + HEALS_AFTER + PUBLISHER_PATIENCE {
                break;
            }
            let mut to = now + LOOK_EVERY;
            if let Some((after, _)) = next {
                to = to.min((self.began + *after).max(now + Duration::from_micros(1)));
            }
            self.world.run_until(to);
            self.look();
        }
        if !done(self) {
            self.broken("I4: the publisher does not end");
        }
        let patience = self.world.now() + VIEWER_PATIENCE;
        while self.world.now() < patience
            && self.viewers.iter().any(|(_, log, _)| log.borrow().outcome.is_none())
        {
            self.world.run_for(LOOK_EVERY * 4);
            self.look();
        }
        for n in 0..self.viewers.len() {
            if self.viewers[n].1.borrow().outcome.is_none() {
                self.broken(&format!("I4: viewer {n} does not end"));
            }
        }
        self.world.run_for(QUIET_AFTER);
        for server in self.servers {
            let node = self.world.server(server);
            let (streams, conns) = (node.hub().streams().len(), node.connections());
            if streams + conns > 0 {
                self.broken(&format!("I4: {streams} streams and {conns} connections are left at {server:?}"));
            }
        }
    }

    pub(super) fn broken(&mut self, what: &str) {
        let now = self.world.now().since(self.began);
        self.seen.broken.push(format!("{what} ({now:?})"));
    }

    pub(super) fn story(&mut self, what: String) {
        self.seen.story.push(what);
    }

    pub(super) fn join(&mut self, announce: Announce, late: bool) {
        let config = PlayerConfig {
            announce,
            segue: announce.segue,
            redirect: RedirectPolicy::Any,
            ..PlayerConfig::new(url("rtmp://both/live/show"))
        };
        let seed = seed(self.plan, 10 + self.viewers.len() as u64);
        let (client, log) = Viewer::new(Player::new(config, seed, self.world.now()));
        let id = self.world.add_client(client);
        let log_of = Log::default();
        let watched = Watched {
            announce,
            late,
            log: log_of,
            doomed: BTreeSet::new(),
            signals: Vec::new(),
            starved: Duration::ZERO,
            starving: (0, Duration::ZERO),
        };
        self.viewers.push((id, log, watched));
    }

    pub(super) fn publish_again(&mut self) {
        let now = self.world.now();
        let shape = Shape { first: 100_000, start: segue_proto::Timestamp::ZERO, ..self.plan.shape.clone() };
        let source = Source::new(&shape, now);
        self.seen.second = source.all().cloned().collect();
        let config = PublisherConfig {
            announce: self.plan.publisher,
            segue: false,
            ..PublisherConfig::new(url("rtmp://a/live/show?key=1"))
        };
        let (client, log) = Broadcaster::new(Publisher::new(config, seed(self.plan, 3), now), source);
        self.world.add_client(client);
        self.second = Some(log);
        self.seen.tally.add("restart at 0");
        self.seen.tally.add("H12");
    }

    pub(super) fn is_publishing(&self) -> bool {
        self.publisher.1.borrow().outcome.is_none()
    }

    /// Whether the stream is between two connections: told to go and not gone, or with two of them.
    pub(super) fn is_moving(&self) -> bool {
        self.publisher.1.borrow().connections > 1
    }

    pub(super) fn keep(&mut self, node: &Node) {
        self.seen.broken.extend(node.faults().iter().cloned());
        self.seen.recordings.extend(node.recordings().map(|legs| legs.values().cloned().collect()));
    }

    fn finish(mut self) -> Seen {
        let [a, b] = self.servers;
        for server in [a, b] {
            if self.world.is_alive(server) && self.world.server(server).report().publishers.cut > 0 {
                self.seen.tally.add("H18");
                self.seen.troubled = true;
            }
            let node = self.world.kill(server);
            self.keep(&node);
        }
        let (id, log) = &self.publisher;
        let pushed = log.borrow().pushed;
        self.seen.sent = self.schedule.iter().take(pushed).map(|(_, message)| message.clone()).collect();
        self.seen.publisher = log.take();
        let mut signals: BTreeMap<ClientId, Vec<Vec<GoAwaySignal>>> = BTreeMap::new();
        let unaware = |viewer: &Watched| viewer.announce == Announce::NONE;
        let watched: Vec<_> =
            self.viewers.iter().filter(|(_, _, w)| unaware(w)).map(|(id, ..)| *id).collect();
        for tap in self.world.taps().iter().filter(|tap| tap.client == *id || watched.contains(&tap.client)) {
            signals.entry(tap.client).or_default().push(tap.signals());
        }
        let mut note = |condition: bool, name| {
            if condition {
                self.seen.tally.add(name)
            }
        };
        note(self.world.spoiled(*id) > 0, "H3");
        note(self.world.unread_at_half_close() > 0, "H5");
        note(self.world.to_draining(*id) > 0, "H10");
        note(
            self.seen.publisher.outcome.as_ref().is_some_and(|outcome| outcome.confirmed == Some(true)),
            "H27",
        );
        self.seen.signals = signals.remove(id).unwrap_or_default();
        for (id, log, mut watched) in self.viewers {
            watched.log = log.take();
            watched.signals = signals.remove(&id).unwrap_or_default();
            self.seen.viewers.push(watched);
        }
        self.seen.strangers = self.strangers.iter().map(|log| log.take()).collect();
        if let Some(second) = &self.second {
            self.seen.publisher.outcome = second.borrow().outcome.clone();
        }
        self.seen.trace = self.world.trace();
        self.seen
    }
}

pub(super) fn node(name: &str, seed: u64, plant: Plant) -> Node {
    let node = Node::new(name, seed);
    if plant == Plant::StaleEpoch { node.writing_stale_epochs() } else { node }
}

/// The link of a plan, for a person.
pub fn describe(link: &Link) -> String {
    format!("{:?}, {:?} B/s, window {}, segments {}", link.latency, link.bandwidth, link.window, link.segment)
}
