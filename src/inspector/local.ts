/** The source of an inspector that has the store itself. It calls nothing but what every program can call. */
import type { Key, Partition, Snapshot, Store, Table } from '../index.js'
import type { InspectorChange, InspectorFacts, InspectorPage, InspectorRange, InspectorSource } from './source.js'
import { textOf } from './text.js'

const PAGE = 50
const MOST_VERSIONS = 200
const MOST_CHANGES = 200

/** What is known of a store beside what the store tells; each may be left out. */
export interface InspectorReading {
  /** Whether versions may be restored and tagged. */
  readonly writable?: boolean
  /** The names of the tables. */
  readonly tables?: () => readonly string[]
  /** The sizes of the segments in bytes. */
  readonly sizes?: () => readonly number[]
  /** The table as it is read, of a store or of a snapshot, and with `decode` its values. */
  readonly table?: (place: Place, name: string) => Table
  readonly decode?: (name: string, value: unknown) => unknown
}

type Place = Store | Snapshot | Partition

/** The source of an inspector for an open store. */
export function inspectorSource(store: Store, reading: InspectorReading = {}): InspectorSource {
  const tableOf = reading.table ?? ((place: Place, name: string): Table => (name === '' ? place : place.table(name)))
  const show = (name: string, value: unknown): string => textOf(reading.decode ? reading.decode(name, value) : value)
  /** The keys at which pages begin: a key that was shown need not be read from its text. */
  const begins: Key[] = []

  async function at<T>(version: number, read: (snapshot: Snapshot | undefined) => Promise<T>): Promise<T> {
    // Before its first commit a store has no version that could be opened.
    if (version === 0) return read(undefined)
    const snapshot = await store.at(version)
    try {
      return await read(snapshot)
    } finally {
      await snapshot.close()
    }
  }

  function facts(): InspectorFacts {
    const { commits, bytes, requests, segments, folds, compactions, collected, repaired, tail } = store.metrics()
    const { put, get, list, delete: removed } = requests
    const sizes = reading.sizes?.()
    return {
      name: store.name,
      mode: store.mode,
      version: store.version,
      partitions: store.partitions,
      tail,
      segments: sizes?.length ?? segments.live,
      ...(sizes && { sizes }),
      tables: reading.tables?.() ?? [''],
      writable: (reading.writable ?? false) && store.mode !== 'follower',
      totals: {
        commits,
        'bytes written': bytes,
        'segments written': segments.written,
        folds,
        merges: compactions,
        collected,
        repaired,
        requests: put + get + list + removed,
      },
    }
  }

  async function page(
    { table, prefix }: InspectorRange,
    [before, after]: readonly [Snapshot | undefined, Snapshot | undefined],
    start: number | undefined,
  ): Promise<InspectorPage> {
    const from = start === undefined ? {} : { gte: begins[start]! }
    const read = async (place: Snapshot | undefined, end: { lt?: Key }): Promise<Entry[]> => {
      const range = { ...(prefix !== '' && { prefix }), ...from, ...end, limit: PAGE + 1 }
      return place ? await tableOf(place, table).toArray(range) : []
    }
    // It ends where the first of the two goes on, so that it has all keys of both up to there.
    let now = await read(after, {})
    let end = endOf(now)
    const old = await read(before, end)
    if (old.length > PAGE) {
      end = endOf(old)
      now = await read(after, end)
    }
    const merged = merge(old.slice(0, PAGE), now.slice(0, PAGE))
    const rows = merged.map(({ key, was, is }): InspectorChange => ({
      key: textOf(key),
      ...(was && { before: show(table, was[1]) }),
      ...(is && { after: show(table, is[1]) }),
    }))
    return end.lt === undefined ? { rows } : { rows, next: begins.push(end.lt) - 1 }
  }

  return {
    facts: async () => facts(),
    async versions() {
      const all = []
      for await (const info of store.versions({ reverse: true, limit: MOST_VERSIONS })) {
        const { version, time, kind, label, tags, bytes, folded, offsets } = info
        all.push({
          version,
          time,
          kind,
          ...(label !== undefined && { label }),
          tags,
          bytes,
          folded,
          offsets: textOf(offsets),
        })
      }
      return all.reverse()
    },
    rows: (range, [before, after], from) => at(before, (old) => at(after, (now) => page(range, [old, now], from))),
    async changes({ table, prefix }, [before, after]) {
      const changes: InspectorChange[] = []
      if (before === after || before === 0 || after === 0) return { changes, more: false }
      const { diff } = await import('../tools/index.js')
      // The comparison reads a table as it was last asked for.
      tableOf(store, table)
      for await (const change of diff(store, before, after, { table, ...(prefix !== '' && { prefix }) })) {
        if (changes.length === MOST_CHANGES) return { changes, more: true }
        changes.push({
          key: textOf(change.key),
          ...('before' in change && { before: show(table, change.before) }),
          ...('after' in change && { after: show(table, change.after) }),
        })
      }
      return { changes, more: false }
    },
    counts: (table, version) =>
      at(version, async (snapshot) => {
        const counts: number[] = []
        for (let i = 0; i < store.partitions; i++) {
          counts.push(snapshot ? await tableOf(snapshot.partition(i), table).count() : 0)
        }
        return counts
      }),
    async restore(version) {
      await store.restore(version)
    },
    async tag(name, version) {
      await store.tag(name, { at: version })
    },
    watch: (changed) => {
      const stops = (['version', 'checkpoint', 'collected'] as const).map((event) => store.on(event, changed))
      return () => stops.forEach((stop) => stop())
    },
  }
}

type Entry = readonly [key: Key, value: unknown]

/** Where a page that has one row too many ends. */
function endOf(rows: readonly Entry[]): { lt?: Key } {
  const last = rows[PAGE]
  return last ? { lt: last[0] } : {}
}

interface Merged {
  readonly key: Key
  readonly was?: Entry
  readonly is?: Entry
}

/** Both lists are in the order of keys: where the two differ, what is old stands first. */
function merge(old: readonly Entry[], now: readonly Entry[]): Merged[] {
  const merged: Merged[] = []
  const places = new Map(now.map(([key], i) => [idOf(key), i]))
  let next = 0
  const addUpTo = (end: number): void => {
    for (const is of now.slice(next, end)) merged.push({ key: is[0], is })
    next = end
  }
  for (const was of old) {
    const [key] = was
    const place = places.get(idOf(key))
    if (place === undefined) {
      merged.push({ key, was })
      continue
    }
    addUpTo(place)
    merged.push({ key, was, is: now[place]! })
    next = place + 1
  }
  addUpTo(now.length)
  return merged
}

/** Other keys have other texts. */
function idOf(key: Key): string {
  return textOf(key, Infinity)
}
