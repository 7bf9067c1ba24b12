// A UDP forwarder between two sockets that logs every datagram and can drop, delay or alter it.

import dgram from 'node:dgram'

import { HOST, decode, patternByte } from './packets.mjs'

export class Forwarder {
  // rule(direction, buffer, decoded, state) returns 'pass', 'drop',
  // { delay: ms } or { replace: buffer }
  constructor (rule) {
    this.rule = rule || (() => 'pass')
    this.log = []
    this.state = { n: { 'a>b': 0, 'b>a': 0 }, data: { 'a>b': 0, 'b>a': 0 }, seen: new Map() }
    this.start = 0
    this.a = dgram.createSocket('udp4') // faces a
    this.b = dgram.createSocket('udp4') // faces b
    this.aPort = 0
    this.bPort = 0
    this.patternStart = { 'a>b': null, 'b>a': null }
  }

  async open (aPort, bPort) {
    this.aPort = aPort
    this.bPort = bPort
    await Promise.all(
      [this.a, this.b].map((s) => new Promise((resolve) => s.bind(0, HOST, resolve)))
    )
    this.start = Date.now()
    this.a.on('message', (m) => this._on('a>b', m))
    this.b.on('message', (m) => this._on('b>a', m))
    return { forA: this.a.address().port, forB: this.b.address().port }
  }

  _forward (dir, buf) {
    if (dir === 'a>b') this.b.send(buf, this.bPort, HOST)
    else this.a.send(buf, this.aPort, HOST)
  }

  _on (dir, buf) {
    const d = decode(buf)
    const n = this.state.n[dir]++
    const verdict = this.rule(dir, buf, d, this.state, n) || 'pass'
    const row = { t: Date.now() - this.start, dir, buf: Buffer.from(buf), fate: 'forwarded' }
    this.log.push(row)
    if (verdict === 'drop') {
      row.fate = 'dropped'
      return
    }
    if (typeof verdict === 'object' && verdict.replace) {
      row.fate = 'altered'
      row.sent = verdict.replace
      this._forward(dir, verdict.replace)
      return
    }
    if (typeof verdict === 'object' && verdict.delay) {
      row.fate = 'delayed'
      row.delay = verdict.delay
      const copy = Buffer.from(buf)
      setTimeout(() => this._forward(dir, copy), verdict.delay)
      return
    }
    this._forward(dir, buf)
  }

  close () {
    this.a.close()
    this.b.close()
  }
}

export function rows (log, { compact = false, streamOffsets = null } = {}) {
  return log.map((r, i) => {
    const d = decode(r.buf)
    const out = { i, t: r.t, dir: r.dir, fate: r.fate, length: r.buf.length }
    if (r.delay) out.delay = r.delay
    const off = streamOffsets ? streamOffsets(r) : null
    if (compact && d.payloadLength > 64) {
      out.headerHex = r.buf.subarray(0, 20).toString('hex')
      const from = 20 + d.dataOffset
      out.paddingAllZero = r.buf.subarray(20, from).every((x) => x === 0)
      if (off !== null) {
        const want = Buffer.from(Array.from({ length: d.payloadLength }, (_, k) => patternByte(off + k)))
        if (!want.equals(r.buf.subarray(from))) throw new Error('payload is not the pattern at ' + off)
        out.payloadPatternOffset = off
      }
    } else {
      out.hex = r.buf.toString('hex')
    }
    if (r.sent) out.forwardedHex = r.sent.toString('hex')
    out.decoded = d
    return out
  })
}

// maps every first transmission of a seq to its byte offset in the stream
export function offsetsOf (dir) {
  let next = 0
  const bySeq = new Map()
  return (r) => {
    if (r.dir !== dir) return null
    const d = decode(r.buf)
    if (!(d.type & 1)) return null
    if (!bySeq.has(d.seq)) {
      bySeq.set(d.seq, next)
      next += d.payloadLength
    }
    return bySeq.get(d.seq)
  }
}
