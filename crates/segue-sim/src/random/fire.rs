//! Faults as they fire: what each does to the world, and which scenarios come about by it.

use std::time::Duration;

use segue_proto::caps::Announce;
use segue_proto::client::{DIAL_TIMEOUT, Publisher, PublisherConfig};
use segue_proto::url::stream_id;
use segue_server::drain::{Request, Target};

use super::fault::{Fault, To, Which, Who};
use super::plan::EDGES;
use super::run::{Heal, Run, node, seed, url};
use super::watch::NEWS;
use crate::clients::Broadcaster;
use crate::source::{Change, Shape, Source};
use crate::world::{ClientId, Door, ServerId, World};

impl Run<'_> {
    pub(super) fn which(&self, which: Which) -> ServerId {
        let [a, b] = self.servers;
        match which {
            Which::A => a,
            Which::B => b,
            Which::Holder => self.holder,
            Which::Other => self.other(self.holder),
        }
    }

    pub(super) fn other(&self, server: ServerId) -> ServerId {
        if server == self.servers[0] { self.servers[1] } else { self.servers[0] }
    }

    pub(super) fn request(&self, server: ServerId, to: To, deadline: Duration, settle: Duration) -> Request {
        let to = match to {
            To::Nowhere => None,
            To::Both => Some("rtmp://both"),
            To::Other => Some(if server == self.servers[0] { "rtmp://b" } else { "rtmp://a" }),
        };
        let to = to.map(|to| Target::parse(to).expect("a valid target"));
        Request { to, deadline, settle, over: Duration::ZERO, stream: None, dry_run: false }
    }

    pub(super) fn fire(&mut self, fault: &Fault) {
        let now = self.world.now();
        if !matches!(
            fault,
            Fault::Stranger | Fault::Join | Fault::Stall(..) | Fault::End | Fault::Thin { .. }
        ) {
            self.last_trouble = Some(now);
        }
        let fired = match fault {
            Fault::Drain { server, to, deadline, settle } => {
                let server = self.which(*server);
                self.drain(server, *to, self.request(server, *to, *deadline, *settle))
            }
            Fault::TellStream { to } => {
                let server = self.holder;
                let request = Request {
                    stream: Some(stream_id("live", "show")),
                    ..self.request(server, *to, Duration::from_secs(25), Duration::ZERO)
                };
                self.drain(server, *to, request)
            }
            Fault::Cancel => {
                let mut any = false;
                for server in self.servers {
                    // Who was to be told yet is not told any more.
                    if self.told[server.0].is_some() && server != self.holder {
                        self.strays_from(server);
                    }
                    any |= self.world.is_alive(server) && self.world.server(server).is_draining();
                    self.cancel(server);
                }
                any
            }
            Fault::Kill { server, back } => {
                let server = self.which(*server);
                self.kill(server, *back)
            }
            Fault::KillBoth { back } => {
                let any = self.servers.map(|server| self.kill(server, *back)).contains(&true);
                if any && self.is_publishing() {
                    self.seen.tally.add("H6");
                }
                any
            }
            Fault::Shut { server, door, open_after } => {
                let server = self.which(*server);
                self.world.is_alive(server) && {
                    self.seen.troubled = true;
                    self.seen.may_overlap = true;
                    self.world.set_door(server, *door);
                    self.later.push((now + *open_after, Heal::Open(server)));
                    true
                }
            }
            Fault::Reset(Who::Publisher) => self.break_publisher(|world, id| world.reset_connections(id)),
            Fault::ConnectTwice(delay) => {
                let fired = self.break_publisher(|world, id| world.reset_client_side(id, *delay));
                self.note_scenario(fired, "H7")
            }
            Fault::LoseHold(delay) => {
                let fired = self.break_publisher(|world, id| {
                    world.stall(id, *delay / 2);
                    world.run_for(*delay / 2);
                    world.lose_hold(id, *delay);
                });
                self.note_scenario(fired, "H7")
            }
            Fault::Reset(Who::Viewer(n)) => self.break_viewer(*n),
            Fault::Stall(who, duration) => self.stall(*who, *duration),
            Fault::Thin { percent, heals_after } => {
                let rate = self.plan.rate() * percent / 100;
                self.world.set_uplink(self.publisher.0, Some(rate.max(1)));
                self.thin_since.get_or_insert(now);
                self.later.push((now + *heals_after, Heal::Uplink));
                self.note_scenario(self.is_publishing(), "H17")
            }
            Fault::Stranger => self.stranger(),
            Fault::End => {
                self.publisher.1.borrow_mut().stop = true;
                self.is_publishing()
            }
            Fault::Join => {
                let here = self.world.is_alive(self.holder) && self.world.server(self.holder).has_publisher();
                here && {
                    self.join(Announce::ALL, true);
                    // It may come to the server that the stream has left, where nobody is told again.
                    for server in self.servers {
                        if server != self.holder && self.told[server.0].is_some_and(|(_, alone)| alone) {
                            self.strays_from(server);
                        }
                    }
                    if !self.plan.shape.changes.is_empty() {
                        self.seen.tally.add("H15");
                    }
                    true
                }
            }
        };
        if fired {
            self.seen.tally.add(fault.name());
        }
    }

    pub(super) fn note_scenario(&mut self, fired: bool, name: &'static str) -> bool {
        if fired {
            self.seen.tally.add(name);
        }
        fired
    }

    pub(super) fn drain(&mut self, server: ServerId, to: To, request: Request) -> bool {
        let now = self.world.now();
        if !self.world.is_alive(server) {
            return false;
        }
        let holds = self.world.server(server).has_publisher();
        let moving = self.is_moving();
        let alone = request.stream.is_some();
        let deadline = now + request.deadline - request.deadline / 3;
        if self.world.server(server).drain(request, now).is_err() {
            return false;
        }
        let before = self.told.iter().flatten().map(|(to, _)| *to).next_back();
        self.told[server.0] = Some((to, alone));
        self.deadlines[server.0] = (!alone).then_some(deadline);
        if holds && self.is_publishing() {
            let shape = &self.plan.shape;
            let tally = &mut self.seen.tally;
            let known = self.plan.publisher != Announce::NONE
                && (self.plan.publisher.reconnect || self.plan.publisher.go_away);
            let mut note = |condition: bool, name| {
                if condition {
                    tally.add(name)
                }
            };
            note(shape.fps > 0 && shape.gop == u32::MAX && known, "H1");
            note(shape.fps == 0 && known, "H2");
            let edge = |edge: &u32| {
                let at = edge.wrapping_sub(shape.start.as_millis());
                u128::from(at) < shape.duration.as_millis()
            };
            note(EDGES.iter().any(edge), "H12");
            note(shape.b_frames && shape.fps > 0, "H13");
            let now = now.since(self.began).as_millis();
            let change = |video: bool| {
                shape.changes.iter().any(|(at, change)| {
                    (*change == Change::VideoHeader) == video && (now..now + 4000).contains(&u128::from(*at))
                })
            };
            note(change(true), "H14");
            note(change(false), "H15");
            note(shape.extra_tracks > 0, "H16");
            note(!known, "H25");
            note(self.plan.publisher.reconnect && self.plan.publisher.go_away, "H26");
            note(before.is_some_and(|before| before != to) || moving, "H8");
            note(self.plan.viewers.iter().any(|viewer| viewer.announce.reconnect), "H28");
        }
        true
    }

    pub(super) fn cancel(&mut self, server: ServerId) {
        let now = self.world.now();
        self.told[server.0] = None;
        if self.world.is_alive(server) {
            self.world.server(server).cancel_drain(now);
        }
    }

    pub(super) fn kill(&mut self, server: ServerId, back: Duration) -> bool {
        if !self.world.is_alive(server) {
            return false;
        }
        let now = self.world.now();
        let publishing = self.world.connected_to(self.publisher.0).contains(&server);
        if publishing && self.told[server.0].is_some() && self.is_publishing() {
            self.seen.tally.add("H4");
        }
        self.seen.troubled = true;
        self.seen.may_overlap = true;
        if publishing {
            self.publisher_broke();
        }
        for n in 0..self.viewers.len() {
            if self.world.connected_to(self.viewers[n].0).contains(&server) {
                self.doom_viewer(n, NEWS);
            }
        }
        let node = self.world.kill(server);
        self.keep(&node);
        self.told[server.0] = None;
        self.later.push((now + back, Heal::Back(server)));
        true
    }

    pub(super) fn break_publisher(&mut self, how: impl FnOnce(&mut World, ClientId)) -> bool {
        let id = self.publisher.0;
        if self.world.connected_to(id).is_empty() || !self.is_publishing() {
            return false;
        }
        self.seen.troubled = true;
        self.seen.may_overlap = true;
        self.publisher_broke();
        how(&mut self.world, id);
        true
    }

    pub(super) fn break_viewer(&mut self, n: usize) -> bool {
        let n = n % self.viewers.len();
        let id = self.viewers[n].0;
        if self.world.connected_to(id).is_empty() || self.viewers[n].1.borrow().outcome.is_some() {
            return false;
        }
        // A door that hangs keeps it for as long as a dial, or a step of a session, may take.
        let hangs = |door| matches!(door, Door::Silent | Door::Mute | Door::HangAfter(_));
        let kept = self.servers.into_iter().any(|server| hangs(self.world.door(server)));
        let back = Duration::from_secs(6) + DIAL_TIMEOUT * u32::from(kept);
        self.doom_viewer(n, back);
        self.seen.troubled = true;
        self.world.reset_connections(id);
        true
    }

    pub(super) fn stall(&mut self, who: Who, duration: Duration) -> bool {
        let id = match who {
            Who::Publisher => self.publisher.0,
            Who::Viewer(n) => self.viewers[n % self.viewers.len()].0,
        };
        let connected = !self.world.connected_to(id).is_empty();
        self.world.stall(id, duration);
        connected
    }

    pub(super) fn stranger(&mut self) -> bool {
        let now = self.world.now();
        let end = self.began + self.plan.shape.duration;
        // Where the stream is not, anybody may begin it.
        let here = self.world.is_alive(self.holder) && self.world.server(self.holder).has_publisher();
        let kills = |(_, fault): &(_, Fault)| {
            matches!(fault, Fault::Kill { .. } | Fault::KillBoth { .. } | Fault::End)
        };
        // One that is told that the server is draining asks again later, when the stream may be over.
        let soon = now.since(self.began) + Duration::from_secs(3);
        let drains = |(at, fault): &(Duration, Fault)| matches!(fault, Fault::Drain { .. }) && *at < soon;
        let faults = &self.plan.faults;
        if !here
            || now + Duration::from_secs(4) > end
            || faults.iter().any(kills)
            || faults.iter().any(drains)
        {
            return false;
        }
        let host = if self.holder == self.servers[0] { "a" } else { "b" };
        let config = PublisherConfig::new(url(&format!("rtmp://{host}/live/show?key=2")));
        let shape = Shape { first: 1_000_000, duration: Duration::from_secs(2), ..self.plan.shape.clone() };
        let source = Source::new(&shape, now);
        let (client, log) = Broadcaster::new(Publisher::new(config, seed(self.plan, 4), now), source);
        self.world.add_client(client);
        self.strangers.push(log);
        true
    }

    pub(super) fn heal_what_is_due(&mut self) {
        let now = self.world.now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = later;
        due.into_iter().for_each(|(_, heal)| self.heal(heal));
    }

    pub(super) fn heal_all(&mut self) {
        std::mem::take(&mut self.later).into_iter().for_each(|(_, heal)| self.heal(heal));
        self.servers.into_iter().for_each(|server| self.cancel(server));
    }

    pub(super) fn heal(&mut self, heal: Heal) {
        self.story(format!("{:?}: {heal:?}", self.world.now().since(self.began)));
        match heal {
            Heal::Back(server) if !self.world.is_alive(server) => {
                self.restarts += 1;
                let name = if server == self.servers[0] { "a:1935" } else { "b:1935" };
                let seed = self.plan.seed.wrapping_mul(2).wrapping_add(1000 + self.restarts);
                self.world.restart(server, node(name, seed, self.plant));
            }
            Heal::Open(server) if self.world.is_alive(server) => self.world.set_door(server, Door::Open),
            Heal::Uplink => {
                self.world.set_uplink(self.publisher.0, None);
                self.thin_since = None;
                self.thin_backlog = true;
            }
            Heal::Back(_) | Heal::Open(_) => {}
        }
    }
}
