//! `Table`: what a reader remembers of each chunk stream. Peers use a handful with small ids, which are found by one look
//! into an array; the others are in a map.

use std::collections::BTreeMap;

use super::header::Header;
use crate::message::ChunkStreamId;
use crate::state::{self, RestoreError, State};

/// What is remembered of a chunk stream.
#[derive(Clone, Debug)]
pub(super) struct ChunkStream {
    pub(super) header: Header,
    /// The payload so far of a message that is not complete; empty if there is none, as no chunk of one is empty.
    pub(super) partial: Vec<u8>,
}

state::plain!(struct ChunkStream { header, partial } if |stream| stream.partial.len() <= stream.header.length as usize);

/// Ids that the short basic header can say (5.3.1.1).
const SHORT: usize = 64;

/// Chunk streams by their ids.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// For each short id its place in `short`, and 1 more; 0 if it is not there.
    places: [u8; SHORT],
    short: Vec<(ChunkStreamId, ChunkStream)>,
    long: BTreeMap<ChunkStreamId, ChunkStream>,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { places: [0; SHORT], short: Vec::new(), long: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.short.len().saturating_add(self.long.len())
    }

    #[inline]
    fn place(&self, csid: ChunkStreamId) -> Option<usize> {
        usize::from(*self.places.get(csid.as_u32() as usize)?).checked_sub(1)
    }

    #[inline]
    pub(super) fn get(&self, csid: ChunkStreamId) -> Option<&ChunkStream> {
        match self.place(csid) {
            Some(place) => self.short.get(place).map(|(_, stream)| stream),
            None => self.long.get(&csid),
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, csid: ChunkStreamId) -> Option<&mut ChunkStream> {
        match self.place(csid) {
            Some(place) => self.short.get_mut(place).map(|(_, stream)| stream),
            None => self.long.get_mut(&csid),
        }
    }

    /// Adds one that is not there.
    pub(super) fn insert(&mut self, csid: ChunkStreamId, stream: ChunkStream) {
        match self.places.get_mut(csid.as_u32() as usize) {
            Some(place) => {
                self.short.push((csid, stream));
                // At most as many as there are ids.
                *place = self.short.len() as u8;
            }
            None => _ = self.long.insert(csid, stream),
        }
    }

    /// All of them, in the order in which they came, those with long ids last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ChunkStreamId, &ChunkStream)> {
        let short = self.short.iter().map(|(csid, stream)| (*csid, stream));
        short.chain(self.long.iter().map(|(csid, stream)| (*csid, stream)))
    }
}

/// As a map, in the order of the ids.
impl State for Table {
    fn save(&self, to: &mut Vec<u8>) {
        let sorted: BTreeMap<_, _> = self.iter().collect();
        self.len().save(to);
        for (csid, stream) in sorted {
            csid.save(to);
            stream.save(to);
        }
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let mut table = Self::new();
        for _ in 0..usize::restore(from)? {
            let csid = ChunkStreamId::restore(from)?;
            if table.get(csid).is_some() {
                return Err(RestoreError::Malformed("a chunk stream twice"));
            }
            table.insert(csid, ChunkStream::restore(from)?);
        }
        Ok(table)
    }
}
