/** The node-fs adapter on the real file system and on the model: blobs, anchors, folders, errors. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { nodeFs } from '../../adapters/node-fs/index.js'
import { storageSuite } from '../../src/testing/storage-suite.js'
import type { Storage } from '../../src/storage/contract.js'
import { ModelFs, type Step, type Verdict } from '../support/model-fs.js'
import { modelClock } from '../support/model-fs-run.js'
import { forAdapter } from '../support/counting.js'

forAdapter('nodeFs')

const folder = mkdtempSync(join(tmpdir(), 'tidemark-node-fs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let made = 0
const fresh = (): string => join(folder, `root-${++made}`)
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const string = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)
const NAME = 'orders/0/id/seg/a'

let disk: ModelFs
let decide: (step: Step) => Verdict
beforeEach(() => {
  disk = new ModelFs()
  decide = () => undefined
})
const onModel = (readOnly = false): Storage =>
  nodeFs('/disk', { fs: disk.process({ onStep: (step) => decide(step), readOnly }), clock: modelClock(++made) })

describe('the conformance suite on a model of a file system', () => {
  storageSuite({ test, create: () => nodeFs('/disk', { fs: new ModelFs().process(), clock: modelClock(++made) }) })
})

describe('names', () => {
  test('that are not paths of plain segments are refused', async () => {
    const storage = nodeFs(fresh())
    const { blobs } = storage
    const bad = ['', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/./b', 'a\\b', 'a b', 'a@b', 'ä', 'a\0', '~']
    bad.push('con', 'a/nul/b', 'a/AUX', 'prn.txt', 'com1/a', 'a/lpt9.b.c', 'a.', 'a./b', 'a/...')
    for (const name of bad) {
      await expect(blobs.put(name, text('x')), name).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(blobs.get(name), name).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(blobs.delete([name]), name).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(() => storage.log(name), name).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      expect(() => storage.anchor(name), name).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(() => nodeFs('')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => nodeFs('s3://bucket/x')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('of logs, anchors, markers and temporary files are no blobs', async () => {
    const root = fresh()
    const storage = nodeFs(root)
    await storage.log('orders/0/id').claim(1, text('1'), 1)
    await storage.anchor('orders/0/anchor').swap(undefined, text('anchor'), 0)
    await storage.blobs.put(NAME, text('a'))
    mkdirSync(join(root, 'not a name'))
    writeFileSync(join(root, 'orders', '@0123456789abcdef'), 'left by a crash')
    expect((await storage.blobs.list('')).items.map(({ name }) => name)).toEqual([NAME])
    expect(readdirSync(join(root, 'orders/0')).sort()).toEqual(['anchor@0000000000000001', 'id'])
    expect((await storage.logs('')).paths).toEqual(['orders/0/id'])
  })
})

describe('a root', () => {
  test('that is missing is read as empty, and not made', async () => {
    const root = join(fresh(), 'below')
    const storage = nodeFs(root)
    expect((await storage.blobs.get(NAME)).bytes).toBeUndefined()
    expect((await storage.blobs.list('')).items).toEqual([])
    await storage.blobs.delete([NAME])
    expect((await storage.log('orders/0/id').read(1)).bytes).toBeUndefined()
    expect((await storage.anchor('orders/0/anchor').read()).bytes).toBeUndefined()
    expect((await storage.logs('')).paths).toEqual([])
    expect(() => readdirSync(root)).toThrow('ENOENT')
    await storage.blobs.put(NAME, text('a'))
    expect(readdirSync(root)).toEqual(['orders'])
  })

  test('that is a file is INVALID_ARGUMENT', async () => {
    const root = fresh()
    writeFileSync(root, '')
    for (const path of [root, join(root, 'below')]) {
      const { blobs } = nodeFs(path)
      await expect(blobs.put(NAME, text('a'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    await expect(nodeFs(root).blobs.get(NAME)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('that is removed while it is used is made again', async () => {
    const root = fresh()
    const { blobs } = nodeFs(root)
    await blobs.put(NAME, text('a'))
    rmSync(root, { recursive: true })
    expect((await blobs.get(NAME)).bytes).toBeUndefined()
    await blobs.put(NAME, text('b'))
    expect(string((await blobs.get(NAME)).bytes)).toBe('b')
  })

  test('that is a symbolic link is followed; one out of the root is not, as a folder and as a file', async () => {
    const [root, outside, link] = [fresh(), fresh(), fresh()]
    mkdirSync(root)
    mkdirSync(join(outside, '0/id/@log'), { recursive: true })
    writeFileSync(join(outside, '0', 'secret'), 'secret')
    symlinkSync(root, link)
    symlinkSync(outside, join(root, 'orders'))
    symlinkSync(join(outside, '0', 'secret'), join(root, 'file'))
    const storage = nodeFs(link)
    await storage.blobs.put('a/b', text('b'))
    expect(string((await nodeFs(root).blobs.get('a/b')).bytes)).toBe('b')
    const unsafe = { code: 'STORAGE_UNSAFE' }
    await expect(storage.blobs.get('orders/0/secret')).rejects.toMatchObject(unsafe)
    await expect(storage.blobs.put('orders/0/new', text('x'))).rejects.toMatchObject(unsafe)
    await expect(storage.blobs.put('orders/new', text('x'))).rejects.toMatchObject(unsafe)
    await expect(storage.blobs.delete(['orders/0/secret'])).rejects.toMatchObject(unsafe)
    await expect(storage.blobs.get('file')).rejects.toMatchObject(unsafe)
    await expect(storage.log('orders/0/id').claim(1, text('x'), 1)).rejects.toMatchObject(unsafe)
    await expect(storage.log('orders/0/id').read(1)).rejects.toMatchObject(unsafe)
    await expect(storage.anchor('orders/0/anchor').read()).rejects.toMatchObject(unsafe)
    expect((await storage.blobs.list('')).items.map(({ name }) => name)).toEqual(['a/b'])
    expect(readdirSync(join(outside, '0')).sort()).toEqual(['id', 'secret'])
  })
})

describe('errors of the file system', () => {
  const cases = [
    ['ENOSPC', 'QUOTA', false],
    ['EDQUOT', 'QUOTA', false],
    ['EMFILE', 'STORAGE_UNAVAILABLE', true],
    ['ENFILE', 'STORAGE_UNAVAILABLE', true],
    ['EIO', 'STORAGE_UNAVAILABLE', true],
    ['EBUSY', 'STORAGE_UNAVAILABLE', true],
    ['EROFS', 'STORAGE_UNAVAILABLE', false],
    ['EACCES', 'STORAGE_UNAVAILABLE', false],
    ['EPERM', 'STORAGE_UNAVAILABLE', false],
  ] as const
  test.each(cases)('%s of an open is %s', async (errno, code, retryable) => {
    await onModel().blobs.put(NAME, text('a'))
    decide = ({ call }) => (call === 'open' ? { before: errno } : undefined)
    const storage = onModel()
    const error = { code, retryable, message: expect.stringContaining('/disk/orders') }
    await expect(storage.blobs.put('orders/0/id/seg/b', text('b'))).rejects.toMatchObject(error)
    await expect(storage.blobs.get(NAME)).rejects.toMatchObject(error)
    await expect(storage.anchor('orders/0/anchor').swap(undefined, text('x'), 0)).rejects.toMatchObject(error)
    await expect(storage.log('orders/0/id').claim(1, text('x'), 1)).rejects.toMatchObject(error)
    decide = () => undefined
    expect((await onModel().blobs.list('')).items.length).toBe(1)
  })

  test('no hard links is STORAGE_UNSAFE', async () => {
    for (const errno of ['EPERM', 'ENOTSUP', 'ENOSYS']) {
      decide = ({ call }) => (call === 'link' ? { before: errno } : undefined)
      const storage = onModel()
      await expect(storage.blobs.put(NAME, text('a'))).rejects.toMatchObject({ code: 'STORAGE_UNSAFE' })
      await expect(storage.log('orders/0/id').claim(1, text('x'), 1)).rejects.toMatchObject({ code: 'STORAGE_UNSAFE' })
      const swap = storage.anchor('orders/0/anchor').swap(undefined, text('x'), 0)
      await expect(swap).rejects.toMatchObject({ code: 'STORAGE_UNSAFE' })
    }
  })

  test('a read-only file system can be read', async () => {
    await onModel().blobs.put(NAME, text('a'))
    await onModel().anchor('orders/0/anchor').swap(undefined, text('anchor'), 0)
    const storage = onModel(true)
    expect(string((await storage.blobs.get(NAME)).bytes)).toBe('a')
    expect(string((await storage.anchor('orders/0/anchor').read()).bytes)).toBe('anchor')
    await expect(storage.blobs.delete([NAME])).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
  })
})

describe('blobs', () => {
  test('a name is used once: other bytes under it are refused, the same bytes are a repeat', async () => {
    for (const storage of [nodeFs(fresh()), onModel()]) {
      await storage.blobs.put(NAME, text('a'))
      await storage.blobs.put(NAME, text('a'))
      await expect(storage.blobs.put(NAME, text('b'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(string((await storage.blobs.get(NAME)).bytes)).toBe('a')
    }
  })

  test('a put that fails leaves no temporary file, whatever fails', async () => {
    const root = fresh()
    mkdirSync(join(root, NAME), { recursive: true })
    await expect(nodeFs(root).blobs.put(NAME, text('a'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(readdirSync(join(root, 'orders/0/id/seg'))).toEqual(['a'])
    expect((await nodeFs(root).blobs.get(NAME)).bytes).toBeUndefined()
    await nodeFs(root).blobs.delete([NAME])
    for (const call of ['write', 'fdatasync', 'link'] as const) {
      decide = (step) => (step.call === call ? { before: 'EIO' } : undefined)
      await expect(onModel().blobs.put(NAME, text('a'))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
      expect(await disk.process().names('/disk/orders/0/id/seg')).toEqual([])
    }
  })

  test('ranges are checked, and shorter at the end', async () => {
    const { blobs } = nodeFs(fresh())
    await blobs.put(NAME, text('0123456789'))
    expect(string((await blobs.get(NAME, { range: { offset: 8, length: 2 ** 40 } })).bytes)).toBe('89')
    for (const range of [
      { offset: -1, length: 1 },
      { offset: 0, length: -1 },
      { offset: 0.5, length: 1 },
    ]) {
      await expect(blobs.get(NAME, { range })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  test('a list opens no folder that cannot hold what it is asked for', async () => {
    for (const name of ['a/0/x', 'b/0/x', 'b/1/x', 'c/0/x']) await onModel().blobs.put(name, text('x'))
    const opened: string[] = []
    decide = ({ call, path }) => void (call === 'entries' && opened.push(path))
    const { items } = await onModel().blobs.list('b/', { after: 'b/00' })
    expect(items.map(({ name }) => name)).toEqual(['b/1/x'])
    expect(opened.map((path) => path.replace(/\/$/, ''))).toEqual(['/disk', '/disk/b', '/disk/b/1'])
  })
})

describe('the anchor', () => {
  const path = 'orders/0/anchor'

  test('never loses a swap among many that retry', async () => {
    const root = fresh()
    for (const make of [() => nodeFs(root).anchor(path), () => onModel().anchor(path)]) {
      await make().swap(undefined, text('0'), 0)
      const add = async (): Promise<void> => {
        const anchor = make()
        for (let done = 0; done < 10;) {
          const { bytes, token } = await anchor.read()
          const { outcome } = await anchor.swap(token, text(String(Number(string(bytes)) + 1)), 0)
          if (outcome === 'unknown') throw new Error('unknown')
          if (outcome === 'committed') done++
        }
      }
      await Promise.all([add(), add(), add()])
      expect(string((await make().read()).bytes)).toBe('30')
    }
  })

  test('keeps the newest generation and eight spares', async () => {
    const root = fresh()
    const anchor = nodeFs(root).anchor(path)
    for (let i = 0; i < 12; i++) await anchor.swap((await anchor.read()).token, text(`${i}`), 0)
    const kept = Array.from({ length: 9 }, (_, i) => `anchor@${String(i + 4).padStart(16, '0')}`)
    expect(readdirSync(join(root, 'orders/0')).sort()).toEqual(kept)
  })

  test('a swap that stalls until its number is free again does not count', async () => {
    const first = onModel().anchor(path)
    await first.swap(undefined, text('0'), 0)
    let go!: () => void
    const stalled = new Promise<void>((resolve) => (go = resolve))
    const fs = disk.process({ onStep: ({ call }) => (call === 'link' ? stalled.then(() => undefined) : undefined) })
    const late = nodeFs('/disk', { fs, clock: modelClock(++made) }).anchor(path)
    const swap = late.swap((await late.read()).token, text('late'), 0)
    for (let i = 1; i <= 14; i++) await first.swap((await first.read()).token, text(`${i}`), 0)
    go()
    expect(await swap).toMatchObject({ outcome: 'unknown', settle: false })
    expect(string((await first.read()).bytes)).toBe('14')
  })

  test('a swap that stalls over a removal does not land in its successor', async () => {
    const first = onModel().anchor(path)
    await first.swap(undefined, text('first'), 0)
    let go!: () => void
    const stalled = new Promise<void>((resolve) => (go = resolve))
    const fs = disk.process({ onStep: ({ call }) => (call === 'link' ? stalled.then(() => undefined) : undefined) })
    const late = nodeFs('/disk', { fs, clock: modelClock(++made) }).anchor(path)
    const { token } = await late.read()
    const swap = late.swap(token, text('late'), 0)
    await first.remove()
    await first.swap(undefined, text('second'), 0)
    await first.swap((await first.read()).token, text('third'), 0)
    go()
    expect((await swap).outcome).not.toBe('committed')
    expect(string((await first.read()).bytes)).toBe('third')
  })

  test('an error after the link was sent is unknown, one that refused it is thrown', async () => {
    const anchor = onModel().anchor(path)
    decide = ({ call }) => (call === 'link' ? { after: 'EIO' } : undefined)
    expect(await anchor.swap(undefined, text('a'), 0)).toMatchObject({ outcome: 'unknown', settle: false })
    decide = ({ call }) => (call === 'link' ? { before: 'ENOSPC' } : undefined)
    await expect(anchor.swap('1', text('b'), 0)).rejects.toMatchObject({ code: 'QUOTA' })
    decide = () => undefined
    expect(string((await anchor.read()).bytes)).toBe('a')
    await expect(anchor.swap('1', new Uint8Array(0), 0)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

test('two adapters on one directory: the later owner fences the earlier one', async () => {
  const root = fresh()
  const earlier = nodeFs(root).log('orders/0/id')
  const later = nodeFs(root).log('orders/0/id')
  expect((await earlier.claim(1, text('1'), 1)).outcome).toBe('committed')
  let n = 1
  const running = (async () => {
    for (;;) {
      const { outcome } = await earlier.append(n + 1, text(`earlier ${n + 1}`), 1)
      if (outcome !== 'committed') return outcome
      n++
    }
  })()
  while (n < 20) await modelClock().pause()
  let head = 0
  for (let tries = 0; tries < 8 && head === 0; tries++) {
    const next = (await later.list(1)).numbers.at(-1)! + 1
    if ((await later.claim(next, text('later'), 1)).outcome === 'committed') head = next
  }
  expect(await running).toBe('lost')
  expect(head).toBe(n + 1)
  const follower = nodeFs(root).log('orders/0/id')
  expect((await follower.list(1)).numbers.length).toBe(head)
  expect(string((await follower.read(n)).bytes)).toBe(`earlier ${n}`)
  expect(string((await follower.read(head)).bytes)).toBe('later')
  await Promise.all([earlier, later, follower].map((log) => log.close()))
})
