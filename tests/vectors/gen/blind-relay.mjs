// blind-relay.json: protomux frames of the blind-relay channel, as the plaintext of secret-stream messages.

import { EventEmitter } from 'node:events'
import Relay from 'blind-relay'
import c from 'compact-encoding'
import Protomux from 'protomux'
import { Duplex } from 'streamx'

import { counting, hex, idle, main, seed, versions, writeJSON } from './lib.mjs'

const TOKEN = counting(32, 7)
const ID_A = 0x11223344
const ID_B = 250

/** One end of a pair of streams in memory; what it writes is logged and arrives at the other end. */
class Framed extends Duplex {
  constructor (name, log) {
    super()
    this.name = name
    this.log = log
    this.other = null
    this.userData = null
    this.on('error', () => {})
  }

  _write (data, done) {
    this.log.push({ from: this.name, bytes: hex(data) })
    this.other.push(Buffer.from(data))
    done(null)
  }

  _final (done) {
    this.log.push({ from: this.name, end: true })
    this.other.push(null)
    done(null)
  }
}

function pair (log, nameOfFirst, nameOfSecond) {
  const first = new Framed(nameOfFirst, log)
  const second = new Framed(nameOfSecond, log)
  first.other = second
  second.other = first
  return [first, second]
}

/** What the relay uses of a UDX stream. */
function fakeStream (id) {
  const stream = new EventEmitter()
  stream.id = id
  stream.relayTo = (other) => { stream.relayed = other.id }
  stream.connect = (...args) => { stream.connected = args }
  stream.destroy = () => stream.emit('close')
  return stream
}

/** Pairs two clients at a relay, undoes the pairing and closes the channels. */
async function session (keyA, keyB) {
  const frames = []
  let nextId = 0x01000000
  const server = new Relay.Server({ createStream: () => fakeStream(nextId++) })
  const [a, relayA] = pair(frames, 'A', 'relay(A)')
  const [b, relayB] = pair(frames, 'B', 'relay(B)')
  server.accept(relayA, { id: keyA }).on('error', () => {})
  server.accept(relayB, { id: keyB }).on('error', () => {})
  const clientA = Relay.Client.from(a, { id: keyA })
  const clientB = Relay.Client.from(b, { id: keyB })
  const delivered = {}
  clientA.pair(true, TOKEN, { id: ID_A }).on('data', (id) => { delivered.A = id }).on('error', () => {})
  await idle()
  clientB.pair(false, TOKEN, { id: ID_B }).on('data', (id) => { delivered.B = id }).on('error', () => {})
  await idle()
  frames.push({ comment: 'A asks to undo the pairing, then both close their channel' })
  clientA.unpair(TOKEN)
  await idle()
  clientA.destroy()
  clientB.end()
  await idle()
  return { delivered, frames }
}

/** Opens, rejects, batches and closes channels of protomux. */
async function protomuxFrames () {
  const frames = []
  const seen = []
  const [x, y] = pair(frames, 'X', 'Y')
  const muxX = new Protomux(x)
  const muxY = new Protomux(y)
  muxY.pair({ protocol: 'later' }, () => {
    const channel = muxY.createChannel({ protocol: 'later', onopen: () => seen.push('Y opened later'), onclose () {} })
    channel.addMessage({ encoding: c.string, onmessage: (message) => seen.push('Y got ' + message) })
    channel.open()
  })
  const channel = muxX.createChannel({ protocol: 'later' })
  const message = channel.addMessage({ encoding: c.string })
  channel.open()
  message.send('sent before the answer')
  await idle()
  const id = Buffer.from('0102', 'hex')
  muxX.createChannel({ protocol: 'unknown', id, onclose: () => seen.push('X: unknown closed') }).open()
  await idle()
  muxX.cork()
  message.send('batched 1')
  message.send('batched 2')
  muxX.uncork()
  await idle()
  channel.close()
  await idle()
  return { frames, seen }
}

function pairMessage (isInitiator, id) {
  const bytes = c.encode(Relay.messages.pair, { isInitiator, token: TOKEN, id, seq: 0 })
  return { isInitiator, token: hex(TOKEN), id, seq: 0, bytes: hex(bytes) }
}

main(async () => {
  const keyA = seed(0xa1)
  const keyB = seed(0xb2)
  const { delivered, frames } = await session(keyA, keyB)
  writeJSON('blind-relay.json', {
    about: 'Each entry of session/frames is one protomux frame = one secret-stream message (plaintext).',
    versions: versions(),
    pairMessage: [pairMessage(true, ID_A), pairMessage(false, 5)],
    unpairMessage: [{ token: hex(TOKEN), bytes: hex(c.encode(Relay.messages.unpair, { token: TOKEN })) }],
    session: {
      keyA: hex(keyA),
      keyB: hex(keyB),
      streamIdA: ID_A,
      streamIdB: ID_B,
      relayStreamIds: 'the relay numbers its streams from 16777216 in link order [0]=non-initiator, [1]=initiator',
      deliveredRemoteIds: delivered,
      frames
    },
    protomuxFrames: await protomuxFrames()
  })
})
