/** Writes manifests and deltas by reference. Only checkpoints and resets do, and it is loaded with them. */
import { fromBinary } from '../bytes/binary.js'
import { ByteWriter } from '../bytes/writer.js'
import { REF_FLAG_CLIPPED, SIZES, type CodedRuns, type Manifest, type Run } from './manifest.js'

export function encodeManifest(manifest: Manifest, ownLog: string): Uint8Array {
  const w = new ByteWriter(256)
  w.varint(manifest.covers)
  w.varint(manifest.config.partitions)
  w.varint(manifest.config.created)
  const { job, parent } = manifest.config
  w.u8((job === undefined ? 0 : 1) | (parent === undefined ? 0 : 2))
  for (const text of [job, parent]) if (text !== undefined) w.string(text)
  writeRuns(w, manifest, ownLog)
  return w.finish()
}

/** A delta by reference: one run, or none when nothing was left to write. */
export function encodeReferences(runs: CodedRuns, ownLog: string): Uint8Array {
  const w = new ByteWriter(256)
  writeRuns(w, runs, ownLog)
  return w.finish()
}

function writeRuns(w: ByteWriter, { codecs, runs }: CodedRuns, ownLog: string): void {
  w.varint(codecs.size)
  for (const [table, codec] of codecs) {
    w.bytes(fromBinary(table))
    w.string(codec)
  }
  const foreign = [...new Set(runs.flat().map((s) => s.log))].filter((log) => log !== ownLog)
  w.varint(foreign.length)
  for (const log of foreign) w.string(log)
  w.varint(runs.length)
  for (const run of runs) writeRun(w, run, foreign)
}

function writeRun(w: ByteWriter, run: Run, foreign: readonly string[]): void {
  w.varint(run.length)
  for (const s of run) {
    w.raw(s.id)
    w.varint(foreign.indexOf(s.log) + 1)
    w.u8(s.clip ? REF_FLAG_CLIPPED : 0)
    for (const field of SIZES) w.varint(s[field])
    w.raw(s.hash)
    w.bytes(s.lower)
    w.bytes(s.upper)
    if (s.clip) {
      w.varint(s.clip[0])
      w.varint(s.clip[1])
    }
  }
}
