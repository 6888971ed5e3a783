/** Prints in pieces, no faster than they are read, and only until the reader leaves. */
import type { Writable } from 'node:stream'
import { TidemarkError } from '../errors.js'

const PIECE = 16_384

/** Ends a command whose reader has left, as `| head` does. It is no failure. */
export class ReaderGone extends Error {}

export class Output {
  readonly #stream: Writable
  #pending = ''

  constructor(stream: Writable) {
    this.#stream = stream
    // Each write hears of its error by its callback. Without a listener the event would end the process.
    if (stream.listenerCount('error') === 0) stream.on('error', () => undefined)
  }

  /** Prints a line. It has to be awaited: it waits while the reader is slow. */
  async line(text: string): Promise<void> {
    this.#pending += `${text}\n`
    if (this.#pending.length >= PIECE) await this.flush()
  }

  /** Resolves when everything is on its way to the reader. */
  async flush(): Promise<void> {
    const text = this.#pending
    if (text === '') return
    this.#pending = ''
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
      this.#stream.write(text, resolve)
    })
    if (!error) return
    if (isGone(error)) throw new ReaderGone()
    throw new TidemarkError('STORAGE_UNAVAILABLE', `The output could not be written: ${error.message}.`, {
      cause: error,
    })
  }
}

/** Whether a write failed because nobody reads any more. */
export function isGone(error: NodeJS.ErrnoException): boolean {
  return GONE.has(error.code ?? '')
}

const GONE = new Set(['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'])
