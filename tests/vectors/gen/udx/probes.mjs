// Hand-made datagrams for one stream of udx-native, one entry per probe: name, description, steps (a datagram to
// inject, or something to do) and options.

import dgram from 'node:dgram'

import { sleep } from '../lib.mjs'
import { HOST, header, packet, pattern, range } from './packets.mjs'

export const LOCAL_ID = 0x77
export const REMOTE_ID = 0x99

const id = LOCAL_ID
const D = (seq, text, more = {}) => packet({ type: 1, id, seq, ...more }, Buffer.from(text))

export const PROBES = [
  ['in-order-data', 'A DATA packet is delivered and acknowledged at once.', [D(0, 'abc'), D(1, 'def')]],
  ['duplicate-data', 'An old DATA packet is acknowledged again and not delivered again.', [D(0, 'abc'), D(0, 'abc')]],
  ['out-of-order-data', 'Gaps are reported as [start, end) ranges, lowest first; filling the first gap drains what follows.', [
    D(1, 'b'),
    D(3, 'd'),
    D(4, 'e'),
    D(7, 'h'),
    D(6, 'g'),
    D(0, 'a'),
    D(2, 'c')
  ]],
  ['far-ahead-data', 'There is no receive limit on sequence numbers: a packet 100000 ahead is kept and reported.', [D(100000, 'x')]],
  ['more-than-50-ranges', 'At most 50 ranges are reported, the lowest ones.', [
    ...Array.from({ length: 52 }, (_, i) => D(1 + 2 * i, String.fromCharCode(65 + (i % 26))))
  ], { gap: 2 }],
  ['too-short', 'Under 20 bytes it is no UDX packet: it goes to the socket, not the stream.', [
    header({ type: 1, id }).subarray(0, 19),
    Buffer.from([0]),
    Buffer.from('030001', 'hex')
  ]],
  ['wrong-magic-or-version', 'Both are checked; else the datagram goes to the socket.', [
    packet({ type: 1, id, magic: 254 }, Buffer.from('x')),
    packet({ type: 1, id, version: 2 }, Buffer.from('x'))
  ]],
  ['unknown-stream', 'A good header with an unknown id also goes to the socket handler.', [packet({ type: 1, id: 0x78 }, Buffer.from('x'))]],
  ['unknown-flag-bits', 'Bits 6 and 7 of the type are ignored.', [packet({ type: 1 | 0x40 | 0x80, id }, Buffer.from('x'))]],
  ['empty-data', 'DATA with no payload takes a sequence number.', [D(0, ''), D(1, 'x')]],
  ['data-offset-skips', 'dataOffset bytes after the header are skipped.', [
    packet({ type: 1, id, dataOffset: 5 }, Buffer.from('ABCDE'), Buffer.from('payload'))
  ]],
  ['data-offset-too-large', 'dataOffset beyond the end: dropped with no answer.', [
    packet({ type: 1, id, dataOffset: 9 }, Buffer.from('ABCDE'))
  ]],
  ['heartbeat-with-data', 'HEARTBEAT wins over everything else: only an answer, the data and the ack are not looked at.', [
    packet({ type: 0x21, id, seq: 0 }, Buffer.from('x'))
  ]],
  ['state-packet-is-not-answered', 'A packet with type 0 gets no answer.', [packet({ type: 0, id })]],
  ['ack-beyond-sent', 'The ack field is ahead of what was sent: payload is delivered, but no answer is sent until a good packet comes.', [
    D(0, 'x', { ack: 5 }),
    D(1, 'y', { ack: 0 })
  ]],
  ['end-alone', 'END without DATA takes a sequence number and is acknowledged.', [packet({ type: 2, id, seq: 0 })]],
  ['end-before-data', 'END ahead of a gap waits for the gap.', [packet({ type: 3, id, seq: 1 }, Buffer.from('b')), D(0, 'a')]],
  ['data-after-end', 'After END was processed nothing more is delivered, packets are still answered.', [
    packet({ type: 2, id, seq: 0 }),
    D(1, 'late')
  ]],
  ['message-any-seq', 'MESSAGE is delivered whatever its seq, twice if it comes twice, and never answered.', [
    D(0, 'a'),
    packet({ type: 8, id, seq: 0 }, Buffer.from('m1')),
    packet({ type: 8, id, seq: 0 }, Buffer.from('m1')),
    packet({ type: 8, id, seq: 77 }, Buffer.from('m2'))
  ]],
  ['old-destroy-ignored', 'DESTROY with a seq below the next expected one is ignored, at or above it closes.', [
    D(0, 'a'),
    packet({ type: 16, id, seq: 0 }),
    D(1, 'still open'),
    packet({ type: 16, id, seq: 2 })
  ]],
  ['destroy-far-ahead', 'DESTROY is acted on even when packets before it are missing.', [packet({ type: 16, id, seq: 9 })]],
  ['sack-and-data-in-one', 'With SACK set and dataOffset 0 the whole rest of the datagram is read both as ranges and as payload; with dataOffset 8 the ranges end there.', [
    packet({ type: 5, id, seq: 0, dataOffset: 8 }, range(1, 2), Buffer.from('payload!')),
    packet({ type: 5, id, seq: 1 }, Buffer.from('12345678'))
  ]],
  ['larger-than-2048', 'The receive buffer is 2048 bytes: the rest of a longer datagram is lost, yet the packet is acknowledged as whole.', [
    packet({ type: 1, id, seq: 0 }, pattern(3000))
  ]],
  ['exactly-2048', '2048 bytes in all still fit.', [packet({ type: 1, id, seq: 0 }, pattern(2028))]],
  ['invalid-sack-ranges', 'Ranges that are empty, backwards, below the ack or beyond what was sent are ignored one by one; a good one counts.', [
    async ({ s }) => {
      s.write(Buffer.from('p0'))
      await sleep(5)
      s.write(Buffer.from('p1'))
      await sleep(5)
      s.write(Buffer.from('p2'))
      await sleep(5)
    },
    packet({ type: 4, id, ack: 0 }, range(2, 2), range(3, 1), range(2, 9), range(1, 2))
  ], { gap: 30 }],
  ['heartbeat-reports-gaps', 'The answer to a HEARTBEAT is the same packet as any acknowledgement, ranges included.', [
    D(2, 'c'),
    packet({ type: 0x20, id, seq: 0 })
  ]],
  ['any-source-address', 'A packet with the right id is taken from any source address on the stream\'s own socket; the answer goes to the connected remote, not to the source.', [
    async ({ socket, note }) => {
      const other = dgram.createSocket('udp4')
      await new Promise((resolve) => other.bind(0, HOST, resolve))
      other.on('message', (m) => note({ event: 'reply-to-other-source', hex: m.toString('hex') }))
      note({ event: 'sent-from-other-source', hex: D(0, 'abc').toString('hex') })
      other.send(D(0, 'abc'), socket.address().port, HOST)
      await sleep(25)
      other.close()
    }
  ]],
  ['after-close', 'Packets for a stream that has closed go to the socket handler; nothing is answered.', [
    packet({ type: 16, id, seq: 0 }),
    D(0, 'late')
  ]],
  ['window-update-order', 'A window is taken only from a packet that is not older than the last one that set it (seq first, then ack). Window 0 stops new data; the stream then probes with HEARTBEAT.', [
    packet({ type: 8, id, seq: 5, rwnd: 0 }),
    packet({ type: 0, id, seq: 4, rwnd: 9999 }),
    async ({ s }) => {
      s.write(Buffer.from('blocked'))
      await sleep(30)
    },
    packet({ type: 0, id, seq: 5, rwnd: 4194304 })
  ]]
]
