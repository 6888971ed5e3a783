/** The source of an inspector that has the store itself. It opens no table: how one is opened is the program's to say. */
import { equalBytes } from '../bytes/compare.js'
import { fromHex, toHex } from '../bytes/hex.js'
import { decodeKey, encodeKey, type Key } from '../bytes/keys.js'
import { recordedCodec, runsOf } from '../engine/state.js'
import { tableBytes } from '../engine/slot.js'
import { partitionOf } from '../manifest/clip.js'
import type { SegmentRef } from '../manifest/manifest.js'
import type { StoreHandle } from '../store/handle.js'
import { handleOf } from '../store/handles.js'
import { openVersion } from '../store/old-versions.js'
import { keyBounds } from '../store/range.js'
import { Snapshot } from '../store/snapshot.js'
import type { Store } from '../store/store.js'
import { storedBytes, TableSpec } from '../store/table-spec.js'
import { differences } from '../tools/diff.js'
import { show } from '../tools/show.js'
import { isSmall, storedDecoder, tablesOf } from '../tools/stored.js'
import { cut, harmless, size } from '../tools/text.js'
import type { InspectorFacts, InspectorPage, InspectorRow, InspectorSegment, InspectorSource } from './source.js'

const PAGE = 50
const MOST_VERSIONS = 200
const MOST_CHANGES = 200
/** A store that is written all the time is looked at no more often than this. */
const PAUSE_MS = 250
/** A page can show only so much of a text, and a larger value is not even decoded. */
const LONGEST_TEXT = 2000
const LARGEST_VALUE = 256 << 10
/** So much is counted in a moment. */
const SMALL = { records: 10_000, bytes: 1 << 20 }

/** The source of an inspector for an open store. With `writable`, versions may be restored and tagged. */
export function inspectorSource(store: Store, writable: boolean): InspectorSource {
  const handle = handleOf(store)
  let warning: string | undefined

  /** Shards have numbers of their own, so that no number is a version of all: only the present is shown. */
  const isSeveral = (): boolean => store.shards.length > 1

  /** Reads a table in a version. Before its first commit a store has none. */
  async function inVersion<T>(
    version: number,
    spec: TableSpec,
    nothing: T,
    read: (at: Stored) => Promise<T>,
  ): Promise<T> {
    if (version === 0) return nothing
    const snapshot = isSeveral()
      ? new Snapshot<Key, Uint8Array>(handle, spec, handle.state)
      : await openVersion<Key, Uint8Array>(handle, spec, version)
    try {
      return await read(snapshot)
    } finally {
      await snapshot.close()
    }
  }

  return {
    facts: async () => ({
      ...factsOf(handle),
      writable: writable && store.mode !== 'follower',
      // Whoever only reads has no totals but its own requests.
      totals: store.mode === 'follower' ? {} : totalsOf(store),
      ...(warning !== undefined && { warning }),
    }),

    async versions() {
      const all = []
      // Several may have one number, of which the page shows the newest only.
      const limit = isSeveral() ? 1 : MOST_VERSIONS
      for await (const info of store.versions({ reverse: true, limit })) {
        const { version, time, kind, label, tags, bytes, folded, offsets } = info
        const told = label !== undefined && { label: cut(harmless(label), 100) }
        all.push({ version, time, kind, ...told, tags, bytes, folded, offsets: textOf(offsets) })
      }
      return all.reverse()
    },

    async rows({ table, prefix }, [before, after], from) {
      const { spec, text } = reading(handle, table)
      // A call that came as JSON has `null` for what was left out.
      const start = typeof from === 'string' ? { gte: decodeKey(fromHex(from)) } : {}
      const range = { ...(prefix !== '' && { prefix }), ...start, limit: PAGE + 1 }
      const read = (version: number): Promise<Entry[]> =>
        inVersion(version, spec, [], (snapshot) => snapshot.toArray(range))
      const [old, now] = [await read(before), await read(after)]
      return pageOf(beside(old, now, text), [old, now])
    },

    async changes({ table, prefix }, [before, after]) {
      const rows: InspectorRow[] = []
      if (before === after || before === 0 || after === 0 || isSeveral()) return { rows, more: false }
      const { spec, text } = reading(handle, table)
      const bounds = keyBounds(prefix === '' ? {} : { prefix })
      for await (const change of differences(handle, [before, after], spec, bounds, {})) {
        if (rows.length === MOST_CHANGES) return { rows, more: true }
        const of = (name: 'before' | 'after') => name in change && { [name]: text(change[name] as Uint8Array) }
        rows.push({ key: textOf(change.key), ...of('before'), ...of('after'), differs: true })
      }
      return { rows, more: false }
    },

    counts: (table, version) => {
      const none = Array.from({ length: store.partitions }, () => 0)
      const [from, to] = [store.shards[0]!.first, store.shards.at(-1)!.last]
      // A handle on a shard has only the partitions of that.
      const count = async (snapshot: Stored, i: number): Promise<number> =>
        i < from || i > to ? 0 : snapshot.partition(i).count()
      return inVersion(version, reading(handle, table).spec, none, (snapshot) =>
        Promise.all(none.map((_, i) => count(snapshot, i))),
      )
    },

    async restore(version) {
      await store.restore(version)
    },

    async tag(name, version) {
      await store.tag(name, { at: version })
    },

    watch(changed) {
      let cancel: (() => void) | undefined
      const tell = (): void => {
        cancel ??= handle.options.clock.timer(
          PAUSE_MS,
          () => {
            cancel = undefined
            changed()
          },
          { background: true },
        )
      }
      const warn = (message: string): void => {
        // Reading a damaged store may tell of the same damage each time.
        if (message === warning) return
        warning = message
        tell()
      }
      const stops = [
        ...(['version', 'checkpoint', 'collected'] as const).map((event) => store.on(event, tell)),
        ...(['warning', 'repaired'] as const).map((event) =>
          store.on(event, ({ message, cause }) =>
            warn(cause instanceof Error ? `${message} ${cause.message}` : message),
          ),
        ),
        store.on('fenced', ({ error }) => warn(error.message)),
      ]
      return () => {
        cancel?.()
        for (const stop of stops) stop()
      }
    },
  }
}

type Stored = Snapshot<Key, Uint8Array>
type Entry = readonly [key: Key, value: Uint8Array]

function factsOf(handle: StoreHandle): Omit<InspectorFacts, 'writable' | 'totals'> {
  const { state, options } = handle
  const { config } = state.manifest
  return {
    name: options.name,
    ...(config.job !== undefined && { job: config.job }),
    mode: options.mode,
    created: config.created,
    version: state.carried.version,
    partitions: config.partitions,
    // An entry that only carries a fold has no changes of its own.
    tail: state.tail.flatMap(({ n, bytes, references }) => {
      const inSegments = references?.runs.flat().reduce((total, { length }) => total + length, 0) ?? 0
      return bytes + inSegments > 0 ? [{ entry: n, bytes: bytes + inSegments }] : []
    }),
    runs: runsOf(state)
      .map((run) => run.map((segment) => segmentOf(segment, config.partitions)))
      .reverse(),
    tables: tablesOf(state),
    isSmall: isSmall(state, SMALL),
  }
}

function segmentOf({ length, records, lower, upper, clip }: SegmentRef, partitions: number): InspectorSegment {
  const of = (key: Uint8Array): number => Math.min(partitions - 1, partitionOf(key))
  const [first, last] = clip ?? [0, partitions - 1]
  return { bytes: length, records, partitions: [Math.max(first, of(lower)), Math.min(last, of(upper))] }
}

function totalsOf(store: Store): Readonly<Record<string, number>> {
  const { commits, bytes, requests, segments, folds, compactions, collected, repaired } = store.metrics()
  return {
    commits,
    'bytes written': bytes,
    'segments written': segments.written,
    folds,
    merges: compactions,
    collected,
    repaired,
    requests: Object.values(requests).reduce((sum, count) => sum + count, 0),
  }
}

/** Reads a table as it is stored, so that one value which cannot be decoded hides no other. */
function reading(
  handle: StoreHandle,
  name: string,
): { readonly spec: TableSpec; readonly text: (bytes: Uint8Array) => string } {
  const bytes = tableBytes(name)
  const codec = recordedCodec(handle.state, bytes)
  const spec = new TableSpec(name, bytes, { codec: storedBytes }, { codec })
  const own = handle.specs.forReading(name, bytes, handle.state)
  const decoders = [...(own.codec === storedBytes ? [] : [own.decode]), storedDecoder(codec)]
  return {
    spec,
    text(stored) {
      if (stored.length > LARGEST_VALUE) return `<${size(stored.length)}, too large to show>`
      for (const decode of decoders) {
        try {
          return textOf(decode(stored))
        } catch {
          // The program has another codec, or knows an older version of its values.
        }
      }
      return textOf(stored)
    },
  }
}

function textOf(value: unknown): string {
  return cut(show(value), LONGEST_TEXT)
}

interface Pair {
  readonly key: Key
  readonly was?: Uint8Array
  readonly is?: Uint8Array
}

/** The keys of both lists in their order, with the value in each. */
function beside(
  old: readonly Entry[],
  now: readonly Entry[],
  text: (bytes: Uint8Array) => string,
): [string, InspectorRow][] {
  const pairs = new Map<string, Pair>()
  for (const [key, was] of old) pairs.set(idOf(key), { key, was })
  for (const [key, is] of now) pairs.set(idOf(key), { ...(pairs.get(idOf(key)) ?? { key }), is })
  const sorted = [...pairs].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([id, { key, was, is }]) => {
    const row = {
      key: textOf(key),
      ...(was && { before: text(was) }),
      ...(is && { after: text(is) }),
      differs: was === undefined || is === undefined || !equalBytes(was, is),
    }
    return [id, row]
  })
}

/** A list that was cut ends with a key that the page leaves to the next one, and what comes later in the other list as well. */
function pageOf(rows: readonly [string, InspectorRow][], lists: readonly (readonly Entry[])[]): InspectorPage {
  const ends = lists.flatMap((list) => (list.length > PAGE ? [idOf(list[PAGE]![0])] : []))
  const next = ends.sort()[0]
  const shown = rows.filter(([id]) => next === undefined || id < next).map(([, row]) => row)
  return { rows: shown, ...(next !== undefined && { next }) }
}

/** Ordered as keys are. */
function idOf(key: Key): string {
  return toHex(encodeKey(key))
}
