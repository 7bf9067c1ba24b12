// dh.json: key pairs from seeds, scalar derivation, Diffie-Hellman on edwards25519,
// and which remote points are refused.

import crypto from 'node:crypto'
import sodium from 'sodium-universal'
import curve from 'noise-curve-ed'
import hc from 'hypercore-crypto'
import hd from 'hyperdht'

import { counting, hex, seed, versions, writeJSON } from './lib.mjs'

function scalarOf (secretKey) {
  const h = crypto.createHash('sha512').update(secretKey.subarray(0, 32)).digest()
  h[0] &= 248
  h[31] &= 127
  h[31] |= 64
  return h.subarray(0, 32)
}

const seeds = [seed(0), seed(1), seed(2), seed(0xff), counting(32), counting(32, 0x80)]
const keyPairs = seeds.map((s) => {
  const a = hc.keyPair(s)
  const b = hd.keyPair(s)
  const c = curve.generateKeyPair(s)
  if (hex(a.publicKey) !== hex(b.publicKey) || hex(a.secretKey) !== hex(b.secretKey)) throw new Error('keypair mismatch')
  if (hex(a.publicKey) !== hex(c.publicKey) || hex(a.secretKey) !== hex(c.secretKey)) throw new Error('keypair mismatch')
  const id = Buffer.alloc(32)
  sodium.crypto_generichash(id, a.publicKey)
  return { seed: hex(s), publicKey: hex(a.publicKey), secretKey: hex(a.secretKey), scalar: hex(scalarOf(a.secretKey)), target: hex(id), kp: a }
})

const dh = []
for (let i = 0; i < keyPairs.length; i++) {
  for (let j = i + 1; j < keyPairs.length; j++) {
    const x = curve.dh(keyPairs[j].kp.publicKey, keyPairs[i].kp)
    const y = curve.dh(keyPairs[i].kp.publicKey, keyPairs[j].kp)
    if (hex(x) !== hex(y)) throw new Error('dh asymmetry')
    dh.push({ a: i, b: j, shared: hex(x) })
  }
}

// "tweaked" key pairs carry an explicit scalar which is used as is (no hashing, no clamping)
const tweak = []
for (const i of [0, 4]) {
  const kp = keyPairs[i].kp
  const scalar = Buffer.from(keyPairs[i].scalar, 'hex')
  const out = curve.dh(keyPairs[1].kp.publicKey, { scalar, secretKey: null, publicKey: kp.publicKey })
  tweak.push({ scalar: hex(scalar), remotePublicKey: keyPairs[1].publicKey, shared: hex(out) })
}

// Points that must make the handshake fail.
const L = (1n << 252n) + 27742317777372353535851937790883648493n
const P = (1n << 255n) - 19n
function le (n) {
  const b = Buffer.alloc(32)
  for (let i = 0; i < 32; i++) { b[i] = Number(n & 255n); n >>= 8n }
  return b
}
function withSign (b) { const c = Buffer.from(b); c[31] |= 0x80; return c }
const lowOrder = [
  ['identity, y=1', le(1n)],
  ['identity with sign bit set', withSign(le(1n))],
  ['order 2, y=-1', le(P - 1n)],
  ['order 2 with sign bit set', withSign(le(P - 1n))],
  ['order 4, y=0', le(0n)],
  ['order 4, y=0, sign bit set', withSign(le(0n))],
  ['order 8 (a)', Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')],
  ['order 8 (b)', Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex')],
  ['order 8 (a) negated', withSign(Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex'))],
  ['order 8 (b) negated', withSign(Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex'))]
]
const torsion8 = Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')

// base-group point plus an order-8 point: on the curve, canonical, but outside the prime-order subgroup
const mixed = Buffer.alloc(32)
let mixedHow = 'crypto_core_ed25519_add'
try {
  sodium.crypto_core_ed25519_add(mixed, keyPairs[1].kp.publicKey, torsion8)
} catch (err) {
  mixedHow = 'unavailable: ' + err.message
}

const others = [
  ['canonical prime-order point plus an order-8 point', mixed],
  ['non-canonical y = p + 3', le(P + 3n)],
  ['non-canonical y = p (same as y=0)', le(P)],
  ['non-canonical y = 2^255-1', le((1n << 255n) - 1n)],
  ['y = 2: not on the curve', le(2n)],
  ['y = 7: probably not on the curve', le(7n)]
]

const rejected = []
for (const [name, point] of [...lowOrder, ...others]) {
  let result
  try {
    result = 'accepted ' + hex(curve.dh(point, keyPairs[0].kp))
  } catch (err) {
    result = 'rejected'
  }
  rejected.push({ name, point: hex(point), result })
}

// the scalar itself may be zero only with explicit scalars
let zero
try { zero = 'accepted ' + hex(curve.dh(keyPairs[1].kp.publicKey, { scalar: Buffer.alloc(32) })) } catch { zero = 'rejected' }
let ell
try { ell = 'accepted ' + hex(curve.dh(keyPairs[1].kp.publicKey, { scalar: le(L) })) } catch { ell = 'rejected' }
// the top bit of an explicit scalar is ignored
const hi = Buffer.from(keyPairs[0].scalar, 'hex'); hi[31] |= 0x80
const hiOut = hex(curve.dh(keyPairs[1].kp.publicKey, { scalar: hi }))

for (const k of keyPairs) delete k.kp
writeJSON('dh.json', {
  about: 'secretKey = seed(32) || publicKey(32). scalar = clamp(SHA-512(seed)[0..32]). shared = compressed Edwards point scalar*P (32 bytes, sign of x in bit 255), no hashing. target = BLAKE2b-256(publicKey), the DHT target.',
  versions: versions(),
  keyPairs,
  dh,
  explicitScalar: tweak,
  explicitScalarEdge: { zeroScalar: zero, scalarEqualsL: ell, topBitSet: { scalar: hex(hi), shared: hiOut, sameAsWithoutTopBit: hiOut === tweak[0].shared } },
  rejectedPoints: { localSeed: hex(seed(0)), mixedPointMadeWith: mixedHow, cases: rejected }
})
