// Runs the exchanges and probes, and writes down what was sent and what the streams did.

import dgram from 'node:dgram'
import { once } from 'node:events'
import UDX from 'udx-native'

import { sleep } from '../lib.mjs'
import { EXCHANGES } from './exchanges.mjs'
import { Forwarder, offsetsOf, rows } from './forwarder.mjs'
import { HOST, decode } from './packets.mjs'
import { changeRemoteInFlight, relay } from './paths.mjs'
import { LOCAL_ID, PROBES, REMOTE_ID } from './probes.mjs'

const ID_A = 0x0a0b0c0d
const ID_B = 0x01020304
const SPECIAL = { 'change-remote-in-flight': changeRemoteInFlight, relay }

/** Calls `note` with each event of a stream. */
export function observe (stream, note) {
  const data = (bytes) => ({ length: bytes.length, ...(bytes.length <= 64 ? { hex: bytes.toString('hex') } : {}) })
  stream.on('data', (bytes) => note({ event: 'data', ...data(bytes) }))
  stream.on('message', (bytes) => note({ event: 'message', hex: bytes.toString('hex') }))
  stream.on('end', () => note({ event: 'end' }))
  stream.on('error', (error) => note({ event: 'error', code: error.code || error.message }))
  stream.on('close', () => note({ event: 'close' }))
  return stream
}

function bound (udx, host = HOST) {
  const socket = udx.createSocket()
  socket.bind(0, host)
  return socket
}

async function exchange (name, about, options, act) {
  const udx = new UDX()
  const socketA = bound(udx, options.bindHost)
  const socketB = bound(udx, options.bindHost)
  const forwarder = new Forwarder(options.rule)
  const ports = await forwarder.open(socketA.address().port, socketB.address().port)
  const events = []
  const t = () => Date.now() - forwarder.start
  const make = (at, id, streamOptions) => {
    const stream = observe(udx.createStream(id, streamOptions), (event) => events.push({ t: t(), at, ...event }))
    stream.on('remote-changed', () => events.push({ t: t(), at, event: 'remote-changed' }))
    return stream
  }
  const a = make('a', ID_A, options.a)
  const b = make('b', ID_B, options.b)
  const connectA = () => a.connect(socketA, ID_B, ports.forA, HOST, {})
  const connectB = () => b.connect(socketB, ID_A, ports.forB, HOST, options.connectB || {})
  if (!options.manual) {
    connectA()
    connectB()
  }
  const closed = (stream) => new Promise((resolve) => stream.destroyed ? resolve() : stream.once('close', resolve))
  const result = await act({ a, b, fw: forwarder, socketA, socketB, closed, events, t, connectA, connectB })
  await sleep(60)
  a.destroy()
  b.destroy()
  await sleep(30)
  const { keepTeardown, until = Infinity, ...extra } = result
  const log = keepTeardown ? forwarder.log : forwarder.log.filter((row) => row.t <= until)
  await Promise.all([socketA.close(), socketB.close()])
  forwarder.close()
  return {
    name,
    about,
    streams: { a: { localId: ID_A, remoteId: ID_B }, b: { localId: ID_B, remoteId: ID_A } },
    ...extra,
    packets: rows(log, { compact: options.compact, streamOffsets: options.compact ? offsetsOf('a>b') : null }),
    events
  }
}

export async function recordExchanges () {
  const recorded = []
  for (const entry of EXCHANGES) {
    if (SPECIAL[entry]) {
      recorded.push(await SPECIAL[entry]())
      continue
    }
    const [name, about, ...rest] = entry
    const act = rest.pop()
    recorded.push(await exchange(name, about, rest[0] || {}, act))
  }
  return recorded
}

async function probe (name, about, steps, { gap = 25 } = {}) {
  const udx = new UDX()
  const socket = bound(udx)
  const raw = dgram.createSocket('udp4').bind(0, HOST)
  await once(raw, 'listening')
  const start = Date.now()
  const timeline = []
  const note = (entry) => timeline.push({ t: Date.now() - start, ...entry })
  socket.on('message', (bytes) => note({ event: 'socket-message', hex: bytes.toString('hex') }))
  raw.on('message', (bytes) => note({ reply: bytes.toString('hex'), decoded: decode(bytes) }))
  const stream = observe(udx.createStream(LOCAL_ID, {}), note)
  stream.connect(socket, REMOTE_ID, raw.address().port, HOST)
  for (const step of steps) {
    if (typeof step === 'function') await step({ s: stream, socket, note })
    else inject(step, note, () => raw.send(step, socket.address().port, HOST))
    await sleep(gap)
  }
  const recorded = { name, about, localId: LOCAL_ID, remoteId: REMOTE_ID, timeline }
  stream.destroy()
  await sleep(20)
  await socket.close()
  raw.close()
  return recorded
}

function inject (datagram, note, send) {
  const isLong = datagram.length > 256
  note({
    inject: (isLong ? datagram.subarray(0, 20) : datagram).toString('hex'),
    ...(isLong ? { injectLength: datagram.length } : {}),
    decoded: decode(datagram)
  })
  send()
}

export async function recordProbes () {
  const recorded = []
  for (const entry of PROBES) recorded.push(await probe(...entry))
  return recorded
}
