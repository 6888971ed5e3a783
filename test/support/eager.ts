/** The simulation of groups, of which owners look after a few commits already for what to collect: a simulation has no more. */
import { edit } from './mutated.js'
import type * as Runs from './group-runs.js'

export async function eagerRuns(): Promise<typeof Runs> {
  const often = [edit('src/engine/context.ts', 'COLLECT_EVERY = 64', 'COLLECT_EVERY = 4')]
  const query = Buffer.from(JSON.stringify(often)).toString('base64url')
  return (await import(/* @vite-ignore */ `./group-runs.ts?edits=${query}`)) as typeof Runs
}
