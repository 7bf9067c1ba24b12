//! The routing table: nodes by how much of the own id they share (Kademlia §2.2, with one bucket per length
//! of prefix; dht-rpc.md §10.1).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::SocketAddrV4;

use rand::Rng;
use rand::rngs::StdRng;

use crate::wire::address::{Scope, network};
use crate::wire::rpc::NodeId;

/// How many nodes a row of the table, a list of closer nodes and the outcome of a query have at most.
pub const K: usize = 20;

/// A node in the table. Times are ticks of the owner's clock.
#[derive(Clone, Debug)]
pub(super) struct TableEntry {
    pub(super) id: NodeId,
    pub(super) address: SocketAddrV4,
    /// When it entered.
    pub(super) added: u64,
    /// When it was last heard or pinged.
    pub(super) pinged: u64,
    /// When it last contributed a sample of the own address; 0 is never.
    pub(super) sampled: u64,
    /// How many down hints named it.
    pub(super) down_hints: u32,
    /// Grows with every packet heard, over all nodes: puts them in order of age.
    pub(super) heard: u64,
}

/// Up to [`K`] nodes for each length of prefix shared with the own id.
///
/// No index beside the rows: a row fits a few cache lines, and there are rarely more than twenty rows with
/// anything in them.
pub(super) struct Table {
    id: NodeId,
    rows: Vec<Vec<TableEntry>>,
    /// No row from here on was ever used.
    depth: usize,
    len: usize,
    /// The share of one network of 256 addresses: nodes beyond it make room for others, and are named after
    /// others.
    per_network: usize,
    /// How many nodes each network has; empty without a share.
    networks: HashMap<[u8; 3], usize>,
    /// Networks that have more nodes than their share, all rows together.
    crowded: usize,
}

impl Table {
    pub(super) fn new(id: NodeId, per_network: usize) -> Self {
        Self {
            id,
            per_network,
            rows: (0..ROWS).map(|_| Vec::new()).collect(),
            depth: 0,
            len: 0,
            networks: HashMap::new(),
            crowded: 0,
        }
    }

    /// Adds a node, unless it is this one or known, or its row is full of nodes that have no less right to
    /// their places; returns whether it was added.
    ///
    /// In a full row, a node of a network that has its share makes room for one of a network that has less.
    pub(super) fn insert(&mut self, entry: TableEntry) -> bool {
        let Some(number) = self.row_of(&entry.id) else {
            return false;
        };
        let row = &self.rows[number];
        if row.iter().any(|known| known.id == entry.id) {
            return false;
        }
        if row.len() >= K {
            let Some(surplus) = self.surplus(number, &entry.address) else {
                return false;
            };
            self.take(number, surplus);
        }
        self.count(&entry.address, true);
        self.rows[number].push(entry);
        self.depth = self.depth.max(number + 1);
        self.len += 1;
        true
    }

    pub(super) fn remove(&mut self, id: &NodeId) -> Option<TableEntry> {
        let number = self.row_of(id)?;
        let position = self.rows[number].iter().position(|entry| entry.id == *id)?;
        Some(self.take(number, position))
    }

    fn take(&mut self, number: usize, position: usize) -> TableEntry {
        let entry = self.rows[number].swap_remove(position);
        self.len -= 1;
        self.count(&entry.address, false);
        entry
    }

    /// Keeps count of the nodes of a network.
    fn count(&mut self, address: &SocketAddrV4, added: bool) {
        if self.per_network == usize::MAX {
            return;
        }
        let network = network(*address.ip());
        let nodes = self.networks.entry(network).or_default();
        if added {
            *nodes += 1;
            self.crowded += usize::from(*nodes == self.per_network + 1);
        } else {
            *nodes -= 1;
            self.crowded -= usize::from(*nodes == self.per_network);
            if *nodes == 0 {
                self.networks.remove(&network);
            }
        }
    }

    /// Returns the node of a full row that makes room for one at `newcomer`: the one that came last of the
    /// network with the most nodes, if that is more than its share and `newcomer`'s network has less than its
    /// own.
    fn surplus(&self, row: usize, newcomer: &SocketAddrV4) -> Option<usize> {
        let row = &self.rows[row];
        if self.crowded == 0 || !has_less_than(row, newcomer, self.per_network) {
            return None;
        }
        let of_network = |entry: &TableEntry| count_of(row, &entry.address);
        let (position, most) =
            row.iter().enumerate().max_by_key(|(_, entry)| (of_network(entry), entry.added, entry.heard))?;
        (of_network(most) > self.per_network).then_some(position)
    }

    pub(super) fn get_mut(&mut self, id: &NodeId) -> Option<&mut TableEntry> {
        let row = self.row_of(id)?;
        self.rows[row].iter_mut().find(|entry| entry.id == *id)
    }

    /// Gives the table another base and puts every node in the row where it now belongs, as far as there is
    /// room.
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

    /// Returns the nodes nearest to `target`, at most [`K`], nearest first. Those beyond the share of their
    /// network come last, and only if there are too few others: an attacker with a few addresses has all
    /// their ports, and so any number of ids near any target.
    pub(super) fn closest(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        let (mut found, mut beyond) = self.nearest(target, Scope::Host);
        found.append(&mut beyond);
        found.truncate(K);
        found
    }

    /// Returns the nodes that a response names, at most [`K`]: `own` first, then those whose addresses have
    /// at least the scope `least`, nearest first, and of each network no more than its share. Where all known
    /// nodes are of one network, and this one, at `home`, is as well, there is nobody to protect from it.
    pub(super) fn named(
        &self,
        target: &[u8; 32],
        least: Scope,
        home: Option<SocketAddrV4>,
        own: Option<SocketAddrV4>,
    ) -> Vec<SocketAddrV4> {
        let (mut found, mut beyond) = self.nearest(target, least);
        let at_home = home.map(|home| network(*home.ip()));
        let is_shared = self.networks.keys().any(|other| at_home.is_some_and(|home| *other != home))
            || self.networks.len() > 1;
        if !is_shared {
            found.append(&mut beyond);
        }
        if let Some(own) = own {
            let share = if is_shared { self.per_network.saturating_sub(1) } else { K };
            let mut neighbours = 0;
            found.retain(|node| {
                neighbours += usize::from(network(*node.ip()) == network(*own.ip()));
                network(*node.ip()) != network(*own.ip()) || neighbours <= share
            });
            found.truncate(K - 1);
            found.insert(0, own);
        }
        found.truncate(K);
        found
    }

    /// Returns nodes near `target` whose addresses have at least the scope `least`, nearest first: at least
    /// [`K`] within the shares of their networks, if there are that many, and the others that were met on the
    /// way.
    ///
    /// Seen from the target the rows are already in order: its own row shares the most with it, the longer
    /// rows follow or precede each other by one bit of the difference between target and own id, then come
    /// the shorter ones downwards.
    fn nearest(&self, target: &[u8; 32], least: Scope) -> (Vec<SocketAddrV4>, Vec<SocketAddrV4>) {
        let mut found = Vec::with_capacity(2 * K);
        let own = self.row_of(&NodeId(*target)).unwrap_or(ROWS);
        let bit = |row: usize| (target[row / 8] ^ self.id.0[row / 8]) & (0x80 >> (row % 8)) != 0;
        let longer = own + 1..self.depth;
        let order = std::iter::once(own)
            .filter(|row| *row < self.depth)
            .chain(longer.clone().filter(|row| bit(*row)))
            .chain(longer.rev().filter(|row| !bit(*row)))
            .chain((0..own.min(self.depth)).rev());
        let mut beyond = Vec::new();
        for row in order {
            let before = found.len();
            self.append_row(row, target, &mut found);
            if least > Scope::Host {
                found.retain(|node| Scope::of(*node.ip()) >= least);
            }
            if self.crowded > 0 {
                split_by_share(&mut found, before, self.per_network, &mut beyond);
            }
            if found.len() >= K {
                break;
            }
        }
        (found, beyond)
    }

    /// Appends the nodes of a row, nearest to `target` first.
    fn append_row(&self, number: usize, target: &[u8; 32], found: &mut Vec<SocketAddrV4>) {
        let row = &self.rows[number];
        let mut keys = [u32::MAX; K];
        for (position, (key, entry)) in keys.iter_mut().zip(row).enumerate() {
            *key = distance_after(number + 1, &entry.id.0, target) & !POSITION | position as u32;
        }
        // Counting those that are nearer takes no branches, and the processor would guess most of a sort's
        // wrong.
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

    /// Returns the nodes in the order of kademlia-routing-table `closest`: those in the target's row, then
    /// those in the shorter rows, then those in the longer ones, each row in the order of ids.
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

    /// Returns the node that should make room for the newcomer `id` if it does not answer: the one not pinged
    /// for longest, among equals the oldest. Nodes pinged in this tick are not candidates, and a newcomer
    /// whose network has its share takes the place of a neighbour only.
    pub(super) fn weakest(&self, id: &NodeId, newcomer: &SocketAddrV4, tick: u64) -> Option<&TableEntry> {
        let row = &self.rows[self.row_of(id)?];
        let any = has_less_than(row, newcomer, self.per_network);
        row.iter()
            .filter(|entry| entry.pinged < tick)
            .filter(|entry| any || network(*entry.address.ip()) == network(*newcomer.ip()))
            .min_by_key(|entry| (entry.pinged, entry.added))
    }

    /// Returns whether the row of `id` has no room for a node at `address`.
    pub(super) fn is_full_for(&self, id: &NodeId, address: &SocketAddrV4) -> bool {
        self.row_of(id).is_some_and(|row| self.rows[row].len() >= K && self.surplus(row, address).is_none())
    }

    /// Returns whether no known node shares more with `target` than the own id does, although there should be
    /// one.
    pub(super) fn lacks(&self, target: &[u8; 32]) -> bool {
        let row = self.row_of(&NodeId(*target));
        row.is_some_and(|row| row + 1 < self.depth && self.rows[row].is_empty())
    }

    /// Returns the rows with fewer than `thin` nodes although the network must have more for them: as many
    /// are known beyond.
    pub(super) fn thin_rows(&self, thin: usize) -> Vec<usize> {
        let mut beyond = self.len;
        let mut rows = Vec::new();
        for (number, row) in self.rows[..self.depth].iter().enumerate() {
            beyond -= row.len();
            if row.len() < thin && beyond >= K {
                rows.push(number);
            }
        }
        rows
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

    /// Returns the nodes, the one heard of last first, but those beyond the share of their network behind all
    /// others.
    pub(super) fn recent(&self) -> Vec<SocketAddrV4> {
        let by_age = self.by_age().into_iter().rev();
        let mut found: Vec<_> = by_age.map(|entry| entry.address).collect();
        if self.crowded > 0 {
            let mut beyond = Vec::new();
            split_by_share(&mut found, 0, self.per_network, &mut beyond);
            found.append(&mut beyond);
        }
        found
    }

    /// Returns all nodes, the one not heard of for longest first.
    pub(super) fn by_age(&self) -> Vec<&TableEntry> {
        let mut all: Vec<_> = self.rows.iter().flatten().collect();
        all.sort_unstable_by_key(|entry| entry.heard);
        all
    }

    pub(super) fn random(&self, rng: &mut StdRng) -> Option<&TableEntry> {
        if self.len == 0 {
            return None;
        }
        self.rows.iter().flatten().nth(rng.gen_range(0..self.len))
    }

    /// Returns the number of leading bits that `id` shares with the own one, or `None` if it is the own one.
    fn row_of(&self, id: &NodeId) -> Option<usize> {
        let byte = self.id.0.iter().zip(&id.0).position(|(a, b)| a != b)?;
        let zeros = (self.id.0[byte] ^ id.0[byte]).leading_zeros();
        Some(byte * 8 + zeros as usize)
    }
}

fn count_of(row: &[TableEntry], address: &SocketAddrV4) -> usize {
    let ours = network(*address.ip());
    let same = row.iter().map(|entry| network(*entry.address.ip()));
    same.filter(|theirs| *theirs == ours).count()
}

fn has_less_than(row: &[TableEntry], address: &SocketAddrV4, most: usize) -> bool {
    most == usize::MAX || count_of(row, address) < most
}

/// Moves what is beyond the share of its network out of `nodes`, from position `from` on, to `beyond`. The
/// lists are short, so nothing is indexed.
fn split_by_share(nodes: &mut Vec<SocketAddrV4>, from: usize, share: usize, beyond: &mut Vec<SocketAddrV4>) {
    let mut kept = from;
    for position in from..nodes.len() {
        let node = nodes[position];
        let ours = network(*node.ip());
        let same = nodes[..kept].iter().map(|other| network(*other.ip()));
        if same.filter(|theirs| *theirs == ours).count() < share {
            nodes[kept] = node;
            kept += 1;
        } else {
            beyond.push(node);
        }
    }
    nodes.truncate(kept);
}

/// Returns 32 bits of the distance between two ids, those behind the first so many. All nodes of a row agree
/// in as many as its number and one more.
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
    differs.map_or(Ordering::Equal, |byte| (a[byte] ^ target[byte]).cmp(&(b[byte] ^ target[byte])))
}

/// Bits of a key that hold the position of a node in its row.
const POSITION: u32 = 0x1f;
/// Bits of an id.
const ROWS: usize = 256;
