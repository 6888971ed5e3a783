/** Log, anchor and blobs, each call a statement. */
import { TidemarkError } from '../../src/errors.js'
import { fromHex } from '../../src/bytes/hex.js'
import type { Anchor, Blobs, Log, Outcome, Storage } from '../../src/storage/contract.js'
import { LONG_TAIL, TAIL_BYTES } from '../../src/storage/tails.js'
import type { Remote } from './peers.js'
import { is, timeOf, type Row, type Runner } from './runner.js'
import type { Statements } from './statements.js'

/** Names have smaller characters only. */
const LAST = '~'
/** How many names one list answers unless it is told. */
const PAGE = 1000
/** The most bytes that a value has in PostgreSQL; the place and the length of a part need no more. */
const LARGEST = (1 << 30) - 1

export function blobsIn(runner: Runner, sql: Statements): Blobs {
  return {
    async put(name, bytes, options) {
      const [row] = await runner.run(`write ${name}`, sql.put, [name, bytes], options)
      return { time: timeOf(row!) }
    },
    async get(name, options) {
      const range = options?.range
      const part = range && [Math.min(range.offset, LARGEST), Math.min(range.length, LARGEST)]
      const text = range ? sql.range : sql.get
      const [row] = await runner.read(`read ${name}`, text, [name, ...(part ?? [])], options)
      return { time: timeOf(row!), bytes: bytesOf(row!['bytes']) }
    },
    async list(prefix, { after = '', limit = PAGE, ...options } = {}) {
      const values = [prefix, prefix + LAST, after, limit + 1]
      const rows = await runner.read(`list ${prefix}`, sql.list, values, options)
      const items = named(rows).map((row) => ({
        name: String(row['name']),
        size: Number(row['size']),
        time: Number(row['made']),
      }))
      return { time: timeOf(rows[0]!), items: items.slice(0, limit), more: items.length > limit }
    },
    async delete(names, options) {
      const [row] = await runner.run(`delete ${names[0] ?? 'nothing'}`, sql.delete, [names], options)
      return { time: timeOf(row!) }
    },
  }
}

export function logIn(runner: Runner, sql: Statements, remote: Remote | undefined, path: string): Log {
  const shard = path.slice(0, path.lastIndexOf('/'))
  const anchor = `${shard}/anchor`
  const append: Log['append'] = async (n, bytes, _from, options) => {
    const message = remote?.messageOn(shard) ?? ['', '']
    const values = [anchor, path, n, bytes, ...message]
    const outcome = await runner.decide(`append entry ${n} of ${path}`, sql.append, values, options, (row) => ({
      outcome: is(row['done']) ? 'committed' : 'lost',
    }))
    if (message[0] !== '' && outcome.outcome === 'committed') remote?.sentOn(shard)
    return outcome
  }
  return {
    append,
    claim: append,
    async read(n, options) {
      const [row] = await runner.read(`read entry ${n} of ${path}`, sql.read, [path, n], options)
      return { time: timeOf(row!), bytes: bytesOf(row!['bytes']) }
    },
    async readTail(from, options) {
      const values = [path, from, LONG_TAIL.entries, TAIL_BYTES]
      const rows = await runner.read(`read the entries of ${path}`, sql.tail, values, options)
      const entries = numbered(rows).map((row) => ({ n: Number(row['n']), bytes: bytesOf(row['bytes'])! }))
      return { time: timeOf(rows[0]!), entries, more: isThere(rows.at(-1)!['next']) }
    },
    async list(from, { limit, ...options } = {}) {
      const values = [path, from, limit === Infinity ? undefined : limit]
      const rows = await runner.read(`list the entries of ${path}`, sql.numbers, values, options)
      return { time: timeOf(rows[0]!), numbers: numbered(rows).map((row) => Number(row['n'])) }
    },
    // An entry is durable when it is answered.
    sync: () => Promise.resolve({}),
    async remove(numbers, options) {
      const [row] = await runner.run(`remove entries of ${path}`, sql.remove, [path, numbers], options)
      return { time: timeOf(row!) }
    },
    async destroy(options) {
      const [row] = await runner.run(`remove ${path}`, sql.destroy, [path, anchor], options)
      return { time: timeOf(row!) }
    },
    close: () => Promise.resolve(),
  }
}

export function anchorIn(runner: Runner, sql: Statements, path: string): Anchor {
  const swapped = ({ token }: Row): Outcome =>
    isThere(token) ? { outcome: 'committed', token: String(token) } : { outcome: 'lost' }
  return {
    async read(options) {
      const [row] = await runner.read(`read ${path}`, sql.readAnchor, [path], options)
      const token = isThere(row!['token']) ? String(row!['token']) : undefined
      return { time: timeOf(row!), bytes: bytesOf(row!['bytes']), token }
    },
    swap: (token, bytes, trim, options) =>
      token === undefined
        ? runner.decide(`write ${path}`, sql.createAnchor, [path, bytes, trim], options, swapped)
        : runner.decide(`write ${path}`, sql.swapAnchor, [path, bytes, trim, token], options, swapped),
    async remove(options) {
      const [row] = await runner.run(`remove ${path}`, sql.removeAnchor, [path], options)
      return { time: timeOf(row!) }
    },
  }
}

export function logsIn(runner: Runner, sql: Statements): Storage['logs'] {
  return async (prefix, options) => {
    const rows = await runner.read(`list logs under ${prefix}`, sql.logs, [prefix, prefix + LAST], options)
    return { time: timeOf(rows[0]!), paths: rows.filter(({ path }) => isThere(path)).map(({ path }) => String(path)) }
  }
}

function isThere(value: unknown): boolean {
  return value !== null && value !== undefined
}

const named = (rows: readonly Row[]): readonly Row[] => rows.filter(({ name }) => isThere(name))
const numbered = (rows: readonly Row[]): readonly Row[] => rows.filter(({ n }) => isThere(n))

/** The bytes of a column. Those of `pg` may lie in memory that it shares with others. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (!isThere(value)) return undefined
  if (value instanceof Uint8Array) return new Uint8Array(value)
  // As the server sends them, where the program has told pg not to decode them.
  if (typeof value === 'string' && value.startsWith('\\x')) return fromHex(value.slice(2))
  throw new TidemarkError(
    'STORAGE_UNAVAILABLE',
    'postgres: bytes came neither as bytes nor in hex. Remove the type parser for bytea (17) from pg.',
    { retryable: false },
  )
}
