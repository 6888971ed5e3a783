/** The log of the node-fs adapter: its owners and followers, and lost files. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { Outcome } from '../../src/storage/contract.js'
import { modelClock } from '../support/model-fs-run.js'
import { forAdapter } from '../support/counting.js'
import { expected, fill, FileLogWorld, FOLDER, LOG, string, text } from '../support/file-log.js'

forAdapter('nodeFs')

let world: FileLogWorld

beforeEach(() => {
  world = new FileLogWorld()
})

test('the way to a log is synced by who writes first, and by no later owner: a marker shows that it was', async () => {
  const other = world.disk.process()
  // It ends before it has synced what it made.
  for (const folder of ['/disk', '/disk/orders', '/disk/orders/0', `/disk/${LOG}`, FOLDER]) await other.mkdir(folder)
  await fill(world.log(), 2)
  for (let seed = 1; seed <= 16; seed++) {
    const later = new FileLogWorld()
    later.disk = world.disk.crash({ seed })
    expect(await later.entries()).toEqual(expected(2))
  }
  const synced = new Set<string>()
  const fs = world.disk.process({ onStep: ({ call, path }) => void (call === 'syncDirectory' && synced.add(path)) })
  await fill(world.storage(fs).log(LOG), 3, 3)
  expect([...synced]).toEqual([FOLDER])
})

describe('followers', () => {
  test('read without permission to write, and make nothing where nothing is', async () => {
    const fs = world.disk.process({ readOnly: true })
    expect((await world.storage(fs).log(LOG).read(1)).bytes).toBeUndefined()
    await fill(world.log(), 3)
    expect(await world.entries(world.storage(fs).log(LOG))).toEqual(expected(3))
    await expect(world.storage(fs).log(LOG).claim(4, text('4'), 1)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryable: false,
      message: expect.stringMatching('read-only'),
    })
  })

  test('look for a new entry with one listing and one read', async () => {
    await fill(world.log(), 3)
    const follower = world.storage(world.broken()).log(LOG)
    await follower.read(3)
    world.calls = []
    expect((await follower.read(4)).bytes).toBeUndefined()
    expect(world.calls).toEqual(['names', 'read'])
  })

  test('sync before they return what its owner may not have synced', async () => {
    await fill(world.log({ durability: 'relaxed' }), 3)
    expect(await world.entries()).toEqual(expected(3))
    world.disk = world.disk.crash({ seed: 1 })
    expect(await world.entries()).toEqual(expected(3))
  })

  test('where a file cannot be synced through a descriptor for reading, wait for the next record', async () => {
    const log = await fill(world.log(), 3)
    world.decide = (step) => (step.call === 'fdatasync' ? { before: 'EPERM' } : undefined)
    const follower = world.storage(world.broken()).log(LOG)
    expect(await world.entries(follower)).toEqual(expected(2))
    await log.append(4, text('entry 4'), 1)
    expect(await world.entries(follower)).toEqual(expected(3))
  })

  test('see what was settled before an owner that died between its marker and its file', async () => {
    const log = await fill(world.log(), 3)
    world.decide = (step) => (step.call === 'rename' ? 'never-sent' : undefined)
    void world.storage(world.broken()).log(LOG).claim(4, text('never'), 1)
    await modelClock().pause()
    for (let i = 0; i < 40; i++) await modelClock().pause()
    expect(await world.names()).toContain('owner.0000000000000002')
    expect(await world.entries()).toEqual(expected(3))
    // The former owner cannot know whether its entry is taken over, before there is a file that says so.
    expect((await log.append(4, text('in doubt'), 1)).outcome).toBe('unknown')
    expect(await world.entries()).toEqual(expected(3))
    const next = world.log()
    expect((await next.claim(4, text('refused'), 1)).outcome).toBe('lost')
    expect((await next.claim(4, text('taken'), 1)).outcome).toBe('lost')
    expect(string((await next.read(4)).bytes)).toBe('in doubt')
    expect((await next.claim(5, text('entry 5'), 1)).outcome).toBe('committed')
  })

  test('16 reads at once are right, of what is there and what is not', async () => {
    await fill(world.log(), 12)
    const follower = world.log()
    const found = await Promise.all(Array.from({ length: 16 }, (_, i) => follower.read(i + 1)))
    expect(found.map(({ bytes }) => string(bytes))).toEqual([
      ...expected(12),
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('a log that has lost files', () => {
  /** Nobody reads, lists or claims it, and nothing is written. */
  async function expectLost(): Promise<void> {
    const before = await world.names()
    const lost = { code: 'CORRUPT' }
    await expect(world.log().read(1)).rejects.toMatchObject(lost)
    await expect(world.log().list(1)).rejects.toMatchObject(lost)
    for (const n of [1, 9]) await expect(world.log().claim(n, text('late'), 1)).rejects.toMatchObject(lost)
    expect(await world.names()).toEqual(before)
  }

  test('does not end in the file before the last one, and is whole again when that is put back', async () => {
    await fill(world.log(), 5)
    const successor = world.log()
    await successor.claim(6, text('entry 6'), 5)
    for (const n of [7, 8]) await successor.append(n, text(`entry ${n}`), 5)
    const fs = world.disk.process()
    const last = await world.file()
    await fs.rename(last, `${FOLDER}/elsewhere`)
    await expectLost()
    await fs.rename(`${FOLDER}/elsewhere`, last)
    expect(await world.entries()).toEqual(expected(8))
  })

  test('does not end before what the newest marker says was settled', async () => {
    await fill(world.log(), 5)
    const file = await world.file()
    const bytes = world.disk.bytes(file)
    world.decide = ({ call }) => (call === 'rename' ? 'never-sent' : undefined)
    void world.storage(world.broken()).log(LOG).claim(6, text('entry 6'), 1)
    await expect.poll(() => world.calls).toContain('rename')
    world.disk.damage(file, (whole) => whole.fill(0, 64 + 2 * 48))
    await expectLost()
    world.disk.damage(file, () => bytes)
    expect(await world.entries()).toEqual(expected(5))
  })

  test('acknowledges nothing more to an owner whose file is gone', async () => {
    const owner = await fill(world.log(), 3)
    await world.disk.process().unlink(await world.file())
    expect(await owner.append(4, text('entry 4'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
  })

  test('is listed among the logs, as it was no log that never began', async () => {
    await fill(world.log(), 3)
    await world.disk.process().unlink(await world.file())
    expect((await world.storage().logs('')).paths).toEqual([LOG])
    await expectLost()
  })
})

describe('owners', () => {
  test('settle a number that is taken, so that the next claim is undisturbed', async () => {
    const former = await fill(world.log(), 3)
    const later = world.log()
    expect((await later.claim(3, text('x'), 1)).outcome).toBe('lost')
    expect((await former.append(4, text('entry 4'), 1)).outcome).toBe('committed')
    // Refused twice, it owns the log: the former owner is fenced.
    expect((await later.claim(4, text('x'), 1)).outcome).toBe('lost')
    expect((await former.append(5, text('zombie'), 1)).outcome).toBe('lost')
    expect((await later.claim(5, text('entry 5'), 1)).outcome).toBe('committed')
    expect(await world.entries()).toEqual(expected(5))
    expect((await former.append(6, text('zombie'), 1)).outcome).toBe('lost')
  })

  test('that are fenced hear so, also when they need room in a file that is gone', async () => {
    const former = await fill(world.log(), 2)
    await fill(world.log(), 4, 3)
    expect((await former.append(3, new Uint8Array(100_000), 1)).outcome).toBe('lost')
    expect((await former.append(3, text('zombie'), 1)).outcome).toBe('lost')
  })

  test('a claim of a new log that needs earlier entries is CORRUPT, an append needs a claim and leaves no gap', async () => {
    for (const [n, from] of [
      [2, 1],
      [7, 6],
      [7, 8],
      [1, 2],
    ] as const) {
      await expect(world.log().claim(n, text('x'), from)).rejects.toMatchObject({ code: 'CORRUPT' })
    }
    expect(await world.names().catch(() => [])).toEqual([])
    const log = world.log()
    await expect(log.append(1, text('x'), 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await fill(log, 2)
    await expect(log.append(4, text('x'), 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect((await log.append(2, text('x'), 1)).outcome).toBe('lost')
    await expect(log.append(0, text('x'), 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('begin with any number when nothing before it is needed, and from there on go by the same rules', async () => {
    const seven = world.log()
    expect((await seven.claim(7, text('entry 7'), 7)).outcome).toBe('committed')
    expect((await seven.append(8, text('entry 8'), 7)).outcome).toBe('committed')
    const names = await world.names()
    expect(names.filter((name) => /^log\.0{15}1\.0{8}\.0{15}7\./.test(name)).length).toBe(1)
    expect(names).toContain('trim.0000000000000000')
    for (const n of [1, 6, 7]) expect((await world.log().claim(n, text('late'), n)).outcome).toBe('lost')
    await expect(world.log().claim(10, text('x'), 7)).rejects.toMatchObject({ code: 'CORRUPT' })
    await expect(world.log().claim(10, text('x'), 10)).rejects.toMatchObject({ code: 'CORRUPT' })
    expect((await world.log().claim(9, text('entry 9'), 8)).outcome).toBe('committed')
    expect(await world.entries()).toEqual(['entry 7', 'entry 8', 'entry 9'])
    // The file of the first owner is needed for entry 7 alone.
    expect((await world.names()).filter((name) => name.startsWith('past.')).length).toBe(1)
    await world.log().remove([7])
    expect((await world.names()).filter((name) => /^(past|trim)\./.test(name))).toEqual(['trim.0000000000000007'])
    expect((await world.log().list(1)).numbers).toEqual([8, 9])
  })

  test('of two that begin a log with one number at once the second to be named wins, or finds the first one there', async () => {
    for (let at = 0; at < 40; at++) {
      world = new FileLogWorld()
      const second = world.log()
      let other: Promise<unknown> | undefined
      let step = 0
      world.decide = () => {
        if (step++ === at) other = second.claim(7, text('second'), 7)
        return undefined
      }
      const first = await world.storage(world.broken()).log(LOG).claim(7, text('first'), 7)
      if (other === undefined) {
        expect(at).toBeGreaterThan(8)
        return
      }
      const outcomes = [first, (await other) as Outcome].map(({ outcome }) => outcome)
      expect(outcomes.toSorted(), `call ${at}`).toEqual(['committed', 'lost'])
      expect(await world.entries(), `call ${at}`).toEqual([outcomes[0] === 'committed' ? 'first' : 'second'])
    }
    throw new Error('a claim takes more than 40 calls')
  })

  test('a log of a later first number that lost its only file is CORRUPT, and does not begin anew', async () => {
    expect((await world.log().claim(7, text('entry 7'), 7)).outcome).toBe('committed')
    await expect.poll(() => world.names()).toContain('trim.0000000000000000')
    await world.disk.process().unlink(await world.file())
    await expect(world.log().claim(7, text('again'), 7)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('go on to a next file when that leaves enough behind; older entries are read where they stand', async () => {
    const storage = world.storage(undefined, { rotateBytes: 1000 })
    const log = storage.log(LOG)
    await log.claim(1, text('entry 1'), 1)
    for (let n = 2; n <= 60; n++) expect((await log.append(n, text(`entry ${n}`), n - 2)).outcome).toBe('committed')
    expect((await world.names()).filter((name) => name.startsWith('log.')).length).toBe(1)
    expect((await world.names()).filter((name) => name.startsWith('past.')).length).toBeGreaterThan(2)
    expect(await world.entries()).toEqual(expected(60))
    expect(await world.entries(log)).toEqual(expected(60))
    await log.remove(Array.from({ length: 57 }, (_, i) => i + 1))
    expect((await world.names()).filter((name) => /^(?:log|past)\./.test(name)).length).toBe(1)
    expect((await world.log().list(1)).numbers).toEqual([58, 59, 60])
    expect((await world.log().claim(61, text('entry 61'), 58)).outcome).toBe('committed')
  })

  test('many in turn leave one file, one marker and the number up to which is trimmed when each takes over everything', async () => {
    for (let n = 1; n <= 20; n++) {
      const log = world.log()
      expect((await log.claim(n, text(`entry ${n}`), 1)).outcome).toBe('committed')
      await log.close()
    }
    expect((await world.names()).length).toBe(3)
    expect(await world.entries()).toEqual(expected(20))
  })

  test('a log that was destroyed is not brought back by its former owner', async () => {
    const log = await fill(world.log(), 3)
    await world.log().destroy()
    expect((await log.append(4, text('zombie'), 1)).outcome).toBe('unknown')
    expect(await world.entries()).toEqual([])
    expect((await world.storage().logs('')).paths).toEqual([])
    world.disk = world.disk.crash({ seed: 3 })
    expect(await world.entries()).toEqual([])
    await fill(world.log(), 2)
    expect(await world.entries()).toEqual(expected(2))
  })
})
