/** The physical limits beside the figures: what the disk and the language give with nothing on top. */
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { keyOf, median, objectOf, random } from './data.mjs'

export async function physicalLimits(folder) {
  return { 'fdatasync/s, one 200-byte record each': syncsPerSecond(folder), 'Map.get/s': mapGetsPerSecond() }
}

function syncsPerSecond(folder) {
  const path = join(folder, 'limit')
  const file = openSync(path, 'w')
  writeSync(file, Buffer.alloc(1 << 20))
  fdatasyncSync(file)
  const record = Buffer.alloc(200, 1)
  const took = []
  for (let i = 0; i < 500; i++) {
    const begun = performance.now()
    writeSync(file, record, 0, 200, i * 200)
    fdatasyncSync(file)
    took.push(performance.now() - begun)
  }
  closeSync(file)
  unlinkSync(path)
  return 1000 / median(took)
}

function mapGetsPerSecond() {
  const keys = Array.from({ length: 100_000 }, (_, i) => keyOf(i))
  const map = new Map(keys.map((key, i) => [key, objectOf(i)]))
  const next = random(8)
  const begun = performance.now()
  let found = 0
  for (let i = 0; i < 1_000_000; i++) if (map.get(keys[Math.floor(next() * keys.length)])) found++
  return found / ((performance.now() - begun) / 1000)
}
