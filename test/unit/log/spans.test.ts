/** Spans in the header of an entry: they come back as they were written, and impossible ones are CORRUPT. */
import { expect, test } from 'vitest'
import { ByteReader } from '../../../src/bytes/reader.js'
import { ByteWriter } from '../../../src/bytes/writer.js'
import type { Position, Positions } from '../../../src/log/offsets.js'
import { readSpans, type SourceSpans, type Spans } from '../../../src/log/spans.js'
import { writeSpans } from '../../../src/log/write-shard-parts.js'

function read(all: Spans, own?: { first: number; last: number }): Spans {
  const w = new ByteWriter(64)
  writeSpans(w, all)
  const r = new ByteReader(w.finish(), 'Spans')
  const spans = readSpans(r, own)
  r.end()
  return spans
}

const positions = (...all: [number | undefined, Position][]): Positions => new Map(all)
const of = (...ranges: readonly (readonly [number, number])[]): Spans =>
  new Map([
    [
      'events',
      {
        isAligned: false,
        spans: ranges.map(([first, last], i) => ({ first, last, positions: positions([undefined, i]) })),
      },
    ],
  ])

test('they come back as they were written', () => {
  const all = new Map<string, SourceSpans>([
    ['__proto__', { isAligned: true, spans: [{ first: 3, last: 3, positions: positions() }] }],
    [
      'events',
      {
        isAligned: false,
        spans: [
          { first: 3, last: 2_000, positions: positions([0, 5n], [7, 'x']) },
          { first: 2_001, last: 4_095, positions: positions([undefined, 1.5]) },
        ],
      },
    ],
  ])
  expect(read(all)).toEqual(all)
  expect(read(new Map())).toEqual(new Map())
})

test('spans that overlap, leave a gap, end before they begin or lie beyond all partitions are CORRUPT', () => {
  const corrupt = { code: 'CORRUPT' }
  for (const ranges of [
    [
      [0, 3],
      [3, 5],
    ],
    [
      [0, 3],
      [5, 6],
    ],
    [
      [4, 5],
      [0, 3],
    ],
    [[3, 2]],
    [[0, 4096]],
    [],
  ] as const) {
    expect(() => read(of(...ranges)), JSON.stringify(ranges)).toThrow(expect.objectContaining(corrupt))
  }
  expect(read(of([2, 3], [4, 6]), { first: 2, last: 6 })).toEqual(of([2, 3], [4, 6]))
  for (const own of [
    { first: 1, last: 6 },
    { first: 2, last: 7 },
    { first: 2, last: 5 },
  ]) {
    expect(() => read(of([2, 3], [4, 6]), own)).toThrow(expect.objectContaining(corrupt))
  }
})

test('lengths that the bytes do not have are refused before anything is made of them', () => {
  for (const write of [
    (w: ByteWriter) => w.varint(2 ** 40),
    (w: ByteWriter) => {
      w.varint(1)
      w.string('a')
      w.u8(0)
      w.varint(2 ** 40)
    },
    (w: ByteWriter) => {
      w.varint(1)
      w.string('a')
      w.u8(2)
      w.varint(0)
    },
    (w: ByteWriter) => {
      w.varint(2)
      for (let i = 0; i < 2; i++) {
        w.string('a')
        w.u8(0)
        w.varint(1)
        for (let k = 0; k < 3; k++) w.varint(0)
      }
    },
  ]) {
    const w = new ByteWriter(64)
    write(w)
    expect(() => readSpans(new ByteReader(w.finish(), 'Spans'))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  }
})
