/**
 * The true history of the logs of a store that is split and merged, seen from beneath its storage: what came first at each number of each
 * log, up to its seal, and what each version holds by its deltas alone. No manifest and no collection has a part in it.
 */
import type { Storage } from 'tidemark'
import { jsonCodec } from '../../src/bytes/codec.js'
import { toHex } from '../../src/bytes/hex.js'
import { decodeKey } from '../../src/bytes/keys.js'
import { decodeGroups } from '../../src/log/delta.js'
import { decodeEntry, type Entry } from '../../src/log/entry.js'
import { isProbe } from '../../src/storage/probe-name.js'
import type { Run } from '../../src/storage/turns.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import { partitionOf } from '../../src/store/reads.js'

export const PARTITIONS = 4

export type Contents = ReadonlyMap<string, unknown>

interface Happened {
  readonly isVersion: boolean
  readonly contents: Contents
}

/** What is known of a log. */
export interface TrueLog {
  readonly path: string
  readonly first: number
  readonly range: readonly [number, number]
  /** From `first` on. */
  readonly entries: Happened[]
  /** The number of its seal. */
  sealedAt: number | undefined
}

/** Those of a group's control store are not. */
function isOfShard(path: string): boolean {
  return !isProbe(path) && !path.includes('/group/')
}

export class VersionsTruth {
  /** By the hex of their ids, in the order in which they began. */
  readonly logs = new Map<string, TrueLog>()
  wrong: string | undefined

  watch(storage: Storage): Storage {
    return intercept(storage, async <T>(call: Call, run: Run<T>) => {
      const answer = await run(call.signal)
      if (call.conditional && call.target === 'log' && isOfShard(call.path)) {
        if ((answer as { outcome?: string }).outcome === 'committed') this.#landed(call.path, call.n!, call.bytes!)
      }
      return answer
    })
  }

  #landed(path: string, n: number, bytes: Uint8Array): void {
    const entry = decodeEntry(bytes, n, undefined)
    const key = toHex(entry.logId)
    let log = this.logs.get(key)
    if (log === undefined) {
      const { first, last } = entry.carried?.own ?? { first: 0, last: PARTITIONS - 1 }
      if (!entry.carried?.own && n !== 1) return this.#fail(`log ${path} begins with ${n}`)
      log = { path, first: n, range: [first, last], entries: [], sealedAt: undefined }
      this.logs.set(key, log)
    } else if (log.sealedAt || n !== log.first + log.entries.length) return
    log.entries.push(this.#apply(log, entry))
    if (entry.seal) log.sealedAt = n
  }

  #apply(log: TrueLog, entry: Entry): Happened {
    const { kind, origin, delta } = entry
    const before = log.entries.at(-1)?.contents ?? this.#beginning(log, entry)
    if (kind === 'reset' && origin) {
      const [from, to] = [this.logs.get(origin.log.slice(-32))!, this.at(origin.log.slice(-32), origin.version)]
      const isIn = (name: string): boolean => {
        const partition = partitionOf(name, PARTITIONS)
        const [first, last] = [Math.max(from.range[0], log.range[0]), Math.min(from.range[1], log.range[1])]
        const isChosen = origin.partitions.length === 0 || origin.partitions.includes(partition)
        return isChosen && partition >= first && partition <= last
      }
      const kept = [...before].filter(([name]) => !isIn(name))
      return { isVersion: true, contents: new Map([...kept, ...[...to].filter(([name]) => isIn(name))]) }
    }
    if (kind === 'reset') return { isVersion: true, contents: before }
    if (kind !== 'commit') return { isVersion: false, contents: before }
    const contents = new Map(before)
    for (const { changes } of delta ? decodeGroups(delta.subarray(1), 'A delta') : []) {
      for (const change of changes) {
        if (change.type === 'put') contents.set(String(decodeKey(change.key)), jsonCodec.decode(change.value))
        else contents.delete(String(decodeKey(change.key)))
      }
    }
    return { isVersion: true, contents }
  }

  /** What a log begins with: what its parents end with, in its own partitions. */
  #beginning(log: TrueLog, { carried }: Entry): Contents {
    const all = new Map<string, unknown>()
    for (const { logId, n } of carried?.own?.parents ?? []) {
      const parent = this.logs.get(toHex(logId))!
      if (parent.sealedAt !== n)
        this.#fail(`${log.path} came of ${parent.path} at ${n}, which ended at ${parent.sealedAt}`)
      for (const [name, value] of this.at(toHex(logId), n)) {
        const partition = partitionOf(name, PARTITIONS)
        if (partition >= log.range[0] && partition <= log.range[1]) all.set(name, value)
      }
    }
    return all
  }

  #fail(what: string): void {
    this.wrong ??= what
  }

  check(): void {
    if (this.wrong !== undefined) throw new Error(this.wrong)
  }

  /** What entry `n` of a log left. */
  at(key: string, n: number): Contents {
    const log = this.logs.get(key)!
    const found = log.entries[n - log.first]
    if (!found) throw new Error(`there is no entry ${n} in ${log.path}`)
    return found.contents
  }

  versionsOf(key: string): number[] {
    const { entries, first } = this.logs.get(key)!
    return entries.flatMap(({ isVersion }, i) => (isVersion ? first + i : []))
  }

  /** The log that had version `n` of these partitions: numbers go on from log to log (S3). */
  logOf(first: number, last: number, n: number): string {
    const own = [...this.logs].filter(([, log]) => log.range[0] === first && log.range[1] === last)
    const found = own.find(([key]) => this.versionsOf(key).includes(n))
    if (!found) throw new Error(`there is no version ${n} of partitions ${first} to ${last}`)
    return found[0]
  }

  /** Throws unless these are the contents that version `n` of a log has. */
  compare(key: string, n: number, found: Contents, what: string): void {
    const expected = this.at(key, n)
    const isSame = found.size === expected.size && [...expected].every(([name, value]) => found.get(name) === value)
    const show = (of: Contents): string => [...of].map(([name, value]) => `${name}=${String(value)}`).join(' ')
    if (!isSame)
      throw new Error(
        `${what}: version ${n} of ${this.logs.get(key)!.path} is ${show(found)}, and should be ${show(expected)}`,
      )
  }
}
