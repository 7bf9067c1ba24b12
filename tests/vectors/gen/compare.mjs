// Compares vectors made anew with those that are stored, and prints one line per file and what differs.
//
//   node compare.mjs FOLDER_OF_NEW_ONES [FOLDER_OF_STORED_ONES]
//
// Files without chance in them have to be equal byte for byte. Recordings contain random keys, ids and ports, and the
// times and orders of a running network: of these the kinds of datagrams and events have to be the same, and of the
// probes of udx.json every byte that the stream answered.

import fs from 'node:fs'
import path from 'node:path'

const [made, stored = path.join(import.meta.dirname, '..')] = process.argv.slice(2)
const SHOWN = 12

const parseLines = (text) => text.trim().split('\n').map((line) => JSON.parse(line))

/** Datagrams of a recorded connect: who sends whom what. Which node and which puncher socket is chance. */
function connectShape (text) {
  const socket = (name) => name.replace(/extra\d+/, 'puncher').replace(/^dht\d/, 'dht')
  const [meta, ...datagrams] = parseLines(text)
  const events = meta.events.map(({ event }) => 'event ' + event)
  const shapes = datagrams.map(({ from, to, kind, command, value, flags, lowTTL }) => {
    const ends = [socket(from), socket(to)]
    // Whether the announcer's pings fall into the recording is a matter of time; those of punchers do not depend on it.
    const isUpkeep = ends.some((end) => end.startsWith('dht.')) && !ends.some((end) => end.endsWith('.puncher'))
    if (command === 'internal PING' && isUpkeep) return null
    const what = [kind, command, value && value.mode, flags, lowTTL && 'low TTL'].filter(Boolean)
    return [ends[0], '>', ends[1], ...what].join(' ')
  })
  return [...events, ...shapes.filter(Boolean)]
}

/** Phases and datagrams of the conversation: who sends whom what. Which node is chance. */
function conversationShape (text) {
  const socket = (name) => name.replace(/^pool:\d+/, 'puncher').replace(/^(n\d|P)\./, 'node.')
  return parseLines(text).flatMap((line) => {
    if (line.kind === 'phase') return ['phase ' + line.name]
    if (line.kind !== 'dgram' || line.dir !== 'tx') return []
    const [from, to] = [socket(line.from), socket(line.to)]
    const { type, commandName, inReplyTo, error } = line.decoded
    // What nodes ask each other by themselves, and all but the server's pings, is a matter of time.
    if (from.startsWith('node.') && to.startsWith('node.')) return []
    if ((commandName || inReplyTo) === 'PING' && ![from, to].some((name) => name.startsWith('S.'))) return []
    const what = [type, commandName || inReplyTo, error ? 'error ' + error : ''].filter(Boolean)
    return [[from, '>', to, ...what].join(' ')]
  })
}

/** What an exchange consists of, and what the stream answers to each probe, in order and without times. */
function streamShape (text) {
  const { exchanges, probes } = JSON.parse(text)
  const lines = []
  for (const { name, packets, legs, events } of exchanges) {
    for (const { dir, decoded } of packets || [...legs.left, ...legs.right]) {
      lines.push([name, dir, ...(decoded.flags || ['other'])].join(' '))
    }
    // How this one ends depends on which datagram is the fifth.
    if (name === 'lossy-both-ways') continue
    for (const { at, event, code = '' } of events) lines.push(`${name} event ${at} ${event} ${code}`)
  }
  for (const { name, timeline } of probes) {
    timeline.forEach(({ t, decoded, ...entry }, i) => lines.push(`probe ${name} ${i} ${JSON.stringify(entry)}`))
  }
  return lines
}

function errorShape (text) {
  return JSON.parse(text).results.map(({ name, code, serverSaw }) => `${name}: ${code} ${serverSaw}`)
}

const SHAPES = [
  [/^connect-trace.*\.jsonl$/, connectShape],
  [/^rpc-trace\.jsonl$/, conversationShape],
  [/^udx\.json$/, streamShape],
  [/^connect-errors\.json$/, errorShape]
]

/** Returns where two texts differ, as lines that begin with - (stored) or + (new). */
function difference (name, before, after) {
  if (before === after) return []
  const shape = SHAPES.find(([pattern]) => pattern.test(name))
  if (!shape) {
    const [old, young] = [before.split('\n'), after.split('\n')]
    return old.flatMap((line, i) => line === young[i] ? [] : ['- ' + line, '+ ' + (young[i] || '')])
  }
  const [old, young] = [new Set(shape[1](before)), new Set(shape[1](after))]
  const lacks = [...old].filter((line) => !young.has(line)).map((line) => '- ' + line)
  return [...lacks, ...[...young].filter((line) => !old.has(line)).map((line) => '+ ' + line)]
}

let differ = 0
for (const name of fs.readdirSync(made).sort()) {
  const file = path.join(stored, name)
  if (!fs.existsSync(file)) {
    console.log(`${name}: not stored`)
    continue
  }
  const [before, after] = [fs.readFileSync(file, 'utf8'), fs.readFileSync(path.join(made, name), 'utf8')]
  const lines = difference(name, before, after)
  if (!lines.length) {
    console.log(`${name}: same${before === after ? '' : ', but for what is random or a matter of time'}`)
    continue
  }
  differ++
  console.log(`${name}: differs`)
  for (const line of lines.slice(0, SHOWN)) console.log('  ' + line.slice(0, 300))
  if (lines.length > SHOWN) console.log(`  and ${lines.length - SHOWN} more`)
}
process.exit(differ ? 1 : 0)
