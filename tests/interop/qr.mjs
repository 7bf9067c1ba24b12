// qr.mjs FILE
//
// Reads a QR code and prints its text. FILE is a PNG picture, or - for lines of # (dark) and . (light) on
// standard input, a character for each square.

import fs from 'node:fs'
import jsQR from 'jsqr'
import { PNG } from 'pngjs'

/** Pixels of a side of a square; the reader needs several. */
const PIXELS = 4

function picture (text) {
  const lines = text.trimEnd().split('\n')
  const [width, height] = [lines[0].length * PIXELS, lines.length * PIXELS]
  const data = new Uint8ClampedArray(width * height * 4)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isDark = lines[Math.floor(y / PIXELS)][Math.floor(x / PIXELS)] === '#'
      data.set(isDark ? [0, 0, 0, 255] : [255, 255, 255, 255], (y * width + x) * 4)
    }
  }
  return { data, width, height }
}

const [file] = process.argv.slice(2)
const { data, width, height } = file === '-'
  ? picture(fs.readFileSync(0, 'utf8'))
  : PNG.sync.read(fs.readFileSync(file))
// As it is: a code that only a reader of inverted ones finds is none.
const found = jsQR(Uint8ClampedArray.from(data), width, height, { inversionAttempts: 'dontInvert' })
if (!found) {
  console.error('no code')
  process.exit(1)
}
console.log(found.data)
