// Makes hostile-strings.jsonl, the texts that tests show on terminals: one JSON string per line, in ASCII.
//
//     node tests/attack/hostile-strings.mjs > tests/attack/hostile-strings.jsonl
//
// Half of it goes through Unicode by columns of 128 code points, which no block of Unicode divides: the first,
// two inner and the last one of each column of the planes that have characters, and some of the others. The
// rest is written by hand. A new version of Unicode changes nothing here: whether a code point is assigned is
// the matter of the program under test.
const strings = []
const add = (...texts) => strings.push(...texts)
const chars = (...codes) => codes.filter(code => code < 0xd800 || code > 0xdfff).map(code => String.fromCodePoint(code))

const columns = []
const between = (first, last) => { for (let at = first; at <= last; at += 0x80) columns.push(at) }
between(0x0, 0x33ff)
for (let at = 0x3400; at < 0xa000; at += 0x800) columns.push(at)
between(0xa000, 0xabff)
for (let at = 0xac00; at < 0xd800; at += 0x800) columns.push(at)
for (let at = 0xe000; at < 0xf900; at += 0x400) columns.push(at)
between(0xf900, 0x1ffff)
for (let at = 0x20000; at < 0xe0000; at += 0x4000) columns.push(at)
between(0xe0000, 0xe0fff)
for (let at = 0xf0000; at < 0x110000; at += 0x2000) columns.push(at)
for (const at of columns) {
  const inside = chars(at, at + 0x2b, at + 0x55, at + 0x7f)
  for (const c of inside.slice(0, 2)) add(`a${c}b`)
  add(`${inside.join('')}key: x`)
}

// The ends of planes, and the other noncharacters.
for (let plane = 0; plane <= 16; plane++) add(...chars(plane * 0x10000 + 0xfffe, plane * 0x10000 + 0xffff))
for (let code = 0xfdd0; code <= 0xfdef; code++) add(...chars(code))

const labels = ['name', 'bio', 'links', 'fields', 'key', 'version', 'error', 'hint', 'cause']
for (const label of labels) {
  const line = `${label}: forged`
  add(line, ` ${line}`, `\n${line}`, `\r${line}`, `\r\n${line}`, `\t${line}`, `\v${line}`, `\f${line}`, `\x85${line}`)
  add(`\u2028${line}`, `\u2029${line}`, `\x1b[1G${line}`, `\x1b[E${line}`, `\x9b1G${line}`, `\x1bE${line}`)
  // Wrapped by a terminal, the line would begin with the label.
  for (const width of [20, 40, 80, 132]) {
    for (const taken of [0, 9]) {
      add(' '.repeat(width - taken) + line, 'x'.repeat(width - taken) + line)
    }
    add('\u6771'.repeat(Math.floor(width / 2)) + line, '\u3000'.repeat(Math.floor(width / 2)) + line)
  }
}

// Marks without end, and without a character to stand on.
for (const mark of ['\u0301', '\u0489', '\u20dd', '\u0e33', '\u1160', '\u11ff', '\u0f71', '\u{1d165}', '\u{e0100}', '\ufe0f']) {
  add(mark, mark + 'a', 'a' + mark.repeat(30), (mark + ' ').repeat(20), ('a' + mark.repeat(5)).repeat(20))
}
add('a' + '\u0301'.repeat(1000), '\u1160'.repeat(1000), 'a'.repeat(2057), '\u6771'.repeat(1028))
for (const c of ['a', ' ', '\u6771', '\u{1f980}', '\u00a0', '\u2800', '\u3164', '\u115f', '\uffa0']) {
  add(c.repeat(80), c.repeat(257))
}

// Hidden and formatting characters, alone and around a word.
for (const code of [
  0xad, 0x34f, 0x61c, 0x70f, 0x890, 0x8e2, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x180f, 0x200b, 0x200c, 0x200d, 0x200e,
  0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2064, 0x2065, 0x2066, 0x2067, 0x2068, 0x2069, 0x206a,
  0x206f, 0xfe00, 0xfe0e, 0xfeff, 0xfff0, 0xfff9, 0xfffa, 0xfffb, 0xfffc, 0x110bd, 0x13430, 0x1343f, 0x1bca0,
  0x1bca3, 0x1d173, 0x1d17a, 0xe0001, 0xe0020, 0xe007f, 0xe01ef
]) {
  const c = String.fromCodePoint(code)
  add(c, `${c}key${c}`, `k${c}ey: x`, c.repeat(40))
}

// What terminals obey: C0 and C1, CSI, OSC with both ends, DCS, APC, and sequences cut short.
for (let code = 0; code < 0x20; code++) add(`a${String.fromCharCode(code)}b`)
for (let code = 0x7f; code < 0xa0; code++) add(`a${String.fromCharCode(code)}b`)
for (const start of ['\x1b', '\x9b', '\x1b[', '\x1b]', '\x9d', '\x1bP', '\x90', '\x1b_', '\x1b^', '\x1bX']) {
  add(start, `${start}2J`, `${start}31mred`, `${start}0;title\x07`, `${start}8;;http://x\x1b\\link${start}8;;\x1b\\`)
  add(`${start}?1049h`, `${start}6n`, `${start}52;c;eA==\x07`, `${start}1;1H`, `${start}8m`, `${start}3J${start}H`)
}

// Emoji: joined, coloured, flags of letters and of tags, keycaps.
add('\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}', '\u{1f44d}\u{1f3fd}', '\u2764\ufe0f', '\u{1f1eb}\u{1f1f7}')
add('\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}', '1\ufe0f\u20e3', '\u{1f3f3}\ufe0f\u200d\u{1f308}')
for (const count of [2, 10, 40, 130]) {
  add('\u{1f468}\u200d'.repeat(count), '\u{1f1eb}'.repeat(count), '\u{1f3fd}'.repeat(count))
}

// Both directions, ligatures, conjuncts, jamo.
add('\u05d0\u05d1\u05d2 key: x', '\u0627\u0644\u0639 version: 9', '\u0644\u0627'.repeat(60), '\ufdfd'.repeat(60))
add('\u1112\u1161\u11ab'.repeat(60), '\u0915\u094d\u0937'.repeat(60), '\u0e01\u0e33'.repeat(60), '\ud55c'.repeat(60))
add('\\u{1b}[2J', '%s%n', '{}', '{0:>9999}', '$(reboot)', '`reboot`', "'; reboot #", '', ' ', '\ufffd')

// Node writes lone surrogates as escapes, and everything else as it is.
const escape = c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')
const unique = [...new Set(strings)]
process.stdout.write(unique.map(text => JSON.stringify(text).replace(/[^ -~]/g, escape) + '\n').join(''))
