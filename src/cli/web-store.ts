/** A store on a page: what `inspect --web` does. */
import type { Command } from 'commander'
import { inspectorSource } from '../inspector/local.js'
import type { Store } from '../store/store.js'
import { wholeNumber, withStore, withWriter, type Context, type ShardOption, type StoreOptions } from './context.js'
import { plainJson } from './json.js'
import { serveInspector } from './web.js'

export interface WebOptions {
  readonly web?: true
  readonly write?: true
  readonly port?: number
}

export function webOptions(command: Command): Command {
  return command
    .option('--web', 'show it on a page, until the command is interrupted')
    .option('--write', 'with --web: let the page restore and tag versions')
    .option('--port <number>', 'with --web: the port of the page; a free one when left out', wholeNumber)
}

/** How often others' commits are looked for. */
const FOLLOW_MS = 1000

export async function serveStore(
  context: Context,
  where: string,
  options: StoreOptions & WebOptions & ShardOption,
): Promise<void> {
  const serve = async (store: Store): Promise<void> => {
    const { write = false, port = 0 } = options
    const served = await serveInspector(inspectorSource(store, write), port, write)
    try {
      await context.out.line(
        options.json ? plainJson({ address: served.address }) : `The store is shown at ${served.address}`,
      )
      await context.out.flush()
      await interrupted(context.signal)
    } finally {
      await served.close()
    }
  }
  if (options.write) await withWriter(context, where, options, serve, { shard: options.partition })
  else await withStore(context, where, options, serve, { followMs: FOLLOW_MS, shard: options.partition })
}

/** Resolves when the command is told to end. */
async function interrupted(signal: AbortSignal | undefined): Promise<void> {
  const names = ['SIGINT', 'SIGTERM'] as const
  let stop: () => void = () => undefined
  const told = new Promise<void>((resolve) => (stop = resolve))
  for (const name of names) process.once(name, stop)
  signal?.addEventListener('abort', stop)
  if (!signal?.aborted) await told
  for (const name of names) process.off(name, stop)
}
