/**
 * The anchor: compare and swap over numbered files `<path>@<generation>`, of which the highest counts.
 *
 * - A generation is made by linking a synced file to its name, which succeeds once. The token is the generation.
 * - Numbers never go back. Removing makes an empty generation, which stays until another one is made. A file system gives a
 *   free name to whoever comes, so without it a swap that stalled while its anchor was removed could land in an anchor that
 *   was made anew. This one empty file is all that is left of a store that was destroyed.
 * - When a generation is durable, its maker unlinks those that are more than `SPARES` below it. An empty one unlinks all below.
 *   Where there is no room for a new one, those that are more than `FEWEST` below the newest go first. The newest one always
 *   stays. So a swap that stalled can make g again only after a generation above g + FEWEST, or an empty one above g, was
 *   there. A maker of g that sees neither of these, and no gap, has made g while it was the newest. One that sees such a thing
 *   cannot tell, and says `unknown`. Spares also let a reader finish that has listed just before.
 * - A read returns durable bytes: it syncs the folder if that is not known to be synced.
 */
import type { Clock } from '../../src/clock.js'
import { TidemarkError, invalid, isFull, throwIfAborted } from '../../src/errors.js'
import type { Anchor, CallOptions, Outcome } from '../../src/storage/contract.js'
import { readFile, writeTemporary } from './blobs.js'
import { fileError, guarded, isAbsent, isRefusal } from './errors.js'
import type { FileSystem } from './file-system.js'
import { OWN, checkName, digits, split } from './names.js'
import { syncForReading, type Root } from './root.js'
import { discard, nameOnce } from './write.js'

/** How often a file may vanish between listing and reading. Each time somebody else has swapped twice. */
const MOST_TRIES = 100
const SPARES = 8
const FEWEST = 4
const EMPTY = new Uint8Array(0)

interface State {
  readonly generation: number
  /** `undefined` when there is no anchor, or it was removed. */
  readonly bytes: Uint8Array | undefined
}

export function anchor(fs: FileSystem, root: Root, clock: Clock, path: string): Anchor {
  checkName('The anchor', path)
  const [folder, last] = split(path)
  const pattern = new RegExp(`^${last.replaceAll('.', '\\.')}${OWN}(\\d{16})$`)
  const place = (generation: number): string => `${root.place(path)}${OWN}${digits(generation)}`
  /** The newest generation that this handle knows to be durable. */
  let durable = 0

  async function generations(): Promise<number[]> {
    if (!(await root.has(folder))) return []
    const names = await fs.names(root.place(folder)).catch((error: unknown) => {
      if (isAbsent(error)) return []
      throw error
    })
    const found = names.flatMap((name) => pattern.exec(name)?.slice(1).map(Number) ?? [])
    return found.sort((a, b) => a - b)
  }

  async function newest(): Promise<State> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const generation = (await generations()).at(-1)
      if (generation === undefined) return { generation: 0, bytes: undefined }
      const bytes = await readFile(fs, place(generation))
      if (bytes) return { generation, bytes: bytes.length === 0 ? undefined : bytes }
    }
    throw new TidemarkError(
      'STORAGE_UNAVAILABLE',
      `${root.place(path)} was replaced faster than it could be read. Try again.`,
    )
  }

  /** Whether `generation`, one of `all`, was made while there was none above it. */
  async function wasNewest(generation: number, all: readonly number[]): Promise<boolean> {
    const above = all.filter((other) => other > generation)
    const top = all.at(-1) ?? 0
    if (top < generation || top > generation + FEWEST || above.length !== top - generation) return false
    for (const other of above) if (!(await readFile(fs, place(other)))?.length) return false
    return true
  }

  async function unlinkBelow(generation: number, all: readonly number[]): Promise<void> {
    for (const old of all) if (old < generation) await discard(fs, place(old))
  }

  /** Makes `generation`, unless somebody else has. Throws only when it surely made nothing. */
  async function make(generation: number, bytes: Uint8Array, signal?: AbortSignal): Promise<Outcome> {
    const write = (): Promise<string> => writeTemporary(fs, root, clock, folder, bytes)
    const temporary = await write().catch(async (error: unknown) => {
      const all = await generations()
      const spare = all.filter((old) => old < all.at(-1)! - FEWEST)
      if (spare.length === 0 || !isFull(fileError(error, 'write', place(generation)))) throw error
      for (const old of spare) await discard(fs, place(old))
      return write()
    })
    if (signal?.aborted) await discard(fs, temporary)
    throwIfAborted(signal)
    try {
      if (!(await nameOnce(fs, temporary, place(generation)))) return { outcome: 'lost' }
    } catch (cause) {
      if (isRefusal(cause)) throw cause
      return { outcome: 'unknown', settle: false, cause }
    }
    try {
      await fs.syncDirectory(root.place(folder))
      const all = await generations()
      if (!(await wasNewest(generation, all))) return { outcome: 'unknown', settle: false }
      durable = Math.max(durable, generation)
      await unlinkBelow(bytes.length === 0 ? generation : generation - SPARES, all)
      return { outcome: 'committed', token: String(generation) }
    } catch (cause) {
      return { outcome: 'unknown', settle: false, cause }
    }
  }

  return {
    async read({ signal } = {}) {
      throwIfAborted(signal)
      return guarded('read', root.place(path), async () => {
        const { generation, bytes } = await newest()
        if (generation > durable) await syncForReading(fs, root.place(folder))
        durable = Math.max(durable, generation)
        return { bytes, token: bytes && String(generation) }
      })
    },

    async swap(token, bytes, _trim, { signal } = {}) {
      if (bytes.length === 0) throw invalid('An anchor cannot be empty.')
      throwIfAborted(signal)
      return guarded('write', root.place(path), async () => {
        const current = await newest()
        if ((current.bytes && String(current.generation)) !== token) return { outcome: 'lost' }
        return make(current.generation + 1, bytes, signal)
      })
    },

    async remove({ signal }: CallOptions = {}) {
      throwIfAborted(signal)
      await guarded('remove', root.place(path), async () => {
        for (;;) {
          const { generation, bytes } = await newest()
          // Somebody who died here may have left the generations below.
          if (bytes === undefined) return unlinkBelow(generation, await generations())
          const answer = await make(generation + 1, EMPTY)
          if (answer.outcome === 'unknown') throw answer.cause ?? new Error('it was swapped meanwhile')
        }
      })
      return {}
    },
  }
}
