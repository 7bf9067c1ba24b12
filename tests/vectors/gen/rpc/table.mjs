// The routing table, the NAT sampler and the two caches.

import HyperDHT from 'hyperdht'
import NatSampler from 'nat-sampler'
import Table from 'kademlia-routing-table'
import peer from 'dht-rpc/lib/peer.js'

import { addr, KP1, TARGET } from './common.mjs'
import { hex } from '../lib.mjs'

const out = {}

{
  const id = peer.id('10.0.0.2', 40002)
  const table = new Table(id)
  const nodes = Array.from({ length: 60 }, (_, i) => ({ host: '10.1.0.' + (i + 1), port: 3000 + i }))
  const added = nodes.map((n) => ({ ...n, id: peer.id(n.host, n.port) })).map((n) => ({ node: n, ok: table.add(n) }))
  out.routingTable = {
    note: 'Row index = number of leading bits shared with our own id. closest() walks the row of the target, then lower rows, then higher rows; inside a row nodes are in ascending id order. This order is not strict XOR order.',
    id: hex(id),
    k: table.k,
    nodes: added.map(({ node, ok }) => ({ host: node.host, port: node.port, id: hex(node.id), row: table._diff(node.id), added: ok })),
    closest: [TARGET, HyperDHT.hash(KP1.publicKey), id].map((target) => ({
      target: hex(target),
      row: table._diff(target),
      result: table.closest(target).map(addr)
    }))
  }
}

// ------------------------------------------------------------------ nat sampler

{
  const run = (samples) => {
    const s = new NatSampler()
    return samples.map(([host, port]) => {
      s.add(host, port)
      return { sample: [host, port], host: s.host, port: s.port }
    })
  }
  const h = '203.0.113.1'
  out.natSampler = [
    { name: 'consistent', steps: run(Array.from({ length: 5 }, () => [h, 1000])) },
    { name: 'same host, random ports', steps: run(Array.from({ length: 6 }, (_, i) => [h, 1000 + i])) },
    { name: 'one odd port among many', steps: run([1000, 1000, 1001, 1000, 1000, 1000, 1000, 1000].map((p) => [h, p])) },
    { name: 'two hosts', steps: run([[h, 1], ['203.0.113.2', 1], [h, 1], [h, 1], [h, 1], [h, 1]]) },
    { name: 'ring of 16 samples wraps', steps: run(Array.from({ length: 40 }, (_, i) => [h, i < 20 ? 1000 : 2000])) }
  ]
}

export default out
