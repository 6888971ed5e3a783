/**
 * The true history of a store that is split and merged, seen from beneath its storage: which entries of which log count, what each of
 * them makes of each partition, and which log a partition lives in. No manifest, no fold and no anchor has a part in it.
 */
import type { Storage } from 'tidemark'
import { jsonCodec } from '../../src/bytes/codec.js'
import { toHex } from '../../src/bytes/hex.js'
import { decodeKey } from '../../src/bytes/keys.js'
import { decodeGroups } from '../../src/log/delta.js'
import { decodeEntry, type Carried, type Entry } from '../../src/log/entry.js'
import type { Run } from '../../src/storage/turns.js'
import { intercept, type Call } from '../../src/storage/intercept.js'

export const PARTITIONS = 4
export const SOURCE = 'events'
/** The key under which a partition keeps the numbers of its events. */
export const ALL = 'all'

/** An entry that counts, and what the partitions hold after it. */
interface Happened {
  readonly entry: Entry
  readonly carried: Carried
  readonly values: readonly string[]
}

interface TrueLog {
  readonly id: string
  readonly first: number
  readonly range: { readonly first: number; readonly last: number }
  readonly entries: Happened[]
  isSealed: boolean
}

export class EventsTruth {
  /** Of which partition each event of the source is. */
  readonly events: readonly number[]
  readonly logs = new Map<string, TrueLog>()
  /** The log in which each partition goes on. */
  readonly living: (TrueLog | undefined)[] = Array.from({ length: PARTITIONS }, () => undefined)
  readonly #ops = new Map<string, { readonly log: string; readonly n: number }>()
  readonly #acknowledged = new Set<string>()
  /** What large commits, which stand in segments, put into each partition. */
  readonly large = new Map<string, ReadonlyMap<number, string>>()
  /** The first thing that can't be right; what a storage throws would only reach the program. */
  wrong: string | undefined

  constructor(events: readonly number[]) {
    this.events = events
  }

  /** The events of a partition below a position. */
  exact(partition: number, position: number): string {
    return this.events.map((of, i) => (of === partition && i < position ? `,${i}` : '')).join('')
  }

  /** The same storage, watched. */
  watch(storage: Storage): Storage {
    return intercept(storage, async <T>(call: Call, run: Run<T>) => {
      const answer = await run(call.signal)
      if (call.conditional && call.target === 'log' && (answer as { outcome?: string }).outcome === 'committed')
        this.#landed(call.path, call.n!, call.bytes!)
      return answer
    })
  }

  /** The newest number that a log has; above any other where there is no such log. */
  headOf(path: string): number {
    const log = this.logs.get(path.split('/').at(-1)!)
    return log ? log.first + log.entries.length - 1 : Infinity
  }

  #landed(path: string, n: number, bytes: Uint8Array): void {
    const id = path.split('/').at(-1)!
    const entry = decodeEntry(bytes, n, undefined)
    const log = this.logs.get(id)
    if (log === undefined) this.#begin(id, entry)
    // What lands on a number that was taken once, or behind a seal, is no part of the history, whatever its writer believes.
    else if (n === log.first + log.entries.length && !log.isSealed) this.#goOn(log, entry)
  }

  #begin(id: string, entry: Entry): void {
    const { n } = entry
    const own = entry.carried?.own
    const range = own ? { first: own.first, last: own.last } : { first: 0, last: PARTITIONS - 1 }
    const log: TrueLog = { id, first: n, range, entries: [], isSealed: false }
    const before = Array.from({ length: PARTITIONS }, () => '')
    for (let p = range.first; p <= range.last; p++) {
      const from = this.living[p]
      if (own === undefined && from === undefined) continue
      if (from === undefined || !own) return this.#fail(`a second root ${id}`)
      const parent = own.parents.find(({ logId }) => toHex(logId) === from.id)
      if (!parent)
        return this.#fail(`two living logs of partition ${p}: ${from.id}, and ${id}, which did not come of it`)
      const end = from.first + from.entries.length - 1
      if (!from.isSealed || parent.n !== end)
        return this.#fail(
          `${id} came of ${from.id} at ${parent.n}, which ${from.isSealed ? `ends with ${end}` : 'lives'}`,
        )
      if (n <= end) return this.#fail(`versions of partition ${p} go back from ${end} to ${n}`)
      before[p] = from.entries.at(-1)!.values[p]!
    }
    this.logs.set(id, log)
    for (let p = range.first; p <= range.last; p++) this.living[p] = log
    this.#goOn(log, entry, before)
  }

  #goOn(log: TrueLog, entry: Entry, before = log.entries.at(-1)!.values): void {
    const { n, label } = entry
    const carried = entry.carried ?? log.entries.at(-1)!.carried
    const isFirst = log.entries.length === 0
    const changes = isFirst ? new Map<number, string>() : this.#changes(entry)
    const values = before.map((value, p) => changes.get(p) ?? value)
    log.entries.push({ entry, carried, values })
    log.isSealed = entry.seal !== undefined
    if (entry.kind === 'commit' && label !== undefined) {
      if (this.#ops.has(label)) this.#fail(`${label} was applied twice, the second time as ${n} of ${log.id}`)
      this.#ops.set(label, { log: log.id, n })
    }
    for (let p = log.range.first; p <= log.range.last; p++) {
      const position = positionOf(carried, p)
      if (values[p] !== this.exact(p, position))
        this.#fail(`partition ${p} at ${n} of ${log.id} holds "${values[p]}" at ${position}`)
    }
  }

  #changes(entry: Entry): ReadonlyMap<number, string> {
    if (entry.references) return this.large.get(entry.label!)!
    const changes = new Map<number, string>()
    for (const group of entry.delta ? decodeGroups(entry.delta.subarray(1), 'A delta') : []) {
      for (const change of group.changes) {
        if (change.type === 'put' && decodeKey(change.key) === ALL)
          changes.set(group.partition, jsonCodec.decode(change.value) as string)
      }
    }
    return changes
  }

  #fail(what: string): void {
    this.wrong ??= what
  }

  check(): void {
    if (this.wrong !== undefined) throw new Error(this.wrong)
  }

  has(op: string): boolean {
    return this.#ops.has(op)
  }

  /** A commit was acknowledged: it is part of the history, and its number was acknowledged for no other of these partitions. */
  acknowledge(op: string, log: Uint8Array, version: number): void {
    const at = this.#ops.get(op)
    if (at?.log !== toHex(log) || at.n !== version)
      throw new Error(`${op} was acknowledged as ${version} of ${toHex(log)}, where it is not in the history`)
    const { range } = this.logs.get(at.log)!
    for (let p = range.first; p <= range.last; p++) {
      const key = `${p}@${version}`
      if (this.#acknowledged.has(key)) throw new Error(`version ${version} of partition ${p} was acknowledged twice`)
      this.#acknowledged.add(key)
    }
  }

  /** What a partition held as entry `n` of a log had left it. */
  valueAt(log: Uint8Array, n: number, partition: number): string | undefined {
    const { first, entries } = this.logs.get(toHex(log))!
    return entries[n - first]?.values[partition]
  }

  /** Whether a partition ever held this. */
  everHeld(partition: number, value: string): boolean {
    return this.events.some((_, i) => this.exact(partition, i + 1) === value) || value === ''
  }
}

/** Where the source stands for a partition. */
export function positionOf({ offsets, spans }: Pick<Carried, 'offsets' | 'spans'>, partition: number): number {
  const own = spans.get(SOURCE)?.spans.find(({ first, last }) => first <= partition && partition <= last)
  const positions = own ? own.positions : offsets.get(SOURCE)
  return Number(positions?.get(undefined) ?? 0)
}
