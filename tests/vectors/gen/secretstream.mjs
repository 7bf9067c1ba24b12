// secretstream.json: the construction with fixed key and header, compared step by step with chacha.mjs; ids and
// datagram keys derived from a handshake hash; the bytes that two streams write; malformed streams.

import sodium from 'sodium-universal'
import crypto from 'hypercore-crypto'
import { NS } from 'hyperdht/lib/constants.js'
import SecretStream from '@hyperswarm/secret-stream'
import { Duplex } from 'streamx'

import { Push } from './chacha.mjs'
import { counting, hex, idle, main, seed, versions, writeJSON } from './lib.mjs'

const HASH = counting(64, 1)
const TX = counting(32, 0x20)
const RX = counting(32, 0x90)
const HEADERS = [counting(24, 0x10), counting(24, 0x60)] // initiator, responder
const COUNTERS = [Buffer.from('fffffffffffffffe', 'hex'), Buffer.from('0000000000000000', 'hex')]
const MAX_PLAINTEXT = 16777198

function blake (data, key) {
  const digest = Buffer.alloc(32)
  if (key) sodium.crypto_generichash(digest, data, key)
  else sodium.crypto_generichash(digest, data)
  return digest
}

// ---- the construction

function stateOf (state) {
  return { k: hex(state.subarray(0, 32)), counter: state.readUInt32LE(32), inonce: hex(state.subarray(36, 44)) }
}

function compare (mine, state) {
  const { k, counter, inonce } = stateOf(state)
  if (k !== hex(mine.k) || counter !== mine.counter || inonce !== hex(mine.inonce)) throw new Error('state')
}

/** Seals [message, tag, description of a long message] one after the other, from `counter` on if it is given. */
function sequence (key, header, messages, counter) {
  const push = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES)
  const pull = Buffer.alloc(push.length)
  // init_push with this header would give the same state, but draws the header itself.
  sodium.crypto_secretstream_xchacha20poly1305_init_pull(push, header, key)
  sodium.crypto_secretstream_xchacha20poly1305_init_pull(pull, header, key)
  const mine = new Push(key, header)
  compare(mine, push)
  if (counter !== undefined) {
    push.writeUInt32LE(counter, 32)
    pull.writeUInt32LE(counter, 32)
    mine.counter = counter
  }
  const initialState = stateOf(push)
  return { initialState, messages: messages.map((message) => seal(push, pull, mine, ...message)) }
}

function seal (push, pull, mine, message, tag, description) {
  const sealed = Buffer.alloc(message.length + 17)
  sodium.crypto_secretstream_xchacha20poly1305_push(push, sealed, message, null, tag)
  if (!mine.push(message, tag).equals(sealed)) throw new Error('bytes of a message of ' + message.length)
  compare(mine, push)
  const opened = Buffer.alloc(message.length)
  const openedTag = Buffer.alloc(1)
  sodium.crypto_secretstream_xchacha20poly1305_pull(pull, opened, openedTag, sealed, null)
  if (!opened.equals(message) || openedTag[0] !== tag) throw new Error('pull')
  return {
    tag,
    plaintext: description || hex(message),
    ciphertext: description ? undefined : hex(sealed),
    ciphertextBlake2b256: description ? hex(blake(sealed)) : undefined,
    length: sealed.length,
    stateAfter: stateOf(push)
  }
}

function construction () {
  const key = counting(32, 0x40)
  const header = counting(24, 0xa0)
  const text = (text, tag = 0) => [Buffer.from(text), tag]
  const lengths = [0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 127, 200]
  const rekeys = [text('before'), text('rekey now', 2), text('after'), text('final', 3), text('after final')]
  return {
    key: hex(key),
    header: hex(header),
    tags: { MESSAGE: 0, PUSH: 1, REKEY: 2, FINAL: 3 },
    plain: sequence(key, header, [
      ...lengths.map((length) => [counting(length), 0]),
      [Buffer.alloc(65536, 0x5a), 0, '65536 bytes of 0x5a']
    ]),
    explicitRekeyTag: sequence(key, header, rekeys),
    counterWrap: {
      note: 'state counter forced to 0xfffffffe before the first message: after the second message the counter becomes 0 and the key is replaced, counter restarts at 1',
      ...sequence(key, header, [text('a'), text('b'), text('c')], 0xfffffffe)
    }
  }
}

// ---- derivations

function derivations () {
  const [initiator, responder, send] = crypto.namespace('hyperswarm/secret-stream', 3)
  const derived = {
    namespaces: {
      'hyperswarm/secret-stream': { initiator: hex(initiator), responder: hex(responder), send: hex(send) },
      'hyperswarm/dht': Object.fromEntries(Object.entries(NS).map(([name, value]) => [name, hex(value)]))
    },
    handshakeHash: hex(HASH),
    initiatorStreamId: hex(SecretStream.id(HASH, true)),
    responderStreamId: hex(SecretStream.id(HASH, false)),
    datagramKeyInitiatorToResponder: hex(blake(Buffer.concat([initiator, send]), HASH)),
    datagramKeyResponderToInitiator: hex(blake(Buffer.concat([responder, send]), HASH)),
    holepunchSecret: hex(blake(NS.PEER_HOLEPUNCH, HASH))
  }
  if (derived.initiatorStreamId !== hex(blake(initiator, HASH))) throw new Error('stream id')
  return derived
}

// ---- the bytes of two streams

/** A raw stream in memory whose writes are logged and arrive at the other end. */
class Raw extends Duplex {
  constructor (name, wire) {
    super()
    this.name = name
    this.wire = wire
    this.other = null
  }

  _write (data, done) {
    this.wire.push({ from: this.name, bytes: hex(data) })
    this.other.push(Buffer.from(data))
    done(null)
  }

  _final (done) {
    this.wire.push({ from: this.name, end: true })
    this.other.push(null)
    done(null)
  }

  send (datagram) {
    this.wire.push({ from: this.name, datagram: hex(datagram) })
    this.other.emit('message', Buffer.from(datagram))
    return Promise.resolve(true)
  }

  trySend (datagram) {
    this.send(datagram)
  }
}

function rawPair (wire) {
  const a = new Raw('initiator', wire)
  const b = new Raw('responder', wire)
  a.other = b
  b.other = a
  return [a, b]
}

/** Calls `make` while headers and datagram counters are drawn from fixed lists. */
function withFixedChance (make) {
  const { crypto_secretstream_xchacha20poly1305_init_push: initPush, randombytes_buf: random } = sodium
  const headers = HEADERS.values()
  const counters = COUNTERS.values()
  sodium.crypto_secretstream_xchacha20poly1305_init_push = (state, header, key) => {
    header.set(headers.next().value)
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
  }
  sodium.randombytes_buf = (bytes) => bytes.byteLength === 8 ? bytes.set(counters.next().value) : random(bytes)
  try {
    return make()
  } finally {
    sodium.crypto_secretstream_xchacha20poly1305_init_push = initPush
    sodium.randombytes_buf = random
  }
}

function listen (stream) {
  const seen = { data: [], datagrams: [] }
  stream.on('data', (data) => seen.data.push(hex(data)))
  stream.on('message', (datagram) => seen.datagrams.push(hex(datagram)))
  return seen
}

async function talk (initiator, responder) {
  await idle()
  for (const [stream, bytes] of [
    [initiator, Buffer.from('hello')], [responder, Buffer.from('world')], [initiator, Buffer.alloc(0)],
    [initiator, counting(300)]
  ]) {
    stream.write(bytes)
    await idle()
  }
  initiator.sendKeepAlive()
  await idle()
  for (const number of [1, 2, 3]) await initiator.send(Buffer.from('unordered ' + number))
  await responder.send(Buffer.alloc(0))
  await responder.send(Buffer.from('back'))
  await idle()
  initiator.end()
  await idle()
  responder.end()
  await idle()
}

/** Opens each datagram by the layout of secret-stream.md §7, which proves it. */
function openDatagrams (wire, derived) {
  const keys = { initiator: derived.datagramKeyInitiatorToResponder, responder: derived.datagramKeyResponderToInitiator }
  for (const entry of wire) {
    if (!entry.datagram) continue
    const datagram = Buffer.from(entry.datagram, 'hex')
    const nonce = Buffer.concat([datagram.subarray(0, 8), Buffer.alloc(16)])
    const plain = Buffer.alloc(datagram.length - 24)
    const key = Buffer.from(keys[entry.from], 'hex')
    if (!sodium.crypto_secretbox_open_easy(plain, datagram.subarray(8), nonce, key)) throw new Error('datagram')
    entry.opens = hex(plain)
  }
}

async function streams (keepAlive, derived) {
  const wire = []
  const [a, b] = rawPair(wire)
  const { publicKey } = crypto.keyPair(seed(0x11))
  const { publicKey: remotePublicKey } = crypto.keyPair(seed(0x22))
  const [initiator, responder] = withFixedChance(() => [
    new SecretStream(true, a, { keepAlive, handshake: { tx: TX, rx: RX, hash: HASH, publicKey, remotePublicKey } }),
    new SecretStream(false, b, {
      keepAlive,
      handshake: { tx: RX, rx: TX, hash: HASH, publicKey: remotePublicKey, remotePublicKey: publicKey }
    })
  ])
  const [atInitiator, atResponder] = [listen(initiator), listen(responder)]
  await initiator.opened
  await responder.opened
  await talk(initiator, responder)
  openDatagrams(wire, derived)
  return {
    keepAlive,
    initiatorTx: hex(TX),
    responderTx: hex(RX),
    handshakeHash: hex(HASH),
    initiatorHeader: hex(HEADERS[0]),
    responderHeader: hex(HEADERS[1]),
    initiatorDatagramCounterInitial: hex(COUNTERS[0]),
    responderDatagramCounterInitial: hex(COUNTERS[1]),
    writes: ['initiator writes "hello"', 'responder writes "world"', 'initiator writes zero bytes', 'initiator writes 300 counting bytes', 'initiator sends a keep-alive', 'datagrams', 'initiator ends', 'responder ends'],
    wire,
    deliveredToInitiator: atInitiator.data,
    deliveredToResponder: atResponder.data,
    datagramsDeliveredToInitiator: atInitiator.datagrams,
    datagramsDeliveredToResponder: atResponder.datagrams
  }
}

// ---- malformed streams

function frame (content) {
  const length = Buffer.alloc(3)
  length.writeUIntLE(content.length, 0, 3)
  return Buffer.concat([length, content])
}

/** Returns what a responder makes of the chunks that `write` builds with the peer's cipher. */
async function responderOf (name, write) {
  const [, raw] = rawPair([])
  const handshake = { tx: RX, rx: TX, hash: HASH, publicKey: seed(1), remotePublicKey: seed(2) }
  const responder = new SecretStream(false, raw, { handshake })
  const { data } = listen(responder)
  const ended = new Promise((resolve) => {
    responder.on('error', (error) => resolve(error.message))
    setTimeout(resolve, 50, 'no error')
  })
  for (const chunk of write(new Push(TX, HEADERS[0]))) raw.push(chunk)
  const result = await ended
  responder.on('error', () => {})
  responder.destroy()
  return { name, result, delivered: data }
}

async function errors () {
  const peerId = SecretStream.id(HASH, true)
  const hello = frame(Buffer.concat([peerId, HEADERS[0]]))
  const wrongHello = frame(Buffer.concat([SecretStream.id(HASH, false), HEADERS[0]]))
  const sealed = (peer, text, tag = 0) => frame(peer.push(Buffer.from(text), tag))
  const cases = [
    ['well formed', (peer) => [hello, sealed(peer, 'ok')]],
    ['one byte at a time', (peer) => [...hello, ...sealed(peer, 'ok')].map((byte) => Buffer.from([byte]))],
    ['own stream id instead of the peer id', () => [wrongHello]],
    ['header frame of 55 bytes', () => [frame(Buffer.concat([peerId, HEADERS[0].subarray(1)]))]],
    ['header frame of 0 bytes followed by data', () => [Buffer.from([0, 0, 0, 1])]],
    ['message frame of 16 bytes', () => [hello, frame(Buffer.alloc(16))]],
    ['corrupted message', (peer) => {
      const message = sealed(peer, 'ok')
      message[6] ^= 1
      return [hello, message]
    }],
    ['replayed message', (peer) => {
      const message = sealed(peer, 'ok')
      return [hello, message, message]
    }],
    ['second message first', (peer) => {
      sealed(peer, '1')
      return [hello, sealed(peer, '2')]
    }],
    ['tag PUSH, REKEY and FINAL are accepted like MESSAGE', (peer) => [
      hello, sealed(peer, 'p', 1), sealed(peer, 'r', 2), sealed(peer, 'f', 3), sealed(peer, 'after')
    ]],
    ['empty message without keep-alive is delivered', (peer) => [hello, sealed(peer, '')]]
  ]
  const results = []
  for (const [name, write] of cases) results.push(await responderOf(name, write))
  return results
}

async function limits () {
  const [raw] = rawPair([])
  raw._write = (data, done) => done(null)
  const handshake = { tx: seed(1), rx: seed(2), hash: HASH, publicKey: seed(1), remotePublicKey: seed(2) }
  const initiator = new SecretStream(true, raw, { handshake })
  const failed = new Promise((resolve) => {
    initiator.on('error', (error) => resolve(error.message))
    setTimeout(resolve, 3000, 'no error')
  })
  initiator.write(Buffer.alloc(MAX_PLAINTEXT))
  initiator.write(Buffer.alloc(MAX_PLAINTEXT + 1))
  const errorAt16777199 = await failed
  return { largestPlaintext: MAX_PLAINTEXT, errorAt16777199, bytesWrittenBeforeError: initiator.rawBytesWritten }
}

main(async () => {
  const derived = derivations()
  writeJSON('secretstream.json', {
    about: 'All values hex unless named otherwise. wire = chunks written to the raw stream in order; a chunk is 3 bytes little-endian length followed by that many bytes.',
    versions: versions(),
    construction: construction(),
    derivations: derived,
    streams: [await streams(0, derived), await streams(5000, derived)],
    errors: await errors(),
    limits: await limits()
  })
})
