// The messages of HyperDHT: fields, bytes, and what decodes from them.

import c from 'compact-encoding'
import m from 'hyperdht/lib/messages.js'

import { KP1, KP2, P1, P2, P3, PEER0, PEER2 } from './common.mjs'
import { EMPTY_HOLEPUNCH, counting, hex, view } from '../lib.mjs'

const out = {}

out.messages = {}

function messageVectors (name, list) {
  const enc = m[name]
  out.messages[name] = list.map(([title, value]) => {
    const buf = c.encode(enc, value)
    let decoded
    try {
      decoded = view(c.decode(enc, buf))
    } catch (err) {
      decoded = { error: err.message }
    }
    return { name: title, fields: view(value), hex: hex(buf), decoded }
  })
}

messageVectors('handshake', [
  ['from client, no addresses', { mode: 0, noise: counting(48), peerAddress: null, relayAddress: null }],
  ['from client asking the relay to forward to relayAddress', { mode: 0, noise: counting(48), peerAddress: null, relayAddress: P2 }],
  ['from relay: peerAddress is the client', { mode: 2, noise: counting(48), peerAddress: P1, relayAddress: null }],
  ['from second relay: both', { mode: 3, noise: counting(48), peerAddress: P1, relayAddress: P2 }],
  ['from server', { mode: 1, noise: counting(96), peerAddress: P1, relayAddress: null }],
  ['reply: peerAddress is the server', { mode: 4, noise: counting(96), peerAddress: P2, relayAddress: null }],
  ['long noise (2 byte length)', { mode: 0, noise: counting(300), peerAddress: null, relayAddress: null }]
])

const emptyNoise = {
  version: 1,
  error: 0,
  firewall: 0,
  holepunch: null,
  addresses4: [],
  addresses6: [],
  udx: null,
  secretStream: null,
  relayThrough: null,
  relayAddresses: null
}

messageVectors('noisePayload', [
  ['empty', emptyNoise],
  ['holepunch info with one relay', { ...emptyNoise, firewall: 2, holepunch: { id: 10, relays: [{ relayAddress: P2, peerAddress: P1 }] } }],
  ['holepunch info, no relays', { ...emptyNoise, holepunch: { id: 0, relays: [] } }],
  ['addresses4', { ...emptyNoise, firewall: 1, addresses4: [P1, P2] }],
  ['addresses6', { ...emptyNoise, addresses6: [{ host: '0:0:0:0:0:0:0:1', port: 42420 }] }],
  ['udx', { ...emptyNoise, udx: { reusableSocket: false, id: 0x01020304, seq: 0 } }],
  ['udx reusable', { ...emptyNoise, udx: { reusableSocket: true, id: 7, seq: 3 } }],
  ['secretStream', { ...emptyNoise, secretStream: {} }],
  ['relayThrough', { ...emptyNoise, relayThrough: { publicKey: KP1.publicKey, token: counting(32, 0x40) } }],
  ['relayAddresses', { ...emptyNoise, relayAddresses: [P1, P2, P3] }],
  ['relayAddresses empty array still sets the flag', { ...emptyNoise, relayAddresses: [] }],
  [
    'typical client payload',
    { ...emptyNoise, addresses4: [{ host: '192.168.1.20', port: 49737 }], udx: { reusableSocket: false, id: 0xdeadbeef, seq: 0 }, secretStream: {} }
  ],
  [
    'typical firewalled server payload',
    {
      ...emptyNoise,
      holepunch: { id: 0, relays: [{ relayAddress: P2, peerAddress: P1 }, { relayAddress: P3, peerAddress: P1 }] },
      addresses4: [{ host: '192.168.1.30', port: 49737 }],
      udx: { reusableSocket: false, id: 0x12345678, seq: 0 },
      secretStream: {},
      relayAddresses: [P2, P3]
    }
  ],
  [
    'everything',
    {
      ...emptyNoise,
      error: 3,
      firewall: 3,
      holepunch: { id: 300, relays: [{ relayAddress: P2, peerAddress: P1 }] },
      addresses4: [P1],
      addresses6: [{ host: '1:2:3:4:5:6:7:8', port: 9 }],
      udx: { reusableSocket: true, id: 1, seq: 2 },
      secretStream: {},
      relayThrough: { publicKey: KP2.publicKey, token: counting(32, 0x41) },
      relayAddresses: [P3]
    }
  ]
])
out.messages.noisePayload.push({
  name: 'decode only: an unknown version stops decoding, everything else is blank',
  hex: '02030405',
  decoded: view(c.decode(m.noisePayload, Buffer.from('02030405', 'hex')))
})

messageVectors('holepunch', [
  ['from client', { mode: 0, id: 1, payload: counting(60), peerAddress: null }],
  ['from client with peerAddress', { mode: 0, id: 1, payload: counting(60), peerAddress: P2 }],
  ['from relay', { mode: 2, id: 1, payload: counting(60), peerAddress: P1 }],
  ['from server', { mode: 1, id: 0, payload: counting(60), peerAddress: P1 }],
  ['reply', { mode: 4, id: 0, payload: counting(60), peerAddress: P2 }],
  ['large id', { mode: 0, id: 70000, payload: counting(1), peerAddress: null }]
])

const emptyPunch = EMPTY_HOLEPUNCH
messageVectors('holepunchPayload', [
  ['empty', emptyPunch],
  ['connected', { ...emptyPunch, connected: true }],
  ['punching with addresses', { ...emptyPunch, firewall: 2, round: 1, punching: true, addresses: [P1] }],
  ['empty address list still sets the flag', { ...emptyPunch, addresses: [] }],
  ['remoteAddress', { ...emptyPunch, remoteAddress: P2 }],
  ['token', { ...emptyPunch, token: counting(32, 0x60) }],
  ['remoteToken', { ...emptyPunch, remoteToken: counting(32, 0x61) }],
  [
    'everything',
    {
      error: 3,
      firewall: 3,
      round: 3,
      connected: true,
      punching: true,
      addresses: [P1, P2],
      remoteAddress: P3,
      token: counting(32, 0x60),
      remoteToken: counting(32, 0x61)
    }
  ]
])

messageVectors('peer', [
  ['no relays', PEER0],
  ['two relays', PEER2]
])
messageVectors('peers', [
  ['none', []],
  ['two', [PEER0, PEER2]]
])

out.messages.lookupRawReply = [
  ['no bump', [PEER0], 0],
  ['bump', [PEER0, PEER2], 1700000000000]
].map(([title, peers, bump]) => {
  const raw = peers.map((p) => c.encode(m.peer, p))
  const buf = c.encode(m.lookupRawReply, { peers: raw, bump })
  return { name: title, fields: { peers: view(peers), bump }, hex: hex(buf), decoded: view(c.decode(m.lookupRawReply, buf)) }
})
{
  const buf = c.encode(m.peers, [PEER0])
  out.messages.lookupRawReply.push({
    name: 'decode only: reply of an older node, without the trailing bump',
    hex: hex(buf),
    decoded: view(c.decode(m.lookupRawReply, buf))
  })
}

messageVectors('announce', [
  ['peer only', { peer: PEER0, refresh: null, signature: null, bump: 0 }],
  ['peer and signature (normal announce)', { peer: PEER0, refresh: null, signature: counting(64), bump: 0 }],
  ['peer, signature and bump', { peer: PEER2, refresh: null, signature: counting(64), bump: 1700000000000 }],
  ['peer, refresh and signature', { peer: PEER0, refresh: counting(32, 0x70), signature: counting(64), bump: 0 }],
  ['refresh only', { peer: null, refresh: counting(32, 0x70), signature: null, bump: 0 }]
])

messageVectors('mutableSignable', [
  ['seq 0', { seq: 0, value: Buffer.from('testing') }],
  ['seq 253', { seq: 253, value: Buffer.from('testing two') }]
])
messageVectors('mutablePutRequest', [['seq 1', { publicKey: KP1.publicKey, seq: 1, value: Buffer.from('testing'), signature: counting(64) }]])
messageVectors('mutableGetResponse', [['seq 1', { seq: 1, value: Buffer.from('testing'), signature: counting(64) }]])
messageVectors('pluginRequest', [
  ['with value', { plugin: 'testplugin', version: 1, command: 0, value: Buffer.from('abc') }],
  ['no value', { plugin: 'testplugin', version: 1, command: 1, value: null }]
])

export default out
