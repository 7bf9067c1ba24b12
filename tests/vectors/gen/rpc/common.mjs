// What the parts of rpc.json share: fixed keys, addresses and secrets, and a transport in memory.

import { EventEmitter } from 'node:events'
import HyperDHT from 'hyperdht'
import IO from 'dht-rpc/lib/io.js'
import Table from 'kademlia-routing-table'
import peer from 'dht-rpc/lib/peer.js'
import sodium from 'sodium-universal'

import { counting, fill, hex } from '../lib.mjs'

export function blake (data, key) {
  const out = Buffer.alloc(32)
  if (key) sodium.crypto_generichash(out, data, key)
  else sodium.crypto_generichash(out, data)
  return out
}

export const addr = (a) => (a ? { host: a.host, port: a.port } : null)
export const withId = (a) => (a ? { id: hex(a.id), host: a.host, port: a.port } : null)

export const KP1 = HyperDHT.keyPair(fill(32, 1))
export const KP2 = HyperDHT.keyPair(fill(32, 2))
export const KP3 = HyperDHT.keyPair(fill(32, 3))

// Client A talks to server B. A and B are IO instances of the reference.
export const A_ADDR = { host: '10.0.0.1', port: 40001 }
export const B_ADDR = { host: '10.0.0.2', port: 40002 }
export const TARGET = counting(32, 0x80)
export const TABLE_NODES = [
  { host: '10.0.1.1', port: 1001 },
  { host: '10.0.1.2', port: 1002 },
  { host: '10.0.1.3', port: 1003 }
]

export const P1 = { host: '1.2.3.4', port: 1425 }
export const P2 = { host: '4.56.2.1', port: 4244 }
export const P3 = { host: '10.0.0.3', port: 65535 }
export const PEER0 = { publicKey: KP1.publicKey, relayAddresses: [] }
export const PEER2 = { publicKey: KP2.publicKey, relayAddresses: [P1, P2] }

export const ID = peer.id('10.0.0.2', 40002)
export const TOKEN = counting(32, 0xa0)
export const TOPIC = HyperDHT.hash(Buffer.from('testing...'))

export const decodedRequest = (r) => ({
  tid: r.tid,
  from: withId(r.from),
  to: addr(r.to),
  token: hex(r.token),
  internal: r.internal,
  command: r.command,
  target: hex(r.target),
  value: hex(r.value)
})

export const decodedResponse = (r) => ({
  tid: r.tid,
  from: withId(r.from),
  to: addr(r.to),
  token: hex(r.token),
  closerNodes: r.closerNodes ? r.closerNodes.map(addr) : null,
  error: r.error,
  value: hex(r.value)
})

export class FakeSocket extends EventEmitter {
  constructor (udx) {
    super()
    this.udx = udx
    this.bound = false
    this.closing = false
    this.idle = true
    this._addr = null
    this.name = null
  }

  bind (port, host) {
    this.bound = true
    this._addr = { host, family: 4, port: port || this.udx.nextPort++ }
  }

  address () {
    return this._addr
  }

  trySend (buffer, port, host) {
    this.udx.sent.push({ socket: this, buffer: Buffer.from(buffer), to: { host, port } })
  }

  send (buffer, port, host) {
    this.trySend(buffer, port, host)
    return Promise.resolve(true)
  }

  async close () {
    this.closing = true
    this.emit('close')
  }
}

export class FakeUDX {
  constructor () {
    this.sent = []
    this.nextPort = 60001
  }

  createSocket () {
    return new FakeSocket(this)
  }

  createStream () {
    throw new Error('not used here')
  }

  networkInterfaces () {
    return []
  }

  watchNetworkInterfaces () {
    const w = new EventEmitter()
    w.interfaces = []
    w.destroy = () => {}
    return w
  }

  lookup (host) {
    return Promise.resolve({ host, family: 4 })
  }
}

export const tick = () => new Promise((resolve) => setImmediate(resolve))
export const SECRET0 = fill(32, 0x50)
export const SECRET1 = fill(32, 0x51)

export async function makeIO ({ id, ephemeral = true, firewalled = true, nodes = [], onrequest = () => {}, onresponse = () => {} }) {
  const udx = new FakeUDX()
  const table = new Table(id)
  const io = new IO(table, udx, { onrequest, onresponse, firewalled, host: '127.0.0.1', port: 49737 })
  await io.bind()
  clearInterval(io._drainInterval)
  io.ephemeral = ephemeral
  io._secrets = [Buffer.from(SECRET0), Buffer.from(SECRET1)]
  for (const n of nodes) table.add({ id: peer.id(n.host, n.port), ...n })
  return { io, udx, table }
}
