// Collects measurements and prints them.

export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

const rows = []

// Adds a row. `goal` is in words; `met` says whether the measurement meets it.
export function row (what, values, { ratio, goal = '', met } = {}) {
  const sorted = values.toSorted((a, b) => a - b)
  rows.push([
    what,
    short(median(values)),
    values.length > 1 ? `${short(sorted[0])} to ${short(sorted.at(-1))}` : '',
    ratio === undefined ? '' : ratio.toFixed(2),
    goal,
    met === undefined ? '' : met ? 'met' : 'missed'
  ])
  console.error(rows.at(-1).filter(Boolean).join(' | '))
}

const short = (value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

export function print () {
  const all = [['what', 'median', 'range', 'ratio', 'goal', ''], ...rows]
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)))
  for (const row of all) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd())
}
