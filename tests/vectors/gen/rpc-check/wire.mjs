// The primitive encodings of dht-rpc.md §1, the rows of §10.1 and the sampler of §11.

/** Reads a datagram; what is not there is a RangeError. */
export class Reader {
  constructor (buffer, offset = 0) {
    this.buffer = buffer
    this.offset = offset
  }

  take (length) {
    const end = this.offset + length
    if (end > this.buffer.length) throw new RangeError('past the end')
    const taken = this.buffer.subarray(this.offset, end)
    this.offset = end
    return taken
  }

  uint (length) {
    return this.take(length).readUIntLE(0, length)
  }

  varuint () {
    const first = this.uint(1)
    if (first <= 0xfc) return first
    if (first < 0xff) return this.uint(first === 0xfd ? 2 : 4)
    const value = this.take(8).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('beyond 2^53 - 1')
    return Number(value)
  }

  bytes () {
    return this.take(this.varuint())
  }

  addr4 () {
    return { host: [...this.take(4)].join('.'), port: this.uint(2) }
  }

  array (read) {
    const count = this.varuint()
    if (count > 0x100000) throw new RangeError('too many elements')
    return Array.from({ length: count }, read)
  }
}

export function u16 (value) {
  const out = Buffer.alloc(2)
  out.writeUInt16LE(value)
  return out
}

export function varuint (value) {
  if (value <= 0xfc) return Buffer.from([value])
  const [prefix, length] = value <= 0xffff ? [0xfd, 2] : value <= 0xffffffff ? [0xfe, 4] : [0xff, 8]
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(BigInt(value))
  return Buffer.concat([Buffer.from([prefix]), out.subarray(0, length)])
}

export const bytes = (content) => Buffer.concat([varuint(content.length), content])
export const addr4 = ({ host, port }) => Buffer.concat([Buffer.from(host.split('.').map(Number)), u16(port)])
export const array = (encode, list) => Buffer.concat([varuint(list.length), ...list.map(encode)])

export function prefixLength (a, b) {
  const byte = a.findIndex((value, i) => value !== b[i])
  return byte < 0 ? 255 : 8 * byte + Math.clz32(a[byte] ^ b[byte]) - 24
}

/** The NAT sampler of dht-rpc.md §11. */
export class Sampler {
  constructor () {
    this.ring = []
    this.count = 0
    this.best = { place: null, host: null }
  }

  add (host, port) {
    const sample = { place: this.#count('place', host + ':' + port), host: this.#count('host', host) }
    sample.port = port
    if (this.ring.length === 16) {
      const oldest = this.ring.shift()
      oldest.place.hits--
      oldest.host.hits--
    } else {
      this.count++
    }
    this.ring.push(sample)
    const n = this.count
    const threshold = n - (n < 4 ? 0 : n < 8 ? 1 : n < 12 ? 2 : 3)
    for (const kind of ['place', 'host']) {
      if (!this.best[kind] || this.best[kind].hits < sample[kind].hits) this.best[kind] = sample[kind]
    }
    if (this.best.place.hits >= threshold) {
      const [host, port] = this.best.place.value.split(':')
      return { host, port: Number(port) }
    }
    return this.best.host.hits >= threshold ? { host: this.best.host.value, port: 0 } : { host: null, port: 0 }
  }

  #count (kind, value) {
    const equal = this.ring.slice(-4).reverse().find((sample) => sample[kind].value === value)
    if (!equal) return { value, hits: 1 }
    equal[kind].hits++
    return equal[kind]
  }
}
