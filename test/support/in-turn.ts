/** Simulations that go on without end, or for the share of time that the runner of the tests sets. */

/** How long to go on, in milliseconds. */
const SPAN = Number(process.env['TIDEMARK_DEEP_MS'] ?? Infinity)

/** Runs all of them, whichever has had the least time. It tells the first seed, and each failure its own. */
export async function runInTurn(all: Readonly<Record<string, (seed: number) => unknown>>): Promise<number> {
  const start = performance.now()
  // Other seeds each day, the same ones within it, and none of those of the tests.
  const first = Number(process.env['TIDEMARK_SEED'] ?? Math.floor(Date.now() / 86_400_000) * 1_000_000)
  const runs = Object.entries(all).map(([name, run]) => ({ name, run, seeds: 0, ms: 0 }))
  console.log(`${runs.map(({ name }) => name).join(', ')}: seeds from ${first} on`)
  let sum = 0
  while (sum < runs.length || performance.now() < start + SPAN) {
    const one = runs.reduce((least, each) => (each.ms < least.ms ? each : least))
    const began = performance.now()
    const seed = first + one.seeds++
    try {
      await one.run(seed)
    } catch (error) {
      throw new Error(`${one.name}, seed ${seed}: ${String(error)}`, { cause: error })
    }
    one.ms += performance.now() - began
    // Some let no other task run: the runner has to hear something from time to time.
    if (sum++ % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  console.log(runs.map(({ name, seeds }) => `${name}: ${seeds} seeds from ${first} on`).join('\n'))
  return sum
}
