/** The JSON of the default codec, written straight into pieces of bytes that values share. */
import { expect, test } from 'vitest'
import { writeJson as writeSlice } from '../../../src/bytes/json.js'
import { bytesOf } from '../../../src/bytes/slice.js'

const writeJson = (value: unknown): Uint8Array => bytesOf(writeSlice(value))
const textOf = (value: unknown): string => new TextDecoder().decode(writeJson(value))

test('what was written stays as it was, whatever is written after it', () => {
  const values = Array.from({ length: 3000 }, (_, i) => ({ i, text: 'x'.repeat(i % 97), ä: 'ü€😀'.repeat(i % 5) }))
  const written = values.map((value) => writeJson(value))
  expect(written.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as unknown)).toEqual(values)
})

test('a toJSON() or a getter that writes values itself does not disturb the value around it, whichever piece they are in', () => {
  for (const inner of [10, 1_000, 70_000]) {
    for (const before of [0, 100, 66_000]) {
      const nested: string[] = []
      const write = (): string => {
        nested.push(textOf({ text: 'y'.repeat(inner) }))
        return 'told'
      }
      const value = {
        before: 'x'.repeat(before),
        saying: { toJSON: write },
        get got() {
          return write()
        },
        after: [1, { $tag: true }],
      }
      expect(textOf(value)).toBe(
        `{"before":"${'x'.repeat(before)}","saying":"told","got":"told","after":[1,{"$object":{"$tag":true}}]}`,
      )
      expect(nested).toEqual([`{"text":"${'y'.repeat(inner)}"}`, `{"text":"${'y'.repeat(inner)}"}`])
    }
  }
})

test('after a value that cannot be written the next one is written as ever', () => {
  const refused = {
    ok: 'x'.repeat(100),
    inner: { toJSON: () => textOf({ a: 1 }) },
    bad: () => 1,
  }
  for (let i = 0; i < 3; i++) {
    expect(() => writeJson(refused)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(textOf({ i })).toBe(`{"i":${i}}`)
  }
})

test('a small value keeps a small piece in memory, also after a large one', () => {
  const large = writeJson('z'.repeat(5 << 20))
  expect(large.buffer.byteLength).toBeLessThan(6 << 20)
  expect(writeJson({ a: 1 }).buffer.byteLength).toBeLessThanOrEqual(64 << 10)
  expect(writeJson(['z'.repeat(1 << 20)]).length).toBe((1 << 20) + 4)
  expect(writeJson(1).buffer.byteLength).toBeLessThanOrEqual(64 << 10)
})

test('numbers, texts and names are those of JSON', () => {
  const values = [0, 7, -1, 10, 99, 100, 1e9, 123456789, 2 ** 31, 1e21, 1.5, -0.25, 5e-324, Number.MAX_SAFE_INTEGER]
  const texts = ['', '"', '\\', '\n', '\u0000', '\u007f', 'é', '\ud800', 'x'.repeat(48), 'x'.repeat(49), '€'.repeat(47)]
  const value = { values, texts, ...Object.fromEntries(texts.map((text, i) => [text, i])) }
  expect(textOf(value)).toBe(JSON.stringify(value))
})
