// noise-payload.json: the payload inside the Noise messages, and the values of the requests that carry handshakes and
// holepunch messages between nodes. holepunch-payload.json: the holepunch payload, its encryption, and its tokens.

import sodium from 'sodium-universal'
import c from 'compact-encoding'
import m from 'hyperdht/lib/messages.js'
import SecurePayload from 'hyperdht/lib/secure-payload.js'
import { NS } from 'hyperdht/lib/constants.js'
import HyperDHTAddress from 'hyperdht-address'

import { EMPTY_HOLEPUNCH, counting, hex, seed, versions, view, writeJSON } from './lib.mjs'

function enc (encoding, name, value) {
  const bytes = c.encode(encoding, value)
  return { name, value: view(value), bytes: hex(bytes), decoded: view(c.decode(encoding, bytes)) }
}

function dec (encoding, name, bytes) {
  const state = { start: 0, end: bytes.length, buffer: bytes }
  try {
    const decoded = view(encoding.decode(state))
    return { name, bytes: hex(bytes), decoded, unread: bytes.length - state.start }
  } catch (error) {
    return { name, bytes: hex(bytes), error: error.message }
  }
}

const A = { host: '1.2.3.4', port: 0x0506 }
const B = { host: '255.254.253.252', port: 65535 }
const empty = { error: 0, firewall: 0, holepunch: null, addresses4: [], addresses6: [], udx: null, secretStream: null, relayThrough: null, relayAddresses: null }

const noisePayload = [
  enc(m.noisePayload, 'all empty', empty),
  enc(m.noisePayload, 'error 2, firewall 3', { ...empty, error: 2, firewall: 3 }),
  enc(m.noisePayload, 'holepunch id 0, no relays', { ...empty, holepunch: { id: 0, relays: [] } }),
  enc(m.noisePayload, 'holepunch id 300, two relays', { ...empty, holepunch: { id: 300, relays: [{ relayAddress: A, peerAddress: B }, { relayAddress: B, peerAddress: A }] } }),
  enc(m.noisePayload, 'addresses4', { ...empty, addresses4: [A, B] }),
  enc(m.noisePayload, 'addresses6', { ...empty, addresses6: [{ host: '2001:db8:0:0:0:0:0:ff', port: 513 }] }),
  enc(m.noisePayload, 'addresses6 with :: shorthand', { ...empty, addresses6: [{ host: 'fe80::1', port: 1 }] }),
  enc(m.noisePayload, 'udx small id', { ...empty, udx: { reusableSocket: false, id: 252, seq: 0 } }),
  enc(m.noisePayload, 'udx 16 bit id, reusable', { ...empty, udx: { reusableSocket: true, id: 253, seq: 1 } }),
  enc(m.noisePayload, 'udx 32 bit id', { ...empty, udx: { reusableSocket: false, id: 0xfedcba98, seq: 0 } }),
  enc(m.noisePayload, 'secretStream', { ...empty, secretStream: {} }),
  enc(m.noisePayload, 'relayThrough', { ...empty, relayThrough: { publicKey: seed(0xaa), token: seed(0xbb) } }),
  enc(m.noisePayload, 'relayAddresses', { ...empty, relayAddresses: [A] }),
  enc(m.noisePayload, 'relayAddresses empty list still sets the flag', { ...empty, relayAddresses: [] }),
  enc(m.noisePayload, 'everything', {
    error: 0,
    firewall: 2,
    holepunch: { id: 7, relays: [{ relayAddress: A, peerAddress: B }] },
    addresses4: [A],
    addresses6: [{ host: '0:0:0:0:0:0:0:1', port: 42420 }],
    udx: { reusableSocket: true, id: 1, seq: 0 },
    secretStream: {},
    relayThrough: { publicKey: counting(32), token: counting(32, 100) },
    relayAddresses: [B]
  })
]
const noisePayloadDecode = [
  dec(m.noisePayload, 'version 2 with arbitrary rest: only the version is read', Buffer.from('0203040506', 'hex')),
  dec(m.noisePayload, 'unknown flag bit 7 is ignored, its bytes stay unread', Buffer.from('0180000011223344', 'hex')),
  dec(m.noisePayload, 'unknown high flag (flags as fd 16 bit)', Buffer.from('01fd0001000011', 'hex')),
  dec(m.noisePayload, 'non-minimal integer fd0000 for error', Buffer.from('0100fd000000', 'hex')),
  dec(m.noisePayload, 'udx version 9 and feature bits 0xfe', Buffer.from('010800000 9fe2a000000 0100'.replace(/ /g, ''), 'hex')),
  dec(m.noisePayload, 'truncated addresses4', Buffer.from('0102000002010203', 'hex')),
  dec(m.noisePayload, 'empty buffer', Buffer.alloc(0)),
  dec(m.noisePayload, 'only version', Buffer.from('01', 'hex')),
  dec(m.noisePayload, 'relayThrough with flags 5, version 3', Buffer.concat([Buffer.from('012000000305', 'hex'), seed(1), seed(2)]))
]

const noise = counting(20, 0xc0)
const handshakeMessage = [
  enc(m.handshake, 'FROM_CLIENT as sent by connect', { mode: 0, noise, peerAddress: null, relayAddress: null }),
  enc(m.handshake, 'FROM_RELAY as sent by the relay', { mode: 2, noise, peerAddress: A, relayAddress: null }),
  enc(m.handshake, 'FROM_SECOND_RELAY', { mode: 3, noise, peerAddress: A, relayAddress: B }),
  enc(m.handshake, 'FROM_SERVER', { mode: 1, noise, peerAddress: A, relayAddress: null }),
  enc(m.handshake, 'REPLY through a relay', { mode: 4, noise, peerAddress: B, relayAddress: null }),
  enc(m.handshake, 'REPLY straight from the server', { mode: 4, noise, peerAddress: null, relayAddress: null }),
  enc(m.handshake, 'FROM_CLIENT with an explicit relay', { mode: 0, noise, peerAddress: null, relayAddress: B })
]
const handshakeDecode = [
  dec(m.handshake, 'noise of length 0 decodes to an empty buffer', Buffer.from('000000', 'hex')),
  dec(m.handshake, 'unknown mode 9', Buffer.from('000900', 'hex')),
  dec(m.handshake, 'trailing bytes are ignored', Buffer.from('000001aabbcc', 'hex')),
  dec(m.handshake, 'flag set but address missing', Buffer.from('010001aa', 'hex'))
]

const holepunchMessage = [
  enc(m.holepunch, 'FROM_CLIENT', { mode: 0, id: 0, payload: noise, peerAddress: A }),
  enc(m.holepunch, 'FROM_RELAY', { mode: 2, id: 300, payload: noise, peerAddress: B }),
  enc(m.holepunch, 'FROM_SERVER', { mode: 1, id: 0, payload: noise, peerAddress: B }),
  enc(m.holepunch, 'REPLY', { mode: 4, id: 0, payload: noise, peerAddress: A }),
  enc(m.holepunch, 'FROM_CLIENT without address', { mode: 0, id: 5, payload: noise, peerAddress: null })
]

const key = seed(0x42)
const address = [
  ['key only', HyperDHTAddress.encode(key, null)],
  ['bare 32 byte key', key],
  ['key and nodes', HyperDHTAddress.encode(key, [A, B])]
].map(([name, bytes]) => ({ name, bytes: hex(bytes), decoded: view(HyperDHTAddress.decode(bytes)) }))

writeJSON('noise-payload.json', {
  about: 'value -> bytes -> decoded. Integers are compact-encoding uints, addresses are 4 bytes IPv4 (or 16 bytes IPv6) plus a little-endian 16 bit port.',
  versions: versions(),
  noisePayload,
  noisePayloadDecode,
  peerHandshakeValue: handshakeMessage,
  peerHandshakeDecode: handshakeDecode,
  peerHolepunchValue: holepunchMessage,
  connectAddress: address
})

// ---- the holepunch payload

const hp = EMPTY_HOLEPUNCH
const payloads = [
  enc(m.holepunchPayload, 'all empty', hp),
  enc(m.holepunchPayload, 'first client probe', { ...hp, firewall: 0, round: 0, remoteAddress: A }),
  enc(m.holepunchPayload, 'server answer to the first probe', { ...hp, firewall: 2, round: 0, punching: false, addresses: [A, B], token: seed(0x77) }),
  enc(m.holepunchPayload, 'client punch round', { ...hp, firewall: 2, round: 1, punching: true, addresses: [B], token: seed(0x11), remoteToken: seed(0x77) }),
  enc(m.holepunchPayload, 'server answer to the punch round', { ...hp, firewall: 2, round: 1, punching: true, addresses: [A], token: seed(0x77), remoteToken: seed(0x11) }),
  enc(m.holepunchPayload, 'connected flag', { ...hp, connected: true, firewall: 1, round: 252 }),
  enc(m.holepunchPayload, 'empty address list sets the flag', { ...hp, addresses: [] }),
  enc(m.holepunchPayload, 'abort', { ...hp, error: 1 }),
  enc(m.holepunchPayload, 'try later', { ...hp, error: 3, firewall: 3, round: 1, addresses: [{ host: '9.9.9.9', port: 0 }] })
]

const SECRET = seed(0x5e)
const NONCE = counting(24, 0xd0)
const LOCAL_SECRET = seed(0x99)

/** Calls `make` while nonces and secrets are drawn from fixed bytes. */
function withFixedChance (make) {
  const random = sodium.randombytes_buf
  sodium.randombytes_buf = (bytes) => bytes.set(bytes.byteLength === 24 ? NONCE : LOCAL_SECRET)
  try {
    return make()
  } finally {
    sodium.randombytes_buf = random
  }
}

function seal ({ name, value, bytes }) {
  const toBytes = (text) => text && Buffer.from(text, 'hex')
  const payload = { ...value, token: toBytes(value.token), remoteToken: toBytes(value.remoteToken) }
  const box = withFixedChance(() => new SecurePayload(SECRET).encrypt(payload))
  // Opens it by the layout of connect.md §8.2, which proves it.
  const plain = Buffer.alloc(box.length - 40)
  const isOpen = sodium.crypto_secretbox_open_easy(plain, box.subarray(24), box.subarray(0, 24), SECRET)
  if (!isOpen || hex(plain) !== bytes) throw new Error('box')
  return { name, plaintext: bytes, box: hex(box) }
}

const boxes = payloads.map(seal)

const tokens = ['127.0.0.1', '203.0.113.7', '192.0.2.88'].map((host) => {
  const payload = withFixedChance(() => new SecurePayload(SECRET))
  const token = (port) => hex(payload.token({ host, port }))
  return { host, localSecret: hex(LOCAL_SECRET), token: token(1), otherPort: token(2) }
})

function corrupted () {
  const box = Buffer.from(boxes[1].box, 'hex')
  box[30] ^= 1
  return box
}

function truncatedInside () {
  const plain = Buffer.from('04000000', 'hex')
  const sealed = Buffer.alloc(16 + plain.length)
  sodium.crypto_secretbox_easy(sealed, plain, NONCE, SECRET)
  return Buffer.concat([NONCE, sealed])
}

const undecodable = [
  ['shorter than 41 bytes', Buffer.alloc(40)],
  ['wrong key or corrupted', corrupted()],
  ['authentic but plaintext truncated', truncatedInside()]
].map(([name, box]) => {
  const isRefused = new SecurePayload(SECRET).decrypt(box) === null
  return { name, result: isRefused ? 'null (no answer is sent)' : 'accepted' }
})

const hash = counting(64, 1)
const derived = Buffer.alloc(32)
sodium.crypto_generichash(derived, NS.PEER_HOLEPUNCH, hash)

writeJSON('holepunch-payload.json', {
  about: 'box = nonce(24) || secretbox(plaintext) with the holepunch secret as key; secretbox = MAC(16) || ciphertext (XSalsa20-Poly1305).',
  versions: versions(),
  secretDerivation: { handshakeHash: hex(hash), namespace: hex(NS.PEER_HOLEPUNCH), holepunchSecret: hex(derived) },
  payloads,
  boxes: { key: hex(SECRET), nonce: hex(NONCE), cases: boxes },
  tokens,
  undecodable
})
