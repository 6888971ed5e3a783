/** Writes what shard-parts.ts and spans.ts read. It is loaded with the first write. */
import type { ByteWriter } from '../bytes/writer.js'
import { RELEASED, TRIAL, type Child, type Own, type Seal, type Turn } from './shard-parts.js'
import type { Spans } from './spans.js'
import { writePositions } from './write-offsets.js'

export function writeSeal(w: ByteWriter, { plan, parents, children, fallback, graceMs }: Seal): void {
  w.raw(plan)
  w.varint(parents.length)
  for (const parent of parents) w.raw(parent)
  w.varint(children.length)
  for (const child of children) writeChild(w, child)
  w.raw(fallback)
  w.varint(graceMs)
}

export function writeChild(w: ByteWriter, { logId, first, last }: Child): void {
  w.raw(logId)
  w.varint(first)
  w.varint(last)
}

export function writeOwn(w: ByteWriter, { first, last, parents }: Own): void {
  w.varint(first)
  w.varint(last)
  w.varint(parents.length)
  for (const { logId, n } of parents) {
    w.raw(logId)
    w.varint(n)
  }
}

export function writeTurn(w: ByteWriter, { generation, member, isReleased, isTrial }: Turn): void {
  w.varint(generation)
  w.raw(member)
  w.u8((isReleased ? RELEASED : 0) | (isTrial ? TRIAL : 0))
}

export function writeSpans(w: ByteWriter, all: Spans): void {
  w.varint(all.size)
  for (const [name, { isAligned, spans }] of all) {
    w.string(name)
    w.u8(isAligned ? 1 : 0)
    w.varint(spans.length)
    for (const { first, last, positions } of spans) {
      w.varint(first)
      w.varint(last)
      writePositions(w, positions)
    }
  }
}
