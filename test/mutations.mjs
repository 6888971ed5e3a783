/**
 * For each rule of docs/protocol.md, edits of the sources that leave it out (.ci/mutations.mjs makes them, on a copy). The test of
 * the rule, which has its number in the title, has to fail on that copy; test/protocol.test.ts holds that there is one.
 *
 * @typedef {{ file: string, find: string, replace: string }} Change
 * @type {Record<string, { rule: string, edits: readonly Change[] }>}
 */
export const mutations = {
  foldStart: {
    rule: 'R1',
    edits: [
      change(
        'src/engine/compaction/compactor.ts',
        'get edits(): readonly Edit[] {',
        `get edits(): readonly Edit[] {
    if (this.#fold) this.#fold = { ...this.#fold, from: this.#state().manifest.covers }`,
      ),
      change(
        'src/engine/compaction/compactor.ts',
        'const isMoved = edit.from !== this.#state().manifest.covers',
        'const isMoved = false',
      ),
      change('src/engine/compaction/compactor.ts', 'else if (this.#fold?.from !== after.covers) this.#dropFold()', ''),
    ],
  },
  headRule: {
    rule: 'R25',
    edits: [
      change('src/engine/open/catch-up.ts', 'if (anchor.trim < state.head)', 'if (true)'),
      change('src/engine/open/recovery.ts', 'const isHead = value.trim < state.head', 'const isHead = true'),
      change('src/engine/open/claim.ts', 'if (value.trim >= fence.entry.n) return undefined', ''),
    ],
  },
  rereadTrim: {
    rule: 'R26',
    edits: [
      change(
        'src/engine/moment.ts',
        'if (free?.storage === undefined',
        'return false\n  if (free?.storage === undefined',
      ),
    ],
  },
  storageClock: {
    rule: 'R27',
    edits: [
      change(
        'src/engine/moment.ts',
        `if (free?.storage === undefined || answered.storage === undefined) return true
  return answered.storage - free.storage > graceMs / 2`,
        `if (free === undefined) return true
  return answered.local - free.local > graceMs / 2`,
      ),
    ],
  },
  trimmedIsUnknown: {
    rule: 'R28',
    edits: [
      change('src/engine/open/claim.ts', "'UNKNOWN_OUTCOME',\n    `Writing version", "'FENCED',\n    `Writing version"),
    ],
  },
  collectEntry: {
    rule: 'R32',
    edits: [
      change(
        'src/engine/gc/collector.ts',
        'return { deleted, plan, waiting }',
        `if (plan) await this.#ctx.storage.blobs.delete(plan.ids.map((id) => segmentName(this.#log.path, id)))
    return { deleted, plan: undefined, waiting }`,
      ),
    ],
  },
  condemnFirst: {
    rule: 'R33',
    edits: [
      change(
        'src/engine/gc/collector.ts',
        'pending.filter(({ time }) => time + this.#ctx.graceMs <= now)',
        'pending.filter(() => true)',
      ),
    ],
  },
  freshFiles: {
    rule: 'R41',
    edits: [
      change(
        'adapters/node-fs/log/cleanup.ts',
        'for (const name of unneeded) await discard(directory.fs, directory.place(name))',
        `for (const name of unneeded) {
    if (!files.includes(name)) await discard(directory.fs, directory.place(name))
    else await directory.fs.rename(directory.place(name), directory.temporary(top.g) + '.spare')
  }`,
      ),
      change(
        'adapters/node-fs/log/writer.ts',
        "const fd = await fs.open(temporary, 'create')",
        `const spare = (await directory.list()).names.find((name) => name.endsWith('.spare'))
    if (spare !== undefined) await fs.rename(directory.place(spare), temporary)
    const fd = await fs.open(temporary, spare === undefined ? 'create' : 'update')`,
      ),
    ],
  },
  rewriteTail: {
    rule: 'R42',
    edits: [
      change(
        'adapters/node-fs/log/generation.ts',
        'const begin = Math.min(from, this.#settledBefore + 1, source.proven + 1, latest)',
        'const begin = latest',
      ),
    ],
  },
  syncBeforeName: {
    rule: 'R43',
    edits: [
      change(
        'adapters/node-fs/log/writer.ts',
        'await writeZeros(directory, fd, size, room)\n      await fs.fdatasync(fd)',
        'await writeZeros(directory, fd, size, room)',
      ),
      change(
        'adapters/node-fs/log/writer.ts',
        'this.#isNamed = true\n    await this.#directory.sync()',
        'this.#isNamed = true\n    await this.#directory.sync()\n    await this.#directory.fs.fdatasync(this.#fd)',
      ),
    ],
  },
  checkAfterWrite: {
    rule: 'R44',
    edits: [
      change(
        'adapters/node-fs/log/owner.ts',
        'pending = await own.write(',
        `const early = await this.#check(n, written)
      if (early !== COMMITTED) return early
      pending = await own.write(`,
      ),
      change(
        'adapters/node-fs/log/owner.ts',
        'const outcome = await this.#check(n, written)',
        'const outcome = COMMITTED',
      ),
    ],
  },
}

function change(file, find, replace) {
  return { file, find, replace }
}
