/**
 * The contents of the model of a file system (model-fs.ts): files and folders as running programs see them, and beside that
 * what is on the disk for certain and what has changed since.
 */
import { Random } from '../../src/testing/random.js'

export type Node = File | Folder

interface Write {
  readonly at: number
  readonly bytes: Uint8Array
}

export class File {
  readonly kind = 'file'
  /** The page cache: what every reader sees. */
  cache: Uint8Array = new Uint8Array(0)
  /** The bytes that successful syncs made sure of. */
  #durable: Uint8Array = new Uint8Array(0)
  #writes: Write[] = []

  write(at: number, bytes: Uint8Array): void {
    this.cache = overwritten(this.cache, at, bytes)
    this.#writes.push({ at, bytes: bytes.slice() })
  }

  /** Cuts the end off. A power loss may bring it back, as nothing here counts on its being gone. */
  truncate(length: number): void {
    this.cache = this.cache.slice(0, length)
  }

  /** How many syncs have failed: each descriptor is told once. */
  failures = 0

  sync(): void {
    for (const { at, bytes } of this.#writes) this.#durable = overwritten(this.#durable, at, bytes)
    this.#writes = []
  }

  /**
   * A sync that fails as on Linux: what was to be written counts as clean from now on, so that no later sync writes it,
   * and readers go on seeing it.
   */
  failSync(): void {
    this.#writes = []
    this.failures++
  }

  /** Other bytes, durable at once. */
  replace(bytes: Uint8Array): void {
    this.cache = bytes
    this.#durable = bytes.slice()
    this.#writes = []
  }

  afterCrash(luck: Luck): File {
    const after = new File()
    after.replace(this.#writes.reduce((disk, write) => torn(luck, write, disk), this.#durable).slice())
    return after
  }
}

interface Change {
  readonly name: string
  readonly node: Node | undefined
  /** The old name of a rename: it goes in the same step. */
  readonly from?: string
}

export class Folder {
  readonly kind = 'directory'
  readonly names = new Map<string, Node>()
  #durable = new Map<string, Node>()
  #changes: Change[] = []

  change(change: Change): void {
    apply(this.names, change)
    this.#changes.push(change)
  }

  sync(): void {
    this.#durable = new Map(this.names)
    this.#changes = []
  }

  /** `known` keeps a file with two names one file. */
  afterCrash(luck: Luck, known = new Map<Node, Node>()): Folder {
    const kept = new Map(this.#durable)
    for (const change of this.#changes) if (luck.keeps()) apply(kept, change)
    const after = new Folder()
    for (const [name, node] of kept) {
      let found = known.get(node)
      if (!found) known.set(node, (found = node.afterCrash(luck, known)))
      after.names.set(name, found)
    }
    after.sync()
    return after
  }
}

function apply(names: Map<string, Node>, { name, node, from }: Change): void {
  if (from !== undefined) names.delete(from)
  if (node) names.set(name, node)
  else names.delete(name)
}

/** Chance in a power loss. A seed decides for the whole of it whether little or much is kept. */
export class Luck extends Random {
  readonly #kept = [0, 0.2, 0.5, 0.8, 1][this.below(5)]!

  keeps(): boolean {
    return this.chance(this.#kept)
  }
}

/** A write that was under way: all of it, nothing, the first bytes, or some sectors; perhaps only the new length. */
function torn(luck: Luck, { at, bytes }: Write, disk: Uint8Array): Uint8Array {
  if (luck.keeps()) return written(disk, at, bytes)
  switch (luck.below(4)) {
    case 0:
      return disk
    case 1:
      return written(disk, at, bytes.subarray(0, luck.below(bytes.length + 1)))
    case 2:
      return at + bytes.length > disk.length ? written(disk, at + bytes.length, new Uint8Array(0)) : disk
    default:
      for (let i = 0; i < bytes.length; i += 512) {
        if (luck.chance(0.5)) disk = written(disk, at + i, bytes.subarray(i, i + 512))
      }
      return disk
  }
}

/** As `written`, in place where that goes. */
function overwritten(disk: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  if (at + bytes.length > disk.length) return written(disk, at, bytes)
  disk.set(bytes, at)
  return disk
}

/** `disk` with `bytes` at `at`; what lies between its end and there is zeros. */
function written(disk: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(disk.length, at + bytes.length))
  result.set(disk)
  result.set(bytes, at)
  return result
}
