// Signatures of announcements and mutable values, immutable values, the refresh chain.

import HyperDHT from 'hyperdht'
import Persistent from 'hyperdht/lib/persistent.js'
import c from 'compact-encoding'
import m from 'hyperdht/lib/messages.js'
import sodium from 'sodium-universal'
import { NS } from 'hyperdht/lib/constants.js'

import { blake, KP1, KP2, PEER0, PEER2, ID, TOKEN, TOPIC } from './common.mjs'
import { counting, fill, hex, view } from '../lib.mjs'

const out = {}

function annSignable (ns, target, token, id, ann) {
  const parts = [target, id, token, c.encode(m.peer, ann.peer), ann.refresh || Buffer.alloc(0)]
  const hash = Buffer.alloc(32)
  sodium.crypto_generichash_batch(hash, parts)
  return { parts: Buffer.concat(parts), hash, signable: Buffer.concat([ns, hash]) }
}

function annVector (name, kind, kp, target, ann) {
  const sign = kind === 'announce' ? Persistent.signAnnounce : Persistent.signUnannounce
  const ns = kind === 'announce' ? NS.ANNOUNCE : NS.UNANNOUNCE
  const signature = sign(target, TOKEN, ID, ann, kp)
  const s = annSignable(ns, target, TOKEN, ID, ann)
  if (!sodium.crypto_sign_verify_detached(signature, s.signable, kp.publicKey)) throw new Error('signable mismatch: ' + name)
  return {
    name,
    kind,
    seed: hex(kp.secretKey.subarray(0, 32)),
    target: hex(target),
    nodeId: hex(ID),
    token: hex(TOKEN),
    peer: view(ann.peer),
    refresh: hex(ann.refresh),
    bump: ann.bump || 0,
    hashed: hex(s.parts),
    hash: hex(s.hash),
    signable: hex(s.signable),
    signature: hex(signature),
    requestValue: hex(c.encode(m.announce, { ...ann, signature }))
  }
}

out.announceSignatures = [
  annVector('server announcing its own key, no relays', 'announce', KP1, HyperDHT.hash(KP1.publicKey), { peer: PEER0, refresh: null }),
  annVector('topic announce with two relays', 'announce', KP2, TOPIC, { peer: PEER2, refresh: null }),
  annVector('topic announce with bump: the bump is not signed, signature equals the one above', 'announce', KP2, TOPIC, {
    peer: PEER2,
    refresh: null,
    bump: 1700000000000
  }),
  annVector('announce with refresh', 'announce', KP1, TOPIC, { peer: PEER0, refresh: counting(32, 0x70) }),
  annVector('unannounce', 'unannounce', KP1, HyperDHT.hash(KP1.publicKey), { peer: PEER0, refresh: null })
]

function mutableVector (kp, seqNo, value) {
  const signature = Persistent.signMutable(seqNo, value, kp)
  const hashed = c.encode(m.mutableSignable, { seq: seqNo, value })
  const signable = Buffer.concat([NS.MUTABLE_PUT, blake(hashed)])
  if (!sodium.crypto_sign_verify_detached(signature, signable, kp.publicKey)) throw new Error('mutable mismatch')
  return {
    seed: hex(kp.secretKey.subarray(0, 32)),
    target: hex(HyperDHT.hash(kp.publicKey)),
    seq: seqNo,
    value: hex(value),
    hashed: hex(hashed),
    hash: hex(blake(hashed)),
    signable: hex(signable),
    signature: hex(signature),
    getRequestValue: hex(c.encode(c.uint, 0)),
    putRequestValue: hex(c.encode(m.mutablePutRequest, { publicKey: kp.publicKey, seq: seqNo, value, signature })),
    getResponseValue: hex(c.encode(m.mutableGetResponse, { seq: seqNo, value, signature }))
  }
}
out.mutable = [
  mutableVector(KP1, 0, Buffer.from('testing')),
  mutableVector(KP1, 2, Buffer.from('testing two')),
  mutableVector(KP2, 300, counting(260)),
  mutableVector(KP2, 1, Buffer.alloc(0))
]

out.immutable = [Buffer.from('testing'), counting(300), Buffer.alloc(0)].map((v) => ({
  value: hex(v),
  target: hex(blake(v)),
  putRequestValue: hex(v)
}))

// refresh chain, with a fixed random tail (the reference draws it from the CSPRNG)
{
  const tail = fill(32, 0x77)
  const blocks = []
  let prev = tail
  for (let i = 3; i >= 0; i--) {
    blocks[i] = blake(prev)
    prev = blocks[i]
  }
  out.refreshChain = {
    note: 'blocks[n-1] = H(tail), blocks[i] = H(blocks[i+1]); announce with blocks[0], then refresh with blocks[1], blocks[2] ... The node looks up H(received). Unused by the reference announcer.',
    tail: hex(tail),
    blocks: blocks.map(hex)
  }
}

export default out
