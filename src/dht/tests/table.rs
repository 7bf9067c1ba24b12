//! The routing table against the slow and obvious way.

use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::dht::K;
use crate::dht::table::{Table, TableEntry};
use crate::wire::rpc::NodeId;

proptest! {
    #[test]
    fn the_closest_are_the_closest_in_order(
        own in any::<[u8; 32]>(),
        // Few ids differ in few bits, so that deep rows fill too; some differ late only.
        ids in proptest::collection::vec((0_usize..256, prop_oneof![any::<[u8; 32]>(), alike()]), 0..300),
        shared in 0_usize..256,
        target in any::<[u8; 32]>(),
    ) {
        let mut table = Table::new(NodeId(own), usize::MAX);
        let mut known = Vec::new();
        for (number, (prefix, id)) in ids.into_iter().enumerate() {
            let id = NodeId(with_prefix(&own, prefix, id));
            let address = address(number);
            if table.insert(entry(id, address)) {
                known.push((id, address));
            }
        }
        prop_assert_eq!(table.len(), known.len());
        for target in [target, own, with_prefix(&own, shared, target)] {
            known.sort_by_key(|(id, _)| id.distance(&target));
            let nearest: Vec<_> = known.iter().take(K).map(|(_, address)| *address).collect();
            prop_assert_eq!(table.closest(&target), nearest);
        }
    }

    #[test]
    fn a_random_id_belongs_in_its_row(own in any::<[u8; 32]>(), row in 0_usize..256, seed in any::<u64>()) {
        let table = Table::new(NodeId(own), usize::MAX);
        let id = table.random_id(row, &mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(id.common_prefix(&own), row);
    }

    #[test]
    fn a_new_base_keeps_the_nodes_that_have_room(
        ids in proptest::collection::vec(any::<[u8; 32]>(), 0..100),
        own in any::<[u8; 32]>(),
    ) {
        let mut table = Table::new(NodeId([0; 32]), usize::MAX);
        for (number, id) in ids.into_iter().enumerate() {
            table.insert(entry(NodeId(id), address(number)));
        }
        let before = table.len();
        table.set_id(NodeId(own));
        prop_assert!(table.len() <= before);
        prop_assert_eq!(table.by_age().len(), table.len());
        let ids: Vec<_> = table.by_age().into_iter().map(|entry| entry.id).collect();
        for id in ids {
            prop_assert!(table.remove(&id).is_some());
        }
        prop_assert_eq!(table.len(), 0);
    }
}

/// Ids that differ in two bytes only.
fn alike() -> impl Strategy<Value = [u8; 32]> {
    (0_usize..32, any::<u8>(), any::<u8>()).prop_map(|(position, first, second)| {
        let mut id = [0; 32];
        id[position] = first;
        id[31 - position] = second;
        id
    })
}

/// Gives `id` a number of leading bits of `own` and a different one after that.
fn with_prefix(own: &[u8; 32], bits: usize, mut id: [u8; 32]) -> [u8; 32] {
    for bit in 0..=bits {
        let mask = 0x80 >> (bit % 8);
        let wanted = if bit == bits { !own[bit / 8] } else { own[bit / 8] };
        id[bit / 8] = (id[bit / 8] & !mask) | (wanted & mask);
    }
    id
}

fn entry(id: NodeId, address: SocketAddrV4) -> TableEntry {
    TableEntry { id, address, added: 1, pinged: 1, sampled: 0, down_hints: 0, heard: 0 }
}

fn address(number: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, u16::try_from(number).expect("few nodes"))
}
