/** Replays what a watch tells onto a map, which then is what the store held at its newest version. */
import { expect } from 'vitest'
import { systemClock, type Key, type Store, type WatchChange } from 'tidemark'
import { isWithin, show, type Bounds, type Model, type Where } from './store-model.js'

const PATIENCE_MS = 10_000

/** Changes of keys do not tell expiries, nor partitions. */
export class Unclear {
  readonly #keys = new Set<string>()

  add(table: string, key: Key): void {
    this.#keys.add(`${table} ${show(key)}`)
  }

  has(table: string, key: Key): boolean {
    return this.hasShown(table, show(key))
  }

  hasShown(table: string, key: string): boolean {
    return this.#keys.has(`${table} ${key}`)
  }
}

export class Replay {
  readonly #table: string
  readonly #bounds: Bounds
  readonly #unclear: Unclear
  readonly #map: Map<string, unknown>
  #version: number
  /** The listener's own findings: what it throws goes to the store. */
  #failure: unknown

  constructor(store: Store, table: string, bounds: Bounds, committed: Model, unclear: Unclear) {
    this.#table = table
    this.#bounds = bounds
    this.#unclear = unclear
    this.#map = this.#wanted(committed)
    this.#version = store.version
    store.watch({ table, ...bounds }, (changes) => {
      try {
        this.#take(changes)
      } catch (error) {
        this.#failure ??= error
      }
    })
  }

  #wanted(committed: Model): Map<string, unknown> {
    const at: Where = { table: this.#table, partition: undefined }
    return new Map(
      committed
        .list(at, this.#bounds, -Infinity)
        .filter(([key]) => !this.#unclear.has(this.#table, key))
        .map(([key, value]) => [show(key), value]),
    )
  }

  #take(changes: readonly WatchChange[]): void {
    const [{ version }] = changes as [WatchChange]
    expect(version).toBeGreaterThan(this.#version)
    this.#version = version
    for (const { key, version: own, ...values } of changes) {
      expect(own).toBe(version)
      expect(isWithin(key, this.#bounds)).toBe(true)
      if (this.#unclear.has(this.#table, key)) continue
      const before = this.#map.get(show(key))
      expect([key, values.before, 'before' in values]).toEqual([key, before, before !== undefined])
      expect(values.after).not.toEqual(before)
      if ('after' in values) this.#map.set(show(key), values.after)
      else this.#map.delete(show(key))
    }
  }

  /** Resolves when the map is what was committed; watches tell it later, as they may have to load what they need, and to read. */
  async expectEqual(committed: Model): Promise<void> {
    const wanted = this.#wanted(committed)
    const text = (map: Map<string, unknown>): string => JSON.stringify([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
    const end = systemClock.monotonic() + PATIENCE_MS
    while (text(this.#clear()) !== text(wanted) && systemClock.monotonic() < end) await systemClock.pause()
    if (this.#failure !== undefined) throw this.#failure
    expect(text(this.#clear())).toBe(text(wanted))
  }

  /** Without keys that have become unclear since. */
  #clear(): Map<string, unknown> {
    return new Map([...this.#map].filter(([key]) => !this.#unclear.hasShown(this.#table, key)))
  }
}
