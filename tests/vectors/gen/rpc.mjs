// rpc.json: everything about the DHT RPC layer and the commands of HyperDHT that fixed inputs decide.
//
// The packages of the reference make all of it; nothing here encodes by itself. Seeds, transaction ids,
// secrets and addresses are fixed, and a transport in memory takes the place of sockets.

import { main, versions, writeJSON } from './lib.mjs'
import caches from './rpc/caches.mjs'
import exchanges from './rpc/exchanges.mjs'
import messages from './rpc/messages.mjs'
import packets from './rpc/packets.mjs'
import primitives from './rpc/primitives.mjs'
import queries from './rpc/queries.mjs'
import signatures from './rpc/signatures.mjs'
import table from './rpc/table.mjs'

const meta = {
  about: 'Vectors produced by running the reference packages. Hex is lower case. All integers on the wire are little endian.',
  versions: versions([
    'hyperdht', 'dht-rpc', 'compact-encoding', 'kademlia-routing-table', 'nat-sampler', 'record-cache', 'xache',
    'hypercore-crypto', 'hyperdht-address'
  ])
}

main(() => {
  const parts = [primitives, packets, messages, signatures, table, exchanges, queries, caches]
  writeJSON('rpc.json', Object.assign({ meta }, ...parts))
})
