//! A player's search for what a server passed over: a publisher that failed at a new server, or came back from one, leaves
//! a stream in pieces at several.

use std::time::Duration;

use super::Player;
use super::pursuit::Pursuit;
use crate::client::ConnId;
use crate::handover::viewer::LegId;
use crate::leg::PlayPosition;
use crate::time::Moment;
use crate::url::RtmpUrl;

/// So many others are asked for what a server passed over.
const OTHERS_ASKED: u32 = 2;
/// They are asked for so long at most: meanwhile nothing is seen, and what that server went on with must not be dropped there.
const SEARCH_BOUND: Duration = Duration::from_secs(5);
/// What is passed over so soon after such a search was lost by the publisher, or by a viewer that is too slow.
const SEARCH_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How far it is.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// The server that passes over least, and at which index it goes on.
    best: (RtmpUrl, u32, u64),
    /// Who was asked already, of [`OTHERS_ASKED`]; one more if it is back at the best.
    asked: u32,
    until: Moment,
}

impl Search {
    /// What was passed over is found. Where the stream goes on after it, if that is not the same server.
    pub(super) fn found(self) -> Option<(RtmpUrl, u32)> {
        let (url, attempt, _) = self.best;
        (self.asked <= OTHERS_ASKED).then_some((url, attempt))
    }
}

impl Player {
    /// A server passes over something that may be at another, and no other connection will bring it. Returns whether that
    /// one is left to look for it: it keeps what it goes on with for longer than that takes.
    pub(super) fn looks_for_what_it_passes_over(
        &mut self,
        id: ConnId,
        position: &PlayPosition,
        now: Moment,
    ) -> bool {
        let Some(resume) = self.viewer.resume().filter(|resume| resume.stream == position.stream) else {
            return false;
        };
        let index = position.position.index;
        let is_only = match self.main {
            None => self.next == Some(id),
            Some(main) => main == id && self.next.is_none(),
        };
        let Some(conn) = self.conns.get(&id).filter(|_| is_only && index > resume.index) else {
            return false;
        };
        let found = (conn.url.clone(), conn.attempt, index);
        match &mut self.search {
            // All were asked: this is the best there is.
            Some(search) if search.asked > OTHERS_ASKED => return false,
            Some(search) if index < search.best.2 => search.best = found,
            Some(_) => {}
            None if now < self.search_again_at => return false,
            None => {
                self.search_again_at = now + SEARCH_AGAIN_AFTER;
                self.search = Some(Search { best: found, asked: 0, until: now + SEARCH_BOUND });
            }
        }
        if self.main == Some(id) {
            self.leave(id, now);
            self.viewer.end(LegId(id.0));
            self.main = None;
        } else {
            self.drop_next();
        }
        self.lost_since = Some(now);
        let _ = self.search_on(now);
        true
    }

    /// Whether others are asked for what a server passed over.
    pub(super) fn is_searching(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.asked <= OTHERS_ASKED)
    }

    /// When the server that passes over least is taken in any case, if others are asked.
    pub(super) fn search_until(&self) -> Option<Moment> {
        self.search.as_ref().filter(|_| self.is_searching()).map(|search| search.until)
    }

    /// Asks the next server for what another passed over; after the last, back to the one that passes over least. Returns
    /// whether there is one to ask.
    pub(super) fn search_on(&mut self, now: Moment) -> bool {
        let (own, last) = (self.config.url.clone(), self.last_url.clone());
        let Some(search) = &mut self.search else { return false };
        if search.asked > OTHERS_ASKED {
            self.search = None;
            return false;
        }
        let (url, attempt, _) = search.best.clone();
        let nth = search.asked;
        search.asked = if now >= search.until { OTHERS_ASKED } else { nth } + 1;
        let exactly = match nth {
            _ if search.asked > OTHERS_ASKED => (url, attempt),
            // Where the stream was before, and the other addresses of its own name.
            0 if url == own && last != own => (last, 0),
            _ if url == own => (own, attempt.saturating_add(1 + nth)),
            _ => (own, nth),
        };
        let from = Some(self.last_url.authority());
        let pursuit = self.pursuit.get_or_insert(Pursuit::again(from, now));
        pursuit.exactly = Some(exactly);
        pursuit.dial_at = Some(now);
        self.pursue(now);
        true
    }
}
