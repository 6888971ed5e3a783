/** Makes the version that an archive holds the newest one of a store. */
import { TidemarkError, corrupt, throwIfAborted } from '../errors.js'
import { decodeDelta } from '../log/delta.js'
import { decodePin, type Pin } from '../log/pin.js'
import { decodeManifest, type Manifest, type SegmentRef } from '../manifest/manifest.js'
import { logIdOfPath, shardOfLog, storeOfLog } from '../manifest/listed-names.js'
import { checkStoreName } from '../manifest/names.js'
import { checkWhole } from '../segment/whole.js'
import { memtableOfDelta } from '../engine/memtable.js'
import { flag } from '../store/options.js'
import { checkPlace, type StorePlace } from '../tools/place.js'
import {
  MANIFEST,
  MAX_MANIFEST,
  MAX_METADATA,
  MAX_SEGMENT,
  METADATA,
  checkFiles,
  decodeMetadata,
  fileOf,
  infoOfFile,
  type FileInfo,
  type Metadata,
} from './archive.js'
import { abortable, checkTransfer, tellProgress, type TransferOptions } from './options.js'
import { Receiver } from './receiver.js'
import { ZipReader, type ByteSource } from './unzip.js'

/** Options of `importZip`. */
export interface ImportOptions extends TransferOptions {
  /**
   * Also imports into a store that has versions. They stay in its history.
   * @default false
   * @when Set it to replace the content of a store that is in use.
   */
  readonly force?: boolean | undefined
}

/** Where a version is to go. */
export type ImportPlace = Omit<StorePlace, 'name'> & {
  /**
   * The store's name.
   * @default the name of the store that was exported
   * @when Set it when the name is taken.
   */
  readonly name?: string | undefined
}

/** The result of `importZip`. */
export interface ImportResult {
  /** The name of the store. */
  readonly name: string
  /** The version in the store. */
  readonly version: number
  /** The version in the store that it was exported from. */
  readonly from: number
  /** How many segments were written. */
  readonly copied: number
  /** How many segments were there already. */
  readonly reused: number
  /** How many bytes were written. */
  readonly bytes: number
}

/**
 * Makes the version of an archive of `exportZip` the newest version of a store, and creates that if it does not exist. The
 * archive is read as it comes, one segment in memory at a time, and nothing of it is visible before all of it was checked.
 * Whoever has the store open for writing is fenced.
 *
 * @param source the bytes of the archive: an array of bytes, an iterable of such, or a stream of Node or the web
 * @throws `CONFLICT` when the store has versions and `force` is not set
 * @throws `CORRUPT` when the archive is damaged, is cut off, or has files that no export has
 * @throws `UNSUPPORTED_FORMAT` when a newer release wrote it
 * @throws `QUOTA`, `UNKNOWN_OUTCOME`, `ABORTED`
 * @example
 *     await importZip(createReadStream('orders.zip'), { storage: nodeFs('./other') })
 */
export async function importZip(
  source: ByteSource,
  place: ImportPlace,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { storage, name } = place ?? {}
  checkPlace('importZip', name === undefined ? { ...place, name: 'any' } : (place as StorePlace))
  checkTransfer('importZip', options, ['force'])
  flag('force', options.force)
  const zip = new ZipReader(source)
  try {
    return await abortable(options.signal, async () => {
      throwIfAborted(options.signal)
      const plan = await readPlan(zip)
      return Receiver.use({ storage, name: name ?? nameIn(plan) }, options, async (receiver) => {
        if (receiver.version > 0 && !options.force) throw hasVersions(receiver)
        return new Importer(zip, receiver, options, plan).run()
      })
    })
  } finally {
    await zip.close()
  }
}

function hasVersions({ ctx, version }: Receiver): TidemarkError {
  return new TidemarkError(
    'CONFLICT',
    `Store "${ctx.store}" has versions up to ${version}; nothing was imported. Use force: true to put the archive's over them as a new one.`,
    { retryable: false },
  )
}

/** The manifest of the archive, decoded. */
interface Plan {
  readonly pin: Pin
  /** Decoded with a log path that stands for the true one, as that is in the metadata, which come last. */
  readonly manifest: Manifest
  readonly segments: ReadonlyMap<string, SegmentRef>
  readonly bytes: number
  readonly file: FileInfo
}

/** Stands for the log of the archive's segments: each segment gets a new id in another log. */
const ANY_LOG = `import/0/${'0'.repeat(32)}`

/** Reads the manifest, with which exports begin. */
async function readPlan(zip: ZipReader): Promise<Plan> {
  const entry = await zip.next()
  if (entry?.name !== MANIFEST) throw corrupt(`The archive does not begin with ${MANIFEST}, as exports do.`)
  const bytes = await zip.content(entry, MAX_MANIFEST)
  const what = 'The manifest of the archive'
  const pin = decodePin(bytes, what)
  const manifest = decodeManifest(pin.manifest, ANY_LOG, what)
  const refs = manifest.runs.flat()
  if (refs.some(({ length }) => length > MAX_SEGMENT)) throw corrupt(`${what} lists a segment of impossible size.`)
  const segments = new Map(refs.map((segment) => [fileOf(segment), segment]))
  const size = [...segments.values()].reduce((sum, { length }) => sum + length, 0)
  return { pin, manifest, segments, bytes: size, file: infoOfFile(MANIFEST, bytes) }
}

/** The name of the store that was exported. */
function nameIn({ pin: { name } }: Plan): string {
  try {
    checkStoreName(name)
    return name
  } catch (cause) {
    throw corrupt('The manifest of the archive names no store.', cause)
  }
}

class Importer {
  readonly #zip: ZipReader
  readonly #receiver: Receiver
  readonly #options: ImportOptions
  readonly #plan: Plan
  readonly #files: FileInfo[]
  #metadata: Metadata | undefined
  #done = 0
  #bytes = 0
  #copied = 0

  constructor(zip: ZipReader, receiver: Receiver, options: ImportOptions, plan: Plan) {
    this.#zip = zip
    this.#receiver = receiver
    this.#options = options
    this.#plan = plan
    this.#files = [plan.file]
  }

  async run(): Promise<ImportResult> {
    await this.#begin()
    for (let entry = await this.#zip.next(); entry; entry = await this.#zip.next()) {
      throwIfAborted(this.#options.signal)
      const { name } = entry
      if (name === METADATA) this.#metadata = decodeMetadata(await this.#zip.content(entry, MAX_METADATA))
      else {
        const segment = this.#segment(name)
        const bytes = await this.#zip.content(entry, segment.length)
        await this.#take(name, segment, bytes)
      }
    }
    return this.#finish()
  }

  /** The segment of this name. Exports have no other names, so that one which leads elsewhere is refused. */
  #segment(name: string): SegmentRef {
    const segment = this.#plan.segments.get(name)
    if (segment === undefined) throw corrupt(`The archive holds ${JSON.stringify(name)}, which no export would.`)
    return segment
  }

  async #begin(): Promise<void> {
    const { manifest, segments } = this.#plan
    this.#receiver.checkConfig(manifest.config)
    await this.#receiver.begin(this.#options.force ?? false)
    await this.#receiver.findUploads(this.#receiver.missing([...segments.values()]))
    this.#tell()
  }

  async #take(name: string, segment: SegmentRef, bytes: Uint8Array): Promise<void> {
    this.#files.push(infoOfFile(name, bytes))
    await checkWhole(this.#receiver.ctx.cache.platform, bytes, { ...segment, name: `${name} of the archive` })
    if (!this.#receiver.has(segment)) {
      await this.#receiver.put(segment, bytes)
      this.#copied++
    }
    this.#done++
    this.#bytes += bytes.length
    this.#tell()
  }

  #tell(): void {
    const { segments, bytes: totalBytes } = this.#plan
    tellProgress(this.#options, { done: this.#done, total: segments.size, bytes: this.#bytes, totalBytes })
  }

  async #finish(): Promise<ImportResult> {
    const [plan, metadata, receiver] = [this.#plan, this.#metadata, this.#receiver]
    if (metadata === undefined) throw corrupt(`The archive lacks ${METADATA}.`)
    checkFiles(metadata, this.#files)
    if (this.#done !== plan.segments.size) throw corrupt('The archive lacks segments that its manifest lists.')
    const { pin, manifest } = plan
    const { log, version, meta } = metadata
    const logId = logIdOfPath(storeOfLog(log), log, shardOfLog(log))
    if (version !== pin.version || logId === undefined) throw corrupt(`${METADATA} of the archive is damaged.`)
    const { platform } = receiver.ctx.cache
    const memtable = pin.delta && memtableOfDelta(await decodeDelta(platform, pin.delta, 'The changes in the archive'))
    const { carried } = await receiver.commit(
      { manifest, memtable },
      {
        offsets: pin.offsets,
        spans: pin.spans,
        label: pin.label,
        meta: meta === undefined ? undefined : JSON.stringify(meta),
        origin: { log, version, partitions: [] },
        sync: { logId, version, hash: pin.hash },
      },
    )
    const [copied, reused] = [this.#copied, plan.segments.size - this.#copied]
    const { store: name } = receiver.ctx
    return { name, version: carried.version, from: version, copied, reused, bytes: receiver.bytes }
  }
}
