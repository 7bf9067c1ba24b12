// crypto.mjs FILE
//
// Answers each line of a file, a JSON object with the member `op`, with one line: the answer of hypercore-crypto, as a
// JSON value. Bytes are hexadecimal in both directions.

import { createRequire } from 'node:module'
import fs from 'node:fs'

const crypto = createRequire(import.meta.url)('hypercore-crypto')

const bytes = (text) => Buffer.from(text, 'hex')
const hex = (bytes) => bytes && Buffer.from(bytes).toString('hex')
const node = ({ index, size, hash }) => ({ index, size, hash: bytes(hash) })

/** Returns what `call` does, and null where it throws. */
function attempt (call) {
  try {
    return call()
  } catch {
    return null
  }
}

const OPERATIONS = {
  data: ({ data }) => hex(crypto.data(bytes(data))),
  decrypt: ({ box, publicKey, secretKey }) => {
    return hex(crypto.decrypt(bytes(box), { publicKey: bytes(publicKey), secretKey: bytes(secretKey) }))
  },
  discoveryKey: ({ key }) => hex(crypto.discoveryKey(bytes(key))),
  encrypt: ({ message, publicKey }) => attempt(() => hex(crypto.encrypt(bytes(message), bytes(publicKey)))),
  encryptionKeyPair: ({ seed }) => Object.values(crypto.encryptionKeyPair(bytes(seed))).map(hex),
  hash: ({ parts }) => hex(crypto.hash(parts.map(bytes))),
  keyPair: ({ seed }) => Object.values(crypto.keyPair(bytes(seed))).map(hex),
  namespace: ({ name, ids }) => crypto.namespace(bytes(name), ids).map(hex),
  parent: ({ nodes: [a, b] }) => hex(crypto.parent(node(a), node(b))),
  sign: ({ message, secretKey }) => hex(crypto.sign(bytes(message), bytes(secretKey))),
  tree: ({ nodes }) => hex(crypto.tree(nodes.map(node))),
  validate: ({ publicKey, secretKey }) => {
    return crypto.validateKeyPair({ publicKey: bytes(publicKey), secretKey: bytes(secretKey) })
  },
  verify: ({ message, signature, publicKey }) => crypto.verify(bytes(message), bytes(signature), bytes(publicKey))
}

const lines = fs.readFileSync(process.argv[2], 'utf8').trim().split('\n').map((line) => JSON.parse(line))
process.stdout.write(lines.map((line) => JSON.stringify(OPERATIONS[line.op](line)) + '\n').join(''))
