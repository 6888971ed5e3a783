/** Processes of a group on one folder, which are killed and frozen. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openStore, systemClock } from 'tidemark'
import { rescale } from 'tidemark/group'
import { nodeFs } from 'tidemark/node-fs'
import { afterAll, expect, test } from 'vitest'
import { sleep } from '../../../src/clock.js'
import { temporaryFolder } from '../../support/storages.js'
import { until } from '../../support/until.js'

const PARTITIONS = 6
const EVENTS = 150
const LEASE = 1_500
const script = fileURLToPath(new URL('../../support/group-member.mjs', import.meta.url))

const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

class Member {
  readonly child: ChildProcess
  readonly lines: string[] = []
  errors = ''

  constructor(folder: string) {
    this.child = spawn(process.execPath, [script, folder, String(PARTITIONS), String(EVENTS), String(LEASE)])
    children.add(this.child)
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.lines.push(line))
    this.child.stderr!.on('data', (chunk: Buffer) => (this.errors += chunk.toString()))
  }

  said(what: string): string[] {
    return this.lines.filter((line) => line.startsWith(what))
  }

  async leave(): Promise<void> {
    const exit = once(this.child, 'exit')
    this.child.stdin!.end()
    await exit
    expect(this.errors).toBe('')
    expect(this.lines.at(-1)).toBe('left')
  }
}

test('who is killed loses nothing, and who is frozen is never acknowledged again', async () => {
  const folder = temporaryFolder()
  const place = { storage: nodeFs(folder), name: 's' }
  const store = await openStore({ ...place, partitions: PARTITIONS })
  await store.close()
  await rescale(place, { shards: 3 })
  const members = [new Member(folder), new Member(folder), new Member(folder)]
  const [killed, frozen, steady] = members as [Member, Member, Member]
  await until(() => members.every((member) => member.said('acknowledged').length > 2))
  killed.child.kill('SIGKILL')
  frozen.child.kill('SIGSTOP')
  const before = frozen.lines.length
  await until(() => steady.said('owns').at(-1)!.split(' ').length === 1 + 3)
  frozen.child.kill('SIGCONT')
  await until(() => frozen.said('aborted').length > 0)
  const counted = async (): Promise<number[]> => {
    const follower = await openStore<string, number>({ ...place, storage: nodeFs(folder), mode: 'follower' })
    const counts = await Promise.all(
      Array.from({ length: PARTITIONS }, async (_, i) => (await follower.partition(i).get('n')) ?? 0),
    )
    await follower.close()
    return counts
  }
  let counts = await counted()
  for (let tries = 0; tries < 200 && counts.some((count) => count < EVENTS); tries++) {
    await sleep(systemClock, 100)
    counts = await counted()
  }
  await frozen.leave()
  await steady.leave()
  expect(counts).toEqual(Array.from({ length: PARTITIONS }, () => EVENTS))
  // What it was told after its signal had fired is of other turns.
  const after = frozen.lines.slice(before)
  const aborted = after.findIndex((line) => line.startsWith('aborted'))
  const [, shard, token] = after[aborted]!.split(' ')
  const late = after
    .slice(aborted)
    .filter((line) => line.startsWith(`acknowledged ${shard} `) && line.endsWith(` ${token}`))
  expect(late).toEqual([])
  const all = members.flatMap((member) => member.said('acknowledged'))
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const own = all.flatMap((line) => {
      const [, first, last, version, by] = line.split(' ').map(Number) as [number, number, number, number, number]
      return first <= partition && partition <= last ? [{ version, by }] : []
    })
    own.sort((a, b) => a.version - b.version)
    expect(new Set(own.map(({ version }) => version)).size).toBe(own.length)
    expect(own.map(({ by }) => by)).toEqual(own.map(({ by }) => by).toSorted((a, b) => a - b))
  }
}, 120_000)
