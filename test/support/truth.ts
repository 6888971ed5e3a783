/**
 * The true history of some stores, seen from beneath their storage: the entry that came first at each number is the
 * history, and its deltas alone say what every version holds. No manifest, no fold and no collection has a part in it.
 */
import type { Storage } from 'tidemark'
import { jsonCodec } from '../../src/bytes/codec.js'
import { decodeKey } from '../../src/bytes/keys.js'
import { decodeGroups } from '../../src/log/delta.js'
import { decodeEntry, type Entry } from '../../src/log/entry.js'
import { isProbe } from '../../src/storage/probe-name.js'
import type { Run } from '../../src/storage/turns.js'
import { intercept, type Call } from '../../src/storage/intercept.js'

export type Contents = ReadonlyMap<string, unknown>

/** A version, or an entry that is none and leaves everything as it was. */
interface Happened {
  readonly version: number
  readonly contents: Contents
  /** The name of its commit, or of its restore. */
  readonly op: string | undefined
  /** When the entry was made, as it says. */
  readonly time: number
}

const NOTHING: Happened = { version: 0, contents: new Map(), op: undefined, time: 0 }

export class Truth {
  /** By store; its entries from number 1 on. */
  readonly #stores = new Map<string, Happened[]>()
  readonly #ops = new Map<string, number>()
  /** The puts of commits that are too large for their entry, by their labels. */
  readonly large = new Map<string, Contents>()
  /** The first thing that can't be right; what a storage throws would only reach the program. */
  wrong: string | undefined

  /** The same storage, watched. */
  watch(storage: Storage): Storage {
    return intercept(storage, async <T>(call: Call, run: Run<T>) => {
      const answer = await run(call.signal)
      if (call.conditional && call.target === 'log' && !isProbe(call.path)) {
        if ((answer as { outcome?: string }).outcome === 'committed') this.#landed(call.path, call.n!, call.bytes!)
      }
      return answer
    })
  }

  #landed(path: string, n: number, bytes: Uint8Array): void {
    const store = path.slice(0, path.indexOf('/'))
    const entries = this.#stores.get(store) ?? []
    this.#stores.set(store, entries)
    // An entry that lands on a number that was taken once is no part of the history, whatever its writer believes.
    if (n <= entries.length) return
    if (n > entries.length + 1) {
      this.#fail(`entry ${n} of ${store} came before entry ${entries.length + 1}`)
      return
    }
    const happened = this.#apply(store, decodeEntry(bytes, n, undefined), entries.at(-1) ?? NOTHING)
    entries.push(happened)
    if (happened.op === undefined) return
    if (this.#ops.has(happened.op)) this.#fail(`${happened.op} was applied twice, the second time as version ${n}`)
    this.#ops.set(happened.op, n)
  }

  #apply(store: string, entry: Entry, before: Happened): Happened {
    const { n, kind, label } = entry
    const time = entry.carried?.time ?? before.time
    if (kind === 'reset') {
      const { log, version } = entry.origin!
      const contents = this.at(log.slice(0, log.indexOf('/')), version)
      return { version: n, contents, op: label, time }
    }
    if (kind !== 'commit') return { ...before, op: undefined, time }
    const contents = new Map(before.contents)
    let op = label
    let counts = entry.references !== undefined
    if (entry.references) for (const [key, value] of this.large.get(label!)!) contents.set(key, value)
    // Nothing goes over a network here, and so nothing is compressed.
    for (const { changes } of entry.delta ? decodeGroups(entry.delta.subarray(1), 'A delta') : []) {
      for (const change of changes) {
        const key = String(decodeKey(change.key))
        counts ||= key === 'count'
        if (change.type === 'put') contents.set(key, jsonCodec.decode(change.value))
        else contents.delete(key)
      }
    }
    if (entry.delta) op = String(contents.get('op'))
    const [count, counted] = [contents, before.contents].map((of) => Number(of.get('count') ?? 0)) as [number, number]
    if (counts && count !== counted + 1) this.#fail(`${op} counted ${count} after ${counted}`)
    return { version: n, contents, op, time }
  }

  #fail(what: string): void {
    this.wrong ??= what
  }

  check(): void {
    if (this.wrong !== undefined) throw new Error(this.wrong)
  }

  /** The version as which it was applied, if it was. */
  versionOf(op: string): number | undefined {
    return this.#ops.get(op)
  }

  /** The newest entry. */
  headOf(path: string): number {
    return this.#stores.get(path.slice(0, path.indexOf('/')))?.length ?? 0
  }

  newest(store: string): number {
    return this.#stores.get(store)?.at(-1)?.version ?? 0
  }

  /** The newest version of each period of so many milliseconds that has any. */
  newestOfEach(store: string, ms: number): number[] {
    const newest = new Map<number, number>()
    for (const [i, { version, time }] of (this.#stores.get(store) ?? []).entries()) {
      if (version === i + 1) newest.set(Math.floor(time / ms), version)
    }
    return [...newest.values()]
  }

  /** The contents of a version. */
  at(store: string, version: number): Contents {
    return this.#stores.get(store)?.[version - 1]?.contents ?? NOTHING.contents
  }

  /** Throws unless these are the contents of the version. */
  compare(store: string, version: number, found: Contents, what: string): void {
    const expected = this.at(store, version)
    const same = found.size === expected.size && [...expected].every(([key, value]) => found.get(key) === value)
    if (!same)
      throw new Error(`${what}: version ${version} of ${store} is ${show(found)}, it should be ${show(expected)}`)
  }
}

function show(contents: Contents): string {
  return [...contents].map(([key, value]) => `${key}=${String(value).slice(0, 12)}`).join(' ')
}
