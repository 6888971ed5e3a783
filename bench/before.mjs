/**
 * This checkout beside an earlier commit of it, as to what every program does: `node bench/before.mjs <commit> [--rounds 9]`.
 *
 * One round is a process of each, in turn, in another order each time. What else the machine does only adds to the time, so the
 * quickest of the parts of a process counts. Of a round only the ratio counts: how long this checkout took over how long the
 * earlier one did; below 1 it is faster. The median over the rounds is printed, with the quartiles.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { median } from './data.mjs'

const WARM = 6_000
const PARTS = 10

const { values: flags, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '9' }, child: { type: 'string' } },
  allowPositionals: true,
})

if (flags.child) console.log(JSON.stringify(await measure(flags.child)))
else compare(positionals[0] ?? 'HEAD')

/** Milliseconds of the quickest part of each work, with the package in `dist`. */
async function measure(dist) {
  const load = (name) => import(pathToFileURL(join(dist, `${name}.js`)))
  const [{ openStore }, { memory }, { nodeFs }] = [await load('index'), await load('memory'), await load('node-fs')]
  const folder = mkdtempSync(join(tmpdir(), 'before-'))
  const figures = {}
  for (const [where, storage, part] of [
    ['memory()', memory(), 2_000],
    ['nodeFs()', nodeFs(folder), 200],
  ]) {
    for (const mode of ['exclusive', 'shared']) {
      const store = await openStore({ storage, name: mode, mode, logger: false })
      const work = async (from, to) => {
        for (let i = from; i < to; i++) {
          store.put(`key${i % 1000}`, { i, text: 'some text' })
          await store.commit()
          await store.get(`key${(i * 7) % 1000}`)
        }
      }
      await work(0, Math.min(WARM, 5 * part))
      const took = []
      for (let i = 0; i < PARTS; i++) {
        const begun = performance.now()
        await work(i * part, (i + 1) * part)
        took.push(performance.now() - begun)
      }
      figures[`put, commit, get: ${where}, ${mode}`] = Math.min(...took)
      await store.close()
    }
  }
  rmSync(folder, { recursive: true, force: true })
  return figures
}

function compare(commit) {
  const root = join(fileURLToPath(import.meta.url), '../..')
  const git = (...args) => execFileSync('git', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const place = mkdtempSync(join(tmpdir(), 'commit-'))
  git('worktree', 'add', '--detach', '--quiet', place, commit)
  try {
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'))
    for (const cwd of [place, root]) execFileSync(process.execPath, ['.ci/build.mjs'], { cwd, stdio: 'ignore' })
    const run = (cwd) => {
      const args = [fileURLToPath(import.meta.url), '--child', join(cwd, 'dist')]
      return JSON.parse(execFileSync(process.execPath, args).toString())
    }
    const ratios = {}
    for (let round = 0; round < Number(flags.rounds); round++) {
      const order = round % 2 === 0 ? [root, place] : [place, root]
      const figures = new Map(order.map((cwd) => [cwd, run(cwd)]))
      for (const [work, ms] of Object.entries(figures.get(root))) {
        ;(ratios[work] ??= []).push(ms / figures.get(place)[work])
      }
    }
    for (const [work, all] of Object.entries(ratios)) {
      const sorted = all.toSorted((a, b) => a - b)
      const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(3)
      console.log(`${work}: ${median(all).toFixed(3)} (${at(0.25)} to ${at(0.75)}) times as long as ${commit}`)
    }
  } finally {
    git('worktree', 'remove', '--force', place)
  }
}
