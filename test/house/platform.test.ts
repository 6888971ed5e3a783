/**
 * The built package asks little of a platform: timers as they were at the import, or none; a word about what is missing; and no
 * process that it keeps alive when nothing is pending. Each case is a program of its own.
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/storages.js'

/** A program that does not end is ended, and fails its test. */
const LIMIT_MS = 60_000

interface Ended {
  readonly code: number | null
  readonly output: string
}

/** Runs `before`, imports the package, then runs `code`. */
function run(before: string, code: string): Promise<Ended> {
  const folder = temporaryFolder()
  const at = (name: string): string => JSON.stringify(import.meta.resolve(name))
  const program = `
    ${before}
    const { openStore, systemClock } = await import(${at('tidemark')})
    const { memory } = await import(${at('tidemark/memory')})
    const { nodeFs } = await import(${at('tidemark/node-fs')})
    const { indexedDb } = await import(${at('tidemark/indexeddb')})
    const { consume, fromIterable } = await import(${at('tidemark/stream')})
    const fill = async (store, commits = 80) => {
      for (let i = 0; i < commits; i++) {
        store.put(i, 'x'.repeat(500))
        await store.commit()
      }
      return store
    }
    ${code}`
  const file = join(folder, 'program.mjs')
  writeFileSync(
    file,
    program.replaceAll("'fake-indexeddb/auto'", JSON.stringify(import.meta.resolve('fake-indexeddb/auto'))),
  )
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { cwd: folder, timeout: LIMIT_MS }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code as number | null), output: stdout + stderr }),
    )
  })
}

/** Fake timers: nothing fires by itself. Those of vitest and jest are marked; those of node:test are not. */
const fake = (mark: string): string => `
  const fake = () => Object.assign(() => ({ ref() {}, unref() {} }), ${mark})
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearImmediate', 'queueMicrotask'])
    globalThis[name] = fake()
  Object.defineProperty(globalThis, 'performance', { value: { now: () => 0 }, configurable: true })`

const everything = (storage: string): string => `
  const storage = ${storage}
  const store = await fill(await openStore({ storage, name: 'a' }))
  await store.checkpoint()
  await store.maintain()
  await consume(store, fromIterable('s', [1, 2, 3]), ({ value }, state) => state.put('sum', value))
  await store.transaction((tx) => tx.put('t', 1))
  await store.close()
  await (await openStore({ storage, name: 'a' })).close()
  console.log('done', store.metrics().folds > 0)`

describe('where timers are faked', () => {
  test.each(['memory()', "nodeFs('./state')"])('after the import nothing hangs, on %s', async (storage) => {
    expect(await run('', `${fake('{}')}\n${everything(storage)}`)).toEqual({ code: 0, output: 'done true\n' })
  })

  test.each([
    ['{ clock: {} }', '', 'that say so, with a MessageChannel'],
    ['{ clock: {} }', 'delete globalThis.MessageChannel', 'that say so, without one'],
    ['{}', '', 'that do not, with a MessageChannel'],
  ])('before the import nothing hangs that need not wait: %s %s %s', async (mark, more) => {
    const before = `${fake(mark)}\n${more}`
    expect(await run(before, everything('memory()'))).toEqual({ code: 0, output: 'done true\n' })
  })

  test('the time of day is theirs: values expire when the test says so', async () => {
    const code = `
      let now = Date.now()
      Date.now = () => now
      const store = await openStore({ storage: memory(), name: 'a', ttlMs: 1000 })
      store.put('k', 1)
      await store.commit()
      const before = await store.get('k')
      now += 2000
      console.log(before, await store.get('k'))`
    expect(await run('', code)).toEqual({ code: 0, output: '1 undefined\n' })
  })
})

describe('where something is missing', () => {
  test.each([['setImmediate'], ['setImmediate', 'MessageChannel', 'BroadcastChannel', 'queueMicrotask', 'navigator']])(
    'that has a substitute, nobody notices: %s …',
    async (...names) => {
      const before = names.map((name) => `delete globalThis.${name}`).join('\n')
      expect(await run(before, everything('memory()'))).toEqual({ code: 0, output: 'done true\n' })
    },
  )

  test('that has none and is used later, opening says so', async () => {
    const code = `await openStore({ storage: memory(), name: 'a' }).catch(({ code, message }) => console.log(code, message))`
    const { output } = await run('delete globalThis.AbortController\ndelete globalThis.btoa', code)
    expect(output).toMatch('INVALID_ARGUMENT There is no AbortController, no btoa here; ')
  })

  test('nobody notices ports that cannot be made, or deliver nothing', async () => {
    for (const made of [
      'throw new Error("no ports")',
      'this.port1 = this.port2 = new EventTarget(); Object.assign(this.port1, { start() {}, postMessage() {}, close() {} })',
    ]) {
      const before = `globalThis.MessageChannel = class { constructor() { ${made} } }`
      expect(await run(before, everything('memory()'))).toEqual({ code: 0, output: 'done true\n' })
      if (made.startsWith('throw')) {
        expect(await run(`${before}\ndelete globalThis.setImmediate`, everything('memory()'))).toEqual({
          code: 0,
          output: 'done true\n',
        })
      }
    }
  })

  test.each([
    ['performance', 'performance'],
    ['crypto', 'crypto.getRandomValues'],
    ['TextEncoder', 'TextEncoder'],
    ['TextDecoder', 'TextDecoder'],
  ])('that has none, opening says so: %s', async (name, told) => {
    const before = `Object.defineProperty(globalThis, '${name}', { value: undefined })`
    const code = `await openStore({ storage: memory(), name: 'a' }).catch(({ code, message }) => console.log(code, message))`
    const { output } = await run(before, code)
    expect(output).toMatch(`INVALID_ARGUMENT There is no ${told} here; `)
  })
})

describe('a process', () => {
  test.each([
    ['memory()', '', ''],
    ["nodeFs('./state')", '', ''],
    ["indexedDb('db')", '', "import 'fake-indexeddb/auto'"],
    ['memory()', "mode: 'shared', followMs: 1000", ''],
    ["indexedDb('db')", "mode: 'shared', followMs: 1000", "import 'fake-indexeddb/auto'"],
  ])('ends with a store that is still open and watched, on %s %s', async (storage, options, imports) => {
    const code = `
      const store = await fill(await openStore({ storage: ${storage}, name: 'a', ${options} }))
      store.watch({}, () => {})
      store.on('version', () => {})
      await store.get(1)
      // Work beside commits has its deadlines; a timer that is left stays for two seconds and more.
      const ends = performance.now() + 1_500
      let left
      do {
        await new Promise((resolve) => setImmediate(resolve))
        left = process.getActiveResourcesInfo().filter((what) => /Timeout|Port/.test(what)).join()
      } while (left !== '' && performance.now() < ends)
      console.log(left)`
    expect(await run(imports, code)).toEqual({ code: 0, output: '\n' })
  })

  test('does not end before an awaited commit does, whatever the storage waits with', async () => {
    const code = `
      const inner = memory()
      let isSlow = false
      const slow = (run) => async (...args) => {
        if (isSlow) await new Promise((resolve) => setTimeout(resolve, 20).unref())
        return run(...args)
      }
      const log = (path, options) => {
        const log = inner.log(path, options)
        return { ...log, append: slow(log.append) }
      }
      const store = await openStore({ storage: { ...inner, log }, name: 'a' })
      isSlow = true
      store.put(1, 1)
      console.log((await store.commit()).version > 0)`
    expect(await run('', code)).toEqual({ code: 0, output: 'true\n' })
  })

  test('does not end before what consume() has handled is committed', async () => {
    const code = `
      const store = await openStore({ storage: memory(), name: 'a' })
      store.on('version', () => console.log(JSON.stringify(store.offsets)))
      const source = { name: 's', partitions: 1, async *read() {
        yield { offset: 0, value: 'a' }
        await new Promise(() => {})
      } }
      await consume(store, source, () => {}, { everyMs: 20 })`
    const { output } = await run('', code)
    expect(output).toContain('{"s":{"0":1}}')
  })
})
