/**
 * The life of a store that moves: rounds of changes, the same wherever they are made, and its contents as text, for comparing what a
 * page has with what Node has. Plain JavaScript, as both load it.
 *
 * @typedef {{ type: 'put', key: import('tidemark').Key, value: unknown } | { type: 'del', key: import('tidemark').Key }} Change
 */
export const OPTIONS = { partitions: 2, segmentBytes: 32 << 10, retain: { versions: 1_000 } }

const ROWS = 2_000
const CHANGED = 20

/** A value of every kind that JSON alone would lose. */
function valueOf(i, round) {
  const seed = Math.imul(i + 1, 2_654_435_761) ^ Math.imul(round + 1, 40_503)
  const bytes = Uint8Array.from({ length: 60 }, (_, at) => Math.imul(seed + at, 1_103_515_245) >>> 24)
  return { i, round, when: new Date(1.7e12 + seed), big: BigInt(seed) ** 3n, bytes, ratio: i % 7 === 0 ? -0 : i / 7 }
}

/** @returns {Change[]} */
function changesOf(round) {
  if (round === 0)
    return Array.from({ length: ROWS }, (_, i) => ({ type: 'put', key: ['row', i], value: valueOf(i, 0) }))
  return Array.from({ length: CHANGED }, (_, j) => {
    const i = (round * 97 + j * 101) % ROWS
    if (j % 10 === 9) return { type: 'del', key: ['row', i] }
    return { type: 'put', key: j % 10 === 8 ? ['new', round, j] : ['row', i], value: valueOf(i, round) }
  })
}

/** The changes of one version, as a watcher is told of them: as text, in the order of that. */
export const toldOf = (changes) => changes.map(({ key, version }) => `${version} ${textOf(key)}`).toSorted()
export const toldOfRound = (round, version) => toldOf(changesOf(round).map(({ key }) => ({ key, version })))

/** Commits rounds, each as a version; answers their versions and bytes. */
export async function commitRounds(store, from, to) {
  const results = []
  for (let round = from; round <= to; round++) {
    store.batch(changesOf(round))
    results.push(await store.commit({ offsets: { rounds: round + 1 }, label: `round ${round}`, meta: { round } }))
  }
  return results
}

/** @returns {Record<string, string>} What a store has to hold after this round. */
export function truthAfter(round) {
  const rows = new Map()
  for (let r = 0; r <= round; r++) {
    for (const change of changesOf(r)) {
      if (change.type === 'put') rows.set(textOf(change.key), textOf(change.value))
      else rows.delete(textOf(change.key))
    }
  }
  return Object.fromEntries(rows)
}

/** @returns {Promise<Record<string, string>>} All entries of a store or a snapshot. */
export async function contentsOf(store) {
  const found = {}
  for await (const [key, value] of store.entries()) found[textOf(key)] = textOf(value)
  return found
}

export function textOf(value) {
  return JSON.stringify(value, function (key, given) {
    const own = this[key]
    if (own instanceof Date) return `Date ${own.getTime()}`
    if (own instanceof Uint8Array) return `bytes ${[...own].join(' ')}`
    if (typeof own === 'bigint') return `${own}n`
    return Object.is(own, -0) ? '-0' : given
  })
}
