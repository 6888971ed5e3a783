import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Position, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, type Source, type SourceEvent } from 'tidemark/stream'
import { csvFile, ndjsonFile } from 'tidemark/stream/node'
import { WHOLE } from '../../support/extent.js'

let folder: string
let files = 0
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'tidemark-files-'))))
afterAll(() => rm(folder, { recursive: true }))

async function fileOf(content: string | Uint8Array): Promise<string> {
  const path = join(folder, `file-${++files}`)
  await writeFile(path, content)
  return path
}

const open = (): Promise<Store> => openStore({ storage: memory(), name: 'files' })

async function eventsOf<V>(source: Source<V>, from?: Position): Promise<SourceEvent<V>[]> {
  const events: SourceEvent<V>[] = []
  for await (const event of source.read(0, from, { signal: new AbortController().signal, partitions: 1 })) {
    events.push(event)
  }
  return events
}

const valuesOf = async <V>(source: Source<V>, from?: Position): Promise<V[]> =>
  (await eventsOf(source, from)).map(({ value }) => value)

const invalid = (text: string | RegExp): object => ({
  code: 'INVALID_ARGUMENT',
  message: expect.stringMatching(text) as string,
})

/** Reads `content` cut off after each of its bytes, then grown to its whole: each event once, at its true position. */
async function growAtEveryByte<V>(content: string, make: (path: string) => Source<V>): Promise<void> {
  const bytes = Buffer.from(content)
  const whole = await eventsOf(make(await fileOf(bytes)))
  for (const { offset, next } of whole) {
    expect(bytes.subarray(Number(next) - 1, Number(next)).toString()).toBe('\n')
    expect(Number(offset)).toBeLessThan(Number(next))
  }
  for (let cut = 0; cut <= bytes.length; cut++) {
    const path = await fileOf(bytes.subarray(0, cut))
    const first = await eventsOf(make(path))
    await appendFile(path, bytes.subarray(cut))
    const rest = await eventsOf(make(path), first.at(-1)?.next)
    expect(first.every(({ next }) => Number(next) <= cut)).toBe(true)
    expect([...first, ...rest], `cut at byte ${cut}`).toEqual(whole)
  }
}

describe('ndjsonFile', () => {
  test('gives each line at its byte position, with what follows it as `next`', async () => {
    const path = await fileOf('{"id":"ä"}\n\n  \r\n5\r\n"\u2028€"\n')
    expect(await eventsOf(ndjsonFile(path, { key: 'id' }))).toEqual([
      { offset: 0, next: 12, key: 'ä', value: { id: 'ä' } },
      { offset: 17, next: 20, key: undefined, value: 5 },
      { offset: 20, next: 29, key: undefined, value: '\u2028€' },
    ])
  })

  test('reads on wherever the file was cut off when it was read first', async () => {
    await growAtEveryByte('{"a":"häuser €"}\n\n[1,2]\r\n"x"\n"𝄞 no newline"', (path) => ndjsonFile(path))
  })

  test('reads lines that chunks cut anywhere, in UTF-8 of all lengths', async () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => ({ i, text: 'aä€𝄞'.repeat(i % 7) }))
    const path = await fileOf(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    expect(await valuesOf(ndjsonFile(path))).toEqual(lines)
  })

  test('reads a line of many chunks', async () => {
    const long = 'ä'.repeat(1_000_000)
    expect(await valuesOf(ndjsonFile(await fileOf(`1\n"${long}"\n2\n`)))).toEqual([1, long, 2])
  })

  test('begins after a byte order mark', async () => {
    const events = await eventsOf(ndjsonFile(await fileOf('\ufeff{"a":1}\n2\n')))
    expect(events).toMatchObject([
      { offset: 0, next: 11, value: { a: 1 } },
      { offset: 11, next: 13, value: 2 },
    ])
  })

  test.each<[string, string | Uint8Array, number]>([
    ['that is no JSON', '1\n{"a":}\n3\n', 2],
    ['that is no UTF-8', Buffer.from([0x31, 0x0a, 0x22, 0xc3, 0x22, 0x0a]), 2],
    ['of two values', '1\n"ä"\n2 3\n', 7],
  ])('refuses a line %s with its byte position, after the events before it', async (_, content, position) => {
    const path = await fileOf(content)
    const store = await open()
    const handled: unknown[] = []
    const run = consume(store, ndjsonFile(path, { name: 's' }), ({ value }) => handled.push(value), { everyEvents: 1 })
    await expect(run).rejects.toMatchObject(invalid(`byte ${position} `))
    expect(handled.length).toBeGreaterThan(0)
    expect(store.offsets).toEqual({ s: { 0: position } })
  })

  test('refuses a line longer than 64 MiB', async () => {
    const path = await fileOf('1\n')
    await truncate(path, 2 + (64 << 20) + 1)
    await expect(eventsOf(ndjsonFile(path))).rejects.toMatchObject(invalid('byte 2 is longer'))
  })
})

describe('csvFile', () => {
  test('gives each record as strings by column, at its byte position', async () => {
    const path = await fileOf('id,"na,me"\r\n1,"say ""hi"", ä"\r\n\r\n2,"two\nlines"\n3,\n')
    expect(await eventsOf(csvFile(path, { key: 'id' }))).toEqual([
      { offset: 12, next: 32, key: '1', value: { id: '1', 'na,me': 'say "hi", ä' } },
      { offset: 34, next: 48, key: '2', value: { id: '2', 'na,me': 'two\nlines' } },
      { offset: 48, next: 51, key: '3', value: { id: '3', 'na,me': '' } },
    ])
  })

  test('reads on wherever the file was cut off when it was read first', async () => {
    await growAtEveryByte('\ufeffa,b\r\n1,"x ""y"" €"\r\n\n2,"l\r\nm\nn"\n,\n3,"open', (path) => csvFile(path))
  })

  test('reads records that chunks cut anywhere', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => ({ i: String(i), text: `"€",\n𝄞\r\n`.repeat(i % 4) }))
    const lines = rows.map(({ i, text }) => `${i},"${text.replaceAll('"', '""')}"\n`)
    const path = await fileOf(`i,text\n${lines.join('')}`)
    const events = await eventsOf(csvFile(path))
    expect(events.map(({ value }) => value)).toEqual(rows)
    let position = 7
    for (const [i, { offset, next }] of events.entries()) {
      expect(offset).toBe(position)
      expect(next).toBe((position += Buffer.byteLength(lines[i]!)))
    }
  })

  test('keeps an empty quoted field in a file of one column, and any name of a column', async () => {
    const path = await fileOf('__proto__\n""\n\nx\n')
    const values = await valuesOf(csvFile(path))
    expect(values.map((value) => Object.entries(value))).toEqual([[['__proto__', '']], [['__proto__', 'x']]])
  })

  test('gives nothing while there is no header, or nothing else', async () => {
    for (const content of ['', 'a,b', 'a,b\n', '"a', '\n\n'])
      expect(await eventsOf(csvFile(await fileOf(content)))).toEqual([])
  })

  test.each<[string, string | Uint8Array, number]>([
    ['with too few columns', 'a,b\n1,2\n3\n5,6\n', 8],
    ['with too many columns', 'a,b\n1,2\n3,4,5\n', 8],
    ['with a quote in the middle', 'a,b\n1,ä\n3,x"y\n5,6\n', 9],
    ['with something after a quote', 'a,b\n1,2\n3,"x"y\n5,6\n', 8],
    ['that is no UTF-8', Buffer.concat([Buffer.from('a,b\n1,\ufffd\n'), Buffer.from([0x32, 0x2c, 0xff, 0x0a])]), 10],
  ])('refuses a record %s with its byte position, after the events before it', async (_, content, position) => {
    const path = await fileOf(content)
    const store = await open()
    const run = consume(store, csvFile(path, { name: 's' }), () => {}, { everyEvents: 1 })
    await expect(run).rejects.toMatchObject(invalid(`byte ${position} `))
    expect(store.offsets).toEqual({ s: { 0: position } })
  })

  test('refuses a malformed record far behind good ones, at its position', async () => {
    const good = '1,2\n'.repeat(50_000)
    const run = eventsOf(csvFile(await fileOf(`a,b\n${good}1,x"y\n${good}`)))
    await expect(run).rejects.toMatchObject(invalid('byte 200004 '))
  })

  test('refuses a header with a column twice', async () => {
    await expect(eventsOf(csvFile(await fileOf('a,a\n')))).rejects.toMatchObject(invalid('twice'))
  })

  // Reading that much takes the parser ten seconds and more.
  if (WHOLE)
    test('refuses a field longer than 64 MiB', async () => {
      const path = await fileOf('a\nx\n"')
      await truncate(path, 5 + (64 << 20) + 10)
      await expect(eventsOf(csvFile(path))).rejects.toMatchObject(invalid('byte 4 is longer'))
    })
})

describe('a record that is half written', () => {
  // A carriage return is there and its line feed is not, within quotes and at the ends of records.
  test('waits at each of its bytes, line ends of two bytes included', async () => {
    await growAtEveryByte('id,note\r\n1,"two\r\nlines"\r\n2,"say ""hi"""\r\n3,\r\n', (path) => csvFile(path))
    await growAtEveryByte('{"a":1}\r\n{"a":\r2}\r\n', (path) => ndjsonFile(path))
  })
})

describe('a file that is none of lines in UTF-8', () => {
  const utf16 = Buffer.from('\ufeffid\n1\n', 'utf16le')
  test.each<[string, Uint8Array | string, RegExp]>([
    ['in UTF-16', utf16, /in UTF-16; convert/],
    ['in UTF-16, the other way round', Buffer.from(utf16).swap16(), /in UTF-16; convert/],
    ['compressed', gzipSync('id\n1\n'), /compressed \(gzip\); unpack/],
    ['compressed, without any newline in it', Uint8Array.of(0x1f, 0x8b, 8, 0), /compressed \(gzip\); unpack/],
    ['an archive', 'PK\x03\x04', /ZIP archive; unpack/],
  ])('is refused: %s', async (_, content, message) => {
    const path = await fileOf(content)
    await expect(eventsOf(ndjsonFile(path))).rejects.toMatchObject(invalid(message))
    await expect(eventsOf(csvFile(path))).rejects.toMatchObject(invalid(message))
  })

  test('is refused in UTF-16 without a byte order mark', async () => {
    const path = await fileOf(utf16.subarray(2))
    await expect(eventsOf(ndjsonFile(path))).rejects.toMatchObject(invalid('not JSON'))
    await expect(eventsOf(csvFile(path))).rejects.toMatchObject(invalid('NUL bytes'))
  })

  test('is refused when its lines end in a carriage return alone', async () => {
    await expect(eventsOf(ndjsonFile(await fileOf('1\r2\r')))).rejects.toMatchObject(invalid('carriage return alone'))
    const csv = eventsOf(csvFile(await fileOf('id,n\r1,2\r')))
    await expect(csv).rejects.toMatchObject(invalid('byte 0 is malformed: a carriage return'))
  })
})

test('a byte order mark is in no name of a column, and what looks like one further on stays', async () => {
  const path = await fileOf('\ufeff"a",b\r\n1,2\r\n')
  const store = await open()
  const seen: unknown[] = []
  const run = (): Promise<unknown> => consume(store, csvFile(path, { name: 's' }), ({ value }) => seen.push(value))
  await run()
  await appendFile(path, '\ufeff3,4\r\n')
  await run()
  expect(seen).toEqual([
    { a: '1', b: '2' },
    { a: '\ufeff3', b: '4' },
  ])
})

test('a CSV file whose header has changed is refused, far behind it too', async () => {
  const rows = '1,2\n'.repeat(1000)
  const path = await fileOf(`a,b\n${rows}`)
  const store = await open()
  const run = (): Promise<unknown> => consume(store, csvFile(path, { name: 's' }), () => {})
  await run()
  await writeFile(path, `b,a\n${rows}3,4\n`)
  await expect(run()).rejects.toMatchObject(invalid('replaced'))
})

describe.each<[string, (path: string) => Source, string[]]>([
  ['ndjsonFile', ndjsonFile, ['1\n', '2\n', '3\n']],
  ['csvFile', csvFile, ['a\n1\n', '2\n', '3\n']],
])('%s', (_, make, [one = '', two = '', three = '']) => {
  test('goes on in a later run where an earlier one has stopped, under its name', async () => {
    const path = await fileOf(one + two.slice(0, 1))
    const store = await open()
    const seen: unknown[] = []
    const run = (): Promise<unknown> => consume(store, make(path), ({ value }) => seen.push(value))
    await run()
    await appendFile(path, two.slice(1) + three)
    await run()
    await run()
    expect(seen.length).toBe(3)
    expect(store.offsets).toEqual({ [`file-${files}`]: { 0: (one + two + three).length } })
  })

  test('refuses a file that does not exist, a folder, one that shrank, and one that was replaced', async () => {
    const read = (path: string, from?: Position): Promise<unknown> => eventsOf(make(path), from)
    await expect(read(join(folder, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(read(folder)).rejects.toMatchObject(invalid('folder'))
    const path = await fileOf(one + two + three)
    const end = (one + two + three).length
    expect(await read(path, end)).toEqual([])
    await truncate(path, end - 2)
    await expect(read(path, end)).rejects.toMatchObject(invalid('cut or replaced'))
    await writeFile(path, 'x'.repeat(end))
    await expect(read(path, end)).rejects.toMatchObject(invalid('replaced'))
    await expect(read(path, 'text')).rejects.toMatchObject(invalid('byte positions'))
  })

  test.each<[string, (lines: string[]) => string[]]>([
    ['longer', ([first = '', ...rest]) => [first, ...rest.map((line) => line.replace('7', '8')), '9\n']],
    ['as long', ([first = '', ...rest]) => [first, ...rest.map((line) => line.replace('7', '8'))]],
    ['changed in its last line alone', (lines) => [...lines.slice(0, -1), '8\n']],
  ])('refuses a file that took the place of the one read before: %s', async (_, replace) => {
    const lines = [one, ...Array.from({ length: 500 }, () => '7\n')]
    const path = await fileOf(lines.join(''))
    const store = await open()
    let handled = 0
    const run = (name: string): Promise<unknown> => consume(store, { ...make(path), name }, () => void handled++)
    await run('s')
    const { offsets } = store
    await writeFile(path, replace(lines).join(''))
    await expect(run('s')).rejects.toMatchObject(invalid('is not what was read'))
    expect(store.offsets).toEqual(offsets)
    expect(handled).toBe(501)
    // As the error says.
    await run('t')
    expect(handled).toBeGreaterThan(1000)
    // The lines that were read before are there again, and more.
    await writeFile(path, `${lines.join('')}9\n`)
    expect(await run('s')).toMatchObject({ events: 1 })
  })

  test('goes on where the program itself has committed a position', async () => {
    const path = await fileOf(one + two)
    const store = await open()
    const offsets = { s: { 0: one.length } }
    await store.commit({ offsets })
    const run = (): Promise<unknown> => consume(store, { ...make(path), name: 's' }, () => {})
    expect(await run()).toMatchObject({ events: 1 })
    // Back by hand: the fingerprint that is kept is of another position.
    await store.commit({ offsets, force: true })
    expect(await run()).toMatchObject({ events: 1 })
  })

  test('is not misled by a file that takes its place while it is read', async () => {
    const path = await fileOf(one + two.repeat(50_000))
    const store = await open()
    let handled = 0
    const run = (): Promise<unknown> =>
      consume(store, { ...make(path), name: 's' }, async () => {
        if (handled++ !== 3) return
        await rename(path, `${path}.1`)
        await writeFile(path, one + three.repeat(60_000))
      })
    await run()
    expect(handled).toBe(50_001)
    await expect(run()).rejects.toMatchObject(invalid('replaced'))
  })

  test('ends soon after its signal', async () => {
    const path = await fileOf(one + two.repeat(100_000))
    const stop = new AbortController()
    const handler = (): void => stop.abort()
    expect(await consume(await open(), make(path), handler, { signal: stop.signal })).toMatchObject({
      events: 1,
    })
  })
})
