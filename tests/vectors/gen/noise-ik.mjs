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

// ---- trace the symmetric state -------------------------------------------------
let log = null
for (const name of ['mixHash', 'mixKey', 'encryptAndHash', 'decryptAndHash', 'split']) {
  const orig = Symmetric.prototype[name]
  Symmetric.prototype[name] = function (...args) {
    const dhOut = name === 'mixKey' ? this.curve.dh(args[0], args[1]) : null
    const out = orig.apply(this, args)
    if (log) {
      const e = { op: name }
      if (name === 'mixHash') e.input = hex(args[0])
      if (name === 'mixKey') { e.dh = hex(dhOut); e.k = hex(this.key); e.ck = hex(this.chainingKey) }
      if (name === 'encryptAndHash') { e.plaintext = hex(args[0]); e.ciphertext = hex(out) }
      if (name === 'decryptAndHash') { e.ciphertext = hex(args[0]); e.plaintext = hex(out) }
      if (name === 'split') { e.k1 = hex(out[0]); e.k2 = hex(out[1]) } else e.h = hex(this.digest)
      log.push(e)
    }
    return out
  }
}

function run (name, o) {
  const client = hd.keyPair(o.clientSeed)
  const server = hd.keyPair(o.serverSeed)
  const ce = curve.generateKeyPair(o.clientEphemeralSeed)
  const se = curve.generateKeyPair(o.serverEphemeralSeed)

  const ini = new NoiseWrap(client, server.publicKey)
  const res = new NoiseWrap(server, null)
  const start = { h: hex(ini.handshake.digest), ck: hex(ini.handshake.chainingKey) }
  if (start.h !== hex(res.handshake.digest)) throw new Error('initial state differs')
  const protocolName = ini.handshake.protocol.toString()

  ini.handshake.e = { publicKey: Buffer.from(ce.publicKey), secretKey: Buffer.from(ce.secretKey) }
  res.handshake.e = { publicKey: Buffer.from(se.publicKey), secretKey: Buffer.from(se.secretKey) }

  const steps1 = (log = [])
  const msg1 = ini.send(o.clientPayload)
  log = null
  const got1 = res.recv(Buffer.from(msg1)) // a copy: the reference wipes the received ephemeral in place
  const steps2 = (log = [])
  const msg2 = res.send(o.serverPayload)
  log = null
  const got2 = ini.recv(Buffer.from(msg2))

  const fi = ini.final()
  const fr = res.final()
  for (const k of ['hash', 'holepunchSecret']) if (hex(fi[k]) !== hex(fr[k])) throw new Error(k)
  if (hex(fi.tx) !== hex(fr.rx) || hex(fi.rx) !== hex(fr.tx)) throw new Error('keys')

  return {
    name,
    protocolName,
    prologue: hex(NS.PEER_HANDSHAKE),
    client: { seed: hex(o.clientSeed), publicKey: hex(client.publicKey) },
    server: { seed: hex(o.serverSeed), publicKey: hex(server.publicKey) },
    clientEphemeral: { seed: hex(o.clientEphemeralSeed), publicKey: hex(ce.publicKey) },
    serverEphemeral: { seed: hex(o.serverEphemeralSeed), publicKey: hex(se.publicKey) },
    initial: start,
    message1: {
      payloadDecoded: view(o.clientPayload),
      payload: hex(c.encode(m.noisePayload, o.clientPayload)),
      bytes: hex(msg1),
      length: msg1.length,
      steps: steps1,
      decodedByServer: view(got1)
    },
    message2: {
      payloadDecoded: view(o.serverPayload),
      payload: hex(c.encode(m.noisePayload, o.serverPayload)),
      bytes: hex(msg2),
      length: msg2.length,
      steps: steps2,
      decodedByClient: view(got2)
    },
    final: {
      handshakeHash: hex(fi.hash),
      clientTx_serverRx: hex(fi.tx),
      clientRx_serverTx: hex(fi.rx),
      holepunchSecret: hex(fi.holepunchSecret),
      initiatorStreamId: hex(SecretStream.id(fi.hash, true)),
      responderStreamId: hex(SecretStream.id(fi.hash, false))
    }
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

// ---- what a wrong message does ---------------------------------------------------
const errors = []
function fails (name, fn) {
  let result
  try { fn(); result = 'accepted' } catch (err) { result = 'error: ' + err.message }
  errors.push({ name, result })
}
const good = cases[0]
const srv = hd.keyPair(base.serverSeed)
const flip = (h, i) => { const b = Buffer.from(h, 'hex'); b[i] ^= 1; return b }
fails('message 1, first byte of e flipped', () => new NoiseWrap(srv, null).recv(flip(good.message1.bytes, 0)))
fails('message 1, encrypted static flipped', () => new NoiseWrap(srv, null).recv(flip(good.message1.bytes, 40)))
fails('message 1, payload flipped', () => new NoiseWrap(srv, null).recv(flip(good.message1.bytes, 85)))
fails('message 1, truncated to 95 bytes', () => new NoiseWrap(srv, null).recv(Buffer.from(good.message1.bytes, 'hex').subarray(0, 95)))
fails('message 1, e = all zero', () => { const b = Buffer.from(good.message1.bytes, 'hex'); b.fill(0, 0, 32); new NoiseWrap(srv, null).recv(b) })
fails('message 1 to the wrong server', () => new NoiseWrap(hd.keyPair(seed(9)), null).recv(Buffer.from(good.message1.bytes, 'hex')))
{
  // a failed read leaves the reference state machine unusable: the right message no longer works afterwards
  const ini = new NoiseWrap(hd.keyPair(base.clientSeed), srv.publicKey)
  ini.handshake.e = curve.generateKeyPair(base.clientEphemeralSeed)
  ini.send(empty)
  fails('message 2 corrupted', () => ini.recv(flip(good.message2.bytes, 50)))
  fails('the correct message 2 right after a corrupted one, same state', () => ini.recv(Buffer.from(good.message2.bytes, 'hex')))
}

writeJSON('noise-ik.json', {
  about: 'Noise IK as hyperdht runs it. All values hex. steps lists each symmetric-state operation of the side that writes the message, with h, ck and k right after it (k is the first 32 bytes of the second HKDF output).',
  versions: versions(),
  cases,
  errors
})
