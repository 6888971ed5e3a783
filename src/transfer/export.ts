/** Writes one version, whole, as a ZIP archive. */
import { throwIfAborted } from '../errors.js'
import { offsetsToObject } from '../log/offsets.js'
import { lowestOffsets } from '../log/spans.js'
import { encodePin } from '../log/pin.js'
import type { SegmentRef } from '../manifest/manifest.js'
import type { ShardContext } from '../engine/context.js'
import { pinOf } from '../engine/history/pins.js'
import { payloadOf, type Payload } from '../engine/history/reset.js'
import { encodeDelta } from '../engine/stored-delta.js'
import type { When } from '../store/find.js'
import { checkPlace, type StorePlace } from '../tools/place.js'
import { MANIFEST, METADATA, encodeMetadata, fileOf, infoOfFile } from './archive.js'
import { abortable, checkTransfer, tellProgress, type TransferOptions } from './options.js'
import { Source } from './source.js'
import { ZipWriter } from './zip.js'

/** Options of `exportZip`. */
export interface ExportOptions extends TransferOptions {
  /**
   * The version, tag or moment to export.
   * @default the newest version
   * @when Set it to export an older version.
   */
  readonly at?: When | undefined
}

/** Segments of up to this many bytes together are kept from the first reading to the second. */
const KEPT = 8 << 20

/**
 * Gives a version as a ZIP archive, in pieces as they are read. The archive has `metadata.json` for people, and all that
 * `importZip` needs to make the version again anywhere.
 *
 * All segments are checked before the first piece is given, since an archive that was begun can't be begun anew without one
 * that is damaged. Beyond 8 MiB of them each is read twice for that, and is in memory alone.
 *
 * The store is only read. Where it may be written, a pin holds the version until the export ends.
 *
 * @throws `NOT_FOUND` when there is no such store, version or tag, `VERSION_EXPIRED` when the version is no longer kept,
 *   `CORRUPT` when a segment is damaged and cannot be repaired, `ABORTED`; all of them while it is read
 * @example
 *     await pipeline(exportZip({ storage, name: 'orders' }), createWriteStream('orders.zip'))
 *     new Response(ReadableStream.from(exportZip({ storage, name: 'orders' })))
 */
export function exportZip(place: StorePlace, options: ExportOptions = {}): AsyncIterableIterator<Uint8Array> {
  checkPlace('exportZip', place)
  checkTransfer('exportZip', options, ['at'])
  return archive(place, options)
}

async function* archive(place: StorePlace, options: ExportOptions): AsyncGenerator<Uint8Array, void> {
  const { signal } = options
  throwIfAborted(signal)
  const source = await abortable(signal, () => Source.open(place, options.at, options))
  try {
    const { ctx } = source
    const { log } = source.shard
    const { kept, manifest, memtable } = await abortable(signal, () =>
      source.repairing(() => contentOf(source, signal)),
    )
    const { state } = source
    const { version, versionTime } = state.carried
    const note = { kind: 'tag', name: ctx.store, label: source.label, made: versionTime, ttlMs: 0 } as const
    const content = pinOf(state, log.path, manifest, memtable && encodeDelta(memtable), note)
    const pin = encodePin(content)
    const segments = [...new Map(manifest.runs.flat().map((segment) => [fileOf(segment), segment]))]
    const [total, totalBytes] = [segments.length, segments.reduce((sum, [, { length }]) => sum + length, 0)]
    const zip = new ZipWriter()
    const files = [infoOfFile(MANIFEST, pin)]
    yield* zip.add(MANIFEST, pin, true)
    let [done, bytes] = [0, 0]
    tellProgress(options, { done, total, bytes, totalBytes })
    const read = (segment: SegmentRef): Promise<Uint8Array> | Uint8Array =>
      kept.get(segment.name) ?? abortable(signal, () => source.read(segment))
    for (const [name, segment] of segments) {
      throwIfAborted(signal)
      const segmentBytes = await read(segment)
      files.push(infoOfFile(name, segmentBytes))
      // The blocks of a segment are compressed already.
      yield* zip.add(name, segmentBytes, false)
      bytes += segmentBytes.length
      tellProgress(options, { done: ++done, total, bytes, totalBytes })
    }
    const { partitions, job } = manifest.config
    const metadata = encodeMetadata({
      store: ctx.store,
      log: log.path,
      partitions,
      job,
      version,
      time: new Date(versionTime).toISOString(),
      label: source.label,
      meta: source.meta === undefined ? undefined : (JSON.parse(source.meta) as unknown),
      offsets: offsetsToObject(lowestOffsets(state.carried)),
      sizes: { segments: total, bytes: totalBytes, changes: content.delta?.length ?? 0 },
      files,
    })
    yield* zip.add(METADATA, metadata, true)
    yield* zip.end()
  } finally {
    await source.close()
  }
}

/** What is to be exported, all of it checked, and the segments that are in memory by then. */
async function contentOf(
  source: Source,
  signal: AbortSignal | undefined,
): Promise<Payload & { readonly kept: ReadonlyMap<string, Uint8Array> }> {
  const { ctx, state } = source
  const { log } = source.shard
  const kept = new Map<string, Uint8Array>()
  const work = signal ?? new AbortController().signal
  const payload = await payloadOf({ context: asideOf(ctx, kept), log }, state, work)
  let left = KEPT
  for (const segment of new Map(payload.manifest.runs.flat().map((ref) => [ref.name, ref])).values()) {
    throwIfAborted(signal)
    if (kept.has(segment.name)) continue
    const bytes = await source.read(segment)
    left -= bytes.length
    if (left >= 0) kept.set(segment.name, bytes)
  }
  return { ...payload, kept }
}

/** A context that keeps the segments of a fold in memory: they hold a tail only, and the store is not to be written. */
function asideOf(ctx: ShardContext, written: Map<string, Uint8Array>): ShardContext {
  const { blobs } = ctx.storage
  const put = (name: string, bytes: Uint8Array): Promise<object> => {
    written.set(name, bytes)
    return Promise.resolve({})
  }
  return { ...ctx, storage: { ...ctx.storage, blobs: { ...blobs, put } } }
}
