/** Rules of docs/protocol.md, each with a test that passes on the sources, and fails where the rule is left out of them. */
import { expect, test } from 'vitest'
import type * as Sources from './sources.js'

/** A text of a file of the sources, which is there once, and what stands in its place without the rule. */
export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export function edit(file: string, find: string, replace: string): Edit {
  return { file, find, replace }
}

export type RuleNumber = `${'R' | 'S' | 'G' | 'A'}${number}`

export interface Rule {
  readonly number: RuleNumber
  readonly title: string
  /** Leave the rule out. */
  readonly edits: readonly Edit[]
}

export interface RuleOptions {
  /** The module that the body is given, named from the root. Default: `test/support/sources.ts`. */
  readonly module?: string
  /** The error that the body has to throw without the rule. Default: that an expectation is not met. */
  readonly wrong?: RegExp
}

let listed: Rule[] | undefined

/** The rules that test files have, which `load` imports under names of their own; their tests do not run for that. */
export async function listRules(load: () => Promise<unknown>): Promise<readonly Rule[]> {
  const rules = (listed = [])
  try {
    await load()
  } finally {
    listed = undefined
  }
  return rules
}

/**
 * The test of a rule: `body` passes on the sources as they are, and on a copy with the edits it sees something wrong. That has
 * to be a state or an answer that should not be: a copy that only breaks shows nothing.
 */
export function rule<Module = typeof Sources>(
  number: RuleNumber,
  title: string,
  edits: readonly Edit[],
  body: (sources: Module, isLeftOut: boolean) => Promise<void>,
  { module = 'test/support/sources.ts', wrong = /^AssertionError: / }: RuleOptions = {},
): void {
  if (listed) {
    listed.push({ number, title, edits })
    return
  }
  test(`${number}: ${title}`, async () => body(await load<Module>(module), false))
  test(`${number}: ${title}: not without it`, async () => {
    const query = Buffer.from(JSON.stringify(edits)).toString('base64url')
    const sources = await load<Module>(`${module}?edits=${query}`)
    const seen = await body(sources, true).then(() => 'nothing wrong', String)
    expect(seen).toMatch(wrong)
  })
}

async function load<Module>(path: string): Promise<Module> {
  return (await import(/* @vite-ignore */ `../../${path}`)) as Module
}
