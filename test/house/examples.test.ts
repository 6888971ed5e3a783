/** Examples in demo/ that run on Node alone, and the list of all of them. Those with a story of their own are in recipes.test.ts. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { root, run } from '../support/blocks.js'
import { temporaryFolder } from '../support/storages.js'

const recipe = (name: string): string => join(root, 'demo', name)

/** Each customer has one partition, as a broker would keep them together. Some order little. */
function appendOrders(topic: string, from: number, to: number, sums: Map<string, number>): void {
  for (let i = from; i < to; i++) {
    const partition = i % 4
    const customer = `c${i % 20}`
    const amount = i % 20 < 12 ? (i * 31) % 17 : 1
    appendFileSync(join(topic, `${partition}.ndjson`), `${JSON.stringify({ customer, amount })}\n`)
    sums.set(customer, (sums.get(customer) ?? 0) + amount)
  }
}

test('a consumer of four partitions that is killed again and again counts each order once, and loses no notice', async () => {
  const [topic, state] = [temporaryFolder(), join(temporaryFolder(), 'sums')]
  const truth = new Map<string, number>()
  appendOrders(topic, 0, 6_000, truth)
  let child!: ChildProcess
  /** Starts it, and ends it by this signal when it has said enough. */
  const life = async (
    signal: NodeJS.Signals,
    hasEnough: (said: number) => boolean | Promise<boolean>,
  ): Promise<string> => {
    child = spawn(process.execPath, [recipe('consumer.mjs'), topic, state], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    let output = ''
    let isEnding = false
    for await (const chunk of child.stdout!) {
      output += String(chunk)
      const said = (output.match(/^version /gm) ?? []).length
      if (isEnding || !(await hasEnough(said))) continue
      isEnding = true
      child.kill(signal)
    }
    await ended
    return output
  }
  const found = async (): Promise<Map<string, number>> => {
    const store = await openStore<string, number>({ storage: nodeFs(state), name: 'sums', mode: 'follower' })
    const all = await store.toArray()
    await store.close()
    return new Map(all)
  }
  try {
    expect(await life('SIGKILL', (said) => said >= 3)).toMatch(/^begins\n/)
    for (let i = 0; i < 2; i++) {
      const output = await life('SIGKILL', (said) => said >= 3)
      expect(output).toMatch(/^goes on from version \d+\n/)
      appendOrders(topic, 6_000 + i * 1_000, 7_000 + i * 1_000, truth)
    }
    let isWaiting = false
    const isDone = async (): Promise<boolean> => {
      const now = await found()
      const isSame = now.size === truth.size && [...now].every(([key, sum]) => truth.get(key) === sum)
      // It has read all there is, and waits: what comes now is counted as well.
      if (!isSame || isWaiting) return isSame
      isWaiting = true
      appendOrders(topic, 8_000, 8_040, truth)
      return false
    }
    const last = await life('SIGTERM', isDone)
    expect(child.exitCode).toBe(0)
    expect(last).toMatch(/\d+ orders in this run\n$/)
    expect(await found()).toEqual(truth)

    const lines = readFileSync(join(state, 'notices.ndjson'), 'utf8').trimEnd().split('\n')
    const notices = new Map<string, string>()
    for (const line of lines) {
      const { id } = JSON.parse(line) as { id: string }
      // What comes again is the same.
      expect(notices.get(id) ?? line).toBe(line)
      notices.set(id, line)
    }
    const told = [...notices.values()].map((line) => (JSON.parse(line) as { customer: string }).customer)
    expect(told.toSorted()).toEqual(
      [...truth]
        .filter(([, sum]) => sum >= 1_000)
        .map(([name]) => name)
        .toSorted(),
    )
    expect(told.length).toBeGreaterThan(0)
  } finally {
    child.kill('SIGKILL')
  }
})

test('undo and redo go through all edits and back, in processes of their own', async () => {
  const folder = temporaryFolder()
  const does = async (...args: string[]): Promise<string[]> => {
    const { code, output } = await run(process.execPath, [recipe('undo-redo.mjs'), './document', ...args], folder)
    expect([args, code, output]).toEqual([args, 0, output])
    return output.trimEnd().split('\n').filter(Boolean)
  }
  expect(await does('undo')).toEqual(['There is nothing to undo.'])
  const states: string[][] = [[]]
  for (const args of [
    ['add', 'milk'],
    ['add', 'bread'],
    ['remove', '1'],
    ['add', 'tea'],
  ])
    states.push(await does(...args))
  expect(states).toEqual([[], ['1. milk'], ['1. milk', '2. bread'], ['2. bread'], ['2. bread', '3. tea']])
  for (const state of states.slice(0, -1).toReversed()) expect(await does('undo')).toEqual(state)
  expect(await does('undo')).toEqual(['There is nothing to undo.'])
  for (const state of states.slice(1)) expect(await does('redo')).toEqual(state)
  expect(await does('redo')).toEqual(['There is nothing to redo.', ...states.at(-1)!])

  // A new edit after two undos takes the place of those that were undone.
  await does('undo')
  expect(await does('undo')).toEqual(states[2])
  expect(await does('add', 'jam')).toEqual(['1. milk', '2. bread', '3. jam'])
  expect(await does('redo')).toEqual(['There is nothing to redo.', '1. milk', '2. bread', '3. jam'])
  expect(await does('undo')).toEqual(states[2])
  expect(await does('undo')).toEqual(states[1])
  expect(await does('redo')).toEqual(states[2])
  const labels = (await does('history')).filter((line) => line.includes('\t')).map((line) => line.split('\t')[1])
  expect(labels.slice(0, 6)).toEqual(['new', 'add milk', 'add bread', 'remove 1', 'add tea', 'undo'])
  const { code, output } = await run(process.execPath, [recipe('undo-redo.mjs'), './document', 'constructor'], folder)
  expect([code, output]).toEqual([
    1,
    expect.stringContaining('One of show, add, remove, undo, redo, history is expected.'),
  ])
})

test('the recipes are all in one list, with their tests, and none has a file of 80 lines', () => {
  const list = readFileSync(join(root, 'docs/recipes.md'), 'utf8')
  const named = [...list.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path]) => path!)
  const recipes = named.filter((path) => path.startsWith('demo/'))
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  expect(recipes.filter((path) => readFileSync(join(root, path), 'utf8').trimEnd().split('\n').length >= 80)).toEqual(
    [],
  )
  // The large demos have no place in it.
  const large = ['main.mjs', 'flights', 'group', 'web']
  const places = readdirSync(join(root, 'demo')).filter((name) => !large.includes(name))
  expect(places.filter((name) => !recipes.some((path) => path.split('/')[1] === name))).toEqual([])
  const tests = named.filter((path) => path.startsWith('test/')).map((path) => readFileSync(join(root, path), 'utf8'))
  const untested = recipes.filter((path) => !tests.some((text) => text.includes(path.split('/')[1]!)))
  expect(untested).toEqual([])
})
