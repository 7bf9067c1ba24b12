// ChaCha20, HChaCha20, Poly1305 and the secretstream construction from plain arithmetic, so that the bytes of
// libsodium are compared with the text of the specification and not with another binding.

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]

const rotate = (x, n) => ((x << n) | (x >>> (32 - n))) >>> 0

function quarter (s, a, b, c, d) {
  s[a] = (s[a] + s[b]) >>> 0
  s[d] = rotate(s[d] ^ s[a], 16)
  s[c] = (s[c] + s[d]) >>> 0
  s[b] = rotate(s[b] ^ s[c], 12)
  s[a] = (s[a] + s[b]) >>> 0
  s[d] = rotate(s[d] ^ s[a], 8)
  s[c] = (s[c] + s[d]) >>> 0
  s[b] = rotate(s[b] ^ s[c], 7)
}

function rounds (s) {
  for (let i = 0; i < 10; i++) {
    for (const column of [0, 1, 2, 3]) quarter(s, column, 4 + column, 8 + column, 12 + column)
    for (const d of [0, 1, 2, 3]) quarter(s, d, 4 + (d + 1) % 4, 8 + (d + 2) % 4, 12 + (d + 3) % 4)
  }
}

const words = (bytes, count) => Array.from({ length: count }, (_, i) => bytes.readUInt32LE(4 * i))

function hchacha20 (key, input) {
  const s = [...CONSTANTS, ...words(key, 8), ...words(input, 4)]
  rounds(s)
  const out = Buffer.alloc(32)
  for (let i = 0; i < 4; i++) {
    out.writeUInt32LE(s[i], 4 * i)
    out.writeUInt32LE(s[12 + i], 16 + 4 * i)
  }
  return out
}

/** Returns `length` bytes of the key stream from block `counter` on (IETF form, 12 byte nonce). */
function chacha20 (key, nonce, counter, length) {
  const out = Buffer.alloc(length)
  for (let offset = 0; offset < length; offset += 64) {
    const initial = [...CONSTANTS, ...words(key, 8), counter++ >>> 0, ...words(nonce, 3)]
    const s = initial.slice()
    rounds(s)
    const block = Buffer.alloc(64)
    for (let i = 0; i < 16; i++) block.writeUInt32LE((s[i] + initial[i]) >>> 0, 4 * i)
    block.copy(out, offset, 0, Math.min(64, length - offset))
  }
  return out
}

const xor = (a, b) => Buffer.from(a.map((byte, i) => byte ^ b[i]))

function number (bytes) {
  let n = 0n
  for (let i = bytes.length - 1; i >= 0; i--) n = (n << 8n) | BigInt(bytes[i])
  return n
}

function poly1305 (key, message) {
  const r = number(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn
  const p = (1n << 130n) - 5n
  let sum = 0n
  for (let i = 0; i < message.length; i += 16) {
    const block = message.subarray(i, Math.min(i + 16, message.length))
    sum = ((sum + number(block) + (1n << BigInt(8 * block.length))) * r) % p
  }
  sum = (sum + number(key.subarray(16, 32))) & ((1n << 128n) - 1n)
  return Buffer.from(Array.from({ length: 16 }, (_, i) => Number((sum >> BigInt(8 * i)) & 255n)))
}

/** The sending half of a secretstream, step by step as in secret-stream.md §4. */
export class Push {
  constructor (key, header) {
    this.k = hchacha20(key, header.subarray(0, 16))
    this.counter = 1
    this.inonce = Buffer.from(header.subarray(16, 24))
  }

  nonce () {
    const nonce = Buffer.alloc(12)
    nonce.writeUInt32LE(this.counter, 0)
    this.inonce.copy(nonce, 4)
    return nonce
  }

  push (message, tag) {
    const nonce = this.nonce()
    const first = Buffer.alloc(64)
    first[0] = tag
    const block = xor(first, chacha20(this.k, nonce, 1, 64))
    const body = xor(message, chacha20(this.k, nonce, 2, message.length))
    const padding = Buffer.alloc(message.length & 15)
    const lengths = Buffer.alloc(16)
    lengths.writeBigUInt64LE(BigInt(64 + message.length), 8)
    const mac = poly1305(chacha20(this.k, nonce, 0, 32), Buffer.concat([block, body, padding, lengths]))
    for (let i = 0; i < 8; i++) this.inonce[i] ^= mac[i]
    this.counter = (this.counter + 1) >>> 0
    if ((tag & 2) !== 0 || this.counter === 0) this.rekey()
    return Buffer.concat([block.subarray(0, 1), body, mac])
  }

  rekey () {
    const next = xor(Buffer.concat([this.k, this.inonce]), chacha20(this.k, this.nonce(), 0, 40))
    this.k = Buffer.from(next.subarray(0, 32))
    this.inonce = Buffer.from(next.subarray(32))
    this.counter = 1
  }
}
