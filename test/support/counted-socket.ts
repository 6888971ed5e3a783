/** A socket that counts what a client of PostgreSQL sends, by the kinds of messages of the protocol. */
import { Socket } from 'node:net'

export class CountedSocket extends Socket {
  /** How many messages of each kind were sent by all sockets of this test: `P` asks to parse a statement, `S` ends a round trip. */
  readonly #sent: Map<string, number>

  constructor(sent: Map<string, number>) {
    super()
    this.#sent = sent
  }

  override write(chunk: Uint8Array | string, ...rest: never[]): boolean {
    // The first message of a connection has no kind: it begins with its length.
    if (typeof chunk !== 'string' && chunk[0] !== 0) {
      const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      for (let at = 0; at < chunk.length; at += 1 + view.getInt32(at + 1)) {
        const kind = String.fromCharCode(chunk[at]!)
        this.#sent.set(kind, (this.#sent.get(kind) ?? 0) + 1)
      }
    }
    return super.write(chunk, ...rest)
  }
}
