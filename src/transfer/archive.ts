/**
 * An export holds, in this order:
 *
 *     manifest            the version as a pin has it: manifest, changes after it, offsets (docs/format.md, "Pins")
 *     segments/<hash>     each segment that the manifest lists, as it is stored
 *     metadata.json       what it is, for people and programs, with the length and SHA-256 of each file before it
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { jsonCodec } from '../bytes/codec.js'
import { toHex } from '../bytes/hex.js'
import { fromUtf8, isWellFormed, utf8 } from '../bytes/utf8.js'
import { TidemarkError, corrupt } from '../errors.js'
import type { SegmentRef } from '../manifest/manifest.js'
import { checkLogPath } from '../manifest/names.js'

export const MANIFEST = 'manifest'
export const METADATA = 'metadata.json'
const FOLDER = 'segments/'
const FORMAT = 'tidemark-version'
const FORMAT_VERSION = 1
/** The largest metadata that is read: more than any export has, and little enough to hold. */
export const MAX_METADATA = 64 << 20
export const MAX_MANIFEST = 256 << 20
export const MAX_SEGMENT = 512 << 20

export interface FileInfo {
  readonly name: string
  readonly length: number
  readonly sha256: string
}

export interface Metadata {
  readonly format: string
  readonly formatVersion: number
  readonly store: string
  /** The path of the log that the version comes from. */
  readonly log: string
  readonly partitions: number
  readonly job?: string | undefined
  readonly version: number
  readonly time: string
  readonly label?: string | undefined
  readonly meta?: unknown
  readonly offsets: unknown
  readonly sizes: { readonly segments: number; readonly bytes: number; readonly changes: number }
  readonly files: readonly FileInfo[]
}

export function fileOf(segment: SegmentRef): string {
  return FOLDER + toHex(segment.hash)
}

export function infoOfFile(name: string, bytes: Uint8Array): FileInfo {
  return { name, length: bytes.length, sha256: toHex(sha256(bytes)) }
}

export function encodeMetadata(metadata: Omit<Metadata, 'format' | 'formatVersion'>): Uint8Array {
  const all = { format: FORMAT, formatVersion: FORMAT_VERSION, ...metadata }
  // Offsets may be bigints, which JSON lacks.
  const offsets: unknown = JSON.parse(fromUtf8(jsonCodec.encode(metadata.offsets)))
  return utf8(`${JSON.stringify({ ...all, offsets }, undefined, 2)}\n`)
}

export function decodeMetadata(bytes: Uint8Array): Metadata {
  let parsed: unknown
  try {
    parsed = JSON.parse(fromUtf8(bytes))
  } catch (cause) {
    throw corrupt(`${METADATA} of the archive is damaged: it is not JSON.`, cause)
  }
  const metadata = parsed as Metadata
  if (typeof metadata !== 'object' || metadata === null || metadata.format !== FORMAT) {
    throw corrupt(`${METADATA} of the archive does not say that this is a version of a Tidemark store.`)
  }
  if (metadata.formatVersion !== FORMAT_VERSION) {
    throw new TidemarkError(
      'UNSUPPORTED_FORMAT',
      `The archive is of format ${String(metadata.formatVersion)}; this release reads ${FORMAT_VERSION}. Import it with a newer release of tidemark.`,
    )
  }
  const { log, version, label, files } = metadata
  const isFine =
    typeof log === 'string' &&
    Number.isSafeInteger(version) &&
    version > 0 &&
    (label === undefined || (typeof label === 'string' && isWellFormed(label))) &&
    Array.isArray(files)
  if (!isFine) throw corrupt(`${METADATA} of the archive is damaged.`)
  checkLogPath(log)
  return metadata
}

/** Throws unless these are the files that the metadata lists. */
export function checkFiles(metadata: Metadata, files: readonly FileInfo[]): void {
  const listed = new Map(metadata.files.map((file) => [file.name, file]))
  for (const { name, length, sha256: hash } of files) {
    const info = listed.get(name)
    if (info?.length !== length || info.sha256 !== hash) {
      throw corrupt(`${name} of the archive is not the file that ${METADATA} lists.`)
    }
  }
  if (listed.size !== files.length) throw corrupt(`The archive lacks a file that ${METADATA} lists.`)
}
