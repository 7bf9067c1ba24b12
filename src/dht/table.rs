//! The routing table: nodes by how much of our id they share.

use std::cmp::Ordering;
use std::net::SocketAddrV4;

use rand::Rng;
use rand::rngs::StdRng;

use crate::wire::address::network;
use crate::wire::rpc::NodeId;

/// How many nodes a row of the table, a list of closer nodes and the outcome of a query have at most.
pub const K: usize = 20;

/// A node in the table. Times are ticks of the owner's clock.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    pub(super) address: SocketAddrV4,
    /// When it entered.
    pub(super) added: u64,
    /// When we last heard from it or pinged it.
    pub(super) pinged: u64,
    /// When it last contributed a sample of our address; 0 is never.
    pub(super) sampled: u64,
    /// How many times others told us that it is down.
    pub(super) down_hints: u32,
    /// Grows with every packet heard, over all nodes: puts them in order of age.
    pub(super) heard: u64,
}

/// Up to [`K`] nodes for each length of prefix shared with our own id.
///
/// No index beside the rows: a row fits a few cache lines, and there are rarely more than twenty rows with anything in them.
pub(super) struct Table {
    id: NodeId,
    rows: Vec<Vec<Entry>>,
    /// No row from here on was ever used.
    depth: usize,
    len: usize,
    /// How many nodes of one network of 256 addresses a row takes.
    per_network: usize,
}

impl Table {
    pub(super) fn new(id: NodeId, per_network: usize) -> Self {
        Self {
            id,
            per_network,
            rows: (0..ROWS).map(|_| Vec::new()).collect(),
            depth: 0,
            len: 0,
        }
    }

    /// Adds a node, unless it is ourselves, known, or its row is full; returns whether it was added.
    pub(super) fn insert(&mut self, entry: Entry) -> bool {
        let Some(number) = self.row_of(&entry.id) else {
            return false;
        };
        let row = &mut self.rows[number];
        let known = row.iter().any(|known| known.id == entry.id);
        if known || row.len() >= K || !has_few_of(row, &entry.address, self.per_network) {
            return false;
        }
        row.push(entry);
        self.depth = self.depth.max(number + 1);
        self.len += 1;
        true
    }

    pub(super) fn remove(&mut self, id: &NodeId) -> Option<Entry> {
        let number = self.row_of(id)?;
        let row = &mut self.rows[number];
        let position = row.iter().position(|entry| entry.id == *id)?;
        self.len -= 1;
        Some(row.swap_remove(position))
    }

    pub(super) fn get_mut(&mut self, id: &NodeId) -> Option<&mut Entry> {
        let row = self.row_of(id)?;
        self.rows[row].iter_mut().find(|entry| entry.id == *id)
    }

    /// Gives the table another base and puts every node in the row where it now belongs, as far as there is room.
    pub(super) fn set_id(&mut self, id: NodeId) {
        let old = std::mem::replace(self, Self::new(id, self.per_network));
        for entry in old.rows.into_iter().flatten() {
            self.insert(entry);
        }
    }

    pub(super) const fn id(&self) -> &NodeId {
        &self.id
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the nodes nearest to `target`, at most [`K`], nearest first.
    ///
    /// Seen from the target the rows are already in order: its own row shares the most with it, the longer rows follow or
    /// precede each other by one bit of the difference between target and own id, then come the shorter ones downwards.
    pub(super) fn closest(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        let mut found = Vec::with_capacity(2 * K);
        let own = self.row_of(&NodeId(*target)).unwrap_or(ROWS);
        let bit = |row: usize| (target[row / 8] ^ self.id.0[row / 8]) & (0x80 >> (row % 8)) != 0;
        let longer = own + 1..self.depth;
        let order = std::iter::once(own)
            .filter(|row| *row < self.depth)
            .chain(longer.clone().filter(|row| bit(*row)))
            .chain(longer.rev().filter(|row| !bit(*row)))
            .chain((0..own.min(self.depth)).rev());
        for row in order {
            self.append_row(row, target, &mut found);
            if found.len() >= K {
                found.truncate(K);
                break;
            }
        }
        found
    }

    /// Appends the nodes of a row, nearest to `target` first.
    fn append_row(&self, number: usize, target: &[u8; 32], found: &mut Vec<SocketAddrV4>) {
        let row = &self.rows[number];
        let mut keys = [u32::MAX; K];
        for (position, (key, entry)) in keys.iter_mut().zip(row).enumerate() {
            *key = distance_after(number + 1, &entry.id.0, target) & !POSITION | position as u32;
        }
        // Counting those that are nearer takes no branches, and the processor would guess most of a sort's wrong.
        let mut order = [0; K];
        for key in &keys[..row.len()] {
            let nearer: u32 = keys.iter().map(|other| u32::from(other < key)).sum();
            order[nearer as usize] = *key;
        }
        let order = &order[..row.len()];
        let decided = order.windows(2).all(|pair| pair[0] ^ pair[1] > POSITION);
        if decided {
            let address = |key: &u32| row[(key & POSITION) as usize].address;
            found.extend(order.iter().map(address));
        } else {
            let mut row: Vec<_> = row.iter().collect();
            row.sort_unstable_by(|a, b| nearer(target, &a.id.0, &b.id.0));
            found.extend(row.into_iter().map(|entry| entry.address));
        }
    }

    /// Returns the nodes that the reference names: those in the target's row, then those in the shorter rows, then those in the longer
    /// ones, each row in the order of ids.
    pub(super) fn closest_by_row(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        let own = self.row_of(&NodeId(*target)).unwrap_or(ROWS - 1);
        let mut found = Vec::with_capacity(K);
        for row in (0..=own).rev().chain(own + 1..ROWS) {
            let mut row: Vec<_> = self.rows[row].iter().collect();
            row.sort_unstable_by_key(|entry| entry.id);
            found.extend(row.into_iter().map(|entry| entry.address));
            if found.len() >= K {
                found.truncate(K);
                break;
            }
        }
        found
    }

    /// Returns the node that should make room for `id` if it does not answer: the one not pinged for longest, among equals the
    /// oldest. Nodes pinged in this tick are not candidates.
    pub(super) fn weakest(&self, id: &NodeId, tick: u64) -> Option<&Entry> {
        self.rows[self.row_of(id)?]
            .iter()
            .filter(|entry| entry.pinged < tick)
            .min_by_key(|entry| (entry.pinged, entry.added))
    }

    /// Returns whether the row of `id` may take another node of the network that `address` belongs to.
    pub(super) fn allows(&self, id: &NodeId, address: &SocketAddrV4) -> bool {
        self.row_of(id)
            .is_some_and(|row| has_few_of(&self.rows[row], address, self.per_network))
    }

    /// Returns whether the row of `id` has no room.
    pub(super) fn is_full_for(&self, id: &NodeId) -> bool {
        self.row_of(id).is_some_and(|row| self.rows[row].len() >= K)
    }

    /// Returns whether we know nobody who shares more with `target` than we do, although there should be somebody.
    pub(super) fn lacks(&self, target: &[u8; 32]) -> bool {
        let row = self.row_of(&NodeId(*target));
        row.is_some_and(|row| row + 1 < self.depth && self.rows[row].is_empty())
    }

    /// Returns the rows that have few nodes although the network must have more for them: as many are known beyond.
    pub(super) fn thin_rows(&self) -> Vec<usize> {
        let mut beyond = self.len;
        let mut thin = Vec::new();
        for (number, row) in self.rows[..self.depth].iter().enumerate() {
            beyond -= row.len();
            if row.len() < THIN && beyond >= K {
                thin.push(number);
            }
        }
        thin
    }

    /// Returns an id that belongs in the row with this number.
    pub(super) fn random_id(&self, row: usize, rng: &mut StdRng) -> NodeId {
        let (byte, bit) = (row / 8, row % 8);
        let mut id = NodeId(rng.r#gen());
        id.0[..byte].copy_from_slice(&self.id.0[..byte]);
        let ours = !(0xff_u8 >> bit);
        let flipped = 0x80 >> bit;
        let random = id.0[byte] & !(ours | flipped);
        id.0[byte] = (self.id.0[byte] & ours) | (!self.id.0[byte] & flipped) | random;
        id
    }

    /// Returns all nodes, the one not heard of for longest first.
    pub(super) fn by_age(&self) -> Vec<&Entry> {
        let mut all: Vec<_> = self.rows.iter().flatten().collect();
        all.sort_unstable_by_key(|entry| entry.heard);
        all
    }

    pub(super) fn random(&self, rng: &mut StdRng) -> Option<&Entry> {
        if self.len == 0 {
            return None;
        }
        self.rows.iter().flatten().nth(rng.gen_range(0..self.len))
    }

    /// Returns the number of leading bits that `id` shares with ours, or `None` if it is ours.
    fn row_of(&self, id: &NodeId) -> Option<usize> {
        let byte = self.id.0.iter().zip(&id.0).position(|(a, b)| a != b)?;
        let zeros = (self.id.0[byte] ^ id.0[byte]).leading_zeros();
        Some(byte * 8 + zeros as usize)
    }
}

fn has_few_of(row: &[Entry], address: &SocketAddrV4, most: usize) -> bool {
    let ours = network(*address.ip());
    let same = row.iter().map(|entry| network(*entry.address.ip()));
    same.filter(|theirs| *theirs == ours).count() < most
}

/// Returns 32 bits of the distance between two ids, those behind the first so many. All nodes of a row agree in as many as its number and one more.
fn distance_after(bits: usize, a: &[u8; 32], b: &[u8; 32]) -> u32 {
    let first = (bits / 8).min(24);
    let number = |id: &[u8; 32]| {
        let bytes = id[first..].first_chunk();
        bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
    };
    let distance = number(a) ^ number(b);
    let shifted = distance.checked_shl((bits - 8 * first) as u32);
    (shifted.unwrap_or(0) >> 32) as u32
}

/// Compares two ids by their distance to `target`.
pub(super) fn nearer(target: &[u8; 32], a: &[u8; 32], b: &[u8; 32]) -> Ordering {
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    differs.map_or(Ordering::Equal, |byte| {
        (a[byte] ^ target[byte]).cmp(&(b[byte] ^ target[byte]))
    })
}

/// Bits of a key that tell a node's position in its row.
const POSITION: u32 = 0x1f;
/// Nodes in a row below which it is filled up where possible.
const THIN: usize = 5;
/// Bits of an id.
const ROWS: usize = 256;
