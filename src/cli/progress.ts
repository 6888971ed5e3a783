/** Draws a bar for long work. */
import { SingleBar } from 'cli-progress'
import type { Context } from './context.js'
import { size } from '../tools/text.js'

export interface Progress {
  readonly objects: number
  readonly bytes: number
  /** How many objects there are, as far as that is known. */
  readonly of: number
}

/** Work that takes less needs no bar. */
const LONG_MS = 300

/** Runs work with a bar on the terminal when it takes long. Without a terminal there is no bar. */
export async function withProgress<T>(
  { terminal, clock }: Context,
  act: (onProgress: ((progress: Progress) => void) | undefined) => Promise<T>,
): Promise<T> {
  if (terminal === undefined) return act(undefined)
  const bar = new SingleBar({
    stream: terminal,
    format: '{bar} {value} of {total} objects, {read}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 20,
    clearOnComplete: true,
    // A graceful exit would catch Ctrl-C, which would then end the bar and not the program.
    gracefulExit: false,
    hideCursor: false,
    linewrap: true,
  })
  const began = clock.monotonic()
  let shown = false
  try {
    return await act(({ objects, bytes, of }) => {
      if (!shown && clock.monotonic() - began < LONG_MS) return
      const read = size(bytes)
      if (!shown) bar.start(of, objects, { read })
      shown = true
      bar.setTotal(of)
      bar.update(objects, { read })
    })
  } finally {
    bar.stop()
  }
}
