// noise-ik.json: complete IK handshakes with fixed static and ephemeral keys, driven through
// hyperdht's own noise wrapper, with every intermediate symmetric-state value.

import curve from 'noise-curve-ed'
import Symmetric from 'noise-handshake/symmetric-state.js'
import NoiseWrap from 'hyperdht/lib/noise-wrap.js'
import m from 'hyperdht/lib/messages.js'
import c from 'compact-encoding'
import hd from 'hyperdht'
import { NS } from 'hyperdht/lib/constants.js'
import SecretStream from '@hyperswarm/secret-stream'

import { counting, hex, seed, versions, view, writeJSON } from './lib.mjs'

// ---- watching the symmetric state

let steps = null

function watch (operation, describe) {
  const original = Symmetric.prototype[operation]
  Symmetric.prototype[operation] = function (...args) {
    const shared = operation === 'mixKey' ? hex(this.curve.dh(args[0], args[1])) : null
    const result = original.apply(this, args)
    if (steps) steps.push({ op: operation, ...describe.call(this, args[0], result, shared) })
    return result
  }
}

watch('mixHash', function (input) {
  return { input: hex(input), h: hex(this.digest) }
})
watch('mixKey', function (secret, result, shared) {
  return { dh: shared, k: hex(this.key), ck: hex(this.chainingKey), h: hex(this.digest) }
})
watch('encryptAndHash', function (plaintext, ciphertext) {
  return { plaintext: hex(plaintext), ciphertext: hex(ciphertext), h: hex(this.digest) }
})
watch('decryptAndHash', function (ciphertext, plaintext) {
  return { ciphertext: hex(ciphertext), plaintext: hex(plaintext), h: hex(this.digest) }
})
watch('split', (_, [k1, k2]) => ({ k1: hex(k1), k2: hex(k2) }))

/** Lets `from` write a message with `payload` and `to` read it; returns what both have made of it. */
function exchange (from, to, payload, reader) {
  const taken = steps = []
  const message = from.send(payload)
  steps = null
  // A copy, because the reference wipes the ephemeral key that it has received in place.
  const read = to.recv(Buffer.from(message))
  return {
    payloadDecoded: view(payload),
    payload: hex(c.encode(m.noisePayload, payload)),
    bytes: hex(message),
    length: message.length,
    steps: taken,
    [reader]: view(read)
  }
}

function fix (handshake, ephemeral) {
  const { publicKey, secretKey } = ephemeral
  handshake.handshake.e = { publicKey: Buffer.from(publicKey), secretKey: Buffer.from(secretKey) }
}

function finish (initiator, responder) {
  const client = initiator.final()
  const server = responder.final()
  for (const value of ['hash', 'holepunchSecret']) if (hex(client[value]) !== hex(server[value])) throw new Error(value)
  if (hex(client.tx) !== hex(server.rx) || hex(client.rx) !== hex(server.tx)) throw new Error('keys')
  return {
    handshakeHash: hex(client.hash),
    clientTx_serverRx: hex(client.tx),
    clientRx_serverTx: hex(client.rx),
    holepunchSecret: hex(client.holepunchSecret),
    initiatorStreamId: hex(SecretStream.id(client.hash, true)),
    responderStreamId: hex(SecretStream.id(client.hash, false))
  }
}

/** Runs one handshake with fixed keys. */
function run (name, { clientSeed, serverSeed, clientEphemeralSeed, serverEphemeralSeed, clientPayload, serverPayload }) {
  const client = hd.keyPair(clientSeed)
  const server = hd.keyPair(serverSeed)
  const clientEphemeral = curve.generateKeyPair(clientEphemeralSeed)
  const serverEphemeral = curve.generateKeyPair(serverEphemeralSeed)
  const initiator = new NoiseWrap(client, server.publicKey)
  const responder = new NoiseWrap(server, null)
  const initial = { h: hex(initiator.handshake.digest), ck: hex(initiator.handshake.chainingKey) }
  if (initial.h !== hex(responder.handshake.digest)) throw new Error('initial state')
  const protocolName = initiator.handshake.protocol.toString()
  fix(initiator, clientEphemeral)
  fix(responder, serverEphemeral)
  const describe = (bytes, { publicKey }) => ({ seed: hex(bytes), publicKey: hex(publicKey) })
  return {
    name,
    protocolName,
    prologue: hex(NS.PEER_HANDSHAKE),
    client: describe(clientSeed, client),
    server: describe(serverSeed, server),
    clientEphemeral: describe(clientEphemeralSeed, clientEphemeral),
    serverEphemeral: describe(serverEphemeralSeed, serverEphemeral),
    initial,
    message1: exchange(initiator, responder, clientPayload, 'decodedByServer'),
    message2: exchange(responder, initiator, serverPayload, 'decodedByClient'),
    final: finish(initiator, responder)
  }
}

const base = {
  clientSeed: seed(0x11),
  serverSeed: seed(0x22),
  clientEphemeralSeed: seed(0x33),
  serverEphemeralSeed: seed(0x44)
}

const empty = { error: 0, firewall: 0, holepunch: null, addresses4: [], addresses6: [], udx: null, secretStream: null, relayThrough: null, relayAddresses: null }

const cases = [
  run('minimal payloads', { ...base, clientPayload: empty, serverPayload: empty }),
  run('typical firewalled client and firewalled server', {
    ...base,
    clientPayload: {
      ...empty,
      addresses4: [{ host: '192.168.1.10', port: 49737 }],
      udx: { reusableSocket: false, id: 0x01020304, seq: 0 },
      secretStream: {}
    },
    serverPayload: {
      ...empty,
      holepunch: {
        id: 0,
        relays: [
          { relayAddress: { host: '198.51.100.3', port: 49737 }, peerAddress: { host: '203.0.113.9', port: 40001 } },
          { relayAddress: { host: '198.51.100.4', port: 49737 }, peerAddress: { host: '203.0.113.9', port: 40001 } }
        ]
      },
      addresses4: [{ host: '192.168.1.20', port: 49737 }],
      addresses6: null,
      udx: { reusableSocket: false, id: 0xfffefdfc, seq: 0 },
      secretStream: {},
      relayAddresses: [{ host: '198.51.100.3', port: 49737 }, { host: '198.51.100.4', port: 49737 }]
    }
  }),
  run('open client, open server, everything present', {
    clientSeed: counting(32),
    serverSeed: counting(32, 32),
    clientEphemeralSeed: counting(32, 64),
    serverEphemeralSeed: counting(32, 96),
    clientPayload: {
      ...empty,
      firewall: 1,
      addresses4: [{ host: '192.0.2.44', port: 1 }, { host: '10.0.0.1', port: 65535 }],
      addresses6: [{ host: '2001:db8:0:0:0:0:0:1', port: 4242 }],
      udx: { reusableSocket: true, id: 252, seq: 0 },
      secretStream: {},
      relayThrough: { publicKey: seed(0xaa), token: seed(0xbb) }
    },
    serverPayload: {
      ...empty,
      firewall: 1,
      addresses4: [{ host: '192.0.2.88', port: 49737 }],
      udx: { reusableSocket: true, id: 253, seq: 0 },
      secretStream: {},
      relayThrough: { publicKey: seed(0xcc), token: seed(0xdd) },
      relayAddresses: [{ host: '192.0.2.88', port: 49737 }]
    }
  })
]

// ---- what a wrong message does

const [{ message1, message2 }] = cases
const server = hd.keyPair(base.serverSeed)

function altered ({ bytes }, alter) {
  const copy = Buffer.from(bytes, 'hex')
  return alter(copy) || copy
}

const flipped = (message, i) => altered(message, (bytes) => { bytes[i] ^= 1 })
const readBy = (keyPair, message) => () => new NoiseWrap(keyPair, null).recv(message)
const truncated = altered(message1, (bytes) => bytes.subarray(0, 95))
const zeroed = altered(message1, (bytes) => { bytes.fill(0, 0, 32) })

// A failed read leaves the state machine unusable: the right message does not work any more.
const spoiled = new NoiseWrap(hd.keyPair(base.clientSeed), server.publicKey)
spoiled.handshake.e = curve.generateKeyPair(base.clientEphemeralSeed)
spoiled.send(empty)

const errors = [
  ['message 1, first byte of e flipped', readBy(server, flipped(message1, 0))],
  ['message 1, encrypted static flipped', readBy(server, flipped(message1, 40))],
  ['message 1, payload flipped', readBy(server, flipped(message1, 85))],
  ['message 1, truncated to 95 bytes', readBy(server, truncated)],
  ['message 1, e = all zero', readBy(server, zeroed)],
  ['message 1 to the wrong server', readBy(hd.keyPair(seed(9)), altered(message1, () => {}))],
  ['message 2 corrupted', () => spoiled.recv(flipped(message2, 50))],
  [
    'the correct message 2 right after a corrupted one, same state',
    () => spoiled.recv(Buffer.from(message2.bytes, 'hex'))
  ]
].map(([name, read]) => {
  try {
    read()
    return { name, result: 'accepted' }
  } catch (error) {
    return { name, result: 'error: ' + error.message }
  }
})

writeJSON('noise-ik.json', {
  about: 'Noise IK as hyperdht runs it. All values hex. steps lists each symmetric-state operation of the side that writes the message, with h, ck and k right after it (k is the first 32 bytes of the second HKDF output).',
  versions: versions(),
  cases,
  errors
})
