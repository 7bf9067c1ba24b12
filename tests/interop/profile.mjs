// The profile protocol, as far as client and server share it: lines, records, signatures, strict JSON.

import crypto from 'hypercore-crypto'
import { DHT } from './lib.mjs'

export const PROTOCOL = 1
export const LINE_BYTES = 65536
export const PROFILE_BYTES = 8192
const MAX_DEPTH = 8
const NAMESPACE = DHT.hash(Buffer.from('hyperprofile/record/1'))

/** What went wrong, as the protocol names it. */
export class ProfileError extends Error {
  constructor (kind, message, data = {}) {
    super(message)
    this.kind = kind
    this.data = data
  }
}

/** Signs the exact text of a profile. */
export function signRecord (keyPair, version, profile) {
  return {
    key: keyPair.publicKey.toString('hex'),
    version,
    profile,
    signature: crypto.sign(signable(version, profile), keyPair.secretKey).toString('hex')
  }
}

/** Returns the record, with its profile read into `parsed`; throws if its form or its signature is wrong. */
export function verifyRecord (record) {
  const { key, version, profile, signature, ...more } = Object(record)
  const form = isHex(key, 32) && isHex(signature, 64) && typeof profile === 'string' &&
    Number.isSafeInteger(version) && version > 0 && Object.keys(more).length === 0
  if (!form) throw new ProfileError('invalid_profile', 'the record lacks a field or has one too many')
  const message = signable(version, profile)
  const valid = crypto.verify(message, Buffer.from(signature, 'hex'), Buffer.from(key, 'hex'))
  if (!valid) throw new ProfileError('bad_signature', 'the signature of the record is wrong')
  return { key, version, profile, signature, parsed: parseProfile(profile) }
}

function signable (version, profile) {
  const number = Buffer.alloc(8)
  number.writeBigUInt64LE(BigInt(version))
  return Buffer.concat([NAMESPACE, number, DHT.hash(Buffer.from(profile))])
}

function isHex (text, bytes) {
  return typeof text === 'string' && text.length === bytes * 2 && /^[0-9a-fA-F]*$/.test(text)
}

/** Reads the text of a profile and holds it to all limits. */
export function parseProfile (text) {
  if (Buffer.byteLength(text) > PROFILE_BYTES) throw invalid('the profile is too long')
  let profile
  try {
    profile = parseJson(text)
  } catch (error) {
    throw invalid(error.message)
  }
  if (!isObject(profile)) throw invalid('a profile is an object')
  const { name, bio = '', links = [], fields = {}, ...more } = profile
  if (Object.keys(more).length > 0) throw invalid('the profile has an unknown field')
  checkText(name, 1, 64)
  if (!/[^\s\p{C}\p{Zs}]/u.test(name)) throw invalid('the name shows nothing')
  checkText(bio, 0, 1024, '\n')
  if (!Array.isArray(links) || links.length > 16) throw invalid('at most 16 links')
  for (const link of links) {
    checkText(link, 1, 512)
    const url = URL.canParse(link) && new URL(link)
    const absolute = url && ['http:', 'https:', 'mailto:'].includes(url.protocol)
    if (!absolute || Buffer.byteLength(link) > 512) {
      throw invalid('a link is an absolute http, https or mailto URL')
    }
  }
  if (!isObject(fields) || Object.keys(fields).length > 32) throw invalid('at most 32 fields')
  for (const [key, value] of Object.entries(fields)) {
    checkText(key, 1, 64)
    checkText(value, 0, 1024)
  }
  return profile
}

function checkText (text, min, max, allowed = '') {
  if (typeof text !== 'string' || !text.isWellFormed()) throw invalid('a text is missing or not Unicode')
  const characters = [...text]
  if (characters.length < min || characters.length > max) throw invalid('a text is too short or too long')
  if (characters.some((c) => c !== allowed && HIDDEN.test(c))) {
    throw invalid('a text holds a hidden character')
  }
}

/** Control characters, and those that reorder or hide what surrounds them. */
const HIDDEN = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/u

/** Makes text from a peer safe to print. */
export function printable (value) {
  return JSON.stringify(value).replace(new RegExp(HIDDEN, 'gu'), (c) =>
    '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
}

function invalid (message) {
  return new ProfileError('invalid_profile', message)
}

export function isObject (value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Parses JSON that is at most 8 deep and names no member twice: parsers would differ about those. */
export function parseJson (text) {
  let at = 0
  const value = JSON.parse(text)
  scan(1)
  return value

  // The text is JSON, so this only looks for depth and for names.
  function scan (depth) {
    space()
    const c = text[at]
    if (c === '"') string()
    else if (c === '{' || c === '[') {
      if (depth > MAX_DEPTH) throw new Error('nested too deep')
      const names = new Set()
      const close = c === '{' ? '}' : ']'
      at++
      for (space(); text[at] !== close; space()) {
        if (text[at] === ',') at++
        if (c === '{') {
          space()
          const name = JSON.parse(string())
          if (names.has(name)) throw new Error('a member is named twice')
          names.add(name)
          space()
          at++
        }
        scan(depth + 1)
      }
      at++
    } else while (at < text.length && !',]} \t\r\n'.includes(text[at])) at++
  }
  function string () {
    const start = at++
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
    return text.slice(start, ++at)
  }
  function space () {
    while (' \t\r\n'.includes(text[at] || '.')) at++
  }
}

/** Cuts a stream of bytes into lines; an overlong one throws with kind `too_long`. */
export class Lines {
  #rest = Buffer.alloc(0)
  #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  /** Whether a line has begun and not ended. */
  get pending () {
    return this.#rest.length > 0
  }

  /** Yields each line that `data` completes: its text, or null if it is not UTF-8. */
  * push (data) {
    this.#rest = Buffer.concat([this.#rest, data])
    for (let end; (end = this.#rest.indexOf(10)) >= 0;) {
      if (end >= LINE_BYTES) break
      const line = this.#rest.subarray(0, end)
      this.#rest = this.#rest.subarray(end + 1)
      yield this.#text(line)
    }
    if (this.#rest.length >= LINE_BYTES) throw new ProfileError('too_long', 'a line is too long')
  }

  #text (line) {
    try {
      return this.#decoder.decode(line)
    } catch {
      return null
    }
  }
}
