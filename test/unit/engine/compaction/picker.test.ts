import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEdit, type Edit } from '../../../../src/manifest/edits.js'
import type { Manifest, Run, SegmentRef } from '../../../../src/manifest/manifest.js'
import { pickMerge } from '../../../../src/engine/compaction/picker.js'

let names = 0
function run(length: number): Run {
  return [{ name: `segment ${names++}`, length, clip: undefined } as SegmentRef]
}

const bytesOf = (runs: readonly Run[]): number => runs.flat().reduce((sum, { length }) => sum + length, 0)

function manifestOf(runs: readonly Run[]): Manifest {
  return { config: { partitions: 1, job: undefined, created: 0 }, covers: 0, codecs: new Map(), runs }
}

/** Sizes from a few bytes to a gigabyte, evenly over the orders of magnitude. */
const sizes = fc.double({ min: 1, max: 30, noNaN: true }).map((x) => Math.floor(2 ** x))

describe('the picker', () => {
  test('picks peers, at least eight above the base, or everything when those have reached its size: 1,000 manifests', () => {
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 60 }), (lengths) => {
        const manifest = manifestOf(lengths.map(run))
        const picked = pickMerge(manifest)
        if (picked === undefined) return
        const first = manifest.runs.indexOf(picked[0]!)
        expect(picked).toEqual(manifest.runs.slice(first, first + picked.length))
        if (first > 0) expect(picked.length).toBeGreaterThanOrEqual(8)
        else expect(bytesOf(manifest.runs.slice(1))).toBeGreaterThanOrEqual(bytesOf(manifest.runs.slice(0, 1)))
      }),
      { numRuns: 1_000 },
    )
  })

  test('its merges still fit when runs were added meanwhile, and no longer when their inputs are gone', () => {
    const manifest = manifestOf(Array.from({ length: 12 }, () => run(1_000)))
    const edit: Edit = { kind: 'merge', inputs: pickMerge(manifest)!, output: run(5_000), bottom: false }
    const grown = applyEdit(manifest, { kind: 'fold', from: 0, covers: 9, runs: [run(10)], codecs: new Map() })!
    const merged = applyEdit(grown, edit)!
    expect(merged.runs.at(-1)).toBe(grown.runs.at(-1))
    expect(merged.covers).toBe(9)
    expect(applyEdit(merged, edit)).toBeUndefined()
    expect(applyEdit(merged, { kind: 'fold', from: 0, covers: 12, runs: [], codecs: new Map() })).toBeUndefined()
  })

  test('keeps few runs, and writes less than three times the bytes of the changes; of a state that grows, less than six', () => {
    for (const overlap of [0, 0.5, 1]) {
      for (const jitter of [0, 0.5]) {
        const random = mulberry(7)
        const total = 8 << 20
        let manifest = manifestOf(overlap === 0 ? [] : [run(total)])
        let changed = 0
        let written = 0
        let most = 0
        for (let fold = 0; fold < 3_000; fold++) {
          const size = Math.floor((256 << 10) * (1 + jitter * (random() - 0.5)))
          changed += size
          written += size
          manifest = { ...manifest, runs: [...manifest.runs, run(size)] }
          for (let picked = pickMerge(manifest); picked; picked = pickMerge(manifest)) {
            // If updates are random in a fixed space of keys, merging leaves as many as so many draws hit.
            const sum = bytesOf(picked)
            const apart = total * (1 - Math.exp(-sum / total))
            const length = Math.max(1, Math.floor(sum * (1 - overlap) + Math.min(total, apart) * overlap))
            const output = run(length)
            written += length
            manifest = applyEdit(manifest, { kind: 'merge', inputs: picked, output, bottom: false })!
          }
          most = Math.max(most, manifest.runs.length)
        }
        const times = written / changed
        console.log(
          `overlap ${overlap}, jitter ${jitter}: written ${times.toFixed(2)} times the changes, at most ${most} runs`,
        )
        expect(most).toBeLessThan(40)
        expect(times).toBeLessThan(overlap === 1 ? 3 : 6)
      }
    }
  })
})

function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
