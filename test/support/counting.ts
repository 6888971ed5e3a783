/** Tests say in their meta which adapter they are about, so that a run can count them (adapters.mjs), and where they cannot run. */
import { beforeEach, describe, test } from 'vitest'
import type { Storage } from 'tidemark'
import type { Adapter, Suite } from './adapters.mjs'

declare module 'vitest' {
  interface TaskMeta {
    adapter?: Adapter
    suite?: Suite
    /** The reason why it needs Chromium: elsewhere it is skipped. */
    onlyInChromium?: string
  }
}

/** All tests of the file, or of the `describe`, that calls it are about this adapter. */
export function forAdapter(adapter: Adapter): void {
  beforeEach(({ task }) => {
    task.meta.adapter = adapter
  })
}

/** A `test` for `allSuites`: what it runs counts as passed by this adapter, in the suite that it is of. */
export function suiteTest(adapter: Adapter) {
  return (suite: Suite, name: string, run: () => Promise<void>): void =>
    test(`${suite}: ${name}`, { meta: { adapter, suite } }, run)
}

export interface AdapterRow<Make = () => Storage> {
  readonly adapter: Adapter
  readonly make: Make
}

/** A `describe` for each adapter of a list; `%s` in the title is its name. */
export function eachAdapter<Make>(
  rows: readonly AdapterRow<Make>[],
  title: string,
  body: (make: Make, adapter: Adapter) => void,
): void {
  for (const { adapter, make } of rows) {
    describe(title.replace('%s', `${adapter}()`), () => {
      forAdapter(adapter)
      body(make, adapter)
    })
  }
}
