/**
 * Keeps the parts that ranges were read of lately. A range takes little of a part, and others take more of it.
 *
 * A request costs more than what it brings. So once some parts of an object are kept, many are read at once: whoever reads
 * here and there in an object soon has all of it, and whoever reads one range of each of many objects reads no more than that.
 */
import type { Head } from './schema.js'

/** Beyond so many all are let go of, but for those that were read just now: about 8 MiB, less where some were read twice. */
const PARTS = 128
/** With more than so many of an object it is worth it to read ahead. Its index, its filter and a block are that many. */
const FEW = 3
/** So many are read at once then. */
const AHEAD = 16

interface Recent {
  readonly head: Head
  /** By number. */
  readonly parts: Map<number, Uint8Array>
}

export class RecentParts {
  /** By the name of the object. */
  readonly #objects = new Map<string, Recent>()
  #count = 0

  /** The parts of an object from number `first` to `last`, if all are kept. */
  find(name: string, first: number, last: number): readonly [Head, readonly Uint8Array[], number] | undefined {
    const recent = this.#objects.get(name)
    const parts: Uint8Array[] = []
    for (let i = first, part; i <= last && (part = recent?.parts.get(i)); i++) parts.push(part)
    return recent && parts.length > last - first ? [recent.head, parts, first] : undefined
  }

  /** Which parts to read where those from `first` to `last` are wanted; aligned, for those who read backwards as well. */
  ahead(name: string, first: number, last: number): readonly [first: number, last: number] {
    const size = (this.#objects.get(name)?.parts.size ?? 0) > FEW ? AHEAD : 1
    return [first - (first % size), last - (last % size) + size - 1]
  }

  keep(head: Head, first: number, parts: readonly Uint8Array[]): void {
    if ((this.#count += parts.length) > PARTS) this.clear()
    const recent = this.#objects.get(head.name) ?? { head, parts: new Map<number, Uint8Array>() }
    this.#objects.set(head.name, recent)
    for (const part of parts) recent.parts.set(first++, part)
  }

  clear(): void {
    this.#objects.clear()
    this.#count = 0
  }
}
