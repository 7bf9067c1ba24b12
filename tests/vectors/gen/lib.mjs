// What the generators share: where their output goes, which versions made it, and small helpers.

import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** The packages of the reference that decide what the vectors contain. */
const PACKAGES = [
  'hyperdht', 'dht-rpc', '@hyperswarm/secret-stream', 'noise-handshake', 'noise-curve-ed', 'sodium-secretstream',
  'sodium-universal', 'sodium-native', 'blind-relay', 'protomux', 'udx-native', 'hypercore-crypto', 'compact-encoding'
]

/** Returns the installed versions of `packages`, for the member `versions` that each file carries. */
export function versions (packages = PACKAGES) {
  return Object.fromEntries(packages.map((name) => [name, version(name)]))
}

function version (name) {
  // Not every package exports its package.json, so the file is looked up on disk.
  for (const folder of require.resolve.paths(name)) {
    const file = path.join(folder, name, 'package.json')
    if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')).version
  }
  return null
}

/** Writes one file of vectors into the folder that OUT_DIR names. */
export function write (name, text) {
  const folder = process.env.OUT_DIR
  if (!folder) throw new Error('OUT_DIR does not name the folder to write to')
  if (text.length > 300 * 1024) throw new Error(`${name} is too large: ${text.length} bytes`)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, name), text)
}

export function writeJSON (name, value) {
  write(name, JSON.stringify(value, null, 1) + '\n')
}

export function writeLines (name, values) {
  write(name, values.map((value) => JSON.stringify(value) + '\n').join(''))
}

export function hex (bytes) {
  return bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('hex')
}

/** A holepunch payload in which nothing is set. */
export const EMPTY_HOLEPUNCH = {
  error: 0,
  firewall: 0,
  round: 0,
  connected: false,
  punching: false,
  addresses: null,
  remoteAddress: null,
  token: null,
  remoteToken: null
}

export const fill = (length, byte) => Buffer.alloc(length, byte)
export const seed = (byte) => fill(32, byte)

/** Returns `length` bytes that count up from `start`. */
export function counting (length, start = 0) {
  return Buffer.from(Array.from({ length }, (_, i) => (start + i) & 255))
}

/** Returns the JSON view of a decoded value: bytes become hexadecimal, absent members vanish. */
export function view (value) {
  if (value === null || typeof value !== 'object') return value
  if (ArrayBuffer.isView(value)) return hex(value)
  if (Array.isArray(value)) return value.map(view)
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(members.map(([name, member]) => [name, view(member)]))
}

/** Waits until streams in memory have nothing left to do: they use microtasks, some of them chained. */
export async function idle () {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** For recordings over sockets: nothing there signals that no further packet or timer comes. */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Ends a generator that leaves nodes or timers behind, once its output is written. */
export async function main (generate) {
  try {
    await generate()
    process.exit(0)
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}
