import { test } from 'vitest'
import { writeFileSync } from 'node:fs'
import { groupRun, MODES } from '../support/group-runs.js'
const [from, to] = (process.env['SEEDS'] ?? '1-4').split('-').map(Number)
const modes = process.env['GMODE'] ? [process.env['GMODE']] : MODES
test.each(modes)('%s', async (mode) => {
  let bad = 0
  const t = performance.now()
  for (let seed = from!; seed <= to!; seed++) {
    try { await groupRun(seed, mode as never) } catch (e) {
      const text = e as { trace?: readonly string[] } & Error
      if (!bad++) writeFileSync(`/tmp/bad-${mode}.txt`, (text.trace ?? []).join('\n'))
      console.log(mode, seed, String(text).slice(0, 260).replaceAll('\n', ' | '))
    }
  }
  console.log(mode, 'bad', bad, Math.round(performance.now() - t), 'ms')
}, 600_000)
