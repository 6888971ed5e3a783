/** Writes entries (entry.ts has their form). It is loaded with the first write. */
import { sealed, unsealed } from '../bytes/envelope.js'
import type { ByteWriter } from '../bytes/writer.js'
import {
  COLLECTION,
  DELTA,
  KEEPS,
  KINDS,
  LABEL,
  MANIFEST,
  META,
  MODES,
  ORIGIN,
  OWN,
  PARENT,
  REFERENCES,
  SEAL,
  SPANS,
  SYNC_POINT,
  TURN,
  type Entry,
  type SyncPoint,
} from './entry.js'
import { writeOffsets } from './write-offsets.js'
import { writeOwn, writeSeal, writeSpans, writeTurn } from './write-shard-parts.js'

export function encodeEntry(entry: Entry): Uint8Array {
  const w = unsealed(256 + (entry.delta?.length ?? 0) + (entry.manifest?.length ?? 0))
  w.varint(entry.n)
  w.u8(KINDS.indexOf(entry.kind))
  w.u8(MODES.indexOf(entry.mode))
  w.raw(entry.logId)
  w.raw(entry.writerId)
  w.varint(entry.write)
  let parts = 0
  if (entry.parent) parts |= PARENT
  if (entry.label !== undefined) parts |= LABEL
  if (entry.meta !== undefined) parts |= META
  if (entry.delta) parts |= DELTA
  if (entry.manifest) parts |= MANIFEST
  if (entry.references) parts |= REFERENCES
  if (entry.origin) parts |= ORIGIN
  if (entry.carried && entry.carried.collectedAt > 0) parts |= KEEPS
  if (entry.collection) parts |= COLLECTION
  if (entry.carried?.sync) parts |= SYNC_POINT
  if (entry.seal) parts |= SEAL
  if (entry.carried?.own) parts |= OWN
  if (entry.carried?.turn) parts |= TURN
  if (entry.carried && entry.carried.spans.size > 0) parts |= SPANS
  w.varint(parts)
  if (entry.parent) {
    const carried = entry.carried!
    w.raw(entry.parent)
    w.varint(carried.time)
    w.varint(carried.version)
    w.varint(carried.versionTime)
    w.varint(carried.manifestAt)
    w.varint(carried.covers)
    w.varint(carried.trim)
    writeOffsets(w, carried.offsets)
  }
  if (entry.label !== undefined) w.string(entry.label)
  if (entry.meta !== undefined) w.string(entry.meta)
  if (entry.delta) w.bytes(entry.delta)
  if (entry.manifest) w.bytes(entry.manifest)
  if (entry.references) w.bytes(entry.references)
  if (entry.origin) {
    w.string(entry.origin.log)
    w.varint(entry.origin.version)
    w.varint(entry.origin.partitions.length)
    for (const partition of entry.origin.partitions) w.varint(partition)
  }
  if (entry.carried && entry.carried.collectedAt > 0) {
    w.varint(entry.carried.keeps)
    w.varint(entry.carried.collectedAt)
  }
  if (entry.collection) w.bytes(entry.collection)
  if (entry.carried?.sync) writeSyncPoint(w, entry.carried.sync)
  if (entry.seal) writeSeal(w, entry.seal)
  if (entry.carried?.own) writeOwn(w, entry.carried.own)
  if (entry.carried?.turn) writeTurn(w, entry.carried.turn)
  if (entry.carried && entry.carried.spans.size > 0) writeSpans(w, entry.carried.spans)
  return sealed('entry', w)
}

function writeSyncPoint(w: ByteWriter, { logId, version, hash, at }: SyncPoint): void {
  w.raw(logId)
  w.varint(version)
  w.raw(hash)
  w.varint(at)
}
