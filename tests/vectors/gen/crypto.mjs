// crypto.json: hashes, trees, namespaces, key pairs, signatures and sealed boxes of hypercore-crypto, with the
// signatures, keys and boxes that it refuses.

import crypto from 'hypercore-crypto'
import sodium from 'sodium-universal'

import { counting, fill, hex, seed, versions, writeJSON } from './lib.mjs'

const PAIR = crypto.keyPair(seed(1))
const MESSAGE = Buffer.from('a message that is signed')
const L = (1n << 252n) + 27742317777372353535851937790883648493n
const P = (1n << 255n) - 19n
const ORDER_8 = Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')

const little = (n) => Buffer.from(Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n)))
const number = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
const TEXTS = [Buffer.alloc(0), Buffer.from('a'), counting(32), counting(128), counting(129), counting(1000)]

// ---- hashes

const node = (index, size) => ({ index, size, hash: crypto.hash(Buffer.from(`node ${index}`)) })
const shown = ({ index, size, hash }) => ({ index: `${index}`, size: `${size}`, hash: hex(hash) })

function hashes () {
  const keyed = Buffer.alloc(32)
  sodium.crypto_generichash(keyed, MESSAGE, counting(32))
  const trees = [[], [node(0, 1)], [node(3, 4096), node(9, 77), node(12, 2 ** 40)]]
  return {
    hash: TEXTS.map((data) => ({ data: hex(data), hash: hex(crypto.hash(data)) })),
    parts: { data: TEXTS.map(hex), hash: hex(crypto.hash(TEXTS)) },
    keyed: { key: hex(counting(32)), data: hex(MESSAGE), hash: hex(keyed) },
    discoveryKeys: [seed(0), PAIR.publicKey].map((key) => ({ key: hex(key), hash: hex(crypto.discoveryKey(key)) })),
    namespaces: [
      { name: 'hyperswarm/dht', ids: [0, 1, 2, 3, 4, 5, 6], namespaces: crypto.namespace('hyperswarm/dht', 7).map(hex) },
      { name: 'ü', ids: [255, 0, 255], namespaces: crypto.namespace(Buffer.from('ü'), [255, 0, 255]).map(hex) },
      { name: '', ids: [1], namespaces: crypto.namespace('', [1]).map(hex) }
    ],
    data: TEXTS.map((data) => ({ data: hex(data), hash: hex(crypto.data(data)) })),
    parents: [[node(0, 1), node(2, 3)], [node(5, 2 ** 33), node(1, 2 ** 52)], [node(4, 0), node(4, 9)]].map(([a, b]) => {
      return { a: shown(a), b: shown(b), hash: hex(crypto.parent(a, b)) }
    }),
    trees: trees.map((roots) => ({ roots: roots.map(shown), hash: hex(crypto.tree(roots)) }))
  }
}

// ---- signatures

/** Signs with points that carry `a` and `r` times a point of order 8 beside their part of prime order. */
function mixed (a, r, salt) {
  const scalar = (text) => {
    const out = Buffer.alloc(32)
    const wide = Buffer.concat([crypto.hash(Buffer.from(text)), crypto.hash(Buffer.from(text + '+'))])
    sodium.crypto_core_ed25519_scalar_reduce(out, wide)
    return out
  }
  const point = (scalar, times) => {
    const out = Buffer.alloc(32)
    sodium.crypto_scalarmult_ed25519_base_noclamp(out, scalar)
    for (let i = 0; i < times; i++) sodium.crypto_core_ed25519_add(out, Buffer.from(out), ORDER_8)
    return out
  }
  const [secret, once] = [scalar('secret' + salt), scalar('once' + salt)]
  const [publicKey, R] = [point(secret, a), point(once, r)]
  const h = Buffer.alloc(64)
  sodium.crypto_hash_sha512(h, Buffer.concat([R, publicKey, MESSAGE]))
  const S = little((number(once) + number(h) * number(secret)) % L)
  return { publicKey, signature: Buffer.concat([R, S]) }
}

function signatures () {
  const good = crypto.sign(MESSAGE, PAIR.secretKey)
  const [R, S] = [good.subarray(0, 32), good.subarray(32)]
  const cases = []
  const add = (name, signature, publicKey = PAIR.publicKey, message = MESSAGE) => {
    cases.push({
      name, message: hex(message), signature: hex(signature), publicKey: hex(publicKey), valid: crypto.verify(message, signature, publicKey)
    })
  }
  for (const text of TEXTS) add('signed', crypto.sign(text, PAIR.secretKey), PAIR.publicKey, text)
  add('another message', good, PAIR.publicKey, Buffer.from('another'))
  add('another key', good, crypto.keyPair(seed(2)).publicKey)
  for (const at of [0, 31, 32, 63]) {
    const changed = Buffer.from(good)
    changed[at] ^= 0x20
    add(`byte ${at} changed`, changed)
  }
  for (let times = 1n; times < 16n && number(S) + times * L < 1n << 256n; times++) {
    add(`S + ${times} L`, Buffer.concat([R, little(number(S) + times * L)]))
  }
  add('S = L', Buffer.concat([R, little(L)]))
  for (const length of [0, 32, 63]) add(`${length} bytes`, good.subarray(0, length))
  add('65 bytes', Buffer.concat([good, fill(1, 0)]))
  for (const length of [0, 31]) add(`key of ${length} bytes`, good, PAIR.publicKey.subarray(0, length))
  add('key of 33 bytes', good, Buffer.concat([PAIR.publicKey, fill(1, 0)]))
  add('all zero', fill(64, 0), fill(32, 0))

  // With S = 0 and R = A of small order, h and the order decide whether the equation holds.
  const small = [1n, P - 1n, 0n, P, P + 1n, number(ORDER_8), P - number(ORDER_8)].map(little)
  for (const point of small) {
    for (const sign of [0, 0x80]) {
      const bytes = Buffer.from(point)
      bytes[31] |= sign
      add('small order key', Buffer.concat([little(1n), fill(32, 0)]), bytes)
      add('small order key and R', Buffer.concat([bytes, fill(32, 0)]), bytes)
      add('small order R', Buffer.concat([bytes, S]))
    }
  }
  for (const y of [2n, 7n, P + 3n, P + 4n, (1n << 255n) - 1n]) {
    add('no canonical point', good, little(y))
    add('no canonical R', Buffer.concat([little(y), S]))
  }
  for (const [a, r] of [[0, 0], [0, 1], [0, 4], [1, 0], [1, 1], [1, 7], [2, 2], [4, 0], [4, 4]]) {
    for (let salt = 0; salt < 6; salt++) {
      const { publicKey, signature } = mixed(a, r, salt)
      add(`mixed order, key ${a}, R ${r}`, signature, publicKey)
    }
  }
  return cases
}

function keyPairs () {
  const other = crypto.keyPair(seed(2))
  const mismatched = Buffer.concat([other.secretKey.subarray(0, 32), PAIR.publicKey])
  const pairs = [PAIR, other, { publicKey: other.publicKey, secretKey: PAIR.secretKey },
    { publicKey: PAIR.publicKey, secretKey: mismatched }]
  return pairs.map(({ publicKey, secretKey }) => {
    return { publicKey: hex(publicKey), secretKey: hex(secretKey), valid: crypto.validateKeyPair({ publicKey, secretKey }) }
  })
}

// ---- sealed boxes

/** Seals with a chosen ephemeral pair what crypto.encrypt seals with one from chance. */
function seal (message, publicKey, ephemeral) {
  const nonce = Buffer.alloc(24)
  sodium.crypto_generichash(nonce, Buffer.concat([ephemeral.publicKey, publicKey]))
  const box = Buffer.alloc(message.length + 16)
  sodium.crypto_box_easy(box, message, nonce, publicKey, ephemeral.secretKey)
  return Buffer.concat([ephemeral.publicKey, box])
}

function boxes () {
  const pair = crypto.encryptionKeyPair(seed(7))
  const sealed = TEXTS.map((message, i) => {
    const ephemeral = crypto.encryptionKeyPair(seed(0x40 + i))
    const box = seal(message, pair.publicKey, ephemeral)
    if (hex(crypto.decrypt(box, pair)) !== hex(message)) throw new Error('not a sealed box')
    return { ephemeralSecretKey: hex(ephemeral.secretKey), message: hex(message), box: hex(box) }
  })
  const good = Buffer.from(sealed[2].box, 'hex')
  const refused = [good.subarray(0, 0), good.subarray(0, 47), good.subarray(0, good.length - 1), Buffer.concat([good, fill(1, 0)])]
  for (const at of [0, 31, 32, 47, 48]) {
    const changed = Buffer.from(good)
    changed[at] ^= 0x40
    refused.push(changed)
  }
  // The top bit of an X25519 key does not count for what is shared, but for the nonce.
  const topBit = Buffer.from(good)
  topBit[31] ^= 0x80
  refused.push(topBit)
  for (const u of SMALL_ORDER) refused.push(Buffer.concat([little(u), good.subarray(32)]))
  for (const box of refused) if (crypto.decrypt(box, pair) !== null) throw new Error('opened ' + hex(box))
  return {
    pairs: [seed(7), seed(0), counting(32)].map((bytes) => {
      const { publicKey, secretKey } = crypto.encryptionKeyPair(bytes)
      return { seed: hex(bytes), publicKey: hex(publicKey), secretKey: hex(secretKey) }
    }),
    sealed,
    refused: refused.map(hex),
    keys: [...SMALL_ORDER, 2n, 9n, P + 9n].flatMap((u) => [little(u), little(u | (1n << 255n))]).map((key) => {
      return { key: hex(key), sealed: seals(key) }
    })
  }
}

// 0, 1, -1, two points of order 8, and what is equal to 0 and 1 modulo P.
const SMALL_ORDER = [
  0n, 1n, P - 1n, P, P + 1n,
  number(Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex')),
  number(Buffer.from('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157', 'hex'))
]

function seals (key) {
  try {
    crypto.encrypt(MESSAGE, key)
    return true
  } catch {
    return false
  }
}

const cases = signatures()
const count = (valid) => cases.filter((one) => one.valid === valid).length
if (count(true) < 10 || count(false) < 100) throw new Error('one kind of signature is rare')
writeJSON('crypto.json', {
  about: 'What hypercore-crypto returns. Trees: index and size as decimal digits. Boxes: ephemeralSecretKey replaces the pair that crypto.encrypt takes from chance; refused are boxes that the first pair does not open; keys are those for which nothing can be sealed, or something.',
  versions: versions(),
  hashes: hashes(),
  keyPairs: keyPairs(),
  signatures: cases,
  boxes: boxes()
})
