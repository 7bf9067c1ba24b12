// profile-client.mjs --server KEY [--bootstrap HOST:PORT] [--relay KEY] [--identity FILE] [COMMAND]
//
// A client of a profile server in plain JavaScript. Commands:
//   (none)                   print the greeting of the server
//   register --name NAME [--bio TEXT] [--link URL]... [--field KEY=VALUE]...
//   show                     print my profile
//   update                   like register; what is not named stays
//   delete                   delete my profile
//   lookup KEY               print another's profile
//   watch KEY COUNT          print another's profile COUNT times: now, and after each change
//   publish                  put my profile into the DHT
//   published KEY            print what the owner of a key has put there; --server is not used
// Prints one JSON object: {"public_key", "version", "profile"}, or {"error": {"kind", "message"}} and exits
// 1.
// Where several servers have the key, it goes on at another one when its own has died.
// With --timing it joins the network first, and adds "connected": the milliseconds from then to the greeting.
//
// The identity file is the one that the Rust profile-client makes and reads.

import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import { parseArgs } from 'node:util'
import z32 from 'z32'
import { DHT, guest } from './lib.mjs'
import {
  Lines, PROTOCOL, ProfileError, isObject, parseJson, printable, signRecord, verifyRecord
} from './profile.mjs'

const IDENTITY = 'HYPERPROFILE-SECRET-1 '

/** One connection to a server: knows our record, sends requests, verifies everything that comes back. */
class ProfileClient {
  #socket
  #keyPair
  #seen
  #nextId = 1
  #waiting = new Map()
  #greeted
  #changed

  /** Connects; `seen` remembers the highest version that we signed or saw for each server. */
  static async open (node, server, keyPair, seen, relayThrough) {
    const client = new ProfileClient()
    const socket = node.connect(server, { keyPair, relayThrough })
    const lines = new Lines()
    client.#socket = socket
    client.#keyPair = keyPair
    client.#seen = seen
    client.#greeted = new Promise((resolve, reject) => client.#waiting.set('hello', { resolve, reject }))
    socket.on('data', (data) => {
      try {
        for (const line of lines.push(data)) client.#receive(line)
      } catch (error) {
        socket.destroy(error)
      }
    })
    socket.on('error', (error) => client.#fail(error))
    socket.on('end', () => socket.end())
    const closed = new ProfileError('closed_early', 'the server closed the connection')
    socket.on('close', () => client.#fail(closed))
    const { protocol, record } = await client.#within(10, client.#greeted)
    if (protocol !== PROTOCOL) {
      throw new ProfileError('protocol', 'the server speaks another version of the protocol')
    }
    client.record = await client.#checked(record)
    return client
  }

  /** Registers a profile; a key that was deleted before goes on after its last version. */
  async register (profile) {
    if (this.record) {
      // Nothing is signed that cannot be stored: a signed version is used up.
      if (this.record.profile === JSON.stringify(profile)) return this.record
      throw new ProfileError('already_registered', 'this key has a profile here, update it')
    }
    const version = this.#seen.version + 1
    try {
      return await this.#write('profile.register', profile, version)
    } catch (error) {
      const last = error.data?.version
      if (error.kind !== 'version_conflict' || !(last >= version)) throw error
      return await this.#write('profile.register', profile, last + 1)
    }
  }

  /** Replaces the profile. Two records never share a version, even if the server lost the newer ones. */
  async update (profile) {
    if (!this.record) throw new ProfileError('not_registered', 'this key has no profile here')
    const stored = this.record.version
    const version = Math.max(stored, this.#seen.version) + 1
    return this.#write('profile.update', profile, version, version > stored + 1 ? { after: stored } : {})
  }

  async get () {
    return this.#checked((await this.request('profile.get', {})).record)
  }

  async delete () {
    if (!this.record) throw new ProfileError('not_registered', 'this key has no profile here')
    await this.request('profile.delete', { version: this.record.version })
    this.record = null
  }

  async lookup (key) {
    const record = verifyRecord((await this.request('profile.lookup', { key })).record)
    if (record.key.toLowerCase() !== key) {
      throw new ProfileError('protocol', 'the server answered with another record')
    }
    return record
  }

  /** Calls `changed` with the record of a key, or null: now, and after each change. */
  async watch (key, changed) {
    this.#changed = ({ key: changedKey, record }) => {
      if (changedKey !== key) throw new ProfileError('protocol', 'the server showed what nobody watches')
      if (record && verifyRecord(record).key.toLowerCase() !== key) {
        throw new ProfileError('protocol', 'the server showed another record')
      }
      changed(record && verifyRecord(record))
    }
    await this.request('profile.watch', { keys: [key] })
  }

  /** Sends a request and returns its result. */
  request (method, params) {
    const id = this.#nextId++
    this.#socket.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\n')
    return this.#within(4, new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject })))
  }

  /** Ends the connection if an answer takes longer: the reference never gives up an idle one by itself. */
  async #within (seconds, answer) {
    let timer
    const silence = new Promise((resolve, reject) => {
      timer = setTimeout(() => {
        reject(new ProfileError('silent', 'the server does not answer'))
        this.#socket.destroy()
      }, seconds * 1000)
    })
    try {
      return await Promise.race([answer, silence])
    } finally {
      clearTimeout(timer)
    }
  }

  async close () {
    if (this.#socket.destroyed) return
    // What we came for has been answered: how the server takes its leave is its own affair.
    const closed = new Promise((resolve) => this.#socket.once('close', resolve))
    this.#socket.end()
    await closed
  }

  async #write (method, profile, version, more = {}) {
    const record = signRecord(this.#keyPair, version, JSON.stringify(profile))
    verifyRecord(record)
    // Remembered before it is sent: even if the request fails, this version is used up.
    await this.#seen.remember(version)
    const result = await this.request(method, { record, ...more })
    this.record = await this.#checked(result.record)
    return this.record
  }

  /** Verifies a record of our own. */
  async #checked (record) {
    if (record === null) return null
    const checked = verifyRecord(record)
    if (checked.key.toLowerCase() !== this.#keyPair.publicKey.toString('hex')) {
      throw new ProfileError('protocol', 'the server showed another record as ours')
    }
    if (checked.version < this.#seen.version) {
      console.error('note: the server holds an older version than it once did')
    }
    await this.#seen.remember(checked.version)
    return checked
  }

  #receive (line) {
    let message
    try {
      message = parseJson(line)
    } catch {
      throw new ProfileError('protocol', 'the server sent something else than JSON')
    }
    if (!isObject(message)) {
      throw new ProfileError('protocol', 'the server sent something else than an object')
    }
    if (message.method === 'profile.changed') return this.#changed?.(Object(message.params))
    const id = message.method === 'hello' ? 'hello' : message.id
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (id === 'hello') waiting?.resolve(Object(message.params))
    else if (isObject(message.error)) {
      const { code, message: text, data } = message.error
      waiting?.reject(new ProfileError(data?.kind ?? `code ${code}`, text, data))
    } else waiting?.resolve(Object(message.result))
  }

  #fail (error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

/** Reads the identity file, or makes one that only its owner can read. */
async function identity (file) {
  if (!file) return randomBytes(32)
  try {
    const seed = randomBytes(32)
    const secret = z32.encode(Buffer.concat([seed, DHT.hash(seed).subarray(0, 4)]))
    const key = z32.encode(DHT.keyPair(seed).publicKey)
    const text = `# public key: ${key}\n${IDENTITY}${secret}\n`
    await fs.writeFile(file, text, { mode: 0o600, flag: 'wx', flush: true })
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
  const lines = (await fs.readFile(file, 'utf8')).split('\n').map((line) => line.trim())
  const line = lines.find((line) => line.startsWith(IDENTITY)) ?? ''
  const bytes = Buffer.from(z32.decode(line.slice(IDENTITY.length))).subarray(0, 36)
  const seed = bytes.subarray(0, 32)
  if (!bytes.subarray(32).equals(DHT.hash(seed).subarray(0, 4))) {
    throw new ProfileError('identity', 'the identity file is damaged')
  }
  return seed
}

/** Remembers, beside the identity, the highest version used with each server. */
async function seenVersions (file, server) {
  const path = file && `${file}.versions.json`
  const all = path ? JSON.parse(await fs.readFile(path, 'utf8').catch(() => '{}')) : {}
  return {
    version: all[server] ?? 0,
    async remember (version) {
      if (version <= this.version) return
      this.version = all[server] = version
      if (!path) return
      await fs.writeFile(`${path}.new`, JSON.stringify(all), { flush: true })
      await fs.rename(`${path}.new`, path)
    }
  }
}

function parseKey (text) {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (/^[a-z0-9]{52}$/.test(text)) return Buffer.from(z32.decode(text)).subarray(0, 32)
  throw new ProfileError('usage', 'a key has 52 characters of z-base-32 or 64 hexadecimal digits')
}

/** Lays the fields named on the command line over a profile. */
function edited (profile, options) {
  const edited = { ...profile }
  if (options.name !== undefined) edited.name = options.name
  if (options.bio !== undefined) edited.bio = options.bio
  if (options.link) edited.links = options.link
  for (const field of options.field ?? []) {
    const at = field.indexOf('=')
    if (at < 0) throw new ProfileError('usage', 'a field is KEY=VALUE')
    edited.fields = { ...edited.fields, [field.slice(0, at)]: field.slice(at + 1) }
  }
  return edited
}

const MAGIC = Buffer.from('hyperprofile')
const [WHOLE, IN_PARTS, WITHDRAWN] = [1, 2, 3]

/** Puts a record into the DHT, its text in parts if it is long. */
async function publish (node, keyPair, record) {
  const text = Buffer.from(record.profile)
  const parts = []
  for (let at = 0; text.length > 1600 && at < text.length; at += 1800) {
    parts.push((await node.immutablePut(text.subarray(at, at + 1800))).hash)
  }
  const version = Buffer.alloc(8)
  version.writeBigUInt64LE(BigInt(record.version))
  const head = [MAGIC, Buffer.of(parts.length ? IN_PARTS : WHOLE), version, Buffer.from(record.signature, 'hex')]
  const value = Buffer.concat([...head, ...(parts.length ? parts : [text])])
  const stored = await node.mutableGet(keyPair.publicKey)
  await node.mutablePut(keyPair, value, { seq: (stored?.seq ?? 0) + 1 })
  return record
}

/** Reads the record of a key from the DHT, and verifies it. */
async function published (node, key) {
  const { value } = await node.mutableGet(key) ?? {}
  const kind = value?.subarray(0, 12).equals(MAGIC) ? value[12] : WITHDRAWN
  if (kind === WITHDRAWN) throw new ProfileError('not_registered', 'the DHT has no profile of this key')
  const rest = value.subarray(85)
  const parts = []
  for (let at = 0; kind === IN_PARTS && at < rest.length; at += 32) {
    parts.push((await node.immutableGet(rest.subarray(at, at + 32))).value)
  }
  return verifyRecord({
    key: key.toString('hex'),
    version: Number(value.readBigUInt64LE(13)),
    profile: (kind === IN_PARTS ? Buffer.concat(parts) : rest).toString(),
    signature: value.toString('hex', 21, 85)
  })
}

/** Prints the record of a key as often as it was asked for; `shown` goes on over connections. */
async function watch (client, key, count, shown) {
  let timer
  try {
    await new Promise((resolve, reject) => {
      const changed = (record) => {
        const version = record?.version ?? null
        // A new connection shows what is known.
        if (version === shown.version) return
        shown.version = version
        print(record, key)
        if (++shown.count === count) resolve()
      }
      client.watch(key.toString('hex'), changed).catch(reject)
      timer = setInterval(() => client.request('ping', {}).catch(reject), 3000)
    })
  } finally {
    clearInterval(timer)
  }
}

/** Errors that another server with the same key does not have, once it has taken over. */
const PASSING = ['closed_early', 'silent', 'PEER_CONNECTION_FAILED', 'ETIMEDOUT', 'ECONNRESET', 'HOLEPUNCH_ABORTED']
/** How long another server is looked for. */
const TAKEOVER = 15_000

/** Connects and does the work, and does both again at another server if this one dies. */
async function visit (connect, work) {
  let [greeted, since] = [false, null]
  for (;;) {
    try {
      const client = await connect()
      const repeated = greeted
      ;[greeted, since] = [true, null]
      await work(client, repeated)
      return client
    } catch (error) {
      since ??= performance.now()
      const passes = PASSING.includes(error.kind ?? error.code) || (greeted && error.code === 'PEER_NOT_FOUND')
      if (!passes || performance.now() - since > TAKEOVER) throw error
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

async function run (client, command, argument, options) {
  switch (command) {
    case undefined: return client.record
    case 'register': return client.register(edited({}, options))
    case 'show': return client.get()
    case 'update': return client.update(edited(client.record?.parsed, options))
    case 'delete': return client.record || !options.repeated ? client.delete() : null
    case 'lookup': return client.lookup(parseKey(argument ?? '').toString('hex'))
    default: throw new ProfileError('usage', 'commands: register, show, update, delete, lookup KEY')
  }
}

let node
try {
  const { values: options, positionals: [command, argument, count] } = parseArgs({
    allowPositionals: true,
    options: {
      server: { type: 'string' },
      bootstrap: { type: 'string' },
      relay: { type: 'string' },
      identity: { type: 'string' },
      timeout: { type: 'string', default: '30' },
      timing: { type: 'boolean' },
      name: { type: 'string' },
      bio: { type: 'string' },
      link: { type: 'string', multiple: true },
      field: { type: 'string', multiple: true }
    }
  })
  const server = parseKey(options.server ?? '')
  const keyPair = DHT.keyPair(await identity(options.identity))
  const seen = await seenVersions(options.identity, server.toString('hex'))
  setTimeout(() => fail(new ProfileError('timed_out', 'no answer in time')), options.timeout * 1000).unref()

  node = await guest(options.bootstrap)
  if (command === 'published') {
    const key = parseKey(argument ?? '')
    print(await published(node, key), key)
    await node.destroy()
    process.exit(0)
  }
  if (options.timing) await node.fullyBootstrapped()
  const start = performance.now()
  const relay = options.relay && parseKey(options.relay)
  let timing
  const shown = { version: undefined, count: 0 }
  const open = () => ProfileClient.open(node, server, keyPair, seen, relay)
  const client = await visit(open, async (client, repeated) => {
    timing ??= options.timing && { connected: performance.now() - start }
    if (command === 'watch') await watch(client, parseKey(argument ?? ''), Number(count), shown)
    else if (command === 'publish') print(await publish(node, keyPair, await client.get()), keyPair.publicKey)
    else print(await run(client, command, argument, { ...options, repeated }), keyPair.publicKey, timing)
  })
  await client.close()
  await node.destroy()
  process.exit(0)
} catch (error) {
  fail(error)
}

function print (record, key, more) {
  const publicKey = z32.encode(record ? Buffer.from(record.key, 'hex') : key)
  const { version = null, parsed: profile = null } = record ?? {}
  console.log(printable({ public_key: publicKey, version, profile, ...more }))
}

function fail (error) {
  console.log(printable({ error: { kind: error.kind ?? error.code ?? 'internal', message: error.message } }))
  process.exit(1)
}
