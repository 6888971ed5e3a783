/** Writes one version, whole, as a ZIP archive. */
import { throwIfAborted } from '../errors.js'
import { offsetsToObject } from '../log/offsets.js'
import { encodePin } from '../log/pin.js'
import type { SegmentRef } from '../manifest/manifest.js'
import type { ShardContext } from '../engine/context.js'
import { pinOf } from '../engine/history/pins.js'
import { payloadOf } from '../engine/history/reset.js'
import { encodeDelta } from '../engine/memtable.js'
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

/**
 * Gives a version as a ZIP archive, in pieces as they are read. One segment is in memory at a time. The archive has
 * `metadata.json` for people, and all that `importZip` needs to make the version again anywhere.
 *
 * The store is only read. Where it may be written, a pin holds the version until the export ends.
 *
 * @throws `NOT_FOUND` when there is no such store, version or tag, `VERSION_EXPIRED` when the version is no longer kept,
 *   `CORRUPT` when a segment is damaged, `ABORTED`; all of them while it is read
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
    const { state, ctx } = source
    const { log } = source.shard
    const written = new Map<string, Uint8Array>()
    const aside = asideOf(ctx, written)
    const { manifest, memtable } = await payloadOf(
      { context: aside, log },
      state,
      signal ?? new AbortController().signal,
    )
    const { version, versionTime, offsets } = state.carried
    const note = { kind: 'tag', name: ctx.store, label: source.label, made: versionTime, ttlMs: 0 } as const
    const kept = pinOf(state, log.path, manifest, memtable && encodeDelta(memtable), note)
    const pin = encodePin(kept)
    const segments = [...new Map(manifest.runs.flat().map((segment) => [fileOf(segment), segment]))]
    const [total, totalBytes] = [segments.length, segments.reduce((sum, [, { length }]) => sum + length, 0)]
    const zip = new ZipWriter()
    const files = [infoOfFile(MANIFEST, pin)]
    yield* zip.add(MANIFEST, pin, true)
    let [done, bytes] = [0, 0]
    tellProgress(options, { done, total, bytes, totalBytes })
    const read = (segment: SegmentRef): Promise<Uint8Array> | Uint8Array =>
      written.get(segment.name) ?? abortable(signal, () => source.read(segment))
    for (const [name, segment] of segments) {
      throwIfAborted(signal)
      const content = await read(segment)
      files.push(infoOfFile(name, content))
      // The blocks of a segment are compressed already.
      yield* zip.add(name, content, false)
      bytes += content.length
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
      offsets: offsetsToObject(offsets),
      sizes: { segments: total, bytes: totalBytes, changes: kept.delta?.length ?? 0 },
      files,
    })
    yield* zip.add(METADATA, metadata, true)
    yield* zip.end()
  } finally {
    await source.close()
  }
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
