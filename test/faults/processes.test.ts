import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { extent } from '../support/extent.js'
import { collect, temporaryFolder } from '../support/storages.js'

const KILLS = extent(100, 12)
const LANES = 4
const RIVALS = 3
const TOGETHER = 6
const ROUNDS = extent(4, 1)

const script = fileURLToPath(new URL('../support/committer.mjs', import.meta.url))

function start(
  folder: string,
  mode: string,
  id: string,
  onLine: (line: string) => void,
): { child: ChildProcess; ended: Promise<string> } {
  const child = spawn(process.execPath, [script, folder, mode, id], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const lines = createInterface({ input: child.stdout })
  // A failed expectation must not escape into the event loop, where it would end the whole run.
  let failure: Error | undefined
  lines.on('line', (line) => {
    try {
      if (failure === undefined) onLine(line)
    } catch (error) {
      failure = error as Error
      child.kill('SIGKILL')
    }
  })
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]).then(() => {
    if (failure !== undefined) throw failure
    return errors
  })
  return { child, ended }
}

describe('processes on one folder', () => {
  test(`a process that is killed ${KILLS} times at random loses nothing that it was told is committed`, async () => {
    let seed = 20_26
    const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
    let commits = 0
    const lane = async (kills: number): Promise<void> => {
      const folder = temporaryFolder()
      const acknowledged = new Map<number, number>()
      let last = 0
      for (let k = 0; k < kills; k++) {
        const { child, ended } = start(folder, 'alone', '', (line) => {
          const [what, i, version] = line.split(' ')
          if (what === 'opened') {
            // Nothing acknowledged is missing; at most the one commit in flight is there beyond it.
            expect(Number(i)).toBeGreaterThanOrEqual(last)
            expect(Number(i)).toBeLessThanOrEqual(last + 1)
            last = Number(i)
            if (k % 2 === 1) killSoon()
          } else {
            expect(Number(i)).toBeGreaterThan(last)
            last = Number(i)
            acknowledged.set(Number(version), last)
            if (k % 2 === 0) killSoon()
          }
        })
        // Every other one has committed something, however slow the machine is.
        const killSoon = (): void => void (timer ??= setTimeout(() => child.kill('SIGKILL'), random() * 60))
        let timer: NodeJS.Timeout | undefined
        expect(await ended).toBe('')
        expect(child.signalCode).toBe('SIGKILL')
      }
      const store = await openStore({ storage: nodeFs(folder), name: 'killed' })
      const i = store.offsets['i'] as number
      expect(i).toBeGreaterThanOrEqual(last)
      const versions = new Map((await collect(store.versions())).map((v) => [v.version, v.offsets['i']]))
      expect([...versions.values()]).toEqual(Array.from({ length: i }, (_, n) => n + 1))
      for (const [version, commit] of acknowledged) expect(versions.get(version)).toBe(commit)
      for (let n = i; n > Math.max(0, i - 50); n--) expect(await store.get(`k${n % 50}`)).toEqual({ i: n })
      for (let n = i; n > Math.max(0, i - 3); n--) expect(await store.get(['last', n % 3])).toBe(n)
      commits += i
      await store.close()
    }
    await Promise.all(Array.from({ length: LANES }, () => lane(KILLS / LANES)))
    console.log(`${KILLS} kills, ${commits} commits`)
    expect(commits).toBeGreaterThanOrEqual(KILLS / 2)
  }, 180_000)

  test('of rivals that take a store from one another none is acknowledged what is not in the history', async () => {
    const folder = temporaryFolder()
    const acknowledged = new Map<number, string>()
    const told: string[] = []
    const running = Array.from({ length: RIVALS }, (_, r) =>
      start(folder, '4000', `rival ${r}`, (line) => {
        const [what, ...rest] = line.split(' ')
        if (what === 'committed') {
          const version = Number(rest[0])
          expect(acknowledged.has(version)).toBe(false)
          acknowledged.set(version, rest.slice(1).join(' '))
        } else if (what === 'FENCED') told.push(rest.join(' '))
      }),
    )
    for (const { ended } of running) expect(await ended).toBe('')
    const store = await openStore({ storage: nodeFs(folder), name: 'killed' })
    const versions = new Map((await collect(store.versions())).map((v) => [v.version, v.label]))
    for (const [version, label] of acknowledged) expect(versions.get(version)).toBe(label)
    const history = new Set(versions.values())
    for (const label of told) expect(history.has(label)).toBe(false)
    console.log(`${acknowledged.size} commits of ${RIVALS} rivals, ${told.length} times fenced`)
    expect(told.length).toBeGreaterThan(RIVALS)
    await store.close()
  }, 60_000)

  test("that write together are told of each commit whether it is there, and stand in nobody's way but by CONFLICT", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const folder = temporaryFolder()
      let added = 0
      const told: string[] = []
      const running: Promise<string>[] = []
      const join = (): void => {
        const { ended } = start(folder, 'shared', '', (line) => {
          if (line === 'added') added++
          else if (line.startsWith('opened')) opened()
          else told.push(line)
        })
        running.push(ended)
      }
      // Half of them come when the others are in the midst of it.
      let waiting = TOGETHER / 2
      const opened = (): void => {
        if (waiting-- > 0) join()
      }
      for (let i = 0; i < TOGETHER / 2; i++) join()
      for (let i = 0; i < running.length; i++) expect(await running[i]).toBe('')
      expect(running.length).toBe(TOGETHER)
      expect(told.filter((line) => !line.startsWith('CONFLICT'))).toEqual([])
      const store = await openStore({ storage: nodeFs(folder), name: 'killed', mode: 'follower' })
      expect(await store.get('n')).toBe(added)
      await store.close()
    }
  }, 120_000)

  test('that write together are not harmed by those that are killed among them', async () => {
    const folder = temporaryFolder()
    const told: string[] = []
    const victims: Promise<string>[] = []
    const kill = (): void => {
      const { child, ended } = start(folder, 'shared', '', (line) => {
        if (line === 'added') child.kill('SIGKILL')
      })
      victims.push(ended)
    }
    const running = Array.from({ length: RIVALS }, () =>
      start(folder, 'shared', '', (line) => {
        if (line.startsWith('opened')) kill()
        else if (line !== 'added') told.push(line)
      }),
    )
    for (const { ended } of running) expect(await ended).toBe('')
    await Promise.all(victims)
    expect(victims.length).toBe(RIVALS)
    expect(told.filter((line) => !line.startsWith('CONFLICT'))).toEqual([])
  }, 60_000)
})
