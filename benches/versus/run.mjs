// Measures this library beside the JavaScript reference: same work, same machine, in turn, so that a noisy neighbour hurts both.
//
//   benches/versus/run [ROUNDS]        7 rounds unless told otherwise; prints medians and ratios
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { performance } from 'node:perf_hooks'

const root = fileURLToPath(new URL('../..', import.meta.url))
const kinds = {
  ours: [join(root, 'target/release/examples/peer')],
  node: ['node', join(root, 'benches/versus/peer.mjs')]
}
const rounds = Number(process.argv[2] ?? 7)
const children = new Set()
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

const table = []
await connects()
await programs()
print()
process.exit(0)

// From connect() to open, to the first echoed byte, and both: every pair of client and server, each on a DHT of ours and of Node's.
async function connects () {
  const nets = { ours: await start(kinds.ours, ['testnet', '4']), node: await start(kinds.node, ['testnet', '10']) }
  const cells = []
  for (const [net, { line }] of Object.entries(nets)) {
    const bootstrap = line.split(' ')[1]
    for (const [serverKind, server] of Object.entries(kinds)) {
      // The reference fails between two of its own processes on a DHT of fewer than ten nodes.
      const { line: key } = await start(server, ['server', bootstrap, 'echo', String(cells.length + 1)])
      for (const clientKind of Object.keys(kinds)) {
        if (net === 'ours' && clientKind === 'node' && serverKind === 'node') continue
        cells.push({ net, clientKind, serverKind, bootstrap, key: key.split(' ')[1], open: [], echo: [], total: [] })
      }
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const cell of cells) {
      const line = await output(kinds[cell.clientKind], ['client', cell.bootstrap, cell.key, 'connect', '50'])
      const [open, echo, total] = line.match(/[\d.]+(?= ms)/g).map(Number)
      cell.open.push(open)
      cell.echo.push(echo)
      cell.total.push(total)
    }
  }
  const reference = cells.find((cell) => cell.net === 'node' && cell.clientKind === 'node' && cell.serverKind === 'node')
  for (const cell of cells) {
    const name = `${cell.clientKind} to ${cell.serverKind}, DHT of ${cell.net === 'ours' ? '4 of ours' : '10 of node'}`
    row(`connect to open, ms: ${name}`, cell.open, reference.open)
    row(`first echo after open, ms: ${name}`, cell.echo, reference.echo)
    row(`connect to first echo, ms: ${name}`, cell.total, reference.total)
  }
  stopAll()
}

// The profile programs as a person starts them.
async function programs () {
  const folder = mkdtempSync(join(tmpdir(), 'versus-'))
  const bin = (name) => [join(root, 'target/release', name)]
  try {
    const { line } = await start(kinds.ours, ['testnet', '4'])
    const bootstrap = line.split(' ')[1]
    const server = await start(bin('profile-server'), ['--bootstrap', bootstrap, '--data-dir', join(folder, 'server')])
    const client = (...args) => output(bin('profile-client'), ['--bootstrap', bootstrap, '--server', server.line,
      '--identity', join(folder, 'identity'), ...args])
    await client('register', '--name', 'Ada')
    const times = []
    for (let round = 0; round < rounds; round++) {
      const start = performance.now()
      await client('show')
      times.push(performance.now() - start)
    }
    row('profile-client show, whole process, ms', times)
    row('profile-server idle, resident, MB', [resident(server.child.pid)])
    const peers = {}
    for (const [kind, command] of Object.entries(kinds)) {
      const { child } = await start(command, ['server', bootstrap, 'idle', '99'.slice(0, kind === 'ours' ? 1 : 2)])
      peers[kind] = [resident(child.pid)]
    }
    row('echo server idle, resident, MB', peers.ours, peers.node)
  } finally {
    stopAll()
    rmSync(folder, { recursive: true })
  }
}

function resident (pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(status.match(/VmRSS:\s+(\d+)/)[1]) / 1000
}

// Starts a peer that stays up, and returns it with its first line of output.
function start ([command, ...first], args) {
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${command} ${args.join(' ')} ended with ${code}`)))
    createInterface(child.stdout).once('line', (line) => resolve({ child, line }))
  })
}

// Runs a command to its end and returns what it printed.
function output ([command, ...first], args) {
  const child = spawn(command, [...first, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  let text = ''
  child.stdout.on('data', (data) => { text += data })
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      children.delete(child)
      if (code === 0) resolve(text)
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}`))
    })
  })
}

function stopAll () {
  for (const child of children) {
    child.removeAllListeners('exit')
    child.kill()
  }
  children.clear()
}

function row (name, values, reference) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted[sorted.length >> 1]
  const range = `${sorted[0].toFixed(2)} to ${sorted.at(-1).toFixed(2)}`
  const ratio = reference ? (middle / reference.toSorted((a, b) => a - b)[reference.length >> 1]).toFixed(2) : ''
  table.push([name, middle.toFixed(2), range, ratio])
}

function print () {
  const rows = [['what', 'median', 'range', 'against node to node'], ...table]
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd())
}
