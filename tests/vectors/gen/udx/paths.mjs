// The two exchanges that run over two forwarders: a change of the remote with data in flight, and a relay.

import UDX from 'udx-native'

import { sleep } from '../lib.mjs'
import { Forwarder, rows } from './forwarder.mjs'
import { HOST } from './packets.mjs'
import { observe } from './record.mjs'

function bound (udx, count) {
  return Array.from({ length: count }, () => {
    const socket = udx.createSocket()
    socket.bind(0, HOST)
    return socket
  })
}

async function close (streams, sockets, forwarders) {
  for (const stream of streams) stream.destroy()
  await sleep(50)
  await Promise.all(sockets.map((socket) => socket.close()))
  for (const forwarder of forwarders) forwarder.close()
}

export async function changeRemoteInFlight () {
  const udx = new UDX()
  const [socketA, socketB] = bound(udx, 2)
  const seen = new Set()
  // The first path loses the first copy of seq 1 and is slow backwards.
  const first = new Forwarder((direction, bytes, packet) => {
    if (direction === 'b>a') return { delay: 20 }
    if (!(packet.type & 1) || packet.seq !== 1 || seen.has(1)) return 'pass'
    seen.add(1)
    return 'drop'
  })
  const second = new Forwarder()
  const ports = await first.open(socketA.address().port, socketB.address().port)
  const portsAfter = await second.open(socketA.address().port, socketB.address().port)
  second.start = first.start
  const t = () => Date.now() - first.start
  const events = []
  const a = udx.createStream(1)
  const b = udx.createStream(2)
  b.on('data', (bytes) => events.push({ t: t(), at: 'b', event: 'data', hex: bytes.toString('hex') }))
  a.on('remote-changed', () => events.push({ t: t(), at: 'a', event: 'remote-changed' }))
  a.connect(socketA, 2, ports.forA, HOST)
  b.connect(socketB, 1, ports.forB, HOST)
  a.write(Buffer.from('warm up'))
  await sleep(60)
  a.write(Buffer.from('lost on the first path'))
  await sleep(3)
  a.changeRemote(socketA, 2, portsAfter.forA, HOST).catch(() => {})
  a.write(Buffer.from('sent on the second path'))
  await sleep(400)
  const recorded = {
    name: 'change-remote-in-flight',
    about: 'a changes its remote while seq 1 is in flight (and lost). New packets go to the new remote at once, repeats of seq 1 still go to the old one; the change is reported when everything sent before it is acknowledged. Left leg: old path, right leg: new path. b answers along the old path throughout.',
    streams: { a: { localId: 1, remoteId: 2 }, b: { localId: 2, remoteId: 1 } },
    legs: { left: rows(first.log), right: rows(second.log) },
    events
  }
  await close([a, b], [socketA, socketB], [first, second])
  return recorded
}

/** a is connected to r1 and d to r2; r1 and r2 relay to each other. */
export async function relay () {
  const udx = new UDX()
  const sockets = bound(udx, 4)
  const [socketA, socket1, socket2, socketD] = sockets
  const left = new Forwarder()
  const right = new Forwarder()
  const leftPorts = await left.open(socketA.address().port, socket1.address().port)
  const rightPorts = await right.open(socket2.address().port, socketD.address().port)
  const ids = { a: 0x11, r1: 0x21, r2: 0x22, d: 0x44 }
  const events = []
  const [a, r1, r2, d] = Object.entries(ids).map(([at, id]) => {
    return observe(udx.createStream(id), ({ length, ...event }) => {
      events.push({ t: Date.now() - left.start, at, ...event })
    })
  })
  r1.relayTo(r2)
  r2.relayTo(r1)
  a.connect(socketA, ids.r1, leftPorts.forA, HOST)
  r1.connect(socket1, ids.a, leftPorts.forB, HOST)
  r2.connect(socket2, ids.d, rightPorts.forA, HOST)
  d.connect(socketD, ids.r2, rightPorts.forB, HOST)
  a.write(Buffer.from('through the relay'))
  await sleep(60)
  d.write(Buffer.from('and back'))
  await sleep(60)
  a.trySend(Buffer.from('message'))
  await sleep(60)
  a.destroy()
  await sleep(100)
  const recorded = {
    name: 'relay',
    about: 'a talks to r1, d talks to r2, r1 and r2 relay to each other. Only the stream id changes on the way; a DESTROY is passed on and then closes the relaying stream. dir a>b is towards d. The two logs are the a-r1 leg and the r2-d leg.',
    streams: ids,
    legs: { left: rows(left.log), right: rows(right.log) },
    events
  }
  await close([r1, r2, d], sockets, [left, right])
  return recorded
}
