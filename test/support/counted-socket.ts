/** A socket that counts what a client of PostgreSQL sends, by the kinds of messages of the protocol. */
import { Socket } from 'node:net'

type Done = (error?: Error | null) => void

export class CountedSocket extends Socket {
  /** How many messages of each kind were sent: `P` has a statement parsed, `S` ends a round trip. `sends` counts what was sent at once. */
  readonly #sent: Map<string, number>

  constructor(sent: Map<string, number>) {
    super()
    this.#sent = sent
  }

  // Connecting puts the platform's own `write` in place of one that is overridden.
  override _write(chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    this.#count([chunk])
    super._write(chunk, encoding, done)
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: Done): void {
    this.#count(chunks.map(({ chunk }) => chunk))
    super._writev!(chunks, done)
  }

  #count(chunks: readonly Buffer[]): void {
    this.#add('sends')
    for (const chunk of chunks) {
      // The first message of a connection has no kind: it begins with its length.
      if (chunk[0] === 0) continue
      for (let at = 0; at < chunk.length; at += 1 + chunk.readInt32BE(at + 1))
        this.#add(String.fromCharCode(chunk[at]!))
    }
  }

  #add(what: string): void {
    this.#sent.set(what, (this.#sent.get(what) ?? 0) + 1)
  }
}
