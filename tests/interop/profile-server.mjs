// profile-server.mjs BOOTSTRAP [SEED [RELAY]]
//
// A small profile server that keeps its records in memory. SEED is 64 hexadecimal digits or -, RELAY a key
// in 64 digits.
// Prints `key HEX` when it is announced, then `stored KEY VERSION` and `deleted KEY VERSION`.

import { DHT, guest, print, untilAsked } from './lib.mjs'
import {
  LINE_BYTES, Lines, PROFILE_BYTES, PROTOCOL, ProfileError, isObject, parseJson, verifyRecord
} from './profile.mjs'

const LINE_MS = 10_000
const IDLE_MS = 60_000
const MINUTE = 60_000
const MAX_CONNECTIONS = 4
const LIMITS = { write: 10, lookup: 60, refusal: 60 }

/** Key in hexadecimal to the record, or to { version } once deleted. */
const store = new Map()
/** Key to the connections that have proven it, oldest first. */
const connections = new Map()
/** Kind and key to the times of what counts against a limit. */
const counted = new Map()

const methods = {
  ping: () => ({}),
  'profile.get': (key) => ({ record: stored(key) }),
  'profile.lookup': (key, params) => {
    if (typeof params.key !== 'string' || !/^[0-9a-f]{64}$/i.test(params.key)) {
      throw rpcError(-32602, 'params: {key}')
    }
    count('lookup', key)
    return { record: stored(params.key.toLowerCase()) }
  },
  'profile.register': (key, params) => {
    const record = own(key, params)
    const before = store.get(key)
    if (same(before, record)) return { record: before }
    const version = before?.version ?? 0
    if (before?.profile) throw new ProfileError('already_registered', 'this key has a profile', { version })
    if (record.version !== version + 1) {
      throw new ProfileError('version_conflict', `sign version ${version + 1}`, { version })
    }
    return save(key, record)
  },
  'profile.update': (key, params) => {
    const record = own(key, params)
    const before = stored(key)
    if (same(before, record)) return { record: before }
    const { version } = before
    const follows = params.after === undefined
      ? record.version === version + 1
      : params.after === version && record.version > version
    if (!follows) throw new ProfileError('version_conflict', `version ${version} is stored`, { version })
    return save(key, record)
  },
  'profile.delete': (key, params) => {
    if (!Number.isSafeInteger(params.version)) throw rpcError(-32602, 'params: {version}')
    const before = store.get(key)
    if (before && !before.profile && before.version === params.version) return { deleted: true }
    const { version } = stored(key)
    if (params.version !== version) {
      throw new ProfileError('version_conflict', `version ${version} is stored`, { version })
    }
    count('write', key)
    store.set(key, { version })
    print('deleted', key, version)
    return { deleted: true }
  }
}

function stored (key) {
  const record = store.get(key)
  if (!record?.profile) throw new ProfileError('not_registered', 'this key has no profile')
  return record
}

/** Verifies the record of a request: it must be the caller's own. */
function own (key, params) {
  if (!isObject(params.record)) throw rpcError(-32602, 'params: {record}')
  const { parsed, ...record } = verifyRecord(params.record)
  if (record.key.toLowerCase() !== key) {
    throw new ProfileError('bad_signature', 'this is another key\'s record')
  }
  return record
}

function same (a, b) {
  return a?.profile === b.profile && a?.version === b.version
}

function save (key, record) {
  count('write', key)
  store.set(key, record)
  print('stored', key, record.version)
  return { record }
}

/** Counts one event against a limit per minute. */
function count (kind, key) {
  const now = Date.now()
  const recent = (counted.get(kind + key) ?? []).filter((time) => time > now - MINUTE)
  if (recent.length >= LIMITS[kind]) {
    const retryAfter = Math.ceil((recent[0] + MINUTE - now) / 1000)
    throw new ProfileError('too_many', 'too many requests', { retryAfter })
  }
  counted.set(kind + key, [...recent, now])
}

function rpcError (code, message) {
  return Object.assign(new Error(message), { code })
}

/** Answers one line; undefined for a notification. */
function answer (key, line) {
  let id = null
  try {
    let request
    try {
      request = parseJson(line)
    } catch {
      throw rpcError(-32700, 'not a line of JSON, at most 8 deep')
    }
    const hasId = Number.isSafeInteger(request?.id) ||
      (typeof request?.id === 'string' && Buffer.byteLength(request.id) <= 64)
    if (hasId) id = request.id
    const { jsonrpc, method, params = {} } = Object(request)
    if (jsonrpc !== '2.0' || typeof method !== 'string') throw rpcError(-32600, 'not a request')
    if (request.id === undefined) return
    if (!hasId) throw rpcError(-32600, 'an id is an integer or a short string')
    if (!Object.hasOwn(methods, method)) throw rpcError(-32601, 'no such method')
    if (!isObject(params)) throw rpcError(-32602, 'params are an object')
    return { jsonrpc: '2.0', id, result: methods[method](key, params) }
  } catch (error) {
    let failure = error
    try {
      count('refusal', key)
    } catch (tooMany) {
      failure = tooMany
    }
    const { code = -32000, message, kind, data } = failure
    return { jsonrpc: '2.0', id, error: { code, message, ...(kind && { data: { kind, ...data } }) } }
  }
}

function serve (socket) {
  const key = socket.remotePublicKey.toString('hex')
  const lines = new Lines()
  let proven = false
  let lineTimer
  const idleTimer = setTimeout(() => socket.end(), IDLE_MS)
  const send = (message) => socket.write(JSON.stringify(message) + '\n')

  const known = store.get(key)
  const limits = { profileBytes: PROFILE_BYTES, lineBytes: LINE_BYTES }
  const record = known?.profile ? known : null
  send({ jsonrpc: '2.0', method: 'hello', params: { protocol: PROTOCOL, record, limits } })

  socket.on('data', (data) => {
    // Data has been decrypted with the key that the peer claimed: only now is it the peer's.
    if (!proven) enter(key, socket)
    proven = true
    try {
      for (const line of lines.push(data)) {
        idleTimer.refresh()
        const reply = answer(key, line)
        if (reply) send(reply)
      }
    } catch {
      send({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'the line is too long' } })
      socket.end()
    }
    if (lines.pending) lineTimer ??= setTimeout(() => socket.destroy(), LINE_MS)
    else lineTimer = clearTimeout(lineTimer)
  })
  socket.on('end', () => socket.end())
  socket.on('error', () => {})
  socket.on('close', () => {
    clearTimeout(idleTimer)
    clearTimeout(lineTimer)
    connections.get(key)?.delete(socket)
    if (connections.get(key)?.size === 0) connections.delete(key)
  })
}

/** Counts a connection of a proven key and closes the oldest of too many. */
function enter (key, socket) {
  const open = connections.get(key) ?? new Set()
  connections.set(key, open.add(socket))
  if (open.size <= MAX_CONNECTIONS) return
  const [oldest] = open
  open.delete(oldest)
  oldest.destroy()
}

const [bootstrap, seed, relay] = process.argv.slice(2)
const keyPair = DHT.keyPair(seed && seed !== '-' ? Buffer.from(seed, 'hex') : undefined)
const node = await guest(bootstrap)
const server = node.createServer({ relayThrough: relay && Buffer.from(relay, 'hex') }, serve)
untilAsked(() => node.destroy())
await server.listen(keyPair)
print('key', keyPair.publicKey.toString('hex'))
