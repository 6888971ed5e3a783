/** Importing does nothing: no entry of the built package touches a global, and what browsers import is free of Node. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const { exports, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { default: string }>
  peerDependencies: object
}
/** Users install these, and their bundlers know what to do with them. */
const peers = Object.keys(peerDependencies).map((name) => new RegExp(`^${name}(/|$)`))
const entries = Object.entries(exports).flatMap(([subpath, target]) =>
  typeof target === 'string' ? [] : [[subpath, join(root, target.default)] as const],
)
const onlyForNode = ['./node-fs', './stream/node']

beforeAll(() => {
  execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
}, 120_000)

/**
 * Imports files where each global that is not of the language itself tells of being read or written. What encodes and
 * decodes UTF-8 counts as of the language, and so does Buffer; a dependency looks whether there is a queueMicrotask, and
 * calls nothing. Node's own modules and React are loaded before, as they look at some.
 */
const WATCHED = `
  import { workerData } from 'node:worker_threads'
  for (const name of ['fs', 'fs/promises', 'path', 'os', 'crypto', 'util', 'stream', 'buffer', 'timers/promises', 'url'])
    await import('node:' + name)
  await import(${JSON.stringify(pathToFileURL(join(root, 'node_modules/react/index.js')).href)})
  const language = new Set(Object.getOwnPropertyNames((await import('node:vm')).runInNewContext('globalThis')))
  const touched = new Set()
  for (const name of ['TextEncoder', 'TextDecoder', 'queueMicrotask', 'Buffer']) language.add(name)
  const files = JSON.parse(workerData ?? process.argv[1])
  const log = console.log
  const names = Object.getOwnPropertyNames(globalThis).filter((name) => !language.has(name))
  for (const name of new Set([...names, 'window', 'document', 'navigator', 'Worker', 'Deno', 'Bun', 'indexedDB', 'IDBKeyRange', 'localStorage', 'self', 'location', 'caches'])) {
    const own = Object.getOwnPropertyDescriptor(globalThis, name)
    if (own && !own.configurable) continue
    const value = own && 'value' in own ? own.value : undefined
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        const caller = new Error().stack.split('\\n')[2] ?? ''
        if (!caller.includes('node:internal')) touched.add(name)
        return own && own.get ? own.get.call(globalThis) : value
      },
      set() {
        touched.add(name + ' =')
      },
    })
  }
  const told = {}
  for (const file of files) {
    const known = Object.getOwnPropertyNames(globalThis).length
    await import(file)
    if (Object.getOwnPropertyNames(globalThis).length > known) touched.add('something new')
    told[file] = [...touched]
    touched.clear()
  }
`

describe('an entry that cannot work where it is, or with what it is given', () => {
  test.each([
    ['./indexeddb', `(m) => m.indexedDb('app').logs('')`, 'There is no IndexedDB here'],
    ['./s3-fetch', `(m) => m.s3Fetch({ url: 'https://bucket.example' })`, 'fetch'],
    ['./s3', `(m) => m.s3({ bucket: 'b' })`, 'client'],
    ['./r2', `(m) => m.r2(undefined)`, 'binding'],
    ['./postgres', `(m) => m.postgres('postgres://host/db')`, 'Pool'],
    ['./durable-object', `(m) => m.durableObject(undefined)`, 'ctx.storage'],
    ['./node-fs', `(m) => m.nodeFs()`, 'directory'],
    ['./level', `(m) => new m.TidemarkLevel()`, 'openStore()'],
    ['./keyv', `(m) => new m.KeyvTidemark('./state')`, 'openStore()'],
    ['./unstorage', `(m) => m.tidemarkDriver({ name: 'app' })`, 'openStore()'],
    ['./session', `(m) => m.honoSession()`, 'openStore()'],
    ['./session', `(m) => m.expressStore({ storage: 1, name: 'app' })`, 'express-session'],
  ])('says so in a sentence: %s', (subpath, use, word) => {
    const url = pathToFileURL(new Map(entries).get(subpath)!).href
    const code = `
      const use = ${use}
      const told = await Promise.resolve(await import(process.argv[1])).then(use).then(() => undefined, (error) => error)
      console.log(JSON.stringify([told?.name, told?.message]))`
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code, url], { timeout: 170_000 })
    const [name, message] = JSON.parse(printed.toString()) as [string, string]
    expect(name).toBe('TidemarkError')
    expect(message).toContain(word)
    expect(message).toMatch(/^[^\n]{15,300}\.$/)
  })
})

describe('importing any entry', () => {
  const urls = JSON.stringify(entries.map(([, file]) => pathToFileURL(file).href))
  /** Fake timers that come after the import must not be taken for the platform's own. */
  const timers = ['MessageChannel', 'clearTimeout', 'crypto', 'performance', 'setImmediate', 'setTimeout']
  const expected = Object.fromEntries(
    entries.map(([subpath, file]) => [pathToFileURL(file).href, subpath === '.' ? timers : []]),
  )
  /** In which order the files are evaluated says nothing. */
  const sorted = (printed: Buffer): Record<string, string[]> => {
    const told = JSON.parse(printed.toString()) as Record<string, string[]>
    return Object.fromEntries(Object.entries(told).map(([file, names]) => [file, names.sort()]))
  }

  test('looks up the timers of the platform, touches no other global, leaves nothing running, and prints nothing', () => {
    const code = `${WATCHED}; log(JSON.stringify(told))`
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code, urls], { timeout: 170_000 })
    expect(sorted(printed)).toEqual(expected)
  })

  test('does so in a worker', () => {
    const inWorker = `${WATCHED}; (await import('node:worker_threads')).parentPort.postMessage(told)`
    const code = `
      import { Worker } from 'node:worker_threads'
      const source = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(inWorker)}))
      new Worker(source, { workerData: process.argv[1] }).on('message', (told) => console.log(JSON.stringify(told)))`
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', code, urls], { timeout: 170_000 })
    expect(sorted(printed)).toEqual(expected)
  })

  test.each(entries.filter(([subpath]) => !onlyForNode.includes(subpath)))(
    'brings no module of Node into a browser bundle: %s',
    async (_, file) => {
      const build = await rolldown({
        input: file,
        cwd: root,
        platform: 'browser',
        external: [/^node:/, ...builtinModules, ...peers],
        logLevel: 'silent',
      })
      const { output } = await build.generate({ format: 'esm' })
      await build.close()
      const imported = output.flatMap((part) =>
        part.type === 'chunk' ? [...part.imports, ...part.dynamicImports] : [],
      )
      expect(imported.filter((name) => name.startsWith('node:') || builtinModules.includes(name))).toEqual([])
    },
  )
})
