/** One version, whole, as a ZIP archive. */
import { throwIfAborted } from '../errors.js'
import { offsetsToObject } from '../log/offsets.js'
import { encodePin } from '../log/pin.js'
import { encodeManifest, type SegmentRef } from '../manifest/manifest.js'
import type { ShardContext } from '../engine/context.js'
import { encodeDelta } from '../engine/memtable.js'
import { payloadOf } from '../engine/history/reset.js'
import type { When } from '../store/find.js'
import { checkPlace, type StorePlace } from '../tools/place.js'
import { MANIFEST, METADATA, encodeMetadata, fileOf, infoOfFile } from './archive.js'
import { abortable, checkTransfer, tellProgress, type TransferOptions } from './options.js'
import { Source } from './source.js'
import { ZipWriter } from './zip.js'

export interface ExportOptions extends TransferOptions {
  /** The version, tag or moment to export. Default: the newest version. */
  readonly at?: When | undefined
}

/**
 * A version as a ZIP archive, in pieces as they are read, one segment in memory at a time. The store is only
 * read, but for a pin that holds the version meanwhile and ends with it, if it may be written.
 *
 *     await pipeline(Readable.from(exportZip({ storage, name: 'orders' })), createWriteStream('orders.zip'))
 *     new Response(ReadableStream.from(exportZip({ storage, name: 'orders' })))
 *
 * It has `metadata.json` for people, and all that `importZip` needs to make the version again anywhere.
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
    const { manifest, memtable } = await payloadOf(aside, log, state, signal ?? new AbortController().signal)
    const { version, versionTime, offsets } = state.carried
    const delta = memtable && encodeDelta(memtable)
    const pin = encodePin({
      kind: 'tag',
      name: ctx.store,
      made: versionTime,
      expires: 0,
      version,
      versionTime,
      hash: state.headHash!,
      label: source.label,
      offsets,
      manifest: encodeManifest({ ...manifest, covers: version - 1 }, log.path),
      delta,
    })
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
      // Its blocks are compressed already.
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
      sizes: { segments: total, bytes: totalBytes, changes: delta?.length ?? 0 },
      files,
    })
    yield* zip.add(METADATA, metadata, true)
    yield* zip.end()
  } finally {
    await source.close()
  }
}

/** Segments folded for the export are kept in memory: they hold a tail only, and the store is not written. */
function asideOf(ctx: ShardContext, written: Map<string, Uint8Array>): ShardContext {
  const { blobs } = ctx.storage
  const put = (name: string, bytes: Uint8Array): Promise<object> => {
    written.set(name, bytes)
    return Promise.resolve({})
  }
  return { ...ctx, storage: { ...ctx.storage, blobs: { ...blobs, put } } }
}
