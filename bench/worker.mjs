/** One work against one peer, in a process of its own: `node worker.mjs '{"peer":…,"work":…}'` prints its figures as JSON. */
import { valuesOf, works } from './works.mjs'

const { peer, work: name, folder, rows, values, counts } = JSON.parse(process.argv[2])
const work = works[name]
const begun = performance.now()
const { open } = await import(`./peers/${peer}.mjs`)
const importMs = performance.now() - begun
const opening = () => open(folder, { values, ...work.options?.(rows) })
const db = work.opensItself ? undefined : await opening()
const figures = await work.run({ db, open: opening, importMs, rows, value: valuesOf(values), counts })
await db?.close()
console.log(JSON.stringify(figures))
process.exit()
