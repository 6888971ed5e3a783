/**
 * The folder of one log, and what its names say:
 *
 *     owner.<g>                        marker: generation g of owners has begun; g grows, each is made once
 *     log.<g>.<seq>.<first>.<id>       a log file of owner g, with the entries from `first` on; complete when named
 *     past.<g>.<seq>.<first>.<id>      the same, after a later one got its name: the history does not end in it
 *     temp.<g>.<random>                a file of owner g that is still being written
 *     trim.<n>                         entries up to n were removed; n is 0 at first, and a log file was there
 *
 * g, `first` and n have 16 digits, seq has 8. `id` is the first 4 bytes of the file's random id in hex, so that a name belongs
 * to one file, even if its log is destroyed and made again. Nobody deletes the newest marker but its own maker, when that gives
 * up before it has a file.
 *
 * A log that has lost its last file has only `past` files and a `trim`. So it is told apart from a log whose owner died before
 * it had a file.
 */
import type { Clock } from '../../../src/clock.js'
import { crc32 } from '../../../src/bytes/crc32.js'
import { hexOfU32 } from '../../../src/bytes/hex.js'
import { toHex } from '../../../src/bytes/hex.js'
import type { TidemarkError } from '../../../src/errors.js'
import { readFile } from '../blobs.js'
import { isAbsent } from '../errors.js'
import type { FileSystem } from '../file-system.js'
import type { LogFileHeader } from './format.js'
import { LOG_FOLDER, digits } from '../names.js'
import { syncForReading, type Root } from '../root.js'
import { discard, nameOnce, writeAll, writeFile } from '../write.js'

export interface LogFileName {
  readonly name: string
  readonly g: number
  readonly seq: number
  readonly first: number
  /** Whether a later file was there. */
  readonly isPast: boolean
}

export interface Listing {
  /** The generation of the newest owner, by its marker or its file; 0 when there never was one. */
  readonly newest: number
  /** The files in the order of (g, seq). The history ends in the last one. */
  readonly files: readonly LogFileName[]
  readonly trim: number
  /** Whether a log file was there, as a `trim` says. */
  readonly hadFiles: boolean
  readonly names: readonly string[]
}

/** The entries that an owner finds when it begins (R48). */
export interface Before {
  /** Entries up to this number are taken over by every later owner. */
  readonly settled: number
  /** Entries up to this number were durable, as later records say. If they are missing they were lost. */
  readonly proven: number
}

export const NOTHING: Before = { settled: 0, proven: 0 }

export class LogDirectory {
  readonly path: string
  readonly fs: FileSystem
  readonly #root: Root
  readonly #clock: Clock
  readonly #log: string
  readonly #folder: string

  constructor(fs: FileSystem, root: Root, clock: Clock, log: string) {
    this.fs = fs
    this.#root = root
    this.#log = log
    this.#clock = clock
    this.#folder = `${log}/${LOG_FOLDER}`
    this.path = root.place(this.#folder)
  }

  place(name: string): string {
    return `${this.path}/${name}`
  }

  async list(): Promise<Listing> {
    if (!(await this.#root.has(this.#folder))) return parseNames([])
    this.#root.knowsLog(this.#log)
    const listing = parseNames(await this.fs.names(this.path).catch(noneIfAbsent))
    // A marker is made when the way to it is durable.
    if (listing.newest > 0) this.#root.isDurable(this.#folder)
    return listing
  }

  /** The generation of the newest owner. */
  async newest(): Promise<number> {
    return newestOwner(await this.fs.names(this.path).catch(noneIfAbsent))
  }

  /** Whether g is the newest owner and its file is there. One call tells an append all that it needs to know. */
  async isCurrent(g: number, file: string): Promise<boolean> {
    const names = await this.fs.names(this.path).catch(noneIfAbsent)
    return newestOwner(names) === g && names.includes(file)
  }

  async sync(): Promise<void> {
    await this.fs.syncDirectory(this.path)
  }

  /**
   * Begins generation g by its marker; `false` when somebody else has begun it. The marker says how far the history was
   * settled before. Readers need that while the owner has no file yet, and when it has died before it had one.
   */
  async mark(g: number, before: Before): Promise<boolean> {
    const text = encodeMarker(before)
    const temporary = this.temporary(g)
    for (let again = false; ; again = true) {
      await this.#root.make(this.#folder)
      try {
        await writeFile(this.fs, temporary, (fd) => writeAll(this.fs, fd, text, 0))
        break
      } catch (error) {
        // The folder is remembered from an earlier call, and may have been destroyed since.
        if (again || !isAbsent(error)) throw error
        this.#root.forget()
      }
    }
    try {
      if (!(await nameOnce(this.fs, temporary, this.place(markerName(g))))) return false
    } catch (error) {
      // A newer owner has removed the temporary file, as if this claim had ended.
      if (isAbsent((error as TidemarkError).cause)) return false
      throw error
    }
    try {
      await this.sync()
    } catch (error) {
      await this.withdraw(g)
      throw error
    }
    return true
  }

  /** Takes back a marker of our own whose generation has no file, and will never have one (R46). */
  async withdraw(g: number): Promise<void> {
    await discard(this.fs, this.place(markerName(g)))
    await this.sync().catch(() => {})
  }

  /**
   * The entries before marker g, as it says. A damaged one counts as saying none, which is always true; `undefined` if it is
   * gone.
   */
  async before(g: number): Promise<Before | undefined> {
    const bytes = await readFile(this.fs, this.place(markerName(g)))
    return bytes && decodeMarker(bytes)
  }

  async syncForReading(): Promise<void> {
    await syncForReading(this.fs, this.path)
  }

  temporary(g: number): string {
    return this.place(`temp.${digits(g)}.${toHex(this.#clock.random(8))}`)
  }

  newId(): Uint8Array {
    return this.#clock.random(16)
  }

  /** Forgets that the folder was there. */
  forget(): void {
    this.#root.forget()
  }
}

export function markerName(g: number): string {
  return `owner.${digits(g)}`
}

export function trimName(n: number): string {
  return `trim.${digits(n)}`
}

export function logFileName({ id, g, seq, first }: LogFileHeader): string {
  return `log.${digits(g)}.${digits(seq, 8)}.${digits(first)}.${toHex(id.subarray(0, 4))}`
}

const FILE = /^(log|past)\.(\d{16})\.(\d{8})\.(\d{16})\.[0-9a-f]{8}$/
const TRIM = /^trim\.(\d{16})$/
/** The names of markers and temporary files begin with their generation. */
const GENERATION = /^(owner|temp)\.(\d{16})(?:\.|$)/

export function parseNames(names: readonly string[]): Listing {
  const files: LogFileName[] = []
  let trim = -1
  for (const name of names) {
    const file = FILE.exec(name)
    if (file) {
      const [g, seq, first] = file.slice(2).map(Number) as [number, number, number]
      files.push({ name, g, seq, first, isPast: file[1] === 'past' })
    }
    trim = Math.max(trim, Number(TRIM.exec(name)?.[1] ?? -1))
  }
  files.sort((a, b) => a.g - b.g || a.seq - b.seq)
  return { newest: newestOwner(names), files, trim: Math.max(trim, 0), hadFiles: trim >= 0, names }
}

/** Whether these names are those of a log that has, or had, entries. */
export function holdsEntries(names: readonly string[]): boolean {
  return names.some((name) => FILE.test(name) || TRIM.test(name))
}

/** The name of a log file after a later one is there (R47). */
export function pastName(name: string): string {
  return name.replace(/^log/, 'past')
}

/** Markers, or temporary files, of owners before g. Nobody needs them once g has a file. */
export function leftovers(names: readonly string[], g: number, kind: 'owner' | 'temp'): string[] {
  return names.filter((name) => {
    const match = GENERATION.exec(name)
    return match?.[1] === kind && Number(match[2]) < g
  })
}

/** The newest owner among names. It runs with every append, and compares text, as all numbers have one width. */
function newestOwner(names: readonly string[]): number {
  let newest = ''
  for (const name of names) {
    const g = name.startsWith('owner.') ? name.slice(6, 22) : name.startsWith('log.') ? name.slice(4, 20) : ''
    if (g > newest) newest = g
  }
  return Number(newest)
}

function encodeMarker({ settled, proven }: Before): Uint8Array {
  const text = `${digits(settled)} ${digits(proven)}`
  const checksum = hexOfU32(crc32(new TextEncoder().encode(text)))
  return new TextEncoder().encode(`${text} ${checksum}
`)
}

function decodeMarker(bytes: Uint8Array): Before {
  const text = new TextDecoder().decode(bytes)
  const before = { settled: Number(text.slice(0, 16)), proven: Number(text.slice(17, 33)) }
  return text === new TextDecoder().decode(encodeMarker(before)) ? before : NOTHING
}

function noneIfAbsent(error: unknown): readonly string[] {
  if (isAbsent(error)) return []
  throw error
}
