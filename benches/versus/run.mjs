// Measures this library beside the JavaScript reference: same work, same machine, in turn, so that a noisy neighbour hurts both.
//
//   benches/versus/run [ROUNDS] [SECTION...]
//
// 7 rounds unless told otherwise, and all sections: stream, plain, lossy, many, ping, beside, rate, connect, calls, tunnel, memory, programs.
// Prints medians, ranges, ratios and the goals. Ratios are against Node to Node unless the goal says otherwise.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { channels, output, peers, plain, processorTime, program, resident, start, stop, tool } from './processes.mjs'
import { median, print, row } from './table.mjs'

const sections = { stream, plain: plainStreams, lossy, many, ping, beside, rate, connect, calls, tunnel, memory, programs }
const rounds = Number(process.argv[2] ?? 7)
const wanted = process.argv.slice(3)
const pairs = [['ours', 'ours'], ['ours', 'node'], ['node', 'ours'], ['node', 'node']]
const name = ([client, server]) => `${client} to ${server}`
const number = (text, pattern) => Number(text.match(pattern)[1])
const rateOf = (text) => number(text, /([\d.]+) MB\/s/)

// What later sections compare with.
const plainCost = {}
for (const section of wanted.length ? wanted : ['plain', ...Object.keys(sections).filter((name) => name !== 'plain')]) {
  await sections[section]()
}
print()
process.exit(0)

// One encrypted connection, one way, every pair.
async function stream () {
  const world = await servers('sink')
  const cells = pairs.map((pair) => ({ pair, rate: [], sender: [], receiver: [] }))
  const bound = { push: [], pull: [] }
  for (let round = 0; round < rounds; round++) {
    for (const cell of cells) {
      const [client, server] = cell.pair
      const megabytes = client === 'ours' && server === 'ours' ? 1000 : 300
      const before = processorTime(world[server])
      const text = await output(peers[client], ['client', world.bootstrap, world[server].word, 'stream', String(megabytes)])
      cell.rate.push(rateOf(text))
      cell.sender.push(number(text, /cpu ([\d.]+) s/) * 1e3 / megabytes)
      cell.receiver.push((processorTime(world[server]) - before) * 1e3 / megabytes)
    }
    const text = await output(peers.ours, ['bound'])
    bound.push.push(number(text, /push (\d+)/))
    bound.pull.push(number(text, /pull (\d+)/))
  }
  world.stop()
  const reference = median(cells.at(-1).rate)
  const goals = { 'ours to ours': 4.5, 'ours to node': 1.15, 'node to ours': 1.3 }
  for (const { pair, rate, sender, receiver } of cells) {
    const ratio = median(rate) / reference
    const goal = goals[name(pair)]
    row(`one connection, MB/s: ${name(pair)}`, rate, { ratio, goal: goal ? `at least ${goal}` : '', met: goal && ratio >= goal })
    row('  its sender, processor ms per MB', sender)
    row('  its receiver, processor ms per MB', receiver)
  }
  row('encryption alone, MB per core second', bound.push)
  row('decryption alone, MB per core second', bound.pull)
  if (plainCost.send) {
    const costs = [median(bound.push), median(bound.pull), plainCost.send, plainCost.recv]
    const most = 2 / costs.reduce((sum, rate) => sum + 1 / rate, 0)
    const ratio = median(cells[0].rate) / most
    row('the bound of one connection, MB/s', [most], { ratio, goal: 'ours to ours reaches 0.8 of it', met: ratio >= 0.8 })
  }
}

// One stream without encryption.
async function plainStreams () {
  const cells = { ours: { rate: [], send: [], recv: [] }, node: { rate: [], send: [], recv: [] } }
  for (let round = 0; round < rounds; round++) {
    for (const [kind, cell] of Object.entries(cells)) {
      const megabytes = kind === 'ours' ? 2000 : 300
      const { rate, send, recv } = await plainTransfer(kind, megabytes)
      cell.rate.push(rate)
      cell.send.push(megabytes / send)
      cell.recv.push(megabytes / recv)
    }
  }
  const ratio = median(cells.ours.rate) / median(cells.node.rate)
  row('plain UDX, MB/s: ours', cells.ours.rate, { ratio, goal: 'at least 5', met: ratio >= 5 })
  row('plain UDX, MB/s: udx-native in Node', cells.node.rate)
  for (const [kind, { send, recv }] of Object.entries(cells)) {
    row(`  sending, MB per core second: ${kind}`, send)
    row(`  receiving, MB per core second: ${kind}`, recv)
  }
  plainCost.send = median(cells.ours.send)
  plainCost.recv = median(cells.ours.recv)
}

// The same over a path of 20 ms that loses one datagram in a hundred.
async function lossy () {
  const cells = { ours: { rate: [], send: [] }, node: { rate: [], send: [] } }
  for (let round = 0; round < rounds; round++) {
    for (const [kind, cell] of Object.entries(cells)) {
      const { rate, send } = await plainTransfer(kind, 200, ['10', '1'])
      cell.rate.push(rate)
      cell.send.push(send * 1e3 / 200)
    }
  }
  const rate = median(cells.ours.rate) / median(cells.node.rate)
  const cost = median(cells.ours.send) / median(cells.node.send)
  row('plain UDX, 20 ms, 1 % loss, MB/s: ours', cells.ours.rate, { ratio: rate, goal: 'at least 1', met: rate >= 1 })
  row('plain UDX, 20 ms, 1 % loss, MB/s: udx-native in Node', cells.node.rate)
  row('  sender, processor ms per MB: ours', cells.ours.send, { ratio: cost, goal: 'at most 0.5', met: cost <= 0.5 })
  row('  sender, processor ms per MB: udx-native in Node', cells.node.send)
}

// Sends over one stream without encryption; returns MB/s and the seconds of processor time of both sides.
async function plainTransfer (kind, megabytes, path) {
  const server = await start(plain[kind].server, ['sink'])
  const forwarder = path && await start(tool, ['forward', server.word, ...path])
  const text = await output(plain[kind].client, [(forwarder ?? server).word, 'stream', String(megabytes)])
  const received = await server.ended
  if (forwarder) stop(forwarder)
  const cpu = (text) => number(text, /cpu ([\d.]+) s/)
  return { rate: rateOf(text), send: cpu(text), recv: cpu(received) }
}

// A hundred connections at once against one.
async function many () {
  const world = await servers('sink')
  const cells = { ours: { one: [], many: [] }, node: { one: [], many: [] } }
  for (let round = 0; round < rounds; round++) {
    for (const [kind, cell] of Object.entries(cells)) {
      const megabytes = kind === 'ours' ? '1000' : '300'
      for (const [what, values] of [['stream', cell.one], ['streams', cell.many]]) {
        values.push(rateOf(await output(peers[kind], ['client', world.bootstrap, world[kind].word, what, megabytes])))
      }
    }
  }
  world.stop()
  for (const [kind, cell] of Object.entries(cells)) {
    const ratio = median(cell.many) / median(cell.one)
    const goal = kind === 'ours' ? { goal: 'at least 0.9 of one', met: ratio >= 0.9 } : {}
    row(`100 connections, MB/s together: ${kind}`, cell.many, { ratio, ...goal })
  }
}

// Round trips of 64 bytes. A bare UDP socket is measured under a thread that blocks, and under a runtime.
async function ping () {
  const world = await servers('echo')
  const quick = await start([...peers.ours, '--low-latency'], ['server', world.bootstrap, 'echo', '3'])
  const cells = { udp: [], 'udp, in tasks': [], ours: [], 'ours, low latency': [], node: [], 'ours, plain': [], 'node, plain': [] }
  const p50 = (text) => number(text, /p50 ([\d.]+)/)
  for (let round = 0; round < rounds; round++) {
    for (const [what, cell] of [['udp', cells.udp], ['tasks', cells['udp, in tasks']]]) {
      const udp = await start(tool, [`${what}-server`])
      cell.push(p50(await output(tool, [`${what}-client`, udp.word, '5000'])))
      stop(udp)
    }
    const client = ['client', world.bootstrap, quick.word, 'ping', '5000']
    cells['ours, low latency'].push(p50(await output([...peers.ours, '--low-latency'], client)))
    for (const kind of ['ours', 'node']) {
      cells[kind].push(p50(await output(peers[kind], ['client', world.bootstrap, world[kind].word, 'ping', '5000'])))
      const server = await start(plain[kind].server, ['echo'])
      cells[`${kind}, plain`].push(p50(await output(plain[kind].client, [server.word, 'ping', '5000'])))
      stop(server)
    }
  }
  stop(quick)
  world.stop()
  const bare = median(cells['udp, in tasks'])
  for (const [kind, values] of Object.entries(cells)) {
    const ratio = median(values) / bare
    const goal = kind === 'ours' ? { goal: 'at most 1.4 of UDP in tasks', met: ratio <= 1.4 } : {}
    row(`round trip of 64 bytes, median, µs: ${kind}`, values, { ratio, ...goal })
  }
}

// The same while another connection of the same node sends at full speed.
async function beside () {
  const world = await servers('mixed')
  const cells = { ours: { p99: [], rate: [] }, node: { p99: [], rate: [] } }
  for (let round = 0; round < rounds; round++) {
    for (const [kind, cell] of Object.entries(cells)) {
      const text = await output(peers[kind], ['client', world.bootstrap, world[kind].word, 'beside', '300'])
      cell.p99.push(number(text, /p99 ([\d.]+)/) / 1000)
      cell.rate.push(rateOf(text))
    }
  }
  world.stop()
  const limit = Math.max(5, median(cells.node.p99) / 4)
  const met = median(cells.ours.p99) <= limit
  const ratio = median(cells.ours.p99) / median(cells.node.p99)
  row('echo of 64 bytes beside a bulk transfer, p99, ms: ours', cells.ours.p99, { ratio, goal: `at most ${limit.toFixed(1)} ms`, met })
  row('echo of 64 bytes beside a bulk transfer, p99, ms: node', cells.node.p99)
  row('  the transfer meanwhile, MB/s: ours', cells.ours.rate)
  row('  the transfer meanwhile, MB/s: node', cells.node.rate)
}

// Connections per second, 32 at once, to one server.
async function rate () {
  const world = await servers('idle')
  const cells = { ours: [], node: [] }
  for (let round = 0; round < rounds; round++) {
    for (const [kind, values] of Object.entries(cells)) {
      const count = kind === 'ours' ? '3000' : '500'
      const text = await output(peers[kind], ['client', world.bootstrap, world[kind].word, 'rate', count])
      values.push(number(text, /rate ([\d.]+)/))
    }
  }
  world.stop()
  const ratio = median(cells.ours) / median(cells.node)
  row('connections per second: ours', cells.ours, { ratio, goal: 'at least 6', met: ratio >= 6 })
  row('connections per second: node', cells.node)
}

// From connect() to open, to the first echoed byte, and both: every pair.
async function connect () {
  const world = await servers('echo')
  const cells = pairs.map((pair) => ({ pair, open: [], echo: [], total: [] }))
  for (let round = 0; round < rounds; round++) {
    for (const cell of cells) {
      const [client, server] = cell.pair
      const line = await output(peers[client], ['client', world.bootstrap, world[server].word, 'connect', '50'])
      const [open, echo, total] = line.match(/[\d.]+(?= ms)/g).map(Number)
      cell.open.push(open)
      cell.echo.push(echo)
      cell.total.push(total)
    }
  }
  world.stop()
  const reference = cells.at(-1)
  for (const cell of cells) {
    const goal = name(cell.pair) === 'ours to ours' ? { goal: 'at most 1.2 ms', met: median(cell.open) <= 1.2 } : {}
    row(`connect to open, ms: ${name(cell.pair)}`, cell.open, { ratio: median(cell.open) / median(reference.open), ...goal })
    row(`first echo after open, ms: ${name(cell.pair)}`, cell.echo, { ratio: median(cell.echo) / median(reference.echo) })
    row(`connect to first echo, ms: ${name(cell.pair)}`, cell.total, { ratio: median(cell.total) / median(reference.total) })
  }
}

// A thousand calls at once over one connection: every pair.
async function calls () {
  const net = await start(peers.ours, ['testnet', '10'])
  const started = { ours: await start(channels.ours, ['calls-server', net.word]), node: await start(channels.node, ['calls-server', net.word]) }
  const cells = pairs.map((pair) => ({ pair, times: [] }))
  for (let round = 0; round < rounds; round++) {
    for (const { pair: [client, server], times } of cells) {
      const text = await output(channels[client], ['calls-client', net.word, started[server].word, '1000'])
      times.push(number(text, /median ([\d.]+) ms/))
    }
  }
  stop(net, ...Object.values(started))
  const reference = median(cells.at(-1).times)
  for (const { pair, times } of cells) {
    const ratio = median(times) / reference
    const goal = name(pair) === 'ours to ours' ? { goal: 'at most 1', met: ratio <= 1 } : {}
    row(`1,000 calls at once, ms: ${name(pair)}`, times, { ratio, ...goal })
  }
}

// TCP connections through a tunnel, beside one connection of the DHT for each, and straight to the server.
async function tunnel () {
  const net = await start(peers.ours, ['testnet', '10'])
  const sink = await start(channels.ours, ['sink'])
  const cells = []
  for (const [kind, bare] of [['straight'], ['a connection each', ['bare']], ['one tunnel', []]]) {
    const server = bare && await start(channels.ours, ['tunnel-server', net.word, sink.word, ...bare])
    const client = bare && await start(channels.ours, ['tunnel-client', net.word, server.word, ...bare])
    for (const count of [1, 100, 1000]) cells.push({ kind, count, address: (client ?? sink).word, rates: [], failed: 0 })
  }
  for (let round = 0; round < rounds; round++) {
    for (const cell of cells) {
      const megabytes = cell.kind === 'straight' ? '4000' : '800'
      const text = await output(channels.ours, ['send', cell.address, String(cell.count), megabytes])
      cell.rates.push(rateOf(text))
      cell.failed += number(text, /(\d+) failed/)
    }
  }
  for (const { kind, count, rates, failed } of cells) {
    const straight = cells.find((cell) => cell.kind === 'straight' && cell.count === count)
    const ratio = median(rates) / median(straight.rates)
    const least = Math.min(450, 0.9 * median(straight.rates))
    const goal = kind === 'one tunnel' ? { goal: `at least ${least.toFixed(0)}, 0 failed`, met: median(rates) >= least && failed === 0 } : {}
    row(`${count} TCP connections, MB/s: ${kind}`, rates, { ratio, ...goal })
  }
}

// Memory of a server that listens, and of idle connections on it.
async function memory () {
  for (const [kind, count] of [['node', 1000], ['ours', 10_000]]) {
    const world = await servers('idle', [kind])
    const server = world[kind]
    const base = resident(server)
    const text = await start(peers[kind], ['client', world.bootstrap, server.word, 'idle', String(count)])
    if (!text.line.includes(' 0 failed')) console.error(text.line)
    const held = resident(server)
    const before = processorTime(server)
    await new Promise((resolve) => setTimeout(resolve, 20_000))
    const share = (processorTime(server) - before) / 20
    const each = (held - base) * 1000 / count
    const goal = (limit, value, unit) => kind === 'ours' ? { goal: `at most ${limit} ${unit}`, met: value <= limit } : {}
    row(`echo server, MB: ${kind}`, [base], goal(6, base, 'MB'))
    row(`per idle connection of ${count}, KB: ${kind}`, [each], goal(8, each, 'KB'))
    row(`${count} idle connections, % of a core: ${kind}`, [share * 100], goal(5, share * 100, '%'))
    stop(text)
    world.stop()
  }
}

// The profile programs as a person starts them.
async function programs () {
  const folder = mkdtempSync(join(tmpdir(), 'versus-'))
  const net = await start(peers.ours, ['testnet', '4'])
  const server = await start(program('profile-server'), ['--bootstrap', net.word, '--data-dir', join(folder, 'server')])
  const client = (...args) => output(program('profile-client'), ['--bootstrap', net.word, '--server', server.line,
    '--identity', join(folder, 'identity'), ...args])
  await client('register', '--name', 'Ada')
  const times = []
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    await client('show')
    times.push(performance.now() - start)
  }
  row('profile-client show, whole process, ms', times)
  row('profile-server idle, MB', [resident(server)])
  stop(server, net)
  rmSync(folder, { recursive: true })
}

// One server of each kind on a DHT of ten nodes: the reference fails between two of its own processes on a smaller one.
async function servers (mode, kinds = ['ours', 'node']) {
  const net = await start(peers.ours, ['testnet', '10'])
  const world = { bootstrap: net.word }
  for (const [index, kind] of kinds.entries()) {
    world[kind] = await start(peers[kind], ['server', net.word, mode, String(index + 1)])
  }
  world.stop = () => stop(net, ...kinds.map((kind) => world[kind]))
  return world
}
