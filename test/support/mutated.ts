import { expect, test } from 'vitest'
import type * as Sources from './sources.js'

/** A module, named from the root, with a copy of all sources in which a mutation of test/mutations.mjs is made. */
export async function mutated<Module>(path: string, mutation: string): Promise<Module> {
  const module: unknown = await import(/* @vite-ignore */ `../../${path}?mutation=${mutation}`)
  return module as Module
}

/**
 * The test of a rule of docs/protocol.md, whose number begins its title. It runs on the sources as they are, and has to fail on
 * those with the mutation.
 */
export function ruleTest(title: string, mutation: string, body: (sources: typeof Sources) => Promise<void>): void {
  test(title, async () => body(await import('./sources.js')))
  test(`${title}: not without it (${mutation})`, async () => {
    const sources = await mutated<typeof Sources>('test/support/sources.ts', mutation)
    await expect(body(sources)).rejects.toThrow()
  })
}
