/** The suites on Durable Objects of both kinds, inside real workerd, and what is peculiar to them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { forAdapter, suiteTest } from '../support/counting.js'
import type { Suite } from '../support/adapters.mjs'
import { memory } from 'tidemark/memory'
import { startObjects, type Kind, type Objects } from '../support/durable-objects.js'
import { FEW_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'

forAdapter('durableObject')

const KINDS: readonly Kind[] = ['sql', 'keys', 'bucket']
/** The suites that run on each kind. What the others of them check is the same code on every kind. */
const SUITES: Readonly<Record<Kind, readonly Suite[]>> = {
  sql: ['conformance', 'cuts', 'recovery', 'collection', 'equality', 'loss'],
  keys: ['conformance', 'cuts', 'recovery', 'collection'],
  bucket: ['conformance', 'collection'],
}
const names: [suite: Suite, name: string][] = []
allSuites({
  test: (suite, name) => names.push([suite, name]),
  make: () => memory(),
  share: { writes: 1, reads: 1 },
  loss: FEW_LOSSES,
})

let objects!: Objects
beforeAll(async () => {
  objects = await startObjects()
})
afterAll(() => objects.worker.dispose())

describe.each(KINDS)('durableObject() of the kind "%s", in workerd', (kind) => {
  const own = names.filter(([suite]) => SUITES[kind].includes(suite))

  test('runs all tests of its suites', async () => {
    expect(await objects.ask(kind, 'suites', 'tests')).toEqual(own)
  })

  const testOf = suiteTest('durableObject')
  for (const [index, [suite, name]] of own.entries()) {
    testOf(suite, name, async () => expect(await objects.ask(kind, 'suites', 'test', { index })).toBe(null))
  }

  test('an object that is aborted at any call of a commit has made it or not, and goes on', async () => {
    let acknowledged = (await objects.ask(kind, 'aborted', 'add')) as number
    let aborted = 0
    for (let abort = 1; abort < 40; abort++) {
      // A life takes more calls where it opens the store, and fewer than these in all.
      const n = await objects.ask(kind, 'aborted', 'add', { abort }).catch(() => undefined)
      if (n === undefined) aborted++
      else acknowledged = n as number
      const found = ((await objects.ask(kind, 'aborted', 'read')) as { n: number }).n
      expect([acknowledged, acknowledged + 1]).toContain(found)
      acknowledged = found
      if (n !== undefined) break
    }
    expect(aborted).toBeGreaterThan(4)
    expect(await objects.ask(kind, 'aborted', 'add')).toBe(acknowledged + 1)
  })

  test('requests at once by one handle each count', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => objects.ask(kind, 'at-once', 'add')))
    expect(all.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  test('two handles in one object that write at once, in shared mode, count each of their changes', async () => {
    expect(await objects.ask(kind, 'shared', 'together', { each: 25 })).toEqual([50, 50])
  })

  test('a blob of 9 MiB is read whole and by ranges, replaced, and leaves nothing', async () => {
    const told = await objects.ask(kind, 'large', 'large')
    expect(told).toEqual({ read: [true, true, true, true, true], whole: true, again: true, gone: true, left: 0, isRead: kind === 'sql' })
  })

  test('a commit is one transaction and one flush of the object, and asks nothing of the bucket', async () => {
    const commits = 30
    const told = (await objects.ask(kind, 'count', 'count', { commits })) as Record<string, Record<string, number>>
    expect(told['bucket']).toEqual({})
    expect(told['object']).toEqual(
      kind === 'keys'
        ? { transaction: commits, get: commits, put: commits, sync: commits }
        : { transactionSync: commits, exec: commits, sync: commits },
    )
  })
})

describe('a Durable Object with a database', () => {
  test('that is full keeps the changes of a commit until there is room', async () => {
    expect(await objects.ask('sql', 'full', 'full')).toEqual({
      code: 'QUOTA',
      kept: [
        ['a', 1],
        ['b', 2],
      ],
    })
  })

  test('that is emptied beneath a handle takes nothing from it, and begins anew', async () => {
    expect(await objects.ask('sql', 'emptied', 'emptied')).toEqual({ code: 'ROLLED_BACK', kept: [['c', 3]] })
  })
})
