// Stream packets made and read by hand, and payloads that can be checked without storing them.

export const HOST = '127.0.0.1'

export const FLAGS = [
  [1, 'DATA'],
  [2, 'END'],
  [4, 'SACK'],
  [8, 'MESSAGE'],
  [16, 'DESTROY'],
  [32, 'HEARTBEAT']
]

// byte i of a patterned payload; makes long captures checkable without storing them
export const patternByte = (i) => (i * 31 + (i >>> 8) * 7 + 11) & 0xff

export function pattern (length) {
  const out = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) out[i] = patternByte(i)
  return out
}

export function header ({ type = 0, dataOffset = 0, id, rwnd = 4194304, seq = 0, ack = 0, magic = 255, version = 1 }) {
  const h = Buffer.alloc(20)
  h[0] = magic
  h[1] = version
  h[2] = type
  h[3] = dataOffset
  h.writeUInt32LE(id >>> 0, 4)
  h.writeUInt32LE(rwnd >>> 0, 8)
  h.writeUInt32LE(seq >>> 0, 12)
  h.writeUInt32LE(ack >>> 0, 16)
  return h
}

export const packet = (fields, ...rest) => Buffer.concat([header(fields), ...rest])

export function range (start, end) {
  const b = Buffer.alloc(8)
  b.writeUInt32LE(start >>> 0, 0)
  b.writeUInt32LE(end >>> 0, 4)
  return b
}

export function decode (buf) {
  if (buf.length < 20 || buf[0] !== 255 || buf[1] !== 1) return { udx: false, length: buf.length }
  const type = buf[2]
  const names = FLAGS.filter(([bit]) => type & bit).map(([, name]) => name)
  const dataOffset = buf[3]
  const d = {
    type,
    flags: names.length ? names : ['STATE'],
    dataOffset,
    streamId: buf.readUInt32LE(4),
    recvWindow: buf.readUInt32LE(8),
    seq: buf.readUInt32LE(12),
    ack: buf.readUInt32LE(16)
  }
  const rest = buf.length - 20
  if (type & 4) {
    const bytes = dataOffset > 0 && dataOffset < rest ? dataOffset : rest
    d.sack = []
    for (let i = 0; i + 8 <= bytes; i += 8) {
      d.sack.push([buf.readUInt32LE(20 + i), buf.readUInt32LE(24 + i)])
    }
  }
  const carriesPayload = type & (1 | 2 | 8)
  d.payloadLength = carriesPayload && dataOffset <= rest ? rest - dataOffset : 0
  if (dataOffset && !(type & 4)) d.paddingLength = Math.min(dataOffset, rest)
  return d
}
