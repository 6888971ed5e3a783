/** Sudden ends: the client's process, and the server's. Nothing that was acknowledged is missing afterwards. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isTidemarkError, openStore, systemClock, type Store, type TidemarkError } from 'tidemark'
import { postgres } from 'tidemark/postgres'
import { sleep } from '../../src/clock.js'
import { forAdapter } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { startPostgres, type PostgresServer } from '../support/postgres-server.js'
import { collect } from '../support/storages.js'

forAdapter('postgres')

const KILLS = extent(200, 12)
const LANES = 4
const ENDS = extent(30, 3)

const script = fileURLToPath(new URL('../support/postgres-committer.mjs', import.meta.url))
let seed = 17
const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

type Mode = 'exclusive' | 'shared'
type Row = { i: number } | number
const open = (prefix: string, mode: Mode): Promise<Store<string | [string, number], Row>> =>
  openStore<string | [string, number], Row>({
    storage: postgres(server.pool(), { prefix }),
    name: 'killed',
    mode,
    logger: false,
    checkpoint: { entries: 8 },
    retain: { versions: 1_000_000 },
  })

/** Every commit up to some number is there, once and in order, and those that were acknowledged are the versions that they were. */
async function check(
  prefix: string,
  mode: Mode,
  last: number,
  acknowledged: ReadonlyMap<number, number>,
): Promise<void> {
  const store = await open(prefix, mode)
  const i = Number(store.offsets['i'] ?? 0)
  expect(i).toBeGreaterThanOrEqual(last)
  const versions = new Map((await collect(store.versions())).map((v) => [v.version, v.offsets['i']]))
  expect([...versions.values()]).toEqual(Array.from({ length: i }, (_, n) => n + 1))
  for (const [version, commit] of acknowledged) expect(versions.get(version)).toBe(commit)
  for (let n = i; n > Math.max(0, i - 50); n--) expect(await store.get(`k${n % 50}`)).toEqual({ i: n })
  await store.close()
}

describe('a process that is killed', () => {
  test(`${KILLS} times at random loses nothing that it was told is committed`, async () => {
    let commits = 0
    const lane = async (prefix: string, kills: number): Promise<void> => {
      const acknowledged = new Map<number, number>()
      let last = 0
      for (let k = 0; k < kills; k++) {
        const given = JSON.stringify({ config: server.config, prefix, mode: 'exclusive' })
        const child = spawn(process.execPath, [script, given], { stdio: ['ignore', 'pipe', 'pipe'] })
        let errors = ''
        child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
        const lines = createInterface({ input: child.stdout })
        const ended = Promise.all([once(child, 'exit'), once(lines, 'close')])
        const wrong: string[] = []
        let left = Math.ceil(random() * 12)
        lines.on('line', (line) => {
          const [what, i, version] = line.split(' ')
          const isNext = what === 'opened' ? Number(i) === last || Number(i) === last + 1 : Number(i) === last + 1
          if (!isNext) wrong.push(`${line} after ${last}`)
          last = Number(i)
          if (what !== 'opened') acknowledged.set(Number(version), last)
          if (--left === 0) setTimeout(() => child.kill('SIGKILL'), random() * 10)
        })
        await ended
        expect([errors, wrong]).toEqual(['', []])
        expect(child.signalCode).toBe('SIGKILL')
      }
      await check(prefix, 'exclusive', last, acknowledged)
      commits += last
    }
    await Promise.all(Array.from({ length: LANES }, (_, n) => lane(`kill${n}_`, KILLS / LANES)))
    console.log(`${KILLS} kills, ${commits} commits`)
    expect(commits).toBeGreaterThan(KILLS)
  }, 900_000)
})

describe('a server that ends in mid-commit', () => {
  test.each([
    ['immediate', 'exclusive'],
    ['SIGKILL', 'shared'],
  ] as const)(
    `by %s under a store in %s mode, ${ENDS} times, and recovers, has all that it had acknowledged`,
    async (how, mode) => {
      const prefix = `${how.toLowerCase()}_`
      const acknowledged = new Map<number, number>()
      const told: string[] = []
      let store = await open(prefix, mode)
      let last = 0
      for (let k = 0; k < ENDS; k++) {
        const commits = Math.ceil(random() * 20)
        let ending: Promise<void> | undefined
        let isBack = false
        for (let left = commits; !isBack || left > -commits; left--) {
          if (left === 0) {
            ending = sleep(systemClock, random() * 10)
              .then(() => server.kill(how))
              .then(() => server.start())
              .then(() => void (isBack = true))
          }
          const i = last + 1
          store.put(`k${i % 50}`, { i })
          store.put(['last', i % 3], i)
          try {
            const { version } = await store.commit({ offsets: { i } })
            last = i
            acknowledged.set(version, i)
          } catch (error) {
            expect(isTidemarkError(error), String(error)).toBe(true)
            told.push((error as TidemarkError).code)
            await store.close().catch(() => {})
            await ending
            store = await open(prefix, mode)
            const reached = Number(store.offsets['i'] ?? 0)
            expect([last, last + 1]).toContain(reached)
            last = reached
          }
        }
        await ending
      }
      console.log(`${ENDS} ends by ${how}, ${last} commits, and of errors: ${told.join(', ') || 'none'}`)
      await store.close()
      await check(prefix, mode, last, acknowledged)
    },
    900_000,
  )
})
