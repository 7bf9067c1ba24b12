// dh.json: key pairs from seeds, scalars, Diffie-Hellman on edwards25519, and the points that are refused.

import { createHash } from 'node:crypto'
import crypto from 'hypercore-crypto'
import DHT from 'hyperdht'
import curve from 'noise-curve-ed'
import sodium from 'sodium-universal'

import { counting, hex, seed, versions, writeJSON } from './lib.mjs'

const SEEDS = [seed(0), seed(1), seed(2), seed(0xff), counting(32), counting(32, 0x80)]
const PAIRS = SEEDS.map((bytes) => crypto.keyPair(bytes))
const P = (1n << 255n) - 19n
const L = (1n << 252n) + 27742317777372353535851937790883648493n

function scalarOf (secretKey) {
  const digest = createHash('sha512').update(secretKey.subarray(0, 32)).digest()
  digest[0] &= 248
  digest[31] &= 127
  digest[31] |= 64
  return digest.subarray(0, 32)
}

function describe (pair, bytes) {
  for (const other of [DHT.keyPair(bytes), curve.generateKeyPair(bytes)]) {
    if (hex(pair.publicKey) !== hex(other.publicKey)) throw new Error('public key')
    if (hex(pair.secretKey) !== hex(other.secretKey)) throw new Error('secret key')
  }
  const target = Buffer.alloc(32)
  sodium.crypto_generichash(target, pair.publicKey)
  return {
    seed: hex(bytes),
    publicKey: hex(pair.publicKey),
    secretKey: hex(pair.secretKey),
    scalar: hex(scalarOf(pair.secretKey)),
    target: hex(target)
  }
}

/** Returns what every two pairs share. */
function exchanges () {
  const found = []
  for (let a = 0; a < PAIRS.length; a++) {
    for (let b = a + 1; b < PAIRS.length; b++) {
      const shared = hex(curve.dh(PAIRS[b].publicKey, PAIRS[a]))
      if (shared !== hex(curve.dh(PAIRS[a].publicKey, PAIRS[b]))) throw new Error('not symmetric')
      found.push({ a, b, shared })
    }
  }
  return found
}

/** A key pair that carries an explicit scalar, which is used as it is. */
function withScalar (scalar) {
  return curve.dh(PAIRS[1].publicKey, { scalar, secretKey: null, publicKey: null })
}

function explicitScalars () {
  return [0, 4].map((i) => {
    const scalar = scalarOf(PAIRS[i].secretKey)
    return { scalar: hex(scalar), remotePublicKey: hex(PAIRS[1].publicKey), shared: hex(withScalar(scalar)) }
  })
}

function attempt (call, refused) {
  try {
    return 'accepted ' + hex(call())
  } catch {
    return refused
  }
}

function edges (ordinary) {
  const scalar = Buffer.from(ordinary.scalar, 'hex')
  scalar[31] |= 0x80
  const shared = hex(withScalar(scalar))
  return {
    zeroScalar: attempt(() => withScalar(Buffer.alloc(32)), 'rejected'),
    scalarEqualsL: attempt(() => withScalar(little(L)), 'rejected'),
    topBitSet: { scalar: hex(scalar), shared, sameAsWithoutTopBit: shared === ordinary.shared }
  }
}

// ---- points that make a handshake fail

function little (n) {
  return Buffer.from(Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n)))
}

function signed (bytes) {
  const copy = Buffer.from(bytes)
  copy[31] |= 0x80
  return copy
}

const ORDER_8 = Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')
const ORDER_8_TOO = Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex')
const MIXED = Buffer.alloc(32)
sodium.crypto_core_ed25519_add(MIXED, PAIRS[1].publicKey, ORDER_8)

const POINTS = [
  ['identity, y=1', little(1n)],
  ['identity with sign bit set', signed(little(1n))],
  ['order 2, y=-1', little(P - 1n)],
  ['order 2 with sign bit set', signed(little(P - 1n))],
  ['order 4, y=0', little(0n)],
  ['order 4, y=0, sign bit set', signed(little(0n))],
  ['order 8 (a)', ORDER_8],
  ['order 8 (b)', ORDER_8_TOO],
  ['order 8 (a) negated', signed(ORDER_8)],
  ['order 8 (b) negated', signed(ORDER_8_TOO)],
  ['canonical prime-order point plus an order-8 point', MIXED],
  ['non-canonical y = p + 3', little(P + 3n)],
  ['non-canonical y = p (same as y=0)', little(P)],
  ['non-canonical y = 2^255-1', little((1n << 255n) - 1n)],
  ['y = 2: not on the curve', little(2n)],
  ['y = 7: probably not on the curve', little(7n)]
]

const explicitScalar = explicitScalars()
writeJSON('dh.json', {
  about: 'secretKey = seed(32) || publicKey(32). scalar = clamp(SHA-512(seed)[0..32]). shared = compressed Edwards point scalar*P (32 bytes, sign of x in bit 255), no hashing. target = BLAKE2b-256(publicKey), the DHT target.',
  versions: versions(),
  keyPairs: PAIRS.map((pair, i) => describe(pair, SEEDS[i])),
  dh: exchanges(),
  explicitScalar,
  explicitScalarEdge: edges(explicitScalar[0]),
  rejectedPoints: {
    localSeed: hex(SEEDS[0]),
    mixedPointMadeWith: 'crypto_core_ed25519_add',
    cases: POINTS.map(([name, point]) => {
      return { name, point: hex(point), result: attempt(() => curve.dh(point, PAIRS[0]), 'rejected') }
    })
  }
})
