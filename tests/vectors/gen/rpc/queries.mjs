// A client of the reference queries a simulated network of persistent nodes of the reference.
// Datagrams are delivered one at a time in the order they were sent and nothing is lost, so the order of
// requests depends on the algorithm alone.

import HyperDHT from 'hyperdht'
import IO from 'dht-rpc/lib/io.js'
import Table from 'kademlia-routing-table'
import peer from 'dht-rpc/lib/peer.js'

import { KP1, TARGET, FakeUDX, tick } from './common.mjs'
import { fill, hex } from '../lib.mjs'

const out = {}

const BOOTSTRAP_ID = fill(32, 0xc1)
const name = ({ host, port }) => host + ':' + port

function addresses (count) {
  return Array.from({ length: count }, (_, i) => ({ host: `10.60.${i >> 8}.${i & 255}`, port: 5000 + i }))
}

/** Starts persistent nodes that know as many of each other as their tables take; returns them by address. */
async function startNetwork (all) {
  const network = new Map()
  for (const own of all) {
    const table = new Table(peer.id(own.host, own.port))
    for (const other of all) if (own !== other) table.add({ id: peer.id(other.host, other.port), ...other })
    const udx = new FakeUDX()
    const onrequest = (request) => request.sendReply(0, null, false, true)
    const io = new IO(table, udx, { onrequest, firewalled: false, host: '127.0.0.1', port: own.port })
    await io.bind()
    clearInterval(io._drainInterval)
    io.ephemeral = false
    network.set(name(own), { io, udx })
  }
  return network
}

/** Delivers what `client` sends, and the answers, one datagram at a time until `end` is called. */
function deliver (client, network) {
  const order = []
  const state = { ended: false }
  const pump = async () => {
    while (!state.ended) {
      const sent = client.sent.shift()
      if (sent) {
        order.push(name(sent.to))
        answer(sent, network.get(name(sent.to)))
      }
      await tick()
    }
  }
  const pumped = pump()
  const end = () => {
    state.ended = true
    return pumped
  }
  return { order, end }
}

function answer (sent, node) {
  if (!node) return
  const from = { host: '10.50.0.1', family: 4, port: sent.socket.address().port }
  node.udx.sent.length = 0
  node.io.serverSocket.emit('message', sent.buffer, from)
  for (const reply of node.udx.sent) sent.socket.emit('message', reply.buffer, { ...sent.to, family: 4 })
}

function forgetNodes (client) {
  client.table = client.io.table = new Table(BOOTSTRAP_ID)
  client.table.on('row', client._onrow)
}

function trueClosest (all, target) {
  const distance = ({ host, port }) => Buffer.from(peer.id(host, port).map((byte, i) => byte ^ target[i]))
  const byDistance = all.map((node) => ({ node, distance: distance(node) }))
  byDistance.sort((a, b) => Buffer.compare(a.distance, b.distance))
  return byDistance.slice(0, 20).map(({ node }) => name(node))
}

async function simulate ({ count, lookupTarget, startNodes = null, warm }) {
  const all = addresses(count)
  const network = await startNetwork(all)
  const udx = new FakeUDX()
  const client = new HyperDHT({ udx, bootstrap: [all[0]], ephemeral: true, quickFirewall: false, seed: fill(32, 9) })
  forgetNodes(client)
  const { order, end } = deliver(udx, network)
  await client.fullyBootstrapped()
  clearInterval(client._tickInterval)
  clearInterval(client.io._drainInterval)
  const bootstrapOrder = order.splice(0)
  const tableAfterBootstrap = client.table.size
  if (!warm) forgetNodes(client)
  const query = client.findNode(lookupTarget, startNodes ? { nodes: startNodes } : {})
  await query.finished()
  const result = {
    nodes: count,
    nodeAddresses: 'node i is 10.60.(i>>8).(i&255):(5000+i), each knows as many others as its table takes, inserted in order of i',
    bootstrap: all[0],
    clientTableId: hex(BOOTSTRAP_ID),
    target: hex(lookupTarget),
    startNodes,
    bootstrapOrder,
    tableAfterBootstrap,
    tableKept: !!warm,
    order: order.splice(0),
    successes: query.successes,
    errors: query.errors,
    closestNodes: query.closestNodes.map(name),
    trueClosest: trueClosest(all, lookupTarget)
  }
  await end()
  await client.destroy({ force: true })
  return result
}

out.querySimulations = [
  { name: '120 nodes, only the bootstrap node known', ...(await simulate({ count: 120, lookupTarget: TARGET, warm: false })) },
  { name: '120 nodes, table filled by bootstrap', ...(await simulate({ count: 120, lookupTarget: TARGET, warm: true })) },
  {
    name: '120 nodes, query started from 20 given nodes (slow start, 3 at a time)',
    ...(await simulate({
      count: 120,
      lookupTarget: HyperDHT.hash(KP1.publicKey),
      startNodes: Array.from({ length: 20 }, (_, i) => ({ host: '10.60.0.' + (i + 40), port: 5040 + i })),
      warm: true
    }))
  }
]

export default out
