/** The log of the node-fs adapter: bytes, damage, errors of the file system. */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, test } from 'vitest'
import { decodeHeader, encodeHeader } from '../../adapters/node-fs/log/format.js'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { crc32 } from '../../src/bytes/crc32.js'
import { seal } from '../../src/bytes/envelope.js'
import type { Log } from '../../src/storage/contract.js'
import { ModelFs } from '../support/model-fs.js'
import { modelClock } from '../support/model-fs-run.js'
import { forAdapter } from '../support/counting.js'
import { expected, fill, FileLogWorld, FOLDER, LOG, string, text, tuning } from '../support/file-log.js'

forAdapter('nodeFs')

let world: FileLogWorld

beforeEach(() => {
  world = new FileLogWorld()
})

async function fill3(log: Log): Promise<void> {
  for (const n of [3, 4, 5]) expect((await log.append(n, text(`entry ${n}`), 1)).outcome).toBe('committed')
}

describe('format', () => {
  test('is that of the worked example in the documentation', async () => {
    const clock = { ...modelClock(), random: (length: number) => Uint8Array.from({ length }, (_, i) => i) }
    const log = fileStorage(world.disk.process(), '/disk', clock, tuning).log(LOG)
    await log.claim(1, text('fence'), 1)
    await log.append(2, text('hello'), 1)
    const bytes = world.disk.bytes(await world.file())
    const lines: string[] = []
    for (let at = 0; at < 160; at += 16) {
      const hex = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
      lines.push(`${String(at).padStart(4, '0')}  ${hex}`)
    }
    const document = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8')
    expect(document).toContain(lines.join('\n'))
    expect(bytes.length).toBe(64 << 10)
    expect((await world.names()).filter((name) => !name.startsWith('temp'))).toEqual([
      'owner.0000000000000001',
      'log.0000000000000001.00000000.0000000000000001.00010203',
      'trim.0000000000000000',
    ])
    expect(string(world.disk.bytes(`${FOLDER}/owner.0000000000000001`))).toBe(
      '0000000000000000 0000000000000000 65f9661a\n',
    )
  })

  test('has the envelope that every object has', () => {
    const header = { id: text('0123456789abcdef'), g: 2 ** 33, seq: 7, first: 2 ** 40 + 5 }
    const bytes = encodeHeader(header)
    expect(seal('log file', bytes.slice(16, 56))).toEqual(bytes.slice(0, 60))
    expect(decodeHeader(bytes, 'file')).toEqual(header)
  })

  test('a newer one is refused by name, a damaged header is CORRUPT', async () => {
    await fill(world.log(), 3)
    const path = await world.file()
    const whole = world.disk.bytes(path)
    const newer = whole.slice()
    newer[4] = 9
    new DataView(newer.buffer).setUint32(12, crc32(newer.subarray(0, 12)), true)
    world.disk.damage(path, () => newer)
    await expect(world.log().read(1)).rejects.toMatchObject({
      code: 'UNSUPPORTED_FORMAT',
      message: expect.stringMatching('format 9'),
    })
    for (const at of [0, 4, 6, 12, 20, 40, 57]) {
      world.disk.damage(path, () => whole.map((byte, i) => (i === at ? byte ^ 1 : byte)))
      await expect(world.log().read(1), `byte ${at}`).rejects.toMatchObject({ code: 'CORRUPT' })
      await expect(world.log().claim(4, text('4'), 1)).rejects.toMatchObject({ code: 'CORRUPT' })
    }
    world.disk.damage(path, () => whole)
    expect(await world.entries()).toEqual(expected(3))
  })
})

describe('damage', () => {
  /** Where the records of four entries begin; each takes 48 bytes. */
  const record = (n: number): number => 64 + (n - 1) * 48
  const flip = async (at: number): Promise<void> => {
    world.disk.damage(await world.file(), (bytes) => ((bytes[at]! ^= 16), bytes))
  }

  test('a record that a later one says was durable is CORRUPT, for readers and for owners', async () => {
    await fill(world.log(), 4)
    await flip(record(2) + 42)
    await expect(world.log().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
    await expect(world.log().claim(2, text('2'), 1)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('also when its length is damaged, or it is zeros', async () => {
    await fill(world.log(), 4)
    const path = await world.file()
    const whole = world.disk.bytes(path)
    await flip(record(2) + 4)
    await expect(world.log().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
    world.disk.damage(path, () => whole.map((byte, i) => (i >= record(2) && i < record(3) ? 0 : byte)))
    await expect(world.log().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('the only record of a file is CORRUPT: the file has its name because it was durable', async () => {
    await fill(world.log(), 1)
    await flip(record(1) + 41)
    await expect(world.log().read(1)).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  test('the last record cannot be told from a torn one: the log ends before it', async () => {
    await fill(world.log(), 4)
    await flip(record(4) + 42)
    expect(await world.entries()).toEqual(expected(3))
    expect((await world.log().claim(4, text('entry 4'), 1)).outcome).toBe('committed')
  })

  test('without syncs, what a later record does not say was durable is a torn end', async () => {
    await fill(world.log({ durability: 'relaxed' }), 4)
    await flip(record(3) + 42)
    expect(await world.entries()).toEqual(expected(2))
  })

  test('an entry that a handle has indexed is checked again when it is read', async () => {
    const log = await fill(world.log(), 4)
    const follower = world.log()
    expect(string((await follower.read(2)).bytes)).toBe('entry 2')
    await flip(record(2) + 42)
    await expect(follower.read(2)).rejects.toMatchObject({ code: 'CORRUPT' })
    await expect(log.read(2)).rejects.toMatchObject({ code: 'CORRUPT' })
    expect(string((await log.read(3)).bytes)).toBe('entry 3')
  })

  test('a damaged length beyond the file takes no memory', async () => {
    await fill(world.log(), 4)
    world.disk.damage(await world.file(), (bytes) => {
      new DataView(bytes.buffer).setUint32(record(4) + 4, 2 ** 31, true)
      return bytes
    })
    expect(await world.entries()).toEqual(expected(3))
  })
})

describe('errors of the file system', () => {
  test('an error of the write or the sync of a record is unknown, for ever on this handle', async () => {
    for (const call of ['write', 'fdatasync'] as const) {
      world.disk = new ModelFs()
      const log = await fill(world.storage(world.broken()).log(LOG), 2)
      world.decide = (step) => (step.call === call ? { before: 'EIO' } : undefined)
      expect(await log.append(3, text('in doubt'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
      world.decide = () => undefined
      expect(await log.append(3, text('entry 3'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
      expect(await log.claim(3, text('entry 3'), 1)).toMatchObject({ outcome: 'unknown', settle: false })
      const next = world.log()
      const head = (await next.list(1)).numbers.at(-1)!
      expect((await next.claim(head + 1, text('fence'), 1)).outcome).toBe('committed')
      expect((await world.entries()).at(-1)).toBe('fence')
    }
  })

  test('a sync that failed is never taken back: another one would succeed and write nothing', async () => {
    const log = await fill(world.storage(world.broken()).log(LOG, { durability: 'relaxed' }), 3)
    world.decide = (step) => (step.call === 'fdatasync' ? { before: 'EIO' } : undefined)
    await expect(log.sync()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    world.decide = () => undefined
    await expect(log.sync()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    await expect(log.remove([1])).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('what a page cache shows after a failed sync is written again by the next owner, needed or not', async () => {
    const log = await fill(world.storage(world.broken()).log(LOG), 2)
    world.decide = (step) => (step.call === 'fdatasync' ? { before: 'EIO' } : undefined)
    expect((await log.append(3, text('entry 3'), 1)).outcome).toBe('unknown')
    expect((await world.log().claim(4, text('entry 4'), 4)).outcome).toBe('committed')
    world.disk = world.disk.crash({ seed: 1 })
    expect(await world.entries()).toEqual(expected(4))
  })

  test('no room while growing is QUOTA before anything is written, and the handle stays usable', async () => {
    const log = await fill(world.storage(world.broken(), { largeBytes: Infinity }).log(LOG), 2)
    const big = new Uint8Array(60_000)
    world.decide = (step) => (step.call === 'open' ? { before: 'ENOSPC' } : undefined)
    // The second one starts growing in the background, which fails unseen; the third needs the room.
    expect((await log.append(3, big, 1)).outcome).toBe('committed')
    await expect(log.append(4, big, 1)).rejects.toMatchObject({ code: 'QUOTA', retryable: false })
    await expect(log.append(4, big, 1)).rejects.toMatchObject({ code: 'QUOTA' })
    expect((await log.append(4, text('a small one'), 1)).outcome).toBe('committed')
    world.decide = () => undefined
    expect((await log.append(5, big, 1)).outcome).toBe('committed')
    expect((await world.entries())[3]).toBe('a small one')
  })

  test.each([0, 1, 39, 50, 30_000, 59_000, 60_200])(
    'a large record makes its own room; where there is none, after %i bytes of it: QUOTA, nothing is left, and the handle stays usable',
    async (atMost) => {
      const log = await fill(world.storage(world.broken(), { preallocateBytes: 1024 }).log(LOG), 2)
      const large = new Uint8Array(60_000).fill(7)
      let writes = 0
      world.decide = (step) => {
        if (step.call !== 'write') return undefined
        // Taking back what was written of it needs no room.
        return ++writes === 1 && atMost > 0 ? { atMost } : writes > 2 ? undefined : { before: 'ENOSPC' }
      }
      if (atMost === 0) writes = 1
      await expect(log.append(3, large, 1)).rejects.toMatchObject({ code: 'QUOTA' })
      world.decide = () => undefined
      expect((await log.append(3, text('a small one'), 1)).outcome).toBe('committed')
      expect((await log.append(4, large, 1)).outcome).toBe('committed')
      // Behind it there is room for the next one.
      expect((await log.append(5, text('entry'), 1)).outcome).toBe('committed')
      world.disk = world.disk.kill()
      const [, , third, fourth, fifth] = await world.entries()
      expect([third, fourth?.length, fifth]).toEqual(['a small one', 60_000, 'entry'])
    },
  )

  test.each([0, 1, 8, 39, 45, 46, 47])(
    'no room for the write of a record, after %i bytes of it: QUOTA, nothing is left, and the handle stays usable',
    async (atMost) => {
      const log = await fill(world.storage(world.broken()).log(LOG), 2)
      let writes = 0
      world.decide = (step) => {
        if (step.call !== 'write') return undefined
        // Taking back what was written of it needs no room.
        return ++writes === 1 && atMost > 0 ? { atMost } : writes > 2 ? undefined : { before: 'ENOSPC' }
      }
      if (atMost === 0) writes = 1
      await expect(log.append(3, text('entry'), 1)).rejects.toMatchObject({ code: 'QUOTA' })
      world.decide = () => undefined
      world.disk = world.disk.kill()
      expect(await world.entries()).toEqual(expected(2))
    },
  )

  test('what did not fit is written in its place when there is room', async () => {
    const log = await fill(world.storage(world.broken()).log(LOG), 2)
    world.decide = (step) => (step.call === 'write' ? { before: 'EDQUOT' } : undefined)
    for (let i = 0; i < 3; i++) await expect(log.append(3, text('late'), 1)).rejects.toMatchObject({ code: 'QUOTA' })
    world.decide = () => undefined
    await fill3(log)
    expect(await world.entries()).toEqual(expected(5))
  })

  test('where it cannot be taken back, who knows', async () => {
    const log = await fill(world.storage(world.broken()).log(LOG), 2)
    let writes = 0
    world.decide = (step) =>
      step.call !== 'write' ? undefined : ++writes === 1 ? { atMost: 20 } : { before: 'ENOSPC' }
    expect((await log.append(3, text('entry 3'), 1)).outcome).toBe('unknown')
  })

  test('writes that take less than they were given are continued', async () => {
    world.decide = (step) => (step.call === 'write' ? { atMost: 7 } : undefined)
    const log = world.storage(world.broken(), { preallocateBytes: 128 }).log(LOG)
    await fill(log, 4)
    expect(await world.entries()).toEqual(expected(4))
  })

  test('an append is one write, one sync and one look at the folder', async () => {
    const log = await fill(world.storage(world.broken()).log(LOG), 2)
    world.calls = []
    await log.append(3, text('entry 3'), 1)
    expect(world.calls).toEqual(['write', 'fdatasync', 'names'])
    const relaxed = await fill(world.storage(world.broken()).log('orders/1/id', { durability: 'relaxed' }), 2)
    world.calls = []
    await relaxed.append(3, text('entry 3'), 1)
    expect(world.calls).toEqual(['write', 'names'])
  })

  test('nothing stays open after a close in the midst of reads', async () => {
    const log = await fill(world.log(), 2)
    const fs = world.disk.process({ onStep: () => new Promise((resolve) => setImmediate(resolve, undefined)) })
    const follower = world.storage(fs).log(LOG)
    const reads = [1, 2, 3].map(async (n) => follower.read(n))
    await new Promise((resolve) => setImmediate(resolve))
    const more = [3, 4].map(async (n) => follower.read(n))
    await fill(world.log(), 5, 3)
    await Promise.all([follower.close(), Promise.allSettled([...reads, ...more])])
    expect(fs.openFiles).toBe(0)
    await log.close()
  })

  test('nothing stays open after close', async () => {
    const fs = world.disk.process()
    const log = await fill(world.storage(fs).log(LOG), 3)
    const follower = world.storage(fs).log(LOG)
    await follower.read(3)
    expect(fs.openFiles).toBe(2)
    await Promise.all([log.close(), follower.close(), follower.close()])
    expect(fs.openFiles).toBe(0)
    await expect(log.append(4, text('4'), 1)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(follower.read(1)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
