/**
 * Undo and redo by versions: each change of a document is a commit, and undoing it is a restore of the version before. Both
 * survive the end of the program, and nothing that was ever written is lost: an undo is a version, too.
 *
 *     node demo/undo-redo.mjs ./document add "Buy milk"
 *     node demo/undo-redo.mjs ./document remove 1
 *     node demo/undo-redo.mjs ./document undo        and again, as far back as there are versions
 *     node demo/undo-redo.mjs ./document redo        until something else is changed
 *     node demo/undo-redo.mjs ./document history
 *
 * The meta of a version says where the two lead from there: { shows, redo, before }. `shows` is the version whose content it
 * has: an edit shows itself, an undo shows an older edit. `redo` has the edits to go forward to, the next one first. `before` of
 * an edit is the one to go back to. As meta is part of the version, neither can be ahead of the document.
 */
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'

const [folder = './document', command = 'show', text = ''] = process.argv.slice(2)

// So far back, in versions, undo can go.
/** @type {import('tidemark').Store<number, string>} */
const store = await openStore({ storage: nodeFs(folder), name: 'document', retain: { versions: 1_000 } })

/** @returns {Promise<any>} */
async function metaOf(version) {
  for await (const { meta } of store.versions({ gte: version, limit: 1 })) return meta
}

/** The edit that the document shows now, and those that were undone. */
async function now() {
  const { shows = store.version, redo = [] } = await metaOf(store.version)
  return { shows, redo }
}

/** Commits what `change` does to the document. What was undone before can't be redone any more. */
async function edit(label, change) {
  const { shows } = await now()
  await change()
  await store.commit({ label, meta: { before: shows } })
}

async function goTo(version, redo, label) {
  await store.restore(version, { label, meta: { shows: version, redo } })
}

const commands = {
  show: () => undefined,
  add: () => edit(`add ${text}`, async () => store.put(((await store.last())?.[0] ?? 0) + 1, text)),
  remove: () => edit(`remove ${text}`, () => store.delete(Number(text))),

  async undo() {
    const { shows, redo } = await now()
    const { before } = await metaOf(shows)
    if (before === undefined) console.log('There is nothing to undo.')
    else await goTo(before, [shows, ...redo], 'undo')
  },

  async redo() {
    const [next, ...rest] = (await now()).redo
    if (next === undefined) console.log('There is nothing to redo.')
    else await goTo(next, rest, 'redo')
  },

  async history() {
    for await (const { version, label } of store.versions()) console.log(`${version}\t${label}`)
  },
}

try {
  // The empty document is a version as well, so that the first change can be undone.
  if (store.version === 0) await store.commit({ label: 'new', meta: {} })
  if (!Object.hasOwn(commands, command)) throw new Error(`One of ${Object.keys(commands).join(', ')} is expected.`)
  await commands[command]()
  for await (const [line, words] of store.entries()) console.log(`${line}. ${words}`)
} finally {
  await store.close()
}
