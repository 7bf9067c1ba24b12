// nat.json: NAT classification from samples, address matching, and the probe schedule of each strategy
// (taken from the reference holepuncher driven with recorded sockets and a scaled clock).

import Nat from 'hyperdht/lib/nat.js'
import Holepuncher from 'hyperdht/lib/holepuncher.js'
import { FIREWALL } from 'hyperdht/lib/constants.js'

import { hex, versions, writeJSON } from './lib.mjs'

const FW = Object.fromEntries(Object.entries(FIREWALL).map(([k, v]) => [v, k]))

function classify (name, samples, firewalled = true, freezeAfter = -1) {
  const nat = new Nat({ firewalled }, null, null)
  let resolved = false
  nat.analyzing.then(() => { resolved = true })
  const steps = []
  const run = async () => {
    let i = 0
    for (const [host, port, from] of samples) {
      nat.add({ host, port }, { host: '10.9.8.7', port: from })
      await null
      steps.push({ sample: host + ':' + port, from, sampled: nat.sampled, firewall: FW[nat.firewall], addresses: nat.addresses ? nat.addresses.map((a) => a.host + ':' + a.port) : null, analysisDone: resolved })
      if (++i === freezeAfter) { nat.freeze(); steps.push({ frozen: true }) }
    }
    return { name, localFirewalled: firewalled, steps }
  }
  return run()
}
const A = '1.1.1.1'; const B = '2.2.2.2'; const C = '3.3.3.3'

// ---- schedules -----------------------------------------------------------------
const realSetTimeout = global.setTimeout
async function schedule (name, { isInitiator, local, remote, verified, stopAfter }) {
  // virtual clock: timers run in order without waiting
  let now = 0
  const timers = []
  let seq = 0
  global.setTimeout = (fn, ms) => { const t = { at: now + ms, fn, n: seq++ }; timers.push(t); return t }
  const clearT = global.clearTimeout
  global.clearTimeout = (t) => { const i = timers.indexOf(t); if (i >= 0) timers.splice(i, 1) }
  const sends = []
  let count = 0
  const dht = {
    firewalled: true,
    nodes: { length: 0, latest: null },
    stats: { punches: { consistent: 0, random: 0, open: 0 } },
    _randomPunches: 0,
    _lastRandomPunch: 0,
    _socketPool: {
      acquire () {
        const index = count++
        return { index, socket: { send (b, port, host, ttl) { sends.push({ at: now, socket: index, bytes: hex(b), to: host + ':' + port, ttl }); return Promise.resolve(true) } }, release () {}, onholepunchmessage () {} }
      }
    }
  }
  const p = new Holepuncher(dht, null, isInitiator, remote)
  let aborted = null
  p.onabort = () => { aborted = now }
  p.nat.firewall = local
  p.updateRemote({ punching: true, firewall: remote, addresses: [{ host: A, port: 1111 }, { host: B, port: 2222 }], verified: verified ? A : null })
  const flush = async () => { for (let i = 0; i < 600; i++) await null }
  const promise = p.punch()
  await flush()
  while (timers.length && now < (stopAfter || 1e9)) {
    timers.sort((x, y) => x.at - y.at || x.n - y.n)
    const t = timers.shift()
    now = t.at
    t.fn()
    await flush()
  }
  const result = await promise
  global.setTimeout = realSetTimeout
  global.clearTimeout = clearT
  const random = remote === FIREWALL.RANDOM
  const ports = random ? sends.map((s) => Number(s.to.split(':')[1])) : []
  return {
    name,
    isInitiator,
    local: FW[local],
    remote: FW[remote],
    firstAddressVerified: verified,
    punchReturned: result,
    probes: sends.length,
    socketsUsed: new Set(sends.map((s) => s.socket)).size,
    firstProbes: sends.slice(0, random ? 4 : 8).map((s) => ({ ...s, to: random ? A + ':<random>' : s.to })),
    lastProbeAt: sends.length ? sends[sends.length - 1].at : null,
    lowTTLProbes: sends.filter((s) => s.ttl === 5).length,
    byTime: compress(sends, random),
    randomPortRange: random ? [Math.min(...ports) >= 1000, Math.max(...ports) <= 65535] : undefined,
    abortedAt: aborted
  }
}
function compress (sends, random) {
  if (random || sends.length > 60) {
    const deltas = {}
    for (let i = 1; i < sends.length; i++) { const d = sends[i].at - sends[i - 1].at; deltas[d] = (deltas[d] || 0) + 1 }
    return { intervalHistogramMs: deltas }
  }
  return sends.map((s) => s.at + ' ms -> ' + s.to + ' ttl ' + s.ttl)
}

async function main () {
  const classification = [
    await classify('consistent', [[A, 10, 1], [A, 10, 2], [A, 10, 3], [A, 10, 4]]),
    await classify('all ports differ', [[A, 10, 1], [A, 11, 2], [A, 12, 3]]),
    await classify('same referrer counted once', [[A, 10, 1], [A, 10, 1], [A, 10, 1], [A, 10, 2], [A, 10, 3]]),
    await classify('two hits then odd ones, one host', [[A, 10, 1], [A, 10, 2], [A, 11, 3], [A, 12, 4]]),
    await classify('two and two on one host', [[A, 10, 1], [A, 11, 2], [A, 10, 3], [A, 11, 4]]),
    await classify('two and two on two hosts', [[A, 10, 1], [B, 11, 2], [A, 10, 3], [B, 11, 4]]),
    await classify('two hosts, two hits and two singles, fifth sample decides', [[A, 10, 1], [A, 10, 2], [B, 11, 3], [C, 12, 4], [B, 13, 5]]),
    await classify('consistent with one stray', [[A, 10, 1], [A, 11, 2], [A, 10, 3], [A, 10, 4]]),
    await classify('three hits on each of two hosts', [[A, 10, 1], [B, 20, 2], [A, 10, 3], [B, 20, 4], [A, 10, 5], [B, 20, 6]]),
    await classify('node is not firewalled', [[A, 10, 1]], false),
    await classify('frozen after three samples', [[A, 10, 1], [A, 10, 2], [A, 10, 3], [A, 99, 4], [A, 98, 5]], true, 3)
  ]
  const { CONSISTENT, RANDOM, OPEN, UNKNOWN } = FIREWALL
  const schedules = [
    await schedule('client, consistent to consistent', { isInitiator: true, local: CONSISTENT, remote: CONSISTENT, verified: true }),
    await schedule('server, consistent to consistent', { isInitiator: false, local: CONSISTENT, remote: CONSISTENT, verified: true }),
    await schedule('client, consistent to consistent, nothing verified', { isInitiator: true, local: CONSISTENT, remote: CONSISTENT, verified: false }),
    await schedule('open counts as consistent', { isInitiator: true, local: OPEN, remote: CONSISTENT, verified: true }),
    await schedule('consistent to random', { isInitiator: true, local: CONSISTENT, remote: RANDOM, verified: true }),
    await schedule('random to consistent (birthday sockets)', { isInitiator: true, local: RANDOM, remote: CONSISTENT, verified: true }),
    await schedule('consistent to random, unverified', { isInitiator: true, local: CONSISTENT, remote: RANDOM, verified: false, stopAfter: 5000 }),
    await schedule('random to random', { isInitiator: true, local: RANDOM, remote: RANDOM, verified: true, stopAfter: 5000 }),
    await schedule('unknown to consistent', { isInitiator: true, local: UNKNOWN, remote: CONSISTENT, verified: true, stopAfter: 5000 })
  ]
  writeJSON('nat.json', {
    about: 'classification: state after each sample. schedules: virtual time in ms from the call to punch; two remote addresses, the first one (1.1.1.1:1111) verified where said.',
    versions: versions(),
    firewall: FIREWALL,
    classification,
    schedules
  })
}
main().catch((err) => { console.error(err); process.exit(1) })
