// udx.json: datagrams of UDX on loopback. `exchanges` are two streams of udx-native that talk through a forwarder;
// `probes` are hand-made datagrams thrown at one stream, and what it answers. Times are milliseconds since the
// beginning of each, for orientation only.

import { main, versions, write } from './lib.mjs'
import { FLAGS } from './udx/packets.mjs'
import { recordExchanges, recordProbes } from './udx/record.mjs'

/** Writes one datagram or event per line, which keeps the file small and differences readable. */
function compactJSON (value) {
  const list = (items, pad) => `[\n${items.map((it) => pad + JSON.stringify(it)).join(',\n')}\n${pad.slice(1)}]`
  const member = ([name, it]) => {
    if (Array.isArray(it)) return `   ${JSON.stringify(name)}: ${list(it, '    ')}`
    if (name !== 'legs') return `   ${JSON.stringify(name)}: ${JSON.stringify(it)}`
    return `   "legs": {\n    "left": ${list(it.left, '     ')},\n    "right": ${list(it.right, '     ')}\n   }`
  }
  const parts = Object.entries(value).map(([name, it]) => {
    if (name !== 'exchanges' && name !== 'probes') return ` ${JSON.stringify(name)}: ${JSON.stringify(it)}`
    const entries = it.map((entry) => '  {\n' + Object.entries(entry).map(member).join(',\n') + '\n  }')
    return ` ${JSON.stringify(name)}: [\n${entries.join(',\n')}\n ]`
  })
  return '{\n' + parts.join(',\n') + '\n}\n'
}

main(async () => {
  write('udx.json', compactJSON({
    format: 1,
    what: 'Datagrams recorded from udx-native on loopback. See the comment at the top of the generator.',
    versions: versions(['udx-native']),
    pattern: 'byte i = (i*31 + (i>>>8)*7 + 11) & 255',
    header: 'magic u8=255, version u8=1, type u8, dataOffset u8, streamId u32le, recvWindow u32le, seq u32le, ack u32le',
    flags: Object.fromEntries(FLAGS.map(([bit, name]) => [name, bit])),
    exchanges: await recordExchanges(),
    probes: await recordProbes()
  }))
})
