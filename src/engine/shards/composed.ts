/**
 * States of several logs as one: of the shards of a store, or of logs that were sealed, each cut to some of its partitions. No key is in
 * two of them, so that their runs of equal depth stand side by side, and so do the layers of their tails. What has not moved since
 * the last time is taken over.
 */
import { toBinary } from '../../bytes/binary.js'
import { emptyCarried } from '../../log/entry.js'
import { ByteWriter } from '../../bytes/writer.js'
import type { Manifest } from '../../manifest/manifest.js'
import type { PartitionRange } from '../../manifest/clip.js'
import type { Held } from '../context.js'
import { keepAll } from '../history/reading-pin.js'
import { Memtable } from '../memtable.js'
import {
  layersOf,
  layTail,
  type Composed,
  type Layer,
  type ShardState,
  type StatePart,
  type TailEntry,
} from '../state.js'
import { rangeOf } from './end.js'
import { besides, codecsOf, stackOf } from './side-by-side.js'
import { standingOf } from './spans.js'

/** The parts, by their partitions, of which none is in two, as one state. `before`: one that was put together of the same logs. */
export function compose(parts: readonly StatePart[], before?: ShardState): ShardState {
  const [first] = parts
  const all = parts.map(({ state }) => state.carried)
  const highest = (values: readonly number[]): number => Math.max(...values)
  const version = highest(all.map((carried) => carried.version))
  const range = { first: first!.first, last: parts.at(-1)!.last }
  const { partitions } = first!.state.manifest.config
  const hasAll = range.first === 0 && range.last === partitions - 1
  // By layers, which are few however long a tail is.
  const codecs = codecsOf(parts.map(({ state: { manifest, tail } }) => ({ manifest, tail: layersOf(tail) })))
  const carried = {
    ...emptyCarried(all[0]!.mode),
    time: highest(all.map(({ time }) => time)),
    version,
    versionTime: highest(all.map(({ versionTime }) => versionTime)),
    ...standingOf(
      parts.map(({ first, last, state }) => ({ range: [first, last], standing: state.carried })),
      [range.first, range.last],
    ),
    own: hasAll ? undefined : { ...range, parents: [] },
  }
  return {
    logId: nextId(),
    head: version,
    headHash: undefined,
    carried,
    manifest: manifestOf(parts, codecs, before),
    tail: tailOf(parts, codecs),
    hasIndexes: parts.some(({ state }) => state.hasIndexes),
    of: new Parts(parts),
  }
}

class Parts implements Composed {
  constructor(readonly parts: readonly StatePart[]) {}

  with(states: readonly ShardState[]): ShardState {
    return compose(this.parts.map((part, at) => ({ ...part, state: states[at]! })))
  }

  only(at: number, state: ShardState): ShardState {
    return { ...state, of: new Parts([{ ...this.parts[at]!, state }]) }
  }

  keep(own: Held): void {
    keepAll(own, this.parts)
  }
}

let made = 0

/** An id that no log has: of two states that were put together it says that they are two. */
function nextId(): Uint8Array {
  const w = new ByteWriter(16)
  w.varint(++made)
  return w.finish()
}

function isWhole({ state, first, last }: StatePart): boolean {
  const own = rangeOf(state)
  return own.first >= first && own.last <= last
}

function manifestOf(
  parts: readonly StatePart[],
  codecs: ReadonlyMap<string, string>,
  before: ShardState | undefined,
): Manifest {
  const known = before?.of?.parts
  const isSame = known?.length === parts.length && parts.every((part, at) => isSameGround(part, known[at]!))
  if (before && isSame) {
    const { manifest } = before
    const areSame =
      manifest.codecs.size === codecs.size && [...codecs].every(([table, id]) => manifest.codecs.get(table) === id)
    return areSame ? manifest : { ...manifest, codecs }
  }
  const { config } = parts[0]!.state.manifest
  const stacks = parts.map((part) => {
    const { runs } = part.state.manifest
    return isWhole(part) ? runs : stackOf(runs, [part.first, part.last])
  })
  return { config, covers: 0, codecs, runs: besides(stacks) }
}

function isSameGround(a: StatePart, b: StatePart): boolean {
  return a.state.manifest === b.state.manifest && a.first === b.first && a.last === b.last
}

/** The tails one behind another: entries of two logs have no order among each other, and need none. */
function tailOf(parts: readonly StatePart[], codecs: ReadonlyMap<string, string>): readonly TailEntry[] {
  const tails = parts.map((part) => (isWhole(part) ? part.state.tail : cutTail(part)))
  const tail = tails.flat()
  layTail(tail, layersBesides(tails.map(layersOf), codecs))
  return tail
}

/** The entries with what they changed in some partitions. */
function cutTail({ state, first, last }: StatePart): readonly TailEntry[] {
  const range: PartitionRange = [first, last]
  return state.tail.map(({ memtable, references, ...entry }) => {
    const cut = memtable && slotsOf([memtable], ({ slot }) => first <= slot.partition && slot.partition <= last)
    const runs = references && stackOf(references.runs, range)
    return {
      ...entry,
      memtable: cut && !cut.empty ? cut : undefined,
      references: runs && runs.length > 0 ? { ...references, runs } : undefined,
      bytes: cut?.bytes ?? 0,
    }
  })
}

/** Layers of equal depth become one, so that a read asks no more of them than the deepest tail has. */
function layersBesides(all: readonly (readonly Layer[])[], codecs: ReadonlyMap<string, string>): readonly Layer[] {
  if (all.length === 1) return all[0]!
  const depth = Math.max(...all.map((layers) => layers.length))
  return Array.from({ length: depth }, (_, at) => {
    const level = all.flatMap((layers) => layers[at] ?? [])
    const memtables = level.flatMap(({ memtable }) => memtable ?? [])
    const references = level.flatMap((layer) => layer.references ?? [])
    return {
      memtable: memtables.length > 0 ? slotsOf(memtables, () => true, codecs) : undefined,
      references: references.length > 0 ? { codecs, runs: besides(references.map(({ runs }) => runs)) } : undefined,
      entries: 1,
    }
  })
}

type Changes = Memtable['slots'] extends Map<string, infer T> ? T : never

/** A memtable of slots that other ones have; nothing is copied. Shards may have come unequally far with a table's codec. */
function slotsOf(
  memtables: readonly Memtable[],
  counts: (changes: Changes) => boolean,
  codecs?: ReadonlyMap<string, string>,
): Memtable {
  const all = new Memtable()
  for (const { slots } of memtables) {
    for (const [id, changes] of slots) {
      if (!counts(changes)) continue
      const codec = codecs?.get(toBinary(changes.slot.table)) ?? changes.codec
      all.slots.set(id, codec === changes.codec ? changes : { ...changes, codec, isShared: true })
    }
  }
  return all
}
