// nat.json: NAT classification from samples, and the probe schedule of each strategy, taken from the puncher of the
// reference with recording sockets and a virtual clock.

import { FIREWALL } from 'hyperdht/lib/constants.js'
import Holepuncher from 'hyperdht/lib/holepuncher.js'
import Nat from 'hyperdht/lib/nat.js'

import { hex, main, versions, writeJSON } from './lib.mjs'

const { CONSISTENT, OPEN, RANDOM, UNKNOWN } = FIREWALL
const NAMES = Object.fromEntries(Object.entries(FIREWALL).map(([name, number]) => [number, name]))
const [A, B, C] = ['1.1.1.1', '2.2.2.2', '3.3.3.3']

const place = ({ host, port }) => host + ':' + port

/** Adds samples [host, port, port of the node that saw it] and returns the state after each. */
async function classify (name, samples, { firewalled = true, freezeAfter } = {}) {
  const nat = new Nat({ firewalled }, null, null)
  let analysisDone = false
  nat.analyzing.then(() => { analysisDone = true })
  const steps = []
  for (const [host, port, from] of samples) {
    nat.add({ host, port }, { host: '10.9.8.7', port: from })
    await null
    const { sampled, firewall, addresses } = nat
    steps.push({
      sample: place({ host, port }),
      from,
      sampled,
      firewall: NAMES[firewall],
      addresses: addresses ? addresses.map(place) : null,
      analysisDone
    })
    if (steps.length === freezeAfter) {
      nat.freeze()
      steps.push({ frozen: true })
    }
  }
  return { name, localFirewalled: firewalled, steps }
}

const CLASSIFICATION = [
  ['consistent', [[A, 10, 1], [A, 10, 2], [A, 10, 3], [A, 10, 4]]],
  ['all ports differ', [[A, 10, 1], [A, 11, 2], [A, 12, 3]]],
  ['same referrer counted once', [[A, 10, 1], [A, 10, 1], [A, 10, 1], [A, 10, 2], [A, 10, 3]]],
  ['two hits then odd ones, one host', [[A, 10, 1], [A, 10, 2], [A, 11, 3], [A, 12, 4]]],
  ['two and two on one host', [[A, 10, 1], [A, 11, 2], [A, 10, 3], [A, 11, 4]]],
  ['two and two on two hosts', [[A, 10, 1], [B, 11, 2], [A, 10, 3], [B, 11, 4]]],
  [
    'two hosts, two hits and two singles, fifth sample decides',
    [[A, 10, 1], [A, 10, 2], [B, 11, 3], [C, 12, 4], [B, 13, 5]]
  ],
  ['consistent with one stray', [[A, 10, 1], [A, 11, 2], [A, 10, 3], [A, 10, 4]]],
  [
    'three hits on each of two hosts',
    [[A, 10, 1], [B, 20, 2], [A, 10, 3], [B, 20, 4], [A, 10, 5], [B, 20, 6]]
  ],
  ['node is not firewalled', [[A, 10, 1]], { firewalled: false }],
  ['frozen after three samples', [[A, 10, 1], [A, 10, 2], [A, 10, 3], [A, 99, 4], [A, 98, 5]], { freezeAfter: 3 }]
]

const consistent = { isInitiator: true, local: CONSISTENT, remote: CONSISTENT, verified: true }
const SCHEDULES = [
  ['client, consistent to consistent', consistent],
  ['server, consistent to consistent', { ...consistent, isInitiator: false }],
  ['client, consistent to consistent, nothing verified', { ...consistent, verified: false }],
  ['open counts as consistent', { ...consistent, local: OPEN }],
  ['consistent to random', { ...consistent, remote: RANDOM }],
  ['random to consistent (birthday sockets)', { ...consistent, local: RANDOM }],
  ['consistent to random, unverified', { ...consistent, remote: RANDOM, verified: false, stopAfter: 5000 }],
  ['random to random', { ...consistent, local: RANDOM, remote: RANDOM, stopAfter: 5000 }],
  ['unknown to consistent', { ...consistent, local: UNKNOWN, stopAfter: 5000 }]
]

/** Takes the place of the timers; they run in order, without waiting, by `run`. */
class Clock {
  constructor () {
    this.now = 0
    this.timers = []
    this.count = 0
    this.real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout }
    globalThis.setTimeout = (call, ms) => {
      const timer = { at: this.now + ms, call, n: this.count++ }
      this.timers.push(timer)
      return timer
    }
    globalThis.clearTimeout = (timer) => { this.timers = this.timers.filter((it) => it !== timer) }
  }

  async drain () {
    for (let i = 0; i < 600; i++) await null
  }

  async run (end = 1e9) {
    await this.drain()
    while (this.timers.length && this.now < end) {
      this.timers.sort((a, b) => a.at - b.at || a.n - b.n)
      const { at, call } = this.timers.shift()
      this.now = at
      call()
      await this.drain()
    }
  }

  restore () {
    Object.assign(globalThis, this.real)
  }
}

/** What a puncher uses of a node, with sockets that record what is sent. */
function recordingNode (clock, sent) {
  let sockets = 0
  const acquire = () => {
    const socket = sockets++
    const send = (bytes, port, host, ttl) => {
      sent.push({ at: clock.now, socket, bytes: hex(bytes), to: place({ host, port }), ttl })
      return Promise.resolve(true)
    }
    return { socket: { send }, release () {}, onholepunchmessage () {} }
  }
  return {
    firewalled: true,
    nodes: { length: 0, latest: null },
    stats: { punches: { consistent: 0, random: 0, open: 0 } },
    _randomPunches: 0,
    _lastRandomPunch: 0,
    _socketPool: { acquire }
  }
}

async function schedule (name, { isInitiator, local, remote, verified, stopAfter }) {
  const clock = new Clock()
  const sent = []
  const puncher = new Holepuncher(recordingNode(clock, sent), null, isInitiator, remote)
  let abortedAt = null
  puncher.onabort = () => { abortedAt = clock.now }
  puncher.nat.firewall = local
  const addresses = [{ host: A, port: 1111 }, { host: B, port: 2222 }]
  puncher.updateRemote({ punching: true, firewall: remote, addresses, verified: verified ? A : null })
  const punched = puncher.punch()
  await clock.run(stopAfter)
  const punchReturned = await punched
  clock.restore()
  const isRandom = remote === RANDOM
  const ports = sent.map(({ to }) => Number(to.split(':')[1]))
  return {
    name,
    isInitiator,
    local: NAMES[local],
    remote: NAMES[remote],
    firstAddressVerified: verified,
    punchReturned,
    probes: sent.length,
    socketsUsed: new Set(sent.map(({ socket }) => socket)).size,
    firstProbes: sent.slice(0, isRandom ? 4 : 8).map((it) => ({ ...it, to: isRandom ? A + ':<random>' : it.to })),
    lastProbeAt: sent.length ? sent[sent.length - 1].at : null,
    lowTTLProbes: sent.filter(({ ttl }) => ttl === 5).length,
    byTime: byTime(sent, isRandom),
    randomPortRange: isRandom ? [Math.min(...ports) >= 1000, Math.max(...ports) <= 65535] : undefined,
    abortedAt
  }
}

function byTime (sent, isRandom) {
  if (!isRandom && sent.length <= 60) return sent.map(({ at, to, ttl }) => `${at} ms -> ${to} ttl ${ttl}`)
  const intervals = {}
  for (let i = 1; i < sent.length; i++) {
    const interval = sent[i].at - sent[i - 1].at
    intervals[interval] = (intervals[interval] || 0) + 1
  }
  return { intervalHistogramMs: intervals }
}

main(async () => {
  const classification = []
  for (const it of CLASSIFICATION) classification.push(await classify(...it))
  const schedules = []
  for (const it of SCHEDULES) schedules.push(await schedule(...it))
  writeJSON('nat.json', {
    about: 'classification: state after each sample. schedules: virtual time in ms from the call to punch; two remote addresses, the first one (1.1.1.1:1111) verified where said.',
    versions: versions(),
    firewall: FIREWALL,
    classification,
    schedules
  })
})
