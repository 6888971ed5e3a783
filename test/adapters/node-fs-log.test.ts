/** The log of the node-fs adapter: bytes, damage, errors of the file system, followers, removal. */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, test } from 'vitest'
import { decodeHeader, encodeHeader } from '../../adapters/node-fs/log/format.js'
import { LOG_TUNING } from '../../adapters/node-fs/log/tuning.js'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { crc32c } from '../../src/bytes/crc32c.js'
import { seal } from '../../src/bytes/envelope.js'
import type { FileSystem } from '../../adapters/node-fs/file-system.js'
import type { Log, LogOptions } from '../../src/storage/contract.js'
import { ModelFs, type ModelProcess, type Step, type Verdict } from '../support/model-fs.js'
import { modelClock } from '../support/model-fs-run.js'
import { forAdapter } from '../support/counting.js'

forAdapter('nodeFs')

const LOG = 'orders/0/id'
const FOLDER = `/disk/${LOG}/@log`
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const string = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)
const tuning = { ...LOG_TUNING, patienceMs: 0 }

let disk: ModelFs
let seed = 0
/** What becomes of the next calls of the processes that `broken` makes. */
let decide: (step: Step) => Verdict
let calls: string[]

beforeEach(() => {
  disk = new ModelFs()
  decide = () => undefined
  calls = []
})

const storageOn = (fs: FileSystem) => fileStorage(fs, '/disk', modelClock(++seed), tuning)
const openLog = (options?: LogOptions): Log => storageOn(disk.process()).log(LOG, options)

function broken(): ModelProcess {
  return disk.process({
    onStep(step) {
      calls.push(step.call)
      return decide(step)
    },
  })
}

async function fill(log: Log, to: number, from = 1): Promise<Log> {
  expect((await log.claim(from, text(`entry ${from}`), 1)).outcome).toBe('committed')
  for (let n = from + 1; n <= to; n++) expect((await log.append(n, text(`entry ${n}`), 1)).outcome).toBe('committed')
  return log
}

async function fill3(log: Log): Promise<void> {
  for (const n of [3, 4, 5]) expect((await log.append(n, text(`entry ${n}`), 1)).outcome).toBe('committed')
}

async function entries(log = openLog()): Promise<(string | undefined)[]> {
  const { numbers } = await log.list(1)
  return Promise.all(numbers.map(async (n) => string((await log.read(n)).bytes)))
}

const names = (): Promise<readonly string[]> => disk.process().names(FOLDER)
const logFile = async (): Promise<string> =>
  `${FOLDER}/${(await names())
    .filter((name) => name.startsWith('log.'))
    .sort()
    .at(-1)!}`
const expected = (to: number): string[] => Array.from({ length: to }, (_, i) => `entry ${i + 1}`)

describe('format', () => {
  test('is that of the worked example in the documentation', async () => {
    const clock = { ...modelClock(), random: (length: number) => Uint8Array.from({ length }, (_, i) => i) }
    const log = fileStorage(disk.process(), '/disk', clock, tuning).log(LOG)
    await log.claim(1, text('fence'), 1)
    await log.append(2, text('hello'), 1)
    const bytes = disk.bytes(await logFile())
    const lines: string[] = []
    for (let at = 0; at < 160; at += 16) {
      const hex = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
      lines.push(`${String(at).padStart(4, '0')}  ${hex}`)
    }
    const document = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8')
    expect(document).toContain(lines.join('\n'))
    expect(bytes.length).toBe(64 << 10)
    expect((await names()).filter((name) => !name.startsWith('temp'))).toEqual([
      'owner.0000000000000001',
      'log.0000000000000001.00000000.0000000000000001.00010203',
      'trim.0000000000000000',
    ])
    expect(string(disk.bytes(`${FOLDER}/owner.0000000000000001`))).toBe('0000000000000000 0000000000000000 b6dee490\n')
  })

  test('has the envelope that every object has', () => {
    const header = { id: text('0123456789abcdef'), g: 2 ** 33, seq: 7, first: 2 ** 40 + 5 }
    const bytes = encodeHeader(header)
    expect(seal('log file', bytes.slice(16, 56))).toEqual(bytes.slice(0, 60))
    expect(decodeHeader(bytes, 'file')).toEqual(header)
  })

  test('a newer one is refused by name, a damaged header is CORRUPT', async () => {
    await fill(openLog(), 3)
    const path = await logFile()
    const whole = disk.bytes(path)
    const newer = whole.slice()
    newer[4] = 9
    new DataView(newer.buffer).setUint32(12, crc32c(newer.subarray(0, 12)), true)
    disk.damage(path, () => newer)
    await expect(openLog().read(1)).rejects.toMatchObject({
      code: 'UNSUPPORTED_FORMAT',
      message: expect.stringMatching('format 9'),
    })
    for (const at of [0, 4, 6, 12, 20, 40, 57]) {
      disk.damage(path, () => whole.map((byte, i) => (i === at ? byte ^ 1 : byte)))
      await expect(openLog().read(1), `byte ${at}`).rejects.toMatchObject({ code: 'CORRUPT' })
      await expect(openLog().claim(4, text('4'), 1)).rejects.toMatchObject({ code: 'CORRUPT' })
    }
    disk.damage(path, () => whole)
    expect(await entries()).toEqual(expected(3))
  })
})

describe('damage', () => {
  /** Where the records of four entries begin; each takes 48 bytes. */
  const record = (n: number): number => 64 + (n - 1) * 48
  const flip = async (at: number): Promise<void> => {
    disk.damage(await logFile(), (bytes) => ((bytes[at]! ^= 16), bytes))
  }

  test('a record that a later one says was durable is CORRUPT, for readers and for owners', async () => {
    await fill(openLog(), 4)
    await flip(record(2) + 42)
    await expect(openLog().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
    await expect(openLog().claim(2, text('2'), 1)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('also when its length is damaged, or it is zeros', async () => {
    await fill(openLog(), 4)
    const path = await logFile()
    const whole = disk.bytes(path)
    await flip(record(2) + 4)
    await expect(openLog().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
    disk.damage(path, () => whole.map((byte, i) => (i >= record(2) && i < record(3) ? 0 : byte)))
    await expect(openLog().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('the only record of a file is CORRUPT: the file has its name because it was durable', async () => {
    await fill(openLog(), 1)
    await flip(record(1) + 41)
    await expect(openLog().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('the last record cannot be told from a torn one: the log ends before it', async () => {
    await fill(openLog(), 4)
    await flip(record(4) + 42)
    expect(await entries()).toEqual(expected(3))
    expect((await openLog().claim(4, text('entry 4'), 1)).outcome).toBe('committed')
  })

  test('without syncs, what a later record does not say was durable is a torn end', async () => {
    await fill(openLog({ durability: 'relaxed' }), 4)
    await flip(record(3) + 42)
    expect(await entries()).toEqual(expected(2))
  })

  test('an entry that a handle has indexed is checked again when it is read', async () => {
    const log = await fill(openLog(), 4)
    const follower = openLog()
    expect(string((await follower.read(2)).bytes)).toBe('entry 2')
    await flip(record(2) + 42)
    await expect(follower.read(2)).rejects.toMatchObject({ code: 'CORRUPT' })
    await expect(log.read(2)).rejects.toMatchObject({ code: 'CORRUPT' })
    expect(string((await log.read(3)).bytes)).toBe('entry 3')
  })

  test('a damaged length beyond the file takes no memory', async () => {
    await fill(openLog(), 4)
    disk.damage(await logFile(), (bytes) => {
      new DataView(bytes.buffer).setUint32(record(4) + 4, 2 ** 31, true)
      return bytes
    })
    expect(await entries()).toEqual(expected(3))
  })
})

describe('errors of the file system', () => {
  test('an error of the write or the sync of a record is unknown, for ever on this handle', async () => {
    for (const call of ['write', 'fdatasync'] as const) {
      disk = new ModelFs()
      const log = await fill(storageOn(broken()).log(LOG), 2)
      decide = (step) => (step.call === call ? { before: 'EIO' } : undefined)
      expect(await log.append(3, text('in doubt'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
      decide = () => undefined
      expect(await log.append(3, text('entry 3'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
      expect(await log.claim(3, text('entry 3'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
      const next = openLog()
      const head = (await next.list(1)).numbers.at(-1)!
      expect((await next.claim(head + 1, text('fence'), 1)).outcome).toBe('committed')
      expect((await entries()).at(-1)).toBe('fence')
    }
  })

  test('a sync that failed is never taken back: another one would succeed and write nothing', async () => {
    const log = await fill(storageOn(broken()).log(LOG, { durability: 'relaxed' }), 3)
    decide = (step) => (step.call === 'fdatasync' ? { before: 'EIO' } : undefined)
    await expect(log.sync()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    decide = () => undefined
    await expect(log.sync()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    await expect(log.remove([1])).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('what a page cache shows after a failed sync is written again by the next owner, needed or not', async () => {
    const log = await fill(storageOn(broken()).log(LOG), 2)
    decide = (step) => (step.call === 'fdatasync' ? { before: 'EIO' } : undefined)
    expect((await log.append(3, text('entry 3'), 1)).outcome).toBe('unknown')
    expect((await openLog().claim(4, text('entry 4'), 4)).outcome).toBe('committed')
    disk = disk.crash({ seed: 1 })
    expect(await entries()).toEqual(expected(4))
  })

  test('no room while growing is QUOTA before anything is written, and the handle stays usable', async () => {
    const log = await fill(storageOn(broken()).log(LOG), 2)
    const big = new Uint8Array(60_000)
    decide = (step) => (step.call === 'open' ? { before: 'ENOSPC' } : undefined)
    // The second one starts growing in the background, which fails unseen; the third needs the room.
    expect((await log.append(3, big, 1)).outcome).toBe('committed')
    await expect(log.append(4, big, 1)).rejects.toMatchObject({ code: 'QUOTA', retryable: false })
    await expect(log.append(4, big, 1)).rejects.toMatchObject({ code: 'QUOTA' })
    expect((await log.append(4, text('a small one'), 1)).outcome).toBe('committed')
    decide = () => undefined
    expect((await log.append(5, big, 1)).outcome).toBe('committed')
    expect((await entries())[3]).toBe('a small one')
  })

  test.each([0, 1, 8, 39, 45, 46, 47])(
    'no room for the write of a record, after %i bytes of it: QUOTA, nothing is left, and the handle stays usable',
    async (atMost) => {
      const log = await fill(storageOn(broken()).log(LOG), 2)
      let writes = 0
      decide = (step) => {
        if (step.call !== 'write') return undefined
        // Taking back what was written of it needs no room.
        return ++writes === 1 && atMost > 0 ? { atMost } : writes > 2 ? undefined : { before: 'ENOSPC' }
      }
      if (atMost === 0) writes = 1
      await expect(log.append(3, text('entry'), 1)).rejects.toMatchObject({ code: 'QUOTA' })
      decide = () => undefined
      disk = disk.kill()
      expect(await entries()).toEqual(expected(2))
    },
  )

  test('what did not fit is written in its place when there is room', async () => {
    const log = await fill(storageOn(broken()).log(LOG), 2)
    decide = (step) => (step.call === 'write' ? { before: 'EDQUOT' } : undefined)
    for (let i = 0; i < 3; i++) await expect(log.append(3, text('late'), 1)).rejects.toMatchObject({ code: 'QUOTA' })
    decide = () => undefined
    await fill3(log)
    expect(await entries()).toEqual(expected(5))
  })

  test('where it cannot be taken back, who knows', async () => {
    const log = await fill(storageOn(broken()).log(LOG), 2)
    let writes = 0
    decide = (step) => (step.call !== 'write' ? undefined : ++writes === 1 ? { atMost: 20 } : { before: 'ENOSPC' })
    expect((await log.append(3, text('entry 3'), 1)).outcome).toBe('unknown')
  })

  test('writes that take less than they were given are continued', async () => {
    decide = (step) => (step.call === 'write' ? { atMost: 7 } : undefined)
    const log = fileStorage(broken(), '/disk', modelClock(++seed), { ...tuning, roomBytes: 128 }).log(LOG)
    await fill(log, 4)
    expect(await entries()).toEqual(expected(4))
  })

  test('an append is one write, one sync and one look at the folder', async () => {
    const log = await fill(storageOn(broken()).log(LOG), 2)
    calls = []
    await log.append(3, text('entry 3'), 1)
    expect(calls).toEqual(['write', 'fdatasync', 'names'])
    const relaxed = await fill(storageOn(broken()).log('orders/1/id', { durability: 'relaxed' }), 2)
    calls = []
    await relaxed.append(3, text('entry 3'), 1)
    expect(calls).toEqual(['write', 'names'])
  })

  test('nothing stays open after a close in the midst of reads', async () => {
    const log = await fill(openLog(), 2)
    const fs = disk.process({ onStep: () => new Promise((resolve) => setImmediate(resolve, undefined)) })
    const follower = storageOn(fs).log(LOG)
    const reads = [1, 2, 3].map(async (n) => follower.read(n))
    await new Promise((resolve) => setImmediate(resolve))
    const more = [3, 4].map(async (n) => follower.read(n))
    await fill(openLog(), 5, 3)
    await Promise.all([follower.close(), Promise.allSettled([...reads, ...more])])
    expect(fs.openFiles).toBe(0)
    await log.close()
  })

  test('nothing stays open after close', async () => {
    const fs = disk.process()
    const log = await fill(storageOn(fs).log(LOG), 3)
    const follower = storageOn(fs).log(LOG)
    await follower.read(3)
    expect(fs.openFiles).toBe(2)
    await Promise.all([log.close(), follower.close(), follower.close()])
    expect(fs.openFiles).toBe(0)
    await expect(log.append(4, text('4'), 1)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(follower.read(1)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('followers', () => {
  test('read without permission to write, and make nothing where nothing is', async () => {
    const fs = disk.process({ readOnly: true })
    expect((await storageOn(fs).log(LOG).read(1)).bytes).toBeUndefined()
    await fill(openLog(), 3)
    expect(await entries(storageOn(fs).log(LOG))).toEqual(expected(3))
    await expect(storageOn(fs).log(LOG).claim(4, text('4'), 1)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryable: false,
      message: expect.stringMatching('read-only'),
    })
  })

  test('look for a new entry with one listing and one read', async () => {
    await fill(openLog(), 3)
    const follower = storageOn(broken()).log(LOG)
    await follower.read(3)
    calls = []
    expect((await follower.read(4)).bytes).toBeUndefined()
    expect(calls).toEqual(['names', 'read'])
  })

  test('sync before they return what its owner may not have synced', async () => {
    await fill(openLog({ durability: 'relaxed' }), 3)
    expect(await entries()).toEqual(expected(3))
    disk = disk.crash({ seed: 1 })
    expect(await entries()).toEqual(expected(3))
  })

  test('where a file cannot be synced through a descriptor for reading, wait for the next record', async () => {
    const log = await fill(openLog(), 3)
    decide = (step) => (step.call === 'fdatasync' ? { before: 'EPERM' } : undefined)
    const follower = storageOn(broken()).log(LOG)
    expect(await entries(follower)).toEqual(expected(2))
    await log.append(4, text('entry 4'), 1)
    expect(await entries(follower)).toEqual(expected(3))
  })

  test('see what was settled before an owner that died between its marker and its file', async () => {
    const log = await fill(openLog(), 3)
    decide = (step) => (step.call === 'rename' ? 'never-sent' : undefined)
    void storageOn(broken()).log(LOG).claim(4, text('never'), 1)
    await modelClock().pause()
    for (let i = 0; i < 40; i++) await modelClock().pause()
    expect(await names()).toContain('owner.0000000000000002')
    expect(await entries()).toEqual(expected(3))
    // The former owner cannot know whether its entry is taken over, before there is a file that says so.
    expect((await log.append(4, text('in doubt'), 1)).outcome).toBe('unknown')
    expect(await entries()).toEqual(expected(3))
    const next = openLog()
    expect((await next.claim(4, text('refused'), 1)).outcome).toBe('lost')
    expect((await next.claim(4, text('taken'), 1)).outcome).toBe('lost')
    expect(string((await next.read(4)).bytes)).toBe('in doubt')
    expect((await next.claim(5, text('entry 5'), 1)).outcome).toBe('committed')
  })

  test('16 reads at once are right, of what is there and what is not', async () => {
    await fill(openLog(), 12)
    const follower = openLog()
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
    const before = await names()
    const lost = { code: 'CORRUPT' }
    await expect(openLog().read(1)).rejects.toMatchObject(lost)
    await expect(openLog().list(1)).rejects.toMatchObject(lost)
    for (const n of [1, 9]) await expect(openLog().claim(n, text('late'), 1)).rejects.toMatchObject(lost)
    expect(await names()).toEqual(before)
  }

  test('does not end in the file before the last one, and is whole again when that is put back', async () => {
    await fill(openLog(), 5)
    const successor = openLog()
    await successor.claim(6, text('entry 6'), 5)
    for (const n of [7, 8]) await successor.append(n, text(`entry ${n}`), 5)
    const fs = disk.process()
    const last = await logFile()
    await fs.rename(last, `${FOLDER}/elsewhere`)
    await expectLost()
    await fs.rename(`${FOLDER}/elsewhere`, last)
    expect(await entries()).toEqual(expected(8))
  })

  test('does not end before what the newest marker says was settled', async () => {
    await fill(openLog(), 5)
    const file = await logFile()
    const bytes = disk.bytes(file)
    decide = ({ call }) => (call === 'rename' ? 'never-sent' : undefined)
    void storageOn(broken()).log(LOG).claim(6, text('entry 6'), 1)
    await expect.poll(() => calls).toContain('rename')
    disk.damage(file, (whole) => whole.fill(0, 64 + 2 * 48))
    await expectLost()
    disk.damage(file, () => bytes)
    expect(await entries()).toEqual(expected(5))
  })

  test('acknowledges nothing more to an owner whose file is gone', async () => {
    const owner = await fill(openLog(), 3)
    await disk.process().unlink(await logFile())
    expect(await owner.append(4, text('entry 4'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
  })

  test('is listed among the logs, as it was no log that never began', async () => {
    await fill(openLog(), 3)
    await disk.process().unlink(await logFile())
    expect((await storageOn(disk.process()).logs('')).paths).toEqual([LOG])
    await expectLost()
  })
})

describe('owners', () => {
  test('settle a number that is taken, so that the next claim is undisturbed', async () => {
    const former = await fill(openLog(), 3)
    const later = openLog()
    expect((await later.claim(3, text('x'), 1)).outcome).toBe('lost')
    expect((await former.append(4, text('entry 4'), 1)).outcome).toBe('committed')
    // Refused twice, it owns the log: the former owner is fenced.
    expect((await later.claim(4, text('x'), 1)).outcome).toBe('lost')
    expect((await former.append(5, text('zombie'), 1)).outcome).toBe('lost')
    expect((await later.claim(5, text('entry 5'), 1)).outcome).toBe('committed')
    expect(await entries()).toEqual(expected(5))
    expect((await former.append(6, text('zombie'), 1)).outcome).toBe('lost')
  })

  test('that are fenced hear so, also when they need room in a file that is gone', async () => {
    const former = await fill(openLog(), 2)
    await fill(openLog(), 4, 3)
    expect((await former.append(3, new Uint8Array(100_000), 1)).outcome).toBe('lost')
    expect((await former.append(3, text('zombie'), 1)).outcome).toBe('lost')
  })

  test('a claim of a new log is of entry 1, an append needs a claim and leaves no gap', async () => {
    await expect(openLog().claim(2, text('x'), 1)).rejects.toMatchObject({ code: 'CORRUPT' })
    const log = openLog()
    await expect(log.append(1, text('x'), 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await fill(log, 2)
    await expect(log.append(4, text('x'), 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect((await log.append(2, text('x'), 1)).outcome).toBe('lost')
    await expect(log.append(0, text('x'), 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('go on to a next file when that leaves enough behind; older entries are read where they stand', async () => {
    const storage = fileStorage(disk.process(), '/disk', modelClock(++seed), { ...tuning, rotateBytes: 1000 })
    const log = storage.log(LOG)
    await log.claim(1, text('entry 1'), 1)
    for (let n = 2; n <= 60; n++) expect((await log.append(n, text(`entry ${n}`), n - 2)).outcome).toBe('committed')
    expect((await names()).filter((name) => name.startsWith('log.')).length).toBe(1)
    expect((await names()).filter((name) => name.startsWith('past.')).length).toBeGreaterThan(2)
    expect(await entries()).toEqual(expected(60))
    expect(await entries(log)).toEqual(expected(60))
    await log.remove(Array.from({ length: 57 }, (_, i) => i + 1))
    expect((await names()).filter((name) => /^(?:log|past)\./.test(name)).length).toBe(1)
    expect((await openLog().list(1)).numbers).toEqual([58, 59, 60])
    expect((await openLog().claim(61, text('entry 61'), 58)).outcome).toBe('committed')
  })

  test('many in turn leave one file, one marker and the number up to which is trimmed when each takes over everything', async () => {
    for (let n = 1; n <= 20; n++) {
      const log = openLog()
      expect((await log.claim(n, text(`entry ${n}`), 1)).outcome).toBe('committed')
      await log.close()
    }
    expect((await names()).length).toBe(3)
    expect(await entries()).toEqual(expected(20))
  })

  test('a log that was destroyed is not brought back by its former owner', async () => {
    const log = await fill(openLog(), 3)
    await openLog().destroy()
    expect((await log.append(4, text('zombie'), 1)).outcome).toBe('unknown')
    expect(await entries()).toEqual([])
    expect((await storageOn(disk.process()).logs('')).paths).toEqual([])
    disk = disk.crash({ seed: 3 })
    expect(await entries()).toEqual([])
    await fill(openLog(), 2)
    expect(await entries()).toEqual(expected(2))
  })
})
