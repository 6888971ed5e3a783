/** The recipes in demo/: each runs as its first lines say. The worker's test is test/adapters/edge.test.ts. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { root, run, type Ended } from '../support/blocks.js'
import { startS3Server } from '../support/s3-server.js'
import { temporaryFolder } from '../support/storages.js'

const recipe = (name: string): string => join(root, 'demo', name)
const node = (args: readonly string[], folder: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  run(process.execPath, args, folder, env)

test('a stream job that is killed goes on, and counts each line once', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'clicks.ndjson')
  const lines = (from: number, to: number): string => {
    const numbers = Array.from({ length: to - from }, (_, i) => from + i)
    return numbers.map((n) => `${JSON.stringify({ n, page: `/${n % 7}` })}\n`).join('')
  }
  writeFileSync(file, lines(0, 20_000))
  // Ends the process by force when it has said so for the third time.
  writeFileSync(
    join(folder, 'kill.mjs'),
    `const { log } = console
     let said = 0
     console.log = (text) => {
       log(text)
       if (text.startsWith('committed') && ++said === 3) process.kill(process.pid, 'SIGKILL')
     }`,
  )
  const job = [recipe('stream-job.mjs'), 'clicks.ndjson', 'page', './counts']
  const killed = await node(['--import', './kill.mjs', ...job], folder)
  expect(killed.code).not.toBe(0)
  expect(killed.output).not.toContain('counted in this run')
  const resumed = await node(job, folder)
  expect([resumed.code, resumed.output]).toEqual([0, expect.stringMatching(/^Goes on from version \d+\./)])
  const counted = Number(/(\d+) lines counted/.exec(resumed.output)![1])
  expect(counted).toBeGreaterThan(0)
  expect(counted).toBeLessThanOrEqual(18_000)

  appendFileSync(file, lines(20_000, 20_007))
  const third = await node(job, folder)
  expect(third.output).toContain('\n7 lines counted in this run')
  const counts = [...third.output.matchAll(/^(\/\d)\t(\d+)$/gm)].map(([, key, count]) => [key, Number(count)])
  const truth = Array.from({ length: 7 }, (_, page) => [`/${page}`, Math.floor((20_006 - page) / 7) + 1])
  expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(truth))
  expect((await node([...job.slice(0, 2), 'n', './counts'], folder)).output).toContain('INVALID_ARGUMENT')
})

test('a nightly backup is made once a day, and brings back what was lost', async () => {
  const folder = temporaryFolder()
  const server = await startS3Server({ bucket: 'nightly' })
  const env = {
    AWS_ENDPOINT_URL: server.url,
    AWS_ACCESS_KEY_ID: 'AKID',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: 'eu-central-1',
    NODE_OPTIONS: '--no-warnings',
  }
  const said = async (...args: string[]): Promise<string> => {
    const { code, output } = await node([recipe('nightly-backup.mjs'), ...args], folder, env)
    expect([args, code, output]).toEqual([args, 0, output])
    return output
  }
  const opened = (): Promise<Store<string, number>> =>
    openStore<string, number>({ storage: nodeFs(join(folder, 'state')), name: 'orders' })
  const readAll = async (): Promise<[string, number][]> => {
    const store = await opened()
    const all = await store.toArray()
    await store.close()
    return all
  }
  try {
    let store = await opened()
    await store.write(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: `o-${i}`, value: i }) as const))
    const { version } = await store.set('o-last', 100)
    await store.close()
    const all = await readAll()

    for (const place of ['./backups', 's3://nightly/state']) {
      const [, tag] = /^(nightly-\d{4}-\d\d-\d\d): version \d+/.exec(await said('backup', './state', place))!
      expect(await said('backup', './state', place, tag!)).toBe(`${tag} is there already.\n`)
      expect(await said('list', place)).toMatch(new RegExp(`^${tag}\tversion \\d+ of `))

      // The newest seven stay, and the one before them goes.
      const tags = Array.from({ length: 7 }, (_, i) => `extra-${i}`)
      for (const extra of tags) await said('backup', './state', place, extra)
      const listed = (await said('list', place)).trimEnd().split('\n')
      expect(new Set(listed.map((line) => line.split('\t')[0]))).toEqual(new Set(tags))

      // Somebody empties the store.
      store = await opened()
      store.clear()
      const { version: emptied } = await store.commit()
      await store.close()
      const [, undo] = /To undo that: rewind \.\/state (\d+)\n$/.exec(await said('rewind', './state', String(version)))!
      expect(Number(undo)).toBe(emptied)
      expect(await readAll()).toEqual(all)
      await said('rewind', './state', undo!)
      expect(await readAll()).toEqual([])
      expect(await said('bring', './state', place, 'extra-6')).toMatch(/^Version \d+ is as extra-6 was/)
      expect(await readAll()).toEqual(all)
    }
    const { code, output } = await node([recipe('nightly-backup.mjs'), 'restore'], folder)
    expect([code, output]).toEqual([1, 'nightly-backup: one of sample, backup, list, rewind, bring is expected.\n'])
  } finally {
    await server.close()
  }
})

test('a nightly backup can be tried without a set-up', async () => {
  const folder = temporaryFolder()
  const said = async (...args: string[]): Promise<string> => {
    const { code, output } = await node([recipe('nightly-backup.mjs'), ...args], folder)
    expect([args, code, output]).toEqual([args, 0, output])
    return output
  }
  expect(await said('list')).toBe('')
  expect(await said('sample')).toMatch(/^Version \d+ has 100 orders more\.\n$/)
  expect(await said('backup')).toMatch(/^nightly-/)
  expect(await said('sample')).toMatch(/^Version \d+ has 100 orders more\.\n$/)
  expect(await said('bring')).toMatch(/ is as the newest one was\./)
  expect(await said('list')).toMatch(/^nightly-\S+\tversion 1 of /)
  const store = await openStore({ storage: nodeFs(join(folder, 'state')), name: 'orders' })
  expect(await store.count()).toBe(100)
  await store.close()
})

test('sessions of an Express app outlive a crash of the server', async () => {
  const folder = temporaryFolder()
  const running: ChildProcess[] = []
  const start = async (): Promise<string> => {
    const child = spawn(process.execPath, [recipe('session-store.mjs'), join(folder, 'state'), '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    running.push(child)
    for await (const line of createInterface({ input: child.stdout! })) {
      if (line.startsWith('listening on ')) return line.slice('listening on '.length)
    }
    throw new Error('The server did not start.')
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const child = running.pop()!
    child.kill(signal)
    await once(child, 'exit')
  }
  const visit = async (url: string, cookie?: string, method = 'GET'): Promise<[text: string, cookie?: string]> => {
    const headers = { connection: 'close', ...(cookie && { cookie }) }
    const response = await fetch(url, { method, headers })
    const given = response.headers.get('set-cookie')?.split(';')[0]
    return given ? [await response.text(), given] : [await response.text()]
  }
  try {
    let url = await start()
    const [first, cookie] = await visit(`${url}/`)
    expect(first).toBe('visit 1\n')
    expect((await visit(`${url}/`, cookie))[0]).toBe('visit 2\n')
    await end('SIGKILL')
    url = await start()
    expect((await visit(`${url}/`, cookie))[0]).toBe('visit 3\n')
    expect((await visit(`${url}/`))[0]).toBe('visit 1\n')
    await end('SIGTERM')
    url = await start()
    expect((await visit(`${url}/sign-out`, cookie, 'POST'))[0]).toBe('signed out\n')
    expect((await visit(`${url}/`, cookie))[0]).toBe('visit 1\n')
  } finally {
    for (const child of running) child.kill('SIGKILL')
  }
})

test('the README names each recipe, and has less than 250 lines', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  expect(readme.trimEnd().split('\n').length).toBeLessThan(250)
  const recipes = [
    'demo/todo',
    'demo/stream-job.mjs',
    'demo/session-store.mjs',
    'demo/edge/worker.js',
    'demo/nightly-backup.mjs',
  ]
  expect(recipes.filter((path) => !readme.includes(`](${path}`))).toEqual([])
})
