/** Writes offsets as entries and pins have them. It is loaded with the first write. */
import { encodeKey } from '../bytes/keys.js'
import type { ByteWriter } from '../bytes/writer.js'
import type { OffsetMap, Positions } from './offsets.js'

export function writePositions(w: ByteWriter, positions: Positions): void {
  w.varint(positions.size)
  for (const [partition, position] of positions) {
    w.varint(partition === undefined ? 0 : partition + 1)
    w.bytes(encodeKey(position))
  }
}

export function writeOffsets(w: ByteWriter, offsets: OffsetMap): void {
  w.varint(offsets.size)
  for (const [source, positions] of offsets) {
    w.string(source)
    writePositions(w, positions)
  }
}
