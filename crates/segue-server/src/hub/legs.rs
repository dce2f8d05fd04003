//! Legs as the hub sees them come and go: who asks, who leaves and how, and the hand-over records that this makes. Who
//! may write is decided by the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use segue_proto::Moment;
use segue_proto::handover::record::{Cause, HandoverResult, Record};
use segue_proto::log::{self, ConnId, LegEnd, Request};
use sha2::{Digest, Sha256};

use super::{Ask, Draining, Hub, Leaving, Mail, Note, Outcome, Slot, State, StreamKey, locked};

impl Hub {
    /// A connection asks to publish. The log's answer comes as mail.
    pub fn publish(&self, conn: ConnId, ask: &Ask, now: Moment) -> Result<Arc<Slot>, Draining> {
        loop {
            let slot = {
                let mut slots = locked(&self.slots);
                match slots.get(&ask.key) {
                    Some(slot) => slot.clone(),
                    None if self.is_draining() => return Err(Draining),
                    None => {
                        let slot = self.new_slot(ask.key.clone());
                        slots.insert(ask.key.clone(), slot.clone());
                        slot
                    }
                }
            };
            let mut state = slot.lock();
            if state.ended {
                drop(state);
                self.forget(&slot);
                continue;
            }
            if self.is_draining() && state.cuts_now(now) {
                // Its deadline is here: what is taken back now would only be cut again, or outlive the drain.
                return Err(Draining);
            }
            state.legs.insert(conn, ask.leg.clone());
            let request = Request { conn, principal: ask.principal.clone(), segue: ask.leg.announce.segue };
            state.log.publish(request, now);
            self.settle(&slot, &mut state);
            drop(state);
            return Ok(slot);
        }
    }

    /// A stream's own number: not a secret, but unlike that of every other stream of every other process.
    fn random(&self, serial: u64) -> [u8; 16] {
        let digest =
            Sha256::new().chain_update(&self.config.server_id).chain_update(serial.to_be_bytes()).finalize();
        let mut random = [0; 16];
        random.copy_from_slice(&digest[..16]);
        random
    }

    fn new_slot(&self, key: StreamKey) -> Arc<Slot> {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let config = &self.config;
        Arc::new(Slot::new(
            serial,
            key,
            config.log.clone(),
            self.random(serial),
            config.shards,
            config.recorded,
        ))
    }

    /// A leg is over. Returns its hand-over record if it was told or cut: the caller knows what gets acknowledged.
    pub fn leave(&self, slot: &Arc<Slot>, conn: ConnId, leaving: Leaving, now: Moment) -> Option<Record> {
        let mut record = None;
        let mut state = slot.lock();
        let leg = state.legs.remove(&conn)?;
        state.settling.insert(conn, false);
        // A client of Go Away alone may say deleteStream on its way to the next server: wire facts, Go Away.
        let finished = leaving == Leaving::Finished && (leg.told.is_none() || leg.announce.segue);
        state.last_left = Some(leg.told);
        state.log.end(conn, if finished { LegEnd::Finished } else { LegEnd::Lost }, now);
        if leg.granted > 0 {
            let outcome = match leaving {
                Leaving::Cut => Outcome::Cut,
                _ if finished => Outcome::Ended,
                _ if leg.told.is_some() => Outcome::Moved,
                _ => Outcome::Lost,
            };
            if leg.told.is_some() || leaving == Leaving::Cut {
                record = Some(Record {
                    stream: slot.id.clone(),
                    at: None,
                    cause: Some(Cause::Drain),
                    signal: leg.told.into(),
                    from: Some(self.config.address.clone()),
                    // Where it was sent, unless it is back already.
                    to: leg
                        .target
                        .clone()
                        .filter(|_| outcome == Outcome::Moved && state.publisher().is_none()),
                    old_last_ts: leg.last_ts.or_else(|| state.last_timestamp()),
                    new_first_ts: None,
                    missing: None,
                    overlap: None,
                    delay_ms: None,
                    confirmed: None,
                    result: outcome.result(),
                });
            }
            tracing::info!(stream = %slot.id, peer = %leg.peer, how = ?outcome, "its publisher left");
            self.note(Note::Left { slot: slot.clone(), told: leg.told, outcome });
        }
        self.settle(slot, &mut state);
        if state.grants == 0 && state.legs.is_empty() {
            // Nobody was ever let in: there is no stream whose grace could matter.
            state.ended = true;
            self.forget(slot);
        }
        record
    }

    /// So many messages of a stream are lost.
    pub fn lost(&self, slot: &Slot, missing: u64) {
        self.note(Note::Lost { serial: slot.serial, missing });
    }

    /// A connection whose leg is over waits for nothing any more.
    pub fn settled(&self, slot: &Slot, conn: ConnId) {
        slot.lock().settling.remove(&conn);
        self.poke_drain();
    }

    /// The recorder got on with a stream: acknowledgements of its publishers may go on.
    pub fn recorded(&self, slot: &Slot) {
        let state = slot.lock();
        let legs: Vec<ConnId> = state.legs.keys().chain(state.settling.keys()).copied().collect();
        drop(state);
        for conn in legs {
            self.post(conn, Mail::Progress(conn));
        }
    }

    pub(super) fn spliced(&self, slot: &Arc<Slot>, state: &mut State, splice: &log::Splice) {
        self.post(splice.conn, Mail::Progress(splice.conn));
        if !splice.follows {
            return;
        }
        let old_last = splice.old_last.map(|ts| ts.as_millis());
        let mut told = state.last_left.take().flatten();
        // The leg that it follows may still be here.
        for (_, old) in state.legs.iter_mut().filter(|(conn, _)| **conn != splice.conn) {
            old.last_ts = old.last_ts.or(old_last);
            told = told.or(old.told);
        }
        let missing = (splice.exact || splice.missing > 0).then_some(splice.missing);
        self.record(Record {
            stream: slot.id.clone(),
            at: None,
            cause: Some(if told.is_some() { Cause::Drain } else { Cause::Crash }),
            signal: told.into(),
            from: Some(self.config.address.clone()),
            to: Some(self.config.address.clone()),
            old_last_ts: old_last,
            new_first_ts: Some(splice.new_first.as_millis()),
            missing,
            overlap: None,
            delay_ms: Some(u64::try_from(splice.held_for.as_millis()).unwrap_or(u64::MAX)),
            confirmed: None,
            result: if splice.missing > 0 { HandoverResult::Lost } else { HandoverResult::Moved },
        });
        self.note(Note::Spliced { serial: slot.serial, missing, delay: splice.held_for });
    }
}
