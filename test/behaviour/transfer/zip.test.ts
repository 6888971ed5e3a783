import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { unzipSync, zipSync } from 'fflate'
import { describe, expect, test } from 'vitest'
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { faulty, flipBit } from 'tidemark/testing'
import { verify } from 'tidemark/tools'
import { exportZip, importZip, push } from 'tidemark/transfer'
import { collect, temporaryFolder } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const TINY = { checkpoint: { entries: 4, bytes: 2000 }, segmentBytes: 400, blockBytes: 80 }

const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', ...TINY, ...options })

const contents = async (store: Pick<Store, 'entries'>): Promise<unknown> =>
  Object.fromEntries(await collect(store.entries()))

async function filled(storage: Storage, count: number): Promise<Store> {
  const store = await open(storage, { partitions: 2, job: 'j' })
  for (let i = 1; i <= count; i++) {
    store.put('same', i)
    store.put(`k${i}`, `${i} `.repeat(i % 5 === 0 ? 900 : 10))
    if (i % 3 === 0) store.delete(`k${i - 2}`)
    await store.commit({ offsets: { src: BigInt(i) }, label: `commit ${i} ü`, meta: { i } })
  }
  return store
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await collect(chunks)))
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
}

describe('an exported version', () => {
  test.each([1, 5, 17])('after %i commits is imported with all that it has, on either storage', async (count) => {
    const storage = memory()
    const store = await filled(storage, count)
    const place = { storage, name: 's' }
    const zip = await bytesOf(exportZip(place))
    const files = nodeFs(temporaryFolder())
    const sources = [zip, pieces(zip, 7), Readable.from(exportZip(place)) as AsyncIterable<Uint8Array>]
    for (const [i, source] of [...sources, new Response(zip as BodyInit).body!].entries()) {
      const target = { storage: i % 2 ? memory() : files, name: `t${i}` }
      const result = await importZip(source, target)
      expect(result).toMatchObject({ version: 1, from: store.version })
      const copy = await openStore({ ...target, partitions: 2, job: 'j' })
      expect(await contents(copy)).toEqual(await contents(store))
      expect(copy.offsets).toEqual({ src: BigInt(count) })
      const [info] = await collect(copy.versions())
      expect(info).toMatchObject({ label: `commit ${count} ü`, meta: { i: count }, kind: 'reset' })
      await copy.close()
      expect((await verify(target)).damages).toEqual([])
      // It knows where it comes from.
      expect((await push(place, target)).bytes).toBe(0)
    }
    await store.close()
  })

  test('is opened by unzip and by Python, and says in metadata.json what it is', async () => {
    const storage = memory()
    const full = await filled(storage, 17)
    const zip = await bytesOf(exportZip({ storage, name: 's' }, { at: 12 }))
    const folder = temporaryFolder()
    const file = join(folder, 'version.zip')
    writeFileSync(file, zip)
    const has = (command: string): boolean => {
      try {
        execFileSync(command, [command === 'unzip' ? '-v' : '--version'], { stdio: 'ignore' })
        return true
      } catch {
        return false
      }
    }
    if (has('unzip')) expect(execFileSync('unzip', ['-t', file]).toString()).toContain('No errors detected')
    if (has('python3')) {
      const script = 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), len(z.namelist()))'
      expect(execFileSync('python3', ['-c', script, file]).toString()).toMatch(/^None \d+/)
    }
    const files = unzipSync(zip)
    const metadata = JSON.parse(Buffer.from(files['metadata.json']!).toString()) as Record<string, unknown>
    const { version, time } = (await collect(full.versions({ lte: 12 }))).at(-1)!
    expect(metadata).toMatchObject({
      format: 'tidemark-version',
      formatVersion: 1,
      store: 's',
      partitions: 2,
      job: 'j',
      version,
      time: new Date(time).toISOString(),
      meta: { i: 11 },
      offsets: { src: { $bigint: '11' } },
    })
    const listed = metadata['files'] as { name: string; length: number }[]
    expect(Object.keys(files).sort()).toEqual([...listed.map(({ name }) => name), 'metadata.json'].sort())
    for (const { name, length } of listed) expect(files[name]!.length).toBe(length)
    // Packed again by another tool, it is the same version.
    const again = memory()
    await importZip(zipSync({ ...files }, { level: 6 }), { storage: again, name: 'r' })
    const copy = await openStore({ storage: again, name: 'r', mode: 'follower' })
    expect(await contents(copy)).toEqual(await contents(await full.at(12)))
    await copy.close()
    await full.close()
    expect(readdirSync(folder)).toHaveLength(1)
    expect(readFileSync(file)).toHaveLength(zip.length)
  })

  test('is only read: nothing is written at the source but the pin that holds it, whatever its tail', async () => {
    const storage = memory()
    const store = await filled(storage, 17)
    const written: string[] = []
    const watched = faulty(storage, ({ method, path }) => {
      if (!['get', 'read', 'readTail', 'list', 'logs', 'close'].includes(method)) written.push(`${method} ${path}`)
      return undefined
    })
    await bytesOf(exportZip({ storage: watched, name: 's' }))
    await push({ storage: watched, name: 's' }, { storage: memory(), name: 't' })
    const pin = /^(put|delete) s\/0\/[0-9a-f]{32}\/pins\/[0-9a-f]{32}$/
    expect(written.map((call) => pin.exec(call)?.[1])).toEqual(['put', 'delete', 'put', 'delete'])
    expect((await storage.blobs.list('s/')).items.filter(({ name }) => name.includes('/pins/'))).toEqual([])
    store.put('a', 1)
    await store.commit()
    await store.close()
  })

  test('ends with its signal, and with the loop that reads it', async () => {
    const storage = memory()
    const store = await filled(storage, 17)
    const stop = new AbortController()
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 2) stop.abort()
    }
    const place = { storage, name: 's' }
    await expect(bytesOf(exportZip(place, { signal: stop.signal, onProgress }))).rejects.toThrow(code('ABORTED'))
    for await (const chunk of exportZip(place)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    const zip = await bytesOf(exportZip(place))
    const again = new AbortController()
    const target = { storage: memory(), name: 't' }
    const importing = importZip(zip, target, {
      signal: again.signal,
      onProgress: ({ done }) => (done === 3 ? again.abort() : undefined),
    })
    await expect(importing).rejects.toThrow(code('ABORTED'))
    await expect(openStore({ ...target, mode: 'follower' })).rejects.toThrow(code('NOT_FOUND'))
    // The segments that have arrived count.
    expect((await importZip(zip, target)).reused).toBeGreaterThanOrEqual(3)
    await store.close()
  })
})

describe('importZip refuses, and nothing of it is seen:', () => {
  async function example(): Promise<{ zip: Uint8Array; files: Record<string, Uint8Array> }> {
    const storage = memory()
    const store = await filled(storage, 13)
    const zip = await bytesOf(exportZip({ storage, name: 's' }))
    await store.close()
    return { zip, files: unzipSync(zip) }
  }

  async function refused(zip: Uint8Array, ...codes: string[]): Promise<void> {
    const storage = memory()
    const error = await importZip(zip, { storage, name: 's' }).then(
      () => undefined,
      (e: unknown) => e as { code?: string },
    )
    expect(codes).toContain(error?.code)
    await expect(openStore({ storage, name: 's', mode: 'follower' })).rejects.toThrow(code('NOT_FOUND'))
    const store = await open(storage)
    expect(store.version).toBe(0)
    await store.close()
  }

  test('an archive that is cut off anywhere, or goes on', async () => {
    const { zip } = await example()
    for (let length = 0; length < zip.length; length += length < zip.length - 100 ? 211 : 1) {
      await refused(zip.subarray(0, length), 'CORRUPT')
    }
    await refused(new Uint8Array([...zip, 0]), 'CORRUPT')
    await refused(new TextEncoder().encode('no archive at all'), 'CORRUPT')
  })

  test('a bit that was turned in any of its files', async () => {
    const { zip, files } = await example()
    let imported = 0
    for (let bit = 5; bit < zip.length * 8; bit += 1009) {
      const damaged = flipBit(bit)(zip.slice())
      const storage = memory()
      try {
        await importZip(damaged, { storage, name: 's' })
        // Only what says nothing, such as a date in a header, may differ.
        expect(unzipSync(damaged)).toEqual(files)
        imported++
      } catch (error) {
        expect(['CORRUPT', 'UNSUPPORTED_FORMAT']).toContain((error as { code?: string }).code)
        await expect(openStore({ storage, name: 's', mode: 'follower' })).rejects.toThrow(code('NOT_FOUND'))
      }
    }
    expect(imported).toBeLessThan(10)
  })

  test('files that are missing, doubled, exchanged, or lead elsewhere', async () => {
    const { files } = await example()
    const names = Object.keys(files)
    for (const name of names) {
      const { [name]: _, ...rest } = files
      await refused(zipSync(rest), 'CORRUPT')
    }
    for (const name of ['../evil', '/etc/passwd', 'segments/../../evil', 'segments/x', 'C:\\evil', 'more']) {
      const { 'metadata.json': last, ...rest } = files
      await refused(zipSync({ ...rest, [name]: new Uint8Array(3), 'metadata.json': last! }), 'CORRUPT')
    }
    const [a, b] = names.filter((name) => name.startsWith('segments/')) as [string, string]
    await refused(zipSync({ ...files, [a]: files[b]!, [b]: files[a]! }), 'CORRUPT')
    const metadata = JSON.parse(Buffer.from(files['metadata.json']!).toString()) as Record<string, unknown>
    const other = (changes: object): Uint8Array =>
      zipSync({ ...files, 'metadata.json': new TextEncoder().encode(JSON.stringify({ ...metadata, ...changes })) })
    await refused(other({ formatVersion: 2 }), 'UNSUPPORTED_FORMAT')
    for (const changes of [
      { format: 'x' },
      { files: [] },
      { version: 3 },
      { log: '../x' },
      { label: 1 },
      { files: 'x' },
    ]) {
      await refused(other(changes), 'CORRUPT')
    }
    await importZip(other({}), { storage: memory(), name: 's' })
  })

  test('bombs: what grows beyond its header, and headers that announce too much', async () => {
    const bomb = deflateRawSync(new Uint8Array(128 << 20))
    const header = (name: string, packed: number, size: number): Uint8Array => {
      const bytes = new Uint8Array(30 + name.length)
      const view = new DataView(bytes.buffer)
      view.setUint32(0, 0x04034b50, true)
      view.setUint16(8, 8, true)
      view.setUint32(18, packed, true)
      view.setUint32(22, size, true)
      view.setUint16(26, name.length, true)
      bytes.set(new TextEncoder().encode(name), 30)
      return bytes
    }
    const before = process.memoryUsage().rss
    for (const name of ['manifest', 'metadata.json']) {
      for (const size of [100, 0xfffffffe]) {
        await refused(new Uint8Array(Buffer.concat([header(name, bomb.length, size), bomb])), 'CORRUPT')
      }
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20)
  })

  test('stores that have versions, without force, and other partitions or jobs', async () => {
    const { zip } = await example()
    const storage = memory()
    const store = await open(storage, { partitions: 2 })
    store.put('own', 1)
    const { version } = await store.commit()
    const place = { storage, name: 's' }
    await expect(importZip(zip, place)).rejects.toThrow(code('CONFLICT'))
    await importZip(zip, place, { force: true })
    await store.reopen()
    expect(await store.get('same')).toBe(13)
    expect(await store.get('own')).toBeUndefined()
    expect(await contents(await store.at(version))).toEqual({ own: 1 })
    await store.close()
    await (await open(storage, { name: 'one', partitions: 1 })).close()
    await (await open(storage, { name: 'job', partitions: 2, job: 'k' })).close()
    for (const name of ['one', 'job']) {
      await expect(importZip(zip, { storage, name })).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    await expect(importZip('text' as never, { storage, name: 'x' })).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(importZip(zip, place, { at: 1 } as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
  })
})
