/**
 * Format 1 is frozen: what has landed in test/golden is read for ever. The files hold every kind of object, every part, type and
 * form that a release writes; a second reader, written by docs/format.md alone, finds out whether they do.
 */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { openStore } from 'tidemark'
import { describe, expect, test } from 'vitest'
import { concat } from '../../../src/bytes/concat.js'
import { crc32 } from '../../../src/bytes/crc32.js'
import { seal, type ObjectKind } from '../../../src/bytes/envelope.js'
import { decodeKey } from '../../../src/bytes/keys.js'
import * as pure from '../../../src/bytes/pure.js'
import { decodeGroups } from '../../../src/log/delta.js'
import { decodeEntry } from '../../../src/log/entry.js'
import { decodePin } from '../../../src/log/pin.js'
import { decodeManifest } from '../../../src/manifest/manifest.js'
import { rescale } from '../../../src/group/rescale.js'
import { Block } from '../../../src/segment/block.js'
import { collect } from '../../support/collect.js'
import { bytesOf, LOG } from '../../support/crafted.js'
import { writeExample, writeKeys, writePast, writeRemote, type Example } from '../../support/example.js'
import { writeLeases } from '../../support/example-group.js'
import { writeArchive, writeFiles, writeRows } from '../../support/example-places.js'
import { writeSplit } from '../../support/example-split.js'
import { writeSegments, writeThinned, writeUnfinished, writeValues } from '../../support/example-rare.js'
import { CODES, OBJECTS, TAGS } from '../../support/format-fields.js'
import { FormatReader } from '../../support/format-places.js'
import { goldenObjects, goldenRows, goldenText, loadObjects, writeGolden } from '../../support/golden.js'
import type { Objects, Rows } from '../../support/packed.js'
import { readAll } from '../../support/read-all.js'
import { temporaryFolder } from '../../support/storages.js'

const objectsOf = (write: () => Promise<Example>) => async (): Promise<Objects> => (await write()).objects

/**
 * Each set, and what writes it. `undefined`: no release writes it like this any more, because it arranges the same bytes otherwise (other folds,
 * say). Such a set is only read, and another one of the same content stands beside it.
 */
import { writeIndexes } from '../../support/example-indexes.js'
const SETS = {
  '1': objectsOf(writeExample),
  '1-archive': writeArchive,
  '1-files': undefined,
  // A version that is copied or kept stands on the newest fold.
  '1-files-2': () => writeFiles(temporaryFolder()),
  '1-indexes': objectsOf(writeIndexes),
  '1-keys': objectsOf(writeKeys),
  '1-leases': objectsOf(writeLeases),
  '1-past': objectsOf(writePast),
  '1-remote': objectsOf(writeRemote),
  '1-rows': writeRows,
  '1-segments': objectsOf(writeSegments),
  '1-split': objectsOf(writeSplit),
  '1-thinned': objectsOf(writeThinned),
  '1-unfinished': undefined,
  '1-unfinished-2': objectsOf(writeUnfinished),
  '1-values': objectsOf(writeValues),
} satisfies Record<string, (() => Promise<Objects | Rows>) | undefined>
type SetName = keyof typeof SETS
const names = Object.keys(SETS) as SetName[]

/**
 * SHA-256 of the files. A release reads every format that ever landed, so they are never edited, nor made anew: a change of the
 * format is a new version of it, with files of its own beside these. TIDEMARK_WRITE_GOLDEN=1 writes only a file that has no sum here.
 */
const FROZEN: Readonly<Partial<Record<SetName, string>>> = {
  '1': '7ff08da0d02d37258c092d4eadd58507b0e40432d60de598496e2ba36fc76f27',
  '1-archive': '2d5699cdcadf9c319a4fa781ebe560e4d105b73cfbd47b3fb8103e1f7edbdf74',
  '1-files': 'e0968b66d1fd021215a637019629b4b613ad1b9f1153be003502bb0ba5469b5b',
  '1-files-2': 'be729852c4051915dbeeb3f140e053dbda5a41f07269591752d33d2a5d0a686e',
  '1-indexes': '10d658eb8c7eb301a30674753d8d70d38c77617e49f0b778a264c230240bceb7',
  '1-keys': '3c9d3eff01b43f115738fe687d3dd38bf0690bedadc3e2c6fb16e73f758a68ea',
  '1-leases': '8b359e658d33b69f9d60a82791919b6c9bdff63335b17cfb91208503a307dd44',
  '1-past': '4e4d5619ac73b901d3f6b3c8b37c8e3e4933ebc8db196c31b4b333437b1227e7',
  '1-remote': 'f491159b4f41ac655386712faf88b11f315219fb06476d5b34f6d3c53dafd8b1',
  '1-rows': 'ff3443fb2bda15341986421ac4b8ec0c5ef82a8b2591fca49d31362536a768ca',
  '1-segments': '73ec182d55a17703b5fbf2d1fdd084106b5e9d67613101d7366cb14a6c5de923',
  '1-split': '5144c84cb5bca807f78861b3a3f72a9728dce49e8714f22465020abb7f4ac644',
  '1-thinned': 'ed9d19387f81804df14d2b273795e06e448291d6725cb2f7a09a0b75d1a0946f',
  '1-unfinished': '65d846db029986616d05197cc3b906a00afe98965eacd0f93e3211a107f05214',
  '1-unfinished-2': 'fa91ffe206db70ca2af19294a8c5565844bf406a21966e0056c10c12af155f95',
  '1-values': '43195e073ddbd92a606d2a83eafe0378b9474e36506999f631b06e9bd8d1a0f1',
}
const PROMISE =
  'A release reads every format that ever landed. These files are frozen: a change of the format needs a new version and files of its own, not an edit (CONTRIBUTING.md, "Change the format").'

const goldenOf = (set: SetName) => (/-rows/.test(set) ? goldenRows(set) : goldenObjects(set))

describe('the golden files', () => {
  test('are as they landed', () => {
    const sums = names.map((set) => [set, createHash('sha256').update(goldenText(set)).digest('hex')])
    expect(Object.fromEntries(sums), PROMISE).toEqual(FROZEN)
  })

  test('are all read here', () => {
    const files = readdirSync(new URL('../../golden', import.meta.url))
    expect(files.sort()).toEqual(names.map((set) => `format-${set}.json`).sort())
  })

  const written = names.flatMap((set) => (SETS[set] ? [[set, SETS[set]] as const] : []))
  test.each(written)('%s is what is written today, byte for byte', async (set, write) => {
    const content = await write()
    if (process.env['TIDEMARK_WRITE_GOLDEN'] && FROZEN[set] === undefined)
      writeGolden(set, set === '1-indexes' ? content : withoutMarks(content))
    expect(set === '1-indexes' ? content : withoutMarks(content)).toEqual(goldenOf(set))
  })
})

describe('read by docs/format.md alone,', () => {
  const reader = new FormatReader()
  test.each(names)('%s is as the page says, to the last byte', (set) => {
    if (/-rows/.test(set)) reader.rows(goldenRows(set))
    else if (/-files/.test(set)) reader.files(goldenObjects(set))
    else if (/-archive/.test(set)) for (const bytes of goldenObjects(set).values()) reader.archive(bytes)
    else reader.objects(goldenObjects(set))
  })

  test('they hold everything that there is', () => {
    expect([...reader.met].sort()).toEqual([...everything()].sort())
  })
})

/** The sets of objects are older than the marks of writers that have closed a store. */
function withoutMarks<Content>(content: Content): Content | Objects {
  return content instanceof Map
    ? new Map([...content].filter(([name]) => !/\/closed\/[0-9a-f]{32}$/.test(name)))
    : content
}

/** All that a release writes. What is added to the format is added here, and then to a golden set. */
function everything(): Set<string> {
  const codes = Object.entries(CODES).flatMap(([place, all]) =>
    all.flatMap((name) => (name ? `${place}: ${name}` : [])),
  )
  const keys = ['null', 'false', 'true', 'number', 'bigint', 'Date', 'string', 'Uint8Array', 'array']
  const tags = ['bytes', 'date', 'bigint', 'map', 'set', 'number', 'undefined', 'object']
  return new Set([
    ...codes,
    ...OBJECTS.map((kind) => `object: ${kind}`),
    ...['gone', 'push', 'closed'].map((name) => `empty: ${name}`),
    ...['plain', 'many', 'unique', 'record', 'row'].map((form) => `index: ${form}`),
    'indexes: built',
    'value: of a later version',
    'probe',
    ...['fence', 'void'].map((kind) => `entry without parent: ${kind}`),
    ...['one position', 'partitions'].map((form) => `offsets: ${form}`),
    ...['number', 'bigint', 'string'].map((kind) => `offset: ${kind}`),
    ...['all', 'partitions', 'own', 'other'].map((what) => `origin: ${what}`),
    ...['one batch', 'several batches'].map((form) => `collection: ${form}`),
    ...['plain', 'deflated', 'several groups'].map((form) => `delta: ${form}`),
    ...['job', 'parent'].map((flag) => `manifest: ${flag}`),
    ...['none', 'one', 'several'].map((count) => `runs: ${count}`),
    'run: several segments',
    ...['foreign', 'clipped', 'not listed'].map((form) => `segment: ${form}`),
    ...['no blocks', 'one block', 'several blocks', 'range deletes'].map((form) => `segment: ${form}`),
    ...['none', 'bits'].map((form) => `filter: ${form}`),
    ...['lower cut', 'upper cut'].map((form) => `bound: ${form}`),
    ...['label', 'delta', 'spans', 'ends', 'stays'].map((form) => `pin: ${form}`),
    ...['commit', 'reset', 'label', 'meta', 'folded', 'not folded'].map((form) => `thinned: ${form}`),
    ...['untrimmed', 'trimmed', 'tombstone', 'sealed'].map((form) => `anchor: ${form}`),
    ...['living logs', 'kept', 'nothing kept', 'nothing condemned', 'condemned segments', 'condemned entries'].map(
      (form) => `sealed: ${form}`,
    ),
    ...['root', 'of others', 'control store'].map((place) => `shard: ${place}`),
    ...['split', 'merge'].map((plan) => `seal: ${plan}`),
    ...['of one', 'of several', 'fallback'].map((origin) => `child: ${origin}`),
    ...['taken', 'released', 'trial'].map((flag) => `turn: ${flag}`),
    ...['aligned', 'not aligned'].map((form) => `spans: ${form}`),
    'span: nowhere',
    ...['of the living', 'of the dead'].map((form) => `lease: ${form}`),
    ...['default', 'named', 'own sources', 'own outbox', 'own indexes', 'own records', 'own index rows'].map(
      (table) => `table: ${table}`,
    ),
    'codec: own',
    ...keys.flatMap((kind) => [`key: ${kind}`, `key: ${kind} in an array`]),
    ...['number', 'bigint', 'Date'].map((kind) => `key: ${kind} below 0`),
    'key: number below 0 in an array',
    'key: bigint, long',
    'key: bigint, long below 0',
    'key: 00 in an array',
    ...['null', 'boolean', 'number', 'string', 'array', 'object', 'bytes', 'of another codec'].map(
      (form) => `value: ${form}`,
    ),
    ...tags.map((tag) => `value: $${tag}`),
    ...['$date null', '$number NaN', '$number Infinity', '$number -Infinity', '$number -0'].map(
      (form) => `value: ${form}`,
    ),
    ...['log', 'past', 'owner', 'trim', 'trim above 0', 'temp', 'room'].map((name) => `file: ${name}`),
    ...['anchor', 'removed anchor', 'blob', 'being written', 'probe'].map((name) => `file: ${name}`),
    ...['of the tail', 'of the owner', 'in relaxed durability', 'taken over', 'padded'].map((form) => `record ${form}`),
    ...['within its head', 'one part', 'several parts', 'id', 'synced', 'trim'].map((form) => `row: ${form}`),
    ...['stored', 'deflated'].map((form) => `archive: ${form}`),
    ...['format', 'formatVersion', 'store', 'log', 'partitions', 'job', 'version', 'time', 'label', 'meta'].map(
      (field) => `metadata: ${field}`,
    ),
    ...['offsets', 'sizes', 'files'].map((field) => `metadata: ${field}`),
  ])
}

describe('no code is taken that the golden files lack:', () => {
  /** The codes from 0 on that a decoder does not refuse as unknown. */
  const taken = async (refusal: RegExp, decode: (code: number) => unknown): Promise<number[]> => {
    const codes: number[] = []
    for (let code = 0; code < 256; code++) {
      const message = await Promise.resolve()
        .then(() => decode(code))
        .then(String, String)
      if (!refusal.test(message)) codes.push(code)
    }
    return codes
  }
  const upTo = (all: readonly unknown[]): number[] => all.flatMap((name, code) => (name === undefined ? [] : code))
  const id = new Uint8Array(16)
  const entry = (kind: number, mode: number, parts: number): unknown => {
    const body = bytesOf((w) => {
      for (const byte of [1, kind, mode]) w.u8(byte)
      for (let i = 0; i < 32; i++) w.u8(0)
      w.varint(0)
      w.varint(parts)
    })
    return decodeEntry(seal('entry', body), 1, id)
  }
  const withCrc = (...bytes: number[]): Uint8Array => {
    const body = Uint8Array.from(bytes)
    return concat([body, bytesOf((w) => w.u32(crc32(body)))])
  }
  const zeros = (count: number): number[] => Array.from({ length: count }, () => 0)

  test('kinds of objects', () => {
    const kinds: Record<ObjectKind, number> = { entry: 1, segment: 2, anchor: 3, pin: 4, 'log file': 5, lease: 6 }
    expect(Object.keys(kinds)).toEqual([...OBJECTS])
    for (const [kind, code] of Object.entries(kinds)) expect(seal(kind as ObjectKind, id)[5]).toBe(code)
  })

  test('kinds, modes and parts of entries', async () => {
    expect(await taken(/is of kind/, (code) => entry(code, 0, 0))).toEqual(upTo(CODES.entry))
    expect(await taken(/unknown mode/, (code) => entry(2, code, 0))).toEqual(upTo(CODES.mode))
    expect(await taken(/holds part|is no varint/, (bit) => entry(2, 0, bit < 53 ? 2 ** bit : -1))).toEqual(
      upTo(CODES.part),
    )
  })

  test('types of changes and records, blocks', async () => {
    const group = (code: number): Uint8Array => Uint8Array.of(1, 0, 0, 0, 1, code, 0)
    expect(await taken(/unknown type/, (code) => decodeGroups(group(code), 'it'))).toEqual(upTo(CODES.change))
    const block = (compression: number, type: number): unknown =>
      Block.unpack(pure, withCrc(compression, 0, type), 2, 'it')
    expect(await taken(/unknown type/, (code) => block(0, code))).toEqual(upTo(CODES.record))
    expect(await taken(/unknown type/, (code) => block(code, 0))).toEqual(upTo(CODES.block))
  })

  test('kinds and flags of pins, flags of manifests and of what they list', async () => {
    const pin = (kind: number, flags: number): unknown =>
      decodePin(seal('pin', Uint8Array.of(kind, 0, 0, 0, 0, 0, ...id, flags)), 'it')
    expect(await taken(/is of kind/, (code) => pin(code, 0))).toEqual(upTo(CODES.pin))
    expect(await taken(/holds flags/, (code) => pin(0, code))).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    const manifest = (...bytes: number[]): unknown => decodeManifest(Uint8Array.of(0, 1, 0, ...bytes), LOG, 'it')
    expect(await taken(/holds flags/, (code) => manifest(code))).toEqual([0, 1, 2, 3])
    const listed = (flags: number): unknown => manifest(0, 0, 0, 1, 1, ...id, 0, flags, ...zeros(60))
    expect(await taken(/holds segment flags/, (code) => listed(code))).toEqual([0, 1])
  })

  test('tags of keys', async () => {
    expect(await taken(/unknown type|no element/, (tag) => decodeKey(Uint8Array.of(tag, ...zeros(9))))).toEqual(TAGS)
  })
})

describe('a release reads, and goes on with,', () => {
  test.each([
    ['1', ['example']],
    ['1-keys', ['keys']],
    ['1-past', ['past', 'past-fork', 'past-copy']],
    ['1-remote', ['remote']],
    ['1-segments', ['segments']],
    ['1-thinned', ['thinned']],
    ['1-unfinished', ['parent', 'doubt']],
    ['1-unfinished-2', ['parent', 'doubt']],
    ['1-values', ['values']],
  ] as const)('%s: the stores %j', async (set, stores) => {
    const storage = await loadObjects(goldenObjects(set))
    for (const name of stores) await readAll(storage, name)
  })

  test('1-split: the shards of the store, which become one', async () => {
    const storage = await loadObjects(goldenObjects('1-split'))
    const place = { storage, name: 'split' }
    const read = async (shard?: number): Promise<unknown[]> => {
      const store = await openStore<string, unknown>({ ...place, shard, mode: 'exclusive' })
      const rows = [...(await collect(store.entries())), ...(await collect(store.table('t').entries()))]
      store.partition(shard ?? 0).put('written', 1)
      await store.commit()
      await store.close()
      return rows
    }
    const rows = [...(await read(0)), ...(await read(4))]
    expect(rows).toContainEqual(['after the split', 1])
    expect(rows.length).toBe(6 + 60 + 1 + 1 + 10)
    await rescale(place, { shards: 1 })
    const order = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1)
    const all = (await read()).filter((row) => (row as unknown[])[0] !== 'written')
    expect(all.sort(order)).toEqual(rows.sort(order))
  })
})
