/**
 * The log file that an owner writes.
 *
 * - It begins with a tail of the history, which is written under a temporary name and synced. Then it gets its name. From there
 *   on records are appended one at a time, each after the one before was acknowledged.
 * - Small records are written over zeros that are durable already, so that the sync of a record need not write the size of the file.
 *   Room is made ahead of need, in the background, through a descriptor of its own: the kernel tells an error of a sync once to
 *   each open descriptor, and the descriptor of the records must not miss its own (R54).
 * - An error of a record's own write or sync ends the file (R51): the bytes on the disk are unknown, and the page cache may differ.
 *   Only a write that found no room is known: the record is not whole, and its bytes are taken back.
 */
import { isFull } from '../../../src/errors.js'
import { fileError } from '../errors.js'
import type { LogDirectory } from './directory.js'
import { LogFile, type LogRecord } from './file.js'
import { HEADER, RECORD_HEAD, encodeHeader, encodeRecord, recordBytes, type LogFileHeader } from './format.js'
import type { LogTuning } from './tuning.js'
import { ZEROS, discard, readUpTo, writeAll } from '../write.js'

/** The largest step by which a file grows. Steps double up to it. */
const LARGEST_STEP = 512 << 10
/** Records up to this size are built in a buffer that is used again. */
const SCRATCH = 256 << 10

export class OwnFile {
  readonly file: LogFile
  readonly #directory: LogDirectory
  readonly #fd: number
  readonly #temporary: string
  readonly #tuning: LogTuning
  readonly #scratch = new Uint8Array(SCRATCH)
  /** The number of bytes of the file that are durable, room included. */
  #room: number
  #step: number
  #growing: Promise<void> | undefined
  #isNamed = false
  /** The number up to which all records are durable. */
  #synced: number

  private constructor(
    directory: LogDirectory,
    file: LogFile,
    fd: number,
    temporary: string,
    room: number,
    tuning: LogTuning,
  ) {
    this.#directory = directory
    this.file = file
    this.#fd = fd
    this.#temporary = temporary
    this.#room = room
    this.#tuning = tuning
    this.#step = tuning.preallocateBytes
    this.#synced = file.last
  }

  /** Writes a file with `records`, and syncs it. Nobody sees it before `publish`. Throws when that cannot be done. */
  static async create(
    directory: LogDirectory,
    place: Pick<LogFileHeader, 'g' | 'seq'>,
    records: readonly LogRecord[],
    tuning: LogTuning,
  ): Promise<OwnFile> {
    const size = records.reduce((sum, { payload }) => sum + recordBytes(payload.length), HEADER)
    const room = Math.ceil(size / tuning.preallocateBytes + 0.5) * tuning.preallocateBytes
    // On a disk that is nearly full the room ahead of need is made smaller, so that the records fit.
    for (const less of [room, size + tuning.reserveBytes]) {
      try {
        return await OwnFile.#create(directory, place, records, tuning, size, less)
      } catch (error) {
        if (!isFull(error)) throw error
      }
    }
    return OwnFile.#create(directory, place, records, tuning, size, size)
  }

  static async #create(
    directory: LogDirectory,
    place: Pick<LogFileHeader, 'g' | 'seq'>,
    records: readonly LogRecord[],
    tuning: LogTuning,
    size: number,
    room: number,
  ): Promise<OwnFile> {
    const { fs } = directory
    const [first, last] = [records[0]!.n, records.at(-1)!.n]
    const header: LogFileHeader = { id: directory.newId(), ...place, first }
    const temporary = directory.temporary(place.g)
    const fd = await fs.open(temporary, 'create')
    // From here on `file` closes the descriptor.
    const file = new LogFile(directory, header, fd)
    try {
      const bytes = new Uint8Array(size)
      bytes.set(encodeHeader(header))
      for (const { n, writer, payload } of records) {
        const fields = { before: file.checksum, n, synced: last, writer }
        const checksum = encodeRecord(bytes.subarray(file.end), file.seeds.id, fields, payload)
        file.add({ payload: payload.length, checksum, synced: last })
      }
      await writeAll(fs, fd, bytes, 0)
      await writeZeros(directory, fd, size, room)
      await fs.fdatasync(fd)
    } catch (error) {
      await file.close().catch(() => {})
      await discard(fs, temporary)
      throw fileError(error, 'write', temporary)
    }
    return new OwnFile(directory, file, fd, temporary, room, tuning)
  }

  /** Gives the file its name. After an error it may have that, unless the call was refused. */
  async publish(): Promise<void> {
    await this.#directory.fs.rename(this.#temporary, this.file.path)
    this.#isNamed = true
    await this.#directory.sync()
  }

  /** Whether the owner of generation g is the newest, and this is its file. */
  isCurrent(g: number): Promise<boolean> {
    return this.#directory.isCurrent(g, this.file.name)
  }

  get isNamed(): boolean {
    return this.#isNamed
  }

  /** The number of the record that was acknowledged last. */
  get last(): number {
    return this.file.last
  }

  /** Makes room for the record of a payload, unless it makes its own. When it throws nothing was written. */
  async makeRoom(payload: number, mayUseReserve: boolean, sync: boolean): Promise<void> {
    const need = this.file.end + recordBytes(payload) + (mayUseReserve ? 0 : this.#tuning.reserveBytes)
    await this.#growing?.catch(() => {})
    if (this.#room < need && !this.#makesOwnRoom(payload, sync)) await this.#grow(need)
  }

  /** A large record that is synced costs less without zeros that are written and synced before it. */
  #makesOwnRoom(payload: number, sync: boolean): boolean {
    return sync && payload >= this.#tuning.largeBytes
  }

  /**
   * Writes the record after the last one; resolves when whoever takes the log over from here on reads it. Its outcome is open
   * until it is `durable` and then acknowledged. A `TidemarkError` says that there was no room, and that nothing of the record
   * is left. After any other error the record may be there.
   */
  async write(n: number, writer: number, payload: Uint8Array, sync: boolean, mayUseReserve: boolean): Promise<Pending> {
    const length = recordBytes(payload.length)
    // One that goes beyond the room brings along what is kept free behind it.
    const free = length + (mayUseReserve ? 0 : this.#tuning.reserveBytes)
    const size = this.#makesOwnRoom(payload.length, sync) && this.file.end + free > this.#room ? free : length
    const bytes = size <= SCRATCH ? this.#scratch.subarray(0, size).fill(0, length) : new Uint8Array(size)
    const synced = this.#synced
    const fields = { before: this.file.checksum, n, synced, writer }
    const checksum = encodeRecord(bytes.subarray(0, length), this.file.seeds.id, fields, payload)
    await this.#put(bytes)
    const durable = sync ? this.#directory.fs.fdatasync(this.#fd) : undefined
    return { payload: payload.length, checksum, synced, room: this.file.end + size, durable }
  }

  /** Writes the bytes of a record. File systems that copy on write need space to overwrite room, too, and may find none. */
  async #put(bytes: Uint8Array): Promise<void> {
    const { fs } = this.#directory
    const { end, path } = this.file
    try {
      await writeAll(fs, this.#fd, bytes, end)
    } catch (cause) {
      const error = fileError(cause, 'write', path)
      if (!isFull(error)) throw cause
      // The bytes that were written must not begin a record. If they cannot be cleared, nobody knows what is there.
      const head = await readUpTo(fs, this.#fd, end, RECORD_HEAD)
      if (head.some((byte) => byte !== 0)) {
        await writeAll(fs, this.#fd, new Uint8Array(RECORD_HEAD), end)
        await fs.fdatasync(this.#fd)
      }
      // Others may need the room that the record made for itself.
      if (end + bytes.length > this.#room) await fs.truncate(this.#fd, this.#room).catch(() => {})
      throw error
    }
  }

  acknowledge(pending: Pending): void {
    this.file.add(pending)
    this.#room = Math.max(this.#room, pending.room)
    if (pending.durable) this.#synced = this.file.last
    const ahead = Math.max(this.#step / 2, this.#tuning.reserveBytes)
    // Large ones are followed by large ones, as a rule.
    if (this.#makesOwnRoom(pending.payload, pending.durable !== undefined)) return
    if (this.#room - this.file.end < ahead && !this.#growing) {
      // An append that needs the room tries again, and tells of the error.
      this.#grow(this.#room + 1).catch(() => {})
    }
  }

  async sync(): Promise<void> {
    const { last } = this.file
    if (this.#synced === last) return
    await this.#directory.fs.fdatasync(this.#fd)
    this.#synced = last
  }

  async close(): Promise<void> {
    await this.#growing?.catch(() => {})
    await this.file.close()
  }

  /** Closes a file that did not get its name, as far as that is known. It never throws, so that the first error counts. */
  async abandon(): Promise<void> {
    await this.close().catch(() => {})
    await discard(this.#directory.fs, this.#temporary)
  }

  #grow(need: number): Promise<void> {
    this.#growing = this.#growBy(need).finally(() => (this.#growing = undefined))
    return this.#growing
  }

  /** Makes the file grow by a whole step, or by `need` where there is no room for a step. */
  async #growBy(need: number): Promise<void> {
    try {
      await this.#extend(Math.ceil(need / this.#step) * this.#step)
      this.#step = Math.min(this.#step * 2, LARGEST_STEP)
    } catch (error) {
      this.#step = this.#tuning.preallocateBytes
      if (!isFull(error)) throw error
      await this.#extend(need)
    }
  }

  async #extend(room: number): Promise<void> {
    const { fs } = this.#directory
    try {
      const fd = await fs.open(this.file.path, 'update')
      try {
        await writeZeros(this.#directory, fd, this.#room, room)
        await fs.fdatasync(fd)
      } catch (error) {
        // The part of the room that was made is given back, as others may need it more.
        await fs.truncate(fd, this.#room).catch(() => {})
        throw error
      } finally {
        await fs.close(fd)
      }
      this.#room = room
    } catch (error) {
      throw fileError(error, 'extend', this.file.path)
    }
  }
}

/** A record that was written and is not yet acknowledged. */
export interface Pending {
  /** The length of its payload. */
  readonly payload: number
  readonly checksum: number
  readonly synced: number
  /** Where the room ends that it makes for itself. */
  readonly room: number
  /** Rejects when nobody knows whether the record is durable; `undefined` when it need not be. */
  readonly durable: Promise<void> | undefined
}

async function writeZeros({ fs }: LogDirectory, fd: number, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROS.length) {
    await writeAll(fs, fd, ZEROS.subarray(0, Math.min(ZEROS.length, to - at)), at)
  }
}
