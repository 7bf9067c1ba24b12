// Starts peers and reads what they print and use.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const built = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
const example = (name) => join(built, 'release/examples', name)
const node = ['node', join(root, 'benches/versus/peer.mjs')]

export const program = (name) => [join(built, 'release', name)]
export const peers = { ours: [example('peer')], node }
export const plain = {
  ours: { server: [example('plain'), 'server'], client: [example('plain'), 'client'] },
  node: { server: [...node, 'plain-server'], client: [...node, 'plain-client'] }
}
export const tool = [example('plain')]
export const channels = { ours: [example('channels')], node: ['node', join(root, 'benches/versus/calls.mjs')] }

const children = new Set()
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

// Starts a peer that stays up, and returns it with its first line of output.
export function start ([command, ...first], args) {
  const { child, ended } = run(command, [...first, ...args])
  return new Promise((resolve, reject) => {
    ended.then(reject, reject)
    createInterface(child.stdout).once('line', (line) => {
      ended.catch(() => {})
      resolve({ child, ended, line, word: line.split(' ')[1] })
    })
  })
}

// Runs a command to its end and returns what it printed.
export function output ([command, ...first], args) {
  return run(command, [...first, ...args]).ended
}

function run (command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  let text = ''
  child.stdout.on('data', (data) => { text += data })
  const ended = new Promise((resolve, reject) => {
    child.once('close', (code) => {
      children.delete(child)
      if (code === 0) resolve(text)
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}`))
    })
  })
  return { child, ended }
}

export function stop (...started) {
  for (const { child, ended } of started) {
    ended.catch(() => {})
    child.kill()
  }
}

// Seconds of processor time, the system's share included.
export function processorTime ({ child }) {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

// Megabytes of memory in use.
export function resident ({ child }) {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(status.match(/VmRSS:\s+(\d+)/)[1]) * 1024 / 1e6
}
