/** A child's state is its parents' states, each cut to the child's partitions, side by side. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toMapKey } from '../../../../src/bytes/keys.js'
import { toBinary } from '../../../../src/bytes/binary.js'
import { Memtable } from '../../../../src/engine/memtable.js'
import { lookUpLoading, viewOf } from '../../../../src/engine/read.js'
import { scan } from '../../../../src/engine/scan.js'
import { isMixed, sideBySide, type Parent } from '../../../../src/engine/shards/side-by-side.js'
import { makeSlot, tableBytes } from '../../../../src/engine/slot.js'
import { emptyState, recordedCodec, type ShardState, type TailEntry } from '../../../../src/engine/state.js'
import type { PartitionRange } from '../../../../src/manifest/clip.js'
import { encodeManifest } from '../../../../src/manifest/encode.js'
import { decodeManifest, type CodedRuns, type Manifest, type Run } from '../../../../src/manifest/manifest.js'
import type { KeyedRecord, KeyRange } from '../../../../src/segment/record.js'
import { LOG_ID, LOG_PATH, memtableOf, rangeOf, recordsOf, Runs, walk, type Value } from '../../../support/parts.js'

const PARTITIONS = 8
const KEYS = 6
const SLOTS = Array.from({ length: PARTITIONS }, (_, i) => makeSlot(i, tableBytes('')))
const CONFIG = { partitions: PARTITIONS, job: 'j', created: 7, parent: 'p' }
const CODECS = new Map([['', 'json']])

/** A put, a delete, or the deletion of a range of keys, in one partition. */
type Act = readonly [partition: number, key: number, what: number | 'delete' | 'range']
/** The changes of one layer of a parent: a run of the manifest, a delta by reference, or an entry of the tail. */
type Layers = readonly { readonly kind: 'run' | 'references' | 'entry'; readonly acts: readonly Act[] }[]

/** As a layer says it: points win over ranges. */
function sorted(acts: readonly Act[]): { points: Map<number, Map<number, Value>>; ranges: KeyRange[] } {
  const points = new Map<number, Map<number, Value>>()
  const ranges: KeyRange[] = []
  for (const [partition, key, what] of acts) {
    if (what === 'range') ranges.push(rangeOf(key, key + 3, SLOTS[partition]))
    else {
      if (!points.has(partition)) points.set(partition, new Map())
      points.get(partition)!.set(key, what === 'delete' ? undefined : what)
    }
  }
  return { points, ranges }
}

function memtableFor(acts: readonly Act[]): Memtable {
  const { points, ranges } = sorted(acts)
  const memtable = new Memtable()
  for (const [i, slot] of SLOTS.entries()) {
    const own = ranges.filter(({ lower }) => lower[1] === i)
    if (own.length + (points.get(i)?.size ?? 0) === 0) continue
    memtable.absorb(memtableOf({ slot, puts: [...(points.get(i) ?? [])], ranges: own }))
  }
  return memtable
}

async function runFor(runs: Runs, acts: readonly Act[]): Promise<Run> {
  const { points, ranges } = sorted(acts)
  const records: KeyedRecord[] = SLOTS.flatMap((slot, i) =>
    recordsOf(
      [...(points.get(i) ?? [])].sort(([a], [b]) => a - b),
      slot,
    ),
  )
  return runs.write(
    records,
    ranges.toSorted((a, b) => a.lower[1]! - b.lower[1]! || compare(a, b)),
  )
}

const compare = (a: KeyRange, b: KeyRange): number => Buffer.compare(a.lower, b.lower)

/** Ranges of a run must lie apart. */
const apart = (acts: readonly Act[]): Act[] => {
  const last = new Map<number, number>()
  return acts
    .toSorted((a, b) => a[1] - b[1])
    .filter(([partition, key, what]) => {
      if (what !== 'range') return true
      if (key <= (last.get(partition) ?? -1) + 3 && last.has(partition)) return false
      last.set(partition, key)
      return true
    })
}

async function stateOf(runs: Runs, layers: Layers): Promise<ShardState> {
  const manifestRuns: Run[] = []
  const tail: TailEntry[] = []
  for (const { kind, acts } of layers) {
    const n = tail.length + 1
    const none = { n, time: 0, bytes: 0, memtable: undefined, references: undefined }
    if (kind === 'entry') tail.push({ ...none, memtable: memtableFor(acts) })
    else {
      const run = await runFor(runs, apart(acts))
      if (run.length === 0) continue
      if (kind === 'run') manifestRuns.push(run)
      else tail.push({ ...none, references: { codecs: CODECS, runs: [run] } })
    }
  }
  const manifest: Manifest = { config: CONFIG, covers: 0, codecs: CODECS, runs: manifestRuns }
  return { ...emptyState(LOG_ID, 0, CONFIG), head: tail.length, manifest, tail }
}

const stateOfChild = ({ manifest, memtable }: ReturnType<typeof sideBySide>): ShardState => ({
  ...emptyState(LOG_ID, 0, CONFIG),
  manifest,
  tail: [{ n: 1, time: 0, memtable, references: undefined, bytes: 0 }],
})

/** All that a state says of some partitions, by single reads and in order. */
async function contents(runs: Runs, state: ShardState, [first, last]: PartitionRange): Promise<unknown> {
  const view = viewOf(state, [], runs.cache)
  const all = []
  for (let partition = first; partition <= last; partition++) {
    const slot = SLOTS[partition]!
    const values: Value[] = []
    for (let key = 0; key < KEYS + 3; key++) values.push((await lookUpLoading(view, slot, toMapKey(key)))?.bytes?.[0])
    const listed = await walk(await scan(view, slot, { ...rangeOf(0, KEYS + 9, slot), reverse: false }))
    all.push([values, listed.flatMap(({ value }) => value ?? [])])
  }
  return all
}

const act = (from: number, to: number): fc.Arbitrary<Act> =>
  fc.tuple(
    fc.integer({ min: from, max: to }),
    fc.integer({ min: 0, max: KEYS - 1 }),
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 250 }) },
      { weight: 2, arbitrary: fc.constant('delete' as const) },
      { weight: 1, arbitrary: fc.constant('range' as const) },
    ),
  )

/** Layers in the order in which a state has them: runs, deltas by reference, then entries. */
function layersIn(from: number, to: number): fc.Arbitrary<Layers> {
  const some = <K extends string>(kind: K, most: number) =>
    fc.array(fc.record({ kind: fc.constant(kind), acts: fc.array(act(from, to), { minLength: 1, maxLength: 12 }) }), {
      maxLength: most,
    })
  return fc.tuple(some('run', 3), some('references', 2), some('entry', 3)).map((all) => all.flat())
}

/** All partitions, dealt out to neighbours. */
const tiles = fc
  .uniqueArray(fc.integer({ min: 1, max: PARTITIONS - 1 }), { maxLength: 3 })
  .map((cuts) => [0, ...cuts.toSorted((a, b) => a - b), PARTITIONS])
  .map((cuts) => cuts.slice(1).map((end, i): PartitionRange => [cuts[i]!, end - 1]))

const family = tiles.chain((ranges) => fc.tuple(fc.constant(ranges), fc.tuple(...ranges.map((r) => layersIn(...r)))))

test('a split or a merge says of each partition what its parent says', async () => {
  await fc.assert(
    fc.asyncProperty(family, tiles, async ([ranges, layers], children) => {
      const runs = new Runs()
      const parents: Parent[] = []
      for (const [i, range] of ranges.entries()) parents.push({ range, state: await stateOf(runs, layers[i]!) })
      for (const child of children) {
        const made = stateOfChild(sideBySide(parents.toReversed(), child))
        for (const { range, state } of parents) {
          const both: PartitionRange = [Math.max(range[0], child[0]), Math.min(range[1], child[1])]
          expect(await contents(runs, made, both)).toEqual(await contents(runs, state as ShardState, both))
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('a child of a child says what its grandparent says, and has nothing of other partitions', async () => {
  await fc.assert(
    fc.asyncProperty(layersIn(0, 7), async (layers) => {
      const runs = new Runs()
      const root = await stateOf(runs, layers)
      const half = (of: ShardState, own: PartitionRange, to: PartitionRange) =>
        stateOfChild(sideBySide([{ range: own, state: of }], to))
      const left = half(half(root, [0, 7], [0, 5]), [0, 5], [0, 3])
      const right = half(root, [0, 7], [4, 7])
      const again = stateOfChild(
        sideBySide(
          [
            { range: [0, 3], state: left },
            { range: [4, 7], state: right },
          ],
          [0, 7],
        ),
      )
      expect(await contents(runs, again, [0, 7])).toEqual(await contents(runs, root, [0, 7]))
      expect(again.manifest.runs.length).toBeLessThanOrEqual(
        root.manifest.runs.length + root.tail.filter(({ references }) => references).length,
      )
      for (const run of left.manifest.runs)
        for (const { clip, upper } of run) expect(clip?.[1] ?? upper[1]).toBeLessThanOrEqual(3)
      for (const { slot } of left.tail[0]!.memtable?.slots.values() ?? []) expect(slot.partition).toBeLessThanOrEqual(3)
      // Its manifest comes back from its bytes.
      const bytes = encodeManifest(again.manifest, LOG_PATH)
      expect(decodeManifest(bytes, LOG_PATH, 'it').runs).toEqual(again.manifest.runs)
    }),
    { numRuns: 60 },
  )
})

test('runs of equal depth are one run, and pieces of one segment that meet again are one', async () => {
  const runs = new Runs()
  const deep = await stateOf(runs, [
    { kind: 'run', acts: [[1, 1, 1]] },
    { kind: 'run', acts: [[1, 2, 2]] },
    { kind: 'references', acts: [[2, 3, 3]] },
  ])
  const flat = await stateOf(runs, [{ kind: 'run', acts: [[5, 1, 4]] }])
  const { manifest } = sideBySide(
    [
      { range: [0, 3], state: deep },
      { range: [4, 7], state: flat },
    ],
    [0, 7],
  )
  expect(manifest.runs.map((run) => run.length)).toEqual([2, 1, 1])
  expect(manifest.config).toEqual(CONFIG)
  const whole = await stateOf(runs, [
    {
      kind: 'run',
      acts: [
        [1, 1, 1],
        [6, 1, 1],
      ],
    },
  ])
  const [left, right] = (
    [
      [0, 3],
      [4, 7],
    ] as const
  ).map((range) => ({
    range,
    state: stateOfChild(sideBySide([{ range: [0, 7], state: whole }], range)),
  }))
  const merged = sideBySide([left!, right!], [0, 7]).manifest.runs
  expect(merged.map((run) => run.map(({ name }) => name))).toEqual([whole.manifest.runs[0]!.map(({ name }) => name)])
})

test('a tail is mixed when changes lie beneath a delta by reference', async () => {
  const runs = new Runs()
  const entry = { kind: 'entry', acts: [[1, 1, 1]] } as const
  const references = { kind: 'references', acts: [[1, 2, 2]] } as const
  const mixed = async (...layers: Layers): Promise<boolean> => isMixed(await stateOf(runs, layers))
  expect(await mixed()).toBe(false)
  expect(await mixed(entry, entry)).toBe(false)
  expect(await mixed(references, references, entry)).toBe(false)
  expect(await mixed(entry, references)).toBe(true)
  expect(await mixed(references, entry, references)).toBe(true)
  const state = await stateOf(runs, [entry])
  const nothing = { ...state.tail[0]!, memtable: new Memtable() }
  const none: CodedRuns = { codecs: CODECS, runs: [] }
  expect(isMixed({ tail: [nothing, { ...nothing, references: none }] })).toBe(false)
})

test('of codecs the highest version of the values counts, in the manifest and in the tail', () => {
  const table = tableBytes('t')
  const name = toBinary(table)
  const withCodec = (partition: number, inManifest: string, inTail?: string): Parent => ({
    range: [partition, partition],
    state: {
      manifest: { config: CONFIG, covers: 0, codecs: new Map([[name, inManifest]]), runs: [] },
      tail: [
        {
          n: 1,
          time: 0,
          bytes: 0,
          references: undefined,
          memtable: inTail
            ? memtableOf({ slot: makeSlot(partition, table), puts: [[1, 1]], codec: inTail })
            : undefined,
        },
      ],
    },
  })
  const v2 = 'json\0v2'
  const cases: readonly (readonly [readonly Parent[], string])[] = [
    [[withCodec(0, 'json'), withCodec(1, v2)], v2],
    [[withCodec(0, v2), withCodec(1, 'json', 'json')], v2],
    [[withCodec(0, 'json', v2), withCodec(1, 'json', 'json')], v2],
    [[withCodec(0, 'json', 'json'), withCodec(1, 'json')], 'json'],
    [[withCodec(0, v2, 'json\0v10'), withCodec(1, v2)], 'json\0v10'],
  ]
  for (const [parents, expected] of cases) {
    const made = sideBySide(parents, [0, 1])
    expect(made.manifest.codecs.get(name)).toBe(expected)
    expect(recordedCodec(stateOfChild(made), table)).toBe(expected)
  }
})
